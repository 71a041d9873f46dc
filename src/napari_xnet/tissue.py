"""The tissue classes: values, names and colours used everywhere."""

from typing import Final, NamedTuple


class TissueClass(NamedTuple):
    """One class of a segmented radiograph.

    Attributes
    ----------
    value : int
        Value of the class in label images.
    name : str
        Name shown to users.
    color : str
        ``#rrggbb``; the three colours differ for all common kinds of colour
        blindness (Okabe and Ito, *Color Universal Design*, 2008).
    """

    value: int
    name: str
    color: str


UNLABELLED: Final = 0
"""Value of pixels that nobody annotated: ignored in training and evaluation, never predicted."""

OPEN_BEAM: Final = TissueClass(1, "open beam", "#009e73")
SOFT_TISSUE: Final = TissueClass(2, "soft tissue", "#e69f00")
BONE: Final = TissueClass(3, "bone", "#56b4e9")

CLASSES: Final = (OPEN_BEAM, SOFT_TISSUE, BONE)
"""The classes in the order of the network's output channels."""

NAMES: Final = tuple(tissue.name for tissue in CLASSES)


def colormap() -> dict[int | None, str]:
    """Colour of each label value, in the form that napari's Labels layers take.

    Returns
    -------
    dict
        From label value to ``#rrggbb`` colour; 0 and every other value
        (key None) are transparent.
    """
    transparent = "#00000000"
    return {None: transparent, UNLABELLED: transparent} | {
        tissue.value: tissue.color for tissue in CLASSES
    }
