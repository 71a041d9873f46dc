"""Layers of napari as arrays, and arrays as layers."""

import itertools
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io import calibration
from napari_xnet.io.label_layers import METADATA_KEY, digest, tissue_appearance

if TYPE_CHECKING:
    from napari import Viewer


_STRIP_BYTES = 2**26
_UNFIT = re.compile(r'[/\\:*?"<>|\x00-\x1f]')
"""What no file name may have, on one system or another."""
_COPIED_PX = 2**24
"""Of predictions up to this size a compressed copy is kept, so that corrections are known."""

Index = tuple[int, ...]
"""Position of a radiograph along the leading axes of its layer; () if there are none."""


def folder_of(layer: Layer) -> Path:
    """Folder of the file that a layer was read from, for dialogs; the current one if none was."""
    path = layer.source.path
    return Path(path).parent if path else Path()


def free_path(layer: Layer, folder: Path, name: str = "") -> Path:
    """Name a TIFF file for a layer: that which it was read from, or one that does not exist."""
    name = _UNFIT.sub("_", name or layer.name)
    more = (f"{name}_{number}" for number in itertools.count(2))
    names = itertools.chain([name], more)
    paths = (folder / f"{name}.tif" for name in names)
    source = Path(layer.source.path) if layer.source.path else None
    return next(path for path in paths if path == source or not path.exists())


@dataclass(frozen=True)
class Radiographs:
    """The radiographs of an image layer.

    Attributes
    ----------
    data : array-like
        The layer's data at full resolution.
    rgb : bool
        Whether the last axis holds colours.
    shape : tuple of int
        Shape without colours: leading axes, Y, X.
    """

    data: Any
    rgb: bool
    shape: tuple[int, ...]

    @classmethod
    def of(cls, layer: Image | Labels) -> "Radiographs":
        """Take them from a layer, or the labels of them from a Labels layer.

        Raises
        ------
        ImageError
            If the layer has only one axis.
        """
        data = layer.data[0] if layer.multiscale else layer.data
        shape = tuple(int(size) for size in data.shape)
        rgb = bool(getattr(layer, "rgb", False))
        spatial = shape[:-1] if rgb else shape
        if len(spatial) < 2:
            raise ImageError(f'"{layer.name}" is not a radiograph: it has only one axis.')
        return cls(data, rgb, spatial)

    @property
    def is_stack(self) -> bool:
        """Whether there is more than one radiograph."""
        return len(self.shape) > 2

    def indices(self) -> list[Index]:
        """Positions of all radiographs, in order."""
        return list(np.ndindex(*self.shape[:-2]))

    def read(self, index: Index, check: Callable[[], None]) -> NDArray[Any]:
        """Read one radiograph into memory.

        Parameters
        ----------
        index : tuple of int
        check : callable
            Called between strips of rows; what it raises stops the reading.

        Returns
        -------
        ndarray
            Contiguous.
        """
        page = self.data[index] if index else self.data
        result = np.empty(page.shape, page.dtype)
        row_bytes = max(1, result.nbytes // max(1, len(result)))
        step = max(1, _STRIP_BYTES // row_bytes)
        for start in range(0, len(result), step):
            check()
            result[start : start + step] = page[start : start + step]
        return result


def radiograph_layers(viewer: "Viewer") -> list[Image]:
    """Image layers that may be segmented: all but the probabilities that we added."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image) and METADATA_KEY not in layer.metadata
    ]


def shown_index(layer: Image | Labels, point: Sequence[float]) -> Index:
    """Position of the radiograph that is displayed.

    Parameters
    ----------
    layer : Image or Labels
    point : sequence of float
        World coordinates of the displayed slice, ``viewer.dims.point``.

    Returns
    -------
    tuple of int
    """
    data = layer.data[0] if layer.multiscale else layer.data
    position = layer.world_to_data(point)[: layer.ndim - 2]
    return tuple(
        int(np.clip(np.round(where), 0, size - 1))
        for where, size in zip(position, data.shape, strict=False)
    )


def placement(layer: Image) -> dict[str, Any]:
    """Where a layer lies in the world: arguments for a layer of the same shape."""
    return {
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def pixel_size_mm(layer: Image) -> float | None:
    """Edge length of a pixel of a layer, the geometric mean if it is no square, if units say so."""
    size = calibration.pixel_size_mm(layer.scale, layer.units)
    return math.sqrt(math.prod(size)) if size else None


def add_labels(
    viewer: "Viewer",
    image_id: str,
    image_name: str,
    by: str,
    shape: tuple[int, ...],
    place: dict[str, Any],
) -> Labels:
    """Add an unlabelled Labels layer in the classes' colours.

    Parameters
    ----------
    viewer : Viewer
    image_id, image_name : str
        The image layer that the labels belong to.
    by : str
        Who made them, for the layer's name if others have the usual one.
    shape : tuple of int
        Its shape without colours.
    place : dict
        See `placement`.

    Returns
    -------
    Labels
    """
    name = f"{image_name}_labels"
    if name in viewer.layers:
        name = f"{image_name}_{by}_labels"
    layer = viewer.add_labels(np.zeros(shape, np.uint8), name=name, **tissue_appearance(), **place)
    # The layer's own id, because a copy of the layer has a copy of this.
    own = {"layer": str(layer.unique_id), "image": image_id, "written": {}, "copies": {}}
    layer.metadata[METADATA_KEY] = own
    return layer


def write_labels(
    layer: Labels, labels: Mapping[Index, NDArray[np.uint8]], place: dict[str, Any]
) -> None:
    """Write predicted labels into a layer of `add_labels` and remember what was written.

    Parameters
    ----------
    layer : Labels
    labels : mapping from index to ndarray of uint8, shape (Y, X)
    place : dict
        Where the image lies now, see `placement`.
    """
    for index, values in labels.items():
        layer.data[index] = values
        own = layer.metadata[METADATA_KEY]
        own["written"][index] = digest(layer.data[index])
        if values.size <= _COPIED_PX:
            own["copies"][index] = zlib.compress(values.tobytes(), level=1)
    for name, value in place.items():
        setattr(layer, name, value)
    layer.refresh()


def find_labels(
    viewer: "Viewer", image_id: str, shape: tuple[int, ...], indices: Sequence[Index]
) -> Labels | None:
    """Labels layer of an earlier run that may be updated.

    Parameters
    ----------
    viewer : Viewer
    image_id : str
        The image layer that the labels belong to.
    shape : tuple of int
        Shape that the labels must have.
    indices : sequence of tuple of int
        Radiographs that are to be written.

    Returns
    -------
    Labels or None
        The newest of that image's layers whose labels at `indices` are what
        was written there, or were never touched.
    """
    for layer in reversed(viewer.layers):
        if (
            _belongs_to(layer, image_id)
            and layer.data.shape == shape
            and all(is_untouched(layer, index) for index in indices)
        ):
            return layer
    return None


def hide_older_labels(viewer: "Viewer", image_id: str) -> str | None:
    """Hide the labels of earlier runs, which were edited; return the newest one's name."""
    older = [layer for layer in viewer.layers if _belongs_to(layer, image_id)]
    for layer in older:
        layer.visible = False
    return older[-1].name if older else None


def labels_to_save(viewer: "Viewer", image: Image | None) -> Labels | None:
    """Return the selected Labels layer, else the newest one that was made of the image."""
    active = viewer.layers.selection.active
    if isinstance(active, Labels):
        return active
    own = [layer for layer in viewer.layers if image and _belongs_to(layer, str(image.unique_id))]
    return own[-1] if own else None


def _belongs_to(layer: Layer, image_id: str) -> bool:
    own = layer.metadata.get(METADATA_KEY, {})
    return (
        isinstance(layer, Labels)
        and own.get("layer") == str(layer.unique_id)
        and own.get("image") == image_id
    )


def is_untouched(layer: Labels, index: Index) -> bool:
    """Whether the labels of a layer of `add_labels` are what was written, or were never written."""
    written = layer.metadata[METADATA_KEY]["written"]
    if index in written:
        return bool(digest(layer.data[index]) == written[index])
    return not np.any(layer.data[index])


def show_probabilities(
    viewer: "Viewer",
    image_id: str,
    image_name: str,
    probabilities: NDArray[np.float32],
    place: dict[str, Any],
    below: Labels,
) -> None:
    """Add one hidden image layer for each class, or update those of an earlier run.

    Parameters
    ----------
    viewer : Viewer
    image_id, image_name : str
        The image layer that the probabilities belong to.
    probabilities : ndarray of float32, shape (3, ..., Y, X)
    place : dict
        See `placement`.
    below : Labels
        The layer under which new layers go.
    """
    for one, data in zip(tissue.CLASSES, probabilities, strict=True):
        own = {"image": image_id, "probability": one.name}
        for layer in viewer.layers:
            if layer.metadata.get(METADATA_KEY) == own and layer.data.shape == data.shape:
                layer.data = data
                for name, value in place.items():
                    setattr(layer, name, value)
                break
        else:
            layer = Image(
                data,
                name=f"P({one.name}) {image_name}",
                contrast_limits=(0, 1),
                colormap="viridis",
                visible=False,
                metadata={METADATA_KEY: own},
                **place,
            )
            viewer.layers.insert(viewer.layers.index(below), layer)
