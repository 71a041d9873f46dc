"""Write label images and probabilities as TIFF files that ImageJ and this package read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io.atomic import atomic_path
from napari_xnet.io.calibration import MM, PIXEL, mm_per_unit
from napari_xnet.io.calibration import pixel_size_mm as pixel_size_of
from napari_xnet.io.label_layers import ACCEPTED, MARKER, METADATA_KEY, marker
from napari_xnet.io.tiff import open_tiff

_SOFTWARE = "napari-xnet"


def write_labels(
    path: str | os.PathLike[str],
    labels: ArrayLike,
    *,
    pixel_size_mm: tuple[float, float] | None = None,
    predicted: bool = False,
    recipe: str = "",
) -> None:
    """Write a label image as an 8-bit TIFF file with colours and class names.

    Parameters
    ----------
    path : path-like
        File to write; an existing one is replaced.
    labels : array of int, shape (Y, X) or (..., Y, X)
        Values 0 to 255. Stacks become pages. Colours and class names are
        stored if no value is above 3.
    pixel_size_mm : tuple of float, optional
        Height and width of a pixel in mm.
    predicted : bool
        Mark the file as made by a program alone, see `Provenance`.
    recipe : str
        How the program made them, so that it need not do so again.

    Raises
    ------
    ImageError
        If the values do not fit, or the file cannot be written.
    """
    ndim = np.ndim(labels)
    scale, units = [1.0] * ndim, [PIXEL] * ndim
    if pixel_size_mm is not None and ndim >= 2:
        scale[-2:], units[-2:] = map(float, pixel_size_mm), (MM, MM)
    _write_labels(path, labels, scale, units, predicted, recipe)


@dataclass(frozen=True)
class Provenance:
    """Where the labels in a file come from.

    Attributes
    ----------
    is_image : bool
        Whether there is a file that can be read as TIFF.
    is_predicted : bool
        Whether a program wrote them and nobody has saved them again since.
    recipe : str
        How the program made them.
    """

    is_image: bool = False
    is_predicted: bool = False
    recipe: str = ""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        """Look into a file, which may be any, or none."""
        try:
            with open_tiff(Path(path)) as tif:
                entry = marker(tif, 0)
        except ImageError:
            return cls()
        return cls(True, bool(entry.get("predicted", False)), str(entry.get("recipe", "")))

    @property
    def may_be_corrected(self) -> bool:
        """Whether it may be the work of a person."""
        return self.is_image and not self.is_predicted


def write_labels_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Writer for napari: one Labels layer with its scale and units.

    Parameters
    ----------
    path : str
        File to write; ``.tif`` is appended if it is missing.
    data : array of int, or list of them
        Data of the layer; of a multiscale layer the full resolution is written.
    meta : dict
        State of the layer; ``scale``, ``units`` and our own ``metadata`` are used.

    Returns
    -------
    list of str
        The path that was written.
    """
    if not path.lower().endswith((".tif", ".tiff")):
        path += ".tif"
    if meta.get("multiscale") or isinstance(data, (list, tuple)):
        data = data[0]
    ndim = np.ndim(data)
    scale = [float(size) for size in meta.get("scale", [1.0] * ndim)]
    units = meta.get("units")
    # napari gives pint units, whose text is a name such as "millimeter".
    texts = [str(unit) for unit in units] if units is not None else [PIXEL] * ndim
    own = (meta.get("metadata") or {}).get(METADATA_KEY, {})
    accepted = sorted(own.get(ACCEPTED, ())) if isinstance(own, Mapping) else []
    units = [MM if _is_mm(text) else text for text in texts]
    _write_labels(path, data, scale, units, accepted=accepted)
    return [path]


def write_probabilities(
    path: str | os.PathLike[str],
    probabilities: ArrayLike,
    *,
    pixel_size_mm: tuple[float, float] | None = None,
) -> None:
    """Write class probabilities as a float32 OME-TIFF file, one named channel per class.

    Parameters
    ----------
    path : path-like
        File to write; an existing one is replaced.
    probabilities : array of float, shape (3, Y, X) or (3, N, Y, X)
        In the order of `tissue.CLASSES`.
    pixel_size_mm : tuple of float, optional
        Height and width of a pixel in mm.

    Raises
    ------
    ImageError
        If the shape does not fit, or the file cannot be written.
    """
    array = np.asarray(probabilities, dtype=np.float32)
    if array.ndim not in (3, 4) or array.shape[0] != len(tissue.CLASSES) or array.size == 0:
        raise ImageError(
            f"Probabilities must have the shape (3, Y, X) or (3, N, Y, X), not {array.shape}."
        )
    # OME rather than ImageJ's own format: that one stores the channel axis behind the slices.
    metadata: dict[str, Any] = {
        "axes": "CYX" if array.ndim == 3 else "CZYX",
        "Channel": {"Name": list(tissue.NAMES)},
    }
    if pixel_size_mm is not None:
        metadata |= {
            f"PhysicalSize{axis}": float(size)
            for axis, size in zip("YX", pixel_size_mm, strict=True)
        } | {"PhysicalSizeYUnit": MM, "PhysicalSizeXUnit": MM}
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            ome=True,
            photometric="minisblack",
            software=_SOFTWARE,
            metadata=metadata,
            **_resolution(pixel_size_mm),
        )


def _write_labels(
    path: str | os.PathLike[str],
    labels: Any,
    scale: Sequence[float],
    units: Sequence[str],
    predicted: bool = False,
    recipe: str = "",
    accepted: Sequence[tuple[int, ...]] = (),
) -> None:
    array = _as_uint8(np.asarray(labels))
    entry: dict[str, Any] = {"kind": "labels", "scale": list(scale), "units": list(units)}
    if predicted:
        entry["predicted"] = True
    if accepted:
        entry[ACCEPTED] = [list(index) for index in accepted]
    if recipe:
        entry["recipe"] = recipe
    colors: dict[str, Any] = {"photometric": "minisblack"}
    if array.max() <= tissue.CLASSES[-1].value:
        entry["classes"] = {str(c.value): c.name for c in tissue.CLASSES}
        colors = {"photometric": "palette", "colormap": _palette()}
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            # ImageJ reads uncompressed, LZW, PackBits and Deflate (8) without a predictor
            # (ij.io.TiffDecoder); of these, Deflate is also read without imagecodecs.
            compression="zlib",
            software=_SOFTWARE,
            metadata={MARKER: entry},
            **colors,
            **_resolution(pixel_size_of(scale, units)),
        )


def _as_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype.kind not in "biu":
        raise ImageError(f"Labels must be whole numbers, but these are {array.dtype}.")
    if array.ndim < 2 or array.size == 0:
        raise ImageError(f"Labels must be an image, but these have the shape {array.shape}.")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:
        raise ImageError(
            f"Labels are saved as values from 0 to 255, but these go from {low} to {high}. "
            "Renumber them, or save the layer with another writer."
        )
    return array.astype(np.uint8, copy=False)


def _palette() -> NDArray[np.uint16]:
    """Colour map of a palette TIFF, shape (3, 256): class colours, black elsewhere."""
    palette = np.zeros((3, 256), np.uint16)
    for tissue_class in tissue.CLASSES:
        rgb = bytes.fromhex(tissue_class.color.removeprefix("#"))
        palette[:, tissue_class.value] = np.frombuffer(rgb, np.uint8) * np.uint16(257)
    return palette


def _resolution(size_mm: tuple[float, float] | None) -> dict[str, Any]:
    """Arguments of `tifffile.imwrite` for a pixel size (Y, X) in mm."""
    if size_mm is None:
        return {}
    height, width = size_mm
    return {"resolution": (10 / width, 10 / height), "resolutionunit": "CENTIMETER"}


def _is_mm(unit: str) -> bool:
    return mm_per_unit(unit) == 1.0
