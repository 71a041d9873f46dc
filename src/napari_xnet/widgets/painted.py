"""What people painted: which Labels layer goes with which radiograph, and how much is in it."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io.label_layers import ACCEPTED, METADATA_KEY, digest
from napari_xnet.training.pairs import count_classes
from napari_xnet.widgets.layers import Index, Radiographs

if TYPE_CHECKING:
    from napari import Viewer

_PAINTS, _GROUP, _OURS = "paints", "group", "passing"


@dataclass(frozen=True)
class Painted:
    """The painted labels of a layer, without what the network wrote there.

    Attributes
    ----------
    pages : Radiographs
        The labels, as they are when they are read.
    written : mapping from index to int
        Digests of what the network wrote; labels that are still the same
        are nobody's paint.
    """

    pages: Radiographs
    written: Mapping[Index, int]

    @classmethod
    def of(cls, layer: Labels) -> "Painted":
        """Take them from a layer.

        Raises
        ------
        ImageError
            If the layer has only one axis.
        """
        own = _entry(layer)
        # Of a file that was opened, or of a layer that we made, not of a copy of it.
        mine = own.get("layer") == str(layer.unique_id)
        written = own.get("written" if mine else "predicted", {})
        return cls(Radiographs.of(layer), dict(written))

    def read(self, check: Callable[[], None]) -> Iterator[tuple[Index, NDArray[Any]]]:
        """Yield index and labels, a copy, of each radiograph on which something is painted.

        Parameters
        ----------
        check : callable
            Called often; what it raises stops the reading.
        """
        for index in self.pages.indices():
            labels = self.pages.read(index, check)
            if labels.any() and self.written.get(index) != digest(labels):
                yield index, labels


def accepted(layer: Labels) -> set[Index]:
    """Return the indices of the radiographs whose live segmentation was accepted as labels."""
    return set(_entry(layer).get(ACCEPTED, ()))


def was_predicted(layer: Labels, index: Index) -> bool:
    """Whether the network wrote the labels of a radiograph, which a person may have corrected."""
    return index in Painted.of(layer).written


def corrections(layer: Labels, index: Index, labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Keep what a person painted: what differs from what the network wrote there.

    Parameters
    ----------
    layer : Labels
    index : tuple of int
        Which of its radiographs.
    labels : ndarray of int, shape (Y, X)
        What is there now.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
        0 where nobody painted, and where a value is no tissue class.
    """
    known = (labels >= 0) & (labels <= tissue.CLASSES[-1].value)
    result = np.where(known, labels, 0).astype(np.uint8)
    own, one = _entry(layer), Painted.of(layer)
    if one.written.get(index) == digest(labels):
        result[:] = 0
    elif own.get("layer") == str(layer.unique_id) and index in own.get("copies", {}):
        data = zlib.decompress(own["copies"][index])
        written = np.frombuffer(data, np.uint8).reshape(labels.shape)
        result[result == written] = 0
    return result


@dataclass(frozen=True)
class Amount:
    """How much is painted in a layer.

    Attributes
    ----------
    pixels : mapping from int to int
        Painted pixels of each tissue class.
    other : int
        Pixels whose value is no tissue class.
    of : int
        Pixels of the radiographs on which something is painted.
    predicted : bool
        Whether the layer holds only what the network wrote.
    """

    pixels: Mapping[int, int]
    other: int
    of: int
    predicted: bool

    @classmethod
    def count(cls, painted: Painted, check: Callable[[], None]) -> "Amount":
        """Count, which takes milliseconds for each radiograph."""
        pixels = {one.value: 0 for one in tissue.CLASSES}
        other = of = 0
        for _, labels in painted.read(check):
            counts = count_classes(labels)
            for value, count in counts.items():
                pixels[value] += count
            other += int(np.count_nonzero(labels)) - sum(counts.values())
            of += labels.size
        return cls(pixels, other, of, predicted=of == 0 and bool(painted.written))

    def percent(self, value: int) -> str:
        """Share of a class in the radiographs that are painted on, as short text."""
        percent = 100 * self.pixels[value] / max(1, self.of)
        if percent == 0:
            return "–"
        if percent < 0.1:
            return "<0.1"
        return f"{percent:.1f}" if percent < 9.95 else f"{percent:.0f}"


def mark_passing(layer: Image | Labels) -> None:
    """Mark a layer that we show for a while: no radiograph, and nobody's paint."""
    layer.metadata[METADATA_KEY] = {_OURS: True}


def is_passing(layer: Any) -> bool:
    """Whether it is a layer that we show for a while."""
    return _OURS in _entry(layer)


def lasting(viewer: "Viewer") -> list[Labels]:
    """Labels layers of a viewer without those that we show for a while."""
    return [layer for layer in viewer.layers if isinstance(layer, Labels) and not is_passing(layer)]


def mark_painting(layer: Labels, image: Image) -> None:
    """Mark a Labels layer as made to be painted for an image."""
    layer.metadata[METADATA_KEY] = {
        "layer": str(layer.unique_id),
        _PAINTS: str(image.unique_id),
    }


def group(layer: Labels) -> str:
    """Group (body part) of the pair that a Labels layer makes, "" for none."""
    return str(_entry(layer).get(_GROUP, ""))


def set_group(layer: Labels, name: str) -> None:
    """Set the group; it stays with the layer."""
    layer.metadata.setdefault(METADATA_KEY, {})[_GROUP] = name


def is_tissue(layer: Any) -> bool:
    """Whether it is a Labels layer in which 1, 2 and 3 are the tissue classes."""
    return (
        isinstance(layer, Labels)
        and isinstance(layer.colormap, DirectLabelColormap)
        and set(layer.colormap.color_dict) == set(tissue.colormap())
        and _OURS not in _entry(layer)
    )


def paints(layer: Labels, image: Image) -> bool:
    """Whether a Labels layer was made for an image, to be painted or by the network."""
    own = _entry(layer)
    made_for = own.get(_PAINTS, own.get("image"))
    return own.get("layer") == str(layer.unique_id) and made_for == str(image.unique_id)


def fitting(labels: Sequence[Labels], image: Image) -> list[Labels]:
    """Those of some Labels layers that have the shape of an image."""
    shape = _shape(image)
    return [layer for layer in labels if shape is not None and _shape(layer) == shape]


def propose(
    images: Sequence[Image], labels: Sequence[Labels], predicted: Callable[[Labels], bool]
) -> dict[Image, Labels]:
    """Find the Labels layer that goes with each image.

    Parameters
    ----------
    images, labels : sequences of layers
    predicted : callable
        Whether a Labels layer holds only what the network wrote: such
        layers are not proposed.

    Returns
    -------
    dict from Image to Labels
        For each image at most one, the newest of: the layers made for it; a
        layer called ``<image>_labels``; the only layer of its shape that is
        left, if it is the only image of that shape that is left.
    """
    free = [layer for layer in labels if not predicted(layer)]
    pairs: dict[Image, Labels] = {}
    rules: list[Callable[[Labels, Image], bool]] = [paints, _is_named_after]
    for belongs in rules:
        for image in images:
            found = [layer for layer in fitting(free, image) if belongs(layer, image)]
            if found and image not in pairs:
                pairs[image] = found[-1]
        free = [layer for layer in free if layer not in pairs.values()]
    alone = [image for image in images if image not in pairs]
    for image in alone:
        rest = [layer for layer in fitting(free, image) if not _belongs_elsewhere(layer, images)]
        rivals = [one for one in alone if _shape(one) == _shape(image)]
        if len(rest) == len(rivals) == 1:
            pairs[image] = rest[0]
    return {image: pairs[image] for image in images if image in pairs}


def _belongs_elsewhere(layer: Labels, images: Sequence[Image]) -> bool:
    return any(paints(layer, image) or _is_named_after(layer, image) for image in images)


def _is_named_after(layer: Labels, image: Image) -> bool:
    return bool(layer.name == f"{image.name}_labels")


def _shape(layer: Image | Labels) -> tuple[int, ...] | None:
    try:
        return Radiographs.of(layer).shape
    except ImageError:
        return None


def _entry(layer: Image | Labels) -> Mapping[str, Any]:
    own = layer.metadata.get(METADATA_KEY, {})
    return own if isinstance(own, Mapping) else {}
