"""From class probabilities to labels, and labels made cleaner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet import tissue
from napari_xnet.errors import ImageError

SizeUnit = Literal["px", "mm"]
"""Of the sizes of `PostProcessing`: px of the working image, or mm at the detector."""

SIZE_UNITS: tuple[SizeUnit, ...] = get_args(SizeUnit)

SIZES = ("bone_cleanup", "largest_hole", "bone_opening", "bone_dilation", "smallest_region")
"""Fields of `PostProcessing` that are sizes."""

_BEAM, _SOFT, _BONE = range(len(tissue.CLASSES))
_OTHERS = {_BEAM: (_SOFT, _BONE), _SOFT: (_BEAM, _BONE), _BONE: (_BEAM, _SOFT)}
"""Of each class, the two others."""


@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """What is done to probabilities to get labels; every step can be left out.

    Sizes are lengths in `size_unit`; 0 leaves a step out. The steps come in
    the order of the attributes.

    Attributes
    ----------
    soft_tissue_threshold : float in [0, 1], optional
        See `label`; the likeliest class if None.
    bone_cleanup : float
        Islands of bone that hold no square of this side become the likelier
        of the other classes; what reaches such a square stays whole (opening
        by reconstruction).
    largest_hole : float
        Holes smaller than a square of this side are filled: in bone with
        bone; where open beam shows through the body, with the likelier of
        the other classes. What the frame cuts is no hole.
    bone_opening, bone_dilation : float
        Bone is painted over soft tissue as far as a square of the side
        `bone_dilation` reaches around it: the bone's mask, opened with a
        square of the side `bone_opening`, is dilated; open beam stays [1]_.
    smallest_region : float
        Regions of soft tissue smaller than a square of this side become the
        likelier of open beam and bone.
    size_unit : {"px", "mm"}
        ``"px"``: of the working image.

    Raises
    ------
    ValueError
        If a value is out of range.

    References
    ----------
    .. [1] J. Bullock, C. Cuesta-Lazaro, A. Quera-Bofarull, arXiv:1812.00548,
       section on post-processing; there, bone is opened with 10 px, and a
       working image has 200 px.
    """

    soft_tissue_threshold: float | None = None
    bone_cleanup: float = 0.0
    largest_hole: float = 0.0
    bone_opening: float = 0.0
    bone_dilation: float = 0.0
    smallest_region: float = 0.0
    size_unit: SizeUnit = "px"

    def __post_init__(self) -> None:
        threshold = self.soft_tissue_threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"The soft-tissue threshold must be from 0 to 1, not {threshold}.")
        if self.size_unit not in SIZE_UNITS:
            raise ValueError(f'The unit of sizes must be px or mm, not "{self.size_unit}".')
        for name in SIZES:
            size = getattr(self, name)
            if not 0 <= size < np.inf:
                raise ValueError(
                    f"The {name.replace('_', ' ')} cannot be negative, nor infinite "
                    f"({size} {self.size_unit})."
                )

    @property
    def looks_at_regions(self) -> bool:
        """Whether there are steps beyond `label`."""
        return any(getattr(self, name) for name in SIZES if name != "bone_opening")

    def agrees(self, steps: Mapping[str, Any]) -> bool:
        """Whether some fields have the values given."""
        return all(getattr(self, name) == value for name, value in steps.items())

    def __str__(self) -> str:
        """Say which steps are on."""
        steps = [
            f"{name.replace('_', ' ')} {getattr(self, name):g} {self.size_unit}"
            for name in SIZES
            if getattr(self, name)
        ]
        if self.soft_tissue_threshold is not None:
            steps.insert(0, f"soft-tissue threshold {self.soft_tissue_threshold:g}")
        return ", ".join(steps) or "none"

    def px_per_unit(self, working_scale: float, pixel_size_mm: float | None = None) -> float:
        """Pixels of a radiograph in one `size_unit`.

        Parameters
        ----------
        working_scale : float
            Working px per px of the radiograph.
        pixel_size_mm : float, optional

        Raises
        ------
        ImageError
            If sizes are in mm, but nobody says how large a pixel is.
        """
        if self.size_unit == "px" or not self.looks_at_regions:
            return 1 / working_scale
        if not pixel_size_mm:
            raise ImageError(
                "The image does not say how large its pixels are, so sizes cannot be in mm: give "
                "them in px, or say how large a pixel is."
            )
        return 1 / pixel_size_mm


def label(
    probabilities: NDArray[np.floating], soft_tissue_threshold: float | None = None
) -> NDArray[np.uint8]:
    """Label each pixel with a tissue class.

    Parameters
    ----------
    probabilities : ndarray of float, shape (3, ...)
        Class probabilities in the order of `tissue.CLASSES`.
    soft_tissue_threshold : float in [0, 1], optional
        Soft tissue where its probability is above this, elsewhere the
        likelier of open beam and bone [1]_: a high threshold gives purer, a
        low one more soft tissue. The likeliest class if None.

    Returns
    -------
    ndarray of uint8, shape (...)
        Values of `tissue.CLASSES`, 1 to 3.

    References
    ----------
    .. [1] J. Bullock, C. Cuesta-Lazaro, A. Quera-Bofarull, arXiv:1812.00548,
       section on post-processing.
    """
    if soft_tissue_threshold is None:
        # Three comparisons are several times as fast as argmax over such an axis.
        beam, soft, bone = probabilities
        index = (soft > beam).astype(np.uint8)
        index[bone > np.maximum(beam, soft)] = _BONE
    else:
        hard = np.where(probabilities[_BONE] > probabilities[_BEAM], _BONE, _BEAM)
        index = np.where(probabilities[_SOFT] > soft_tissue_threshold, _SOFT, hard)
    return np.asarray(index + tissue.OPEN_BEAM.value, np.uint8)


def postprocess(
    probabilities: NDArray[np.floating], steps: PostProcessing, px_per_unit: float = 1.0
) -> NDArray[np.uint8]:
    """Do all steps of post-processing.

    Parameters
    ----------
    probabilities : ndarray of float, shape (3, Y, X)
        In the order of `tissue.CLASSES`.
    steps : PostProcessing
    px_per_unit : float
        Pixels of `probabilities` in one `size_unit`.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`.
    """
    labels = label(probabilities, steps.soft_tissue_threshold)
    if not steps.looks_at_regions:
        return labels
    return clean(labels, duels(probabilities), steps, px_per_unit)


def duels(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Find which of each two classes is the likelier one: all that `clean` asks of probabilities.

    Parameters
    ----------
    probabilities : ndarray of float, shape (3, ...)

    Returns
    -------
    ndarray of uint8, shape (...)
        Bit *k* says of the two classes besides *k* whether the later one is likelier.
    """
    result = np.zeros(probabilities.shape[1:], np.uint8)
    for without, (first, second) in _OTHERS.items():
        result |= (probabilities[second] > probabilities[first]).astype(np.uint8) << without
    return result


def clean(
    labels: NDArray[np.uint8],
    duelled: NDArray[np.uint8],
    steps: PostProcessing,
    px_per_unit: float = 1.0,
) -> NDArray[np.uint8]:
    """Do the steps of post-processing that look at regions.

    Parameters
    ----------
    labels : ndarray of uint8, shape (Y, X)
        See `label`.
    duelled : ndarray of uint8, shape (Y, X)
        See `duels`.
    steps : PostProcessing
    px_per_unit : float
        Pixels of `labels` in one `size_unit`.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
    """
    index = labels - np.uint8(tissue.OPEN_BEAM.value)
    longest = 2 * max(labels.shape)

    def side(size: float) -> int:
        # Squares beyond that change nothing, but take memory.
        return max(1, int(min(size * px_per_unit, longest) + 0.5))

    if steps.bone_cleanup:
        _replace(index, _islands(index == _BONE, side(steps.bone_cleanup)), duelled, _BONE)
    if steps.largest_hole:
        area = (steps.largest_hole * px_per_unit) ** 2
        index[_small_regions(index != _BONE, area, within_frame=True)] = _BONE
        _replace(index, _small_regions(index == _BEAM, area, within_frame=True), duelled, _BEAM)
    if steps.bone_dilation:
        bone = _opened(index == _BONE, side(steps.bone_opening))
        bone = _dilated(bone, side(steps.bone_dilation))
        index[bone & (index == _SOFT)] = _BONE
    if steps.smallest_region:
        area = (steps.smallest_region * px_per_unit) ** 2
        _replace(index, _small_regions(index == _SOFT, area), duelled, _SOFT)
    return index + np.uint8(tissue.OPEN_BEAM.value)


def _replace(
    index: NDArray[np.uint8], where: NDArray[np.bool_], duelled: NDArray[np.uint8], old: int
) -> None:
    """Give pixels the likelier of the other classes than their old one."""
    first, second = _OTHERS[old]
    index[where] = np.where(duelled[where] & (1 << old), second, first)


def _islands(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Find regions that hold no square."""
    # What the frame cuts continues outside of it.
    padded = np.pad(mask, side, mode="edge")
    regions, count = ndimage.label(padded)
    holds = np.zeros(count + 1, bool)
    holds[regions[_opened(padded, side)]] = True
    inside = (slice(side, -side),) * 2
    islands: NDArray[np.bool_] = mask & ~holds[regions[inside]]
    return islands


def _small_regions(
    mask: NDArray[np.bool_], area: float, within_frame: bool = False
) -> NDArray[np.bool_]:
    """Find regions of fewer pixels, of those that do not touch the frame if that is asked for."""
    regions, count = ndimage.label(mask)
    small = np.bincount(regions.ravel(), minlength=count + 1) < area
    small[0] = False
    if within_frame:
        for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
            small[edge] = False
    found: NDArray[np.bool_] = small[regions]
    return found


def _opened(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Open with a square."""
    eroded = ndimage.minimum_filter(mask.view(np.uint8), side, mode="constant")
    return _dilated(eroded.view(np.bool_), side)


def _dilated(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Dilate with a square; of even sides the middle is where it is for SciPy's `dilation`."""
    origin = -1 if side % 2 == 0 else 0
    dilated = ndimage.maximum_filter(mask.view(np.uint8), side, mode="constant", origin=origin)
    return np.asarray(dilated.view(np.bool_))
