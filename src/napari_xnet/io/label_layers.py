"""How label files are marked, recognised and shown."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.io.arrays import is_lazy
from napari_xnet.io.calibration import PIXEL, mm_per_unit
from napari_xnet.io.layerdata import layer_name

MARKER: Final = "napari_xnet"
"""Key of our entry in the JSON of a label file's ImageDescription."""

METADATA_KEY: Final = "napari-xnet"
"""Key of our entry in the metadata of a layer."""

ACCEPTED: Final = "accepted"
"""Of our entry: indices of the radiographs whose labels a person has accepted."""

OPACITY: Final = 0.5
_LAST = tissue.CLASSES[-1].value
_NAME_LENGTH = 100


def marker(tif: Any, index: int) -> Mapping[str, Any]:
    """Return our entry in the description of a series, empty if the file is not ours.

    Parameters
    ----------
    tif : tifffile.TiffFile
    index : int
        Number of the series.
    """
    metadata = tif.shaped_metadata or ()
    entry = metadata[index].get(MARKER) if index < len(metadata) else None
    return entry if isinstance(entry, dict) and entry.get("kind") == "labels" else {}


def is_labels(path: Path, dtype: np.dtype[Any], entry: Mapping[str, Any]) -> bool:
    """Whether a series is a label image: integers, and marked by us or named ``*_labels``."""
    named = layer_name(path).lower().endswith("_labels")
    return dtype.kind in "biu" and (bool(entry) or named)


def digest(labels: NDArray[Any]) -> int:
    """Return a number by which labels that a network wrote are known again."""
    return zlib.crc32(np.ascontiguousarray(labels).data)


def provenance(levels: list[Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a layer that say which of its labels a network wrote, or a person accepted.

    Parameters
    ----------
    levels : list of array of int
        Full resolution first.
    entry : mapping
        Our entry in the file, or empty.

    Returns
    -------
    dict
        Digests of the radiographs' labels by their index, or the indices that
        were accepted; empty if there are none, or if a predicted file is too
        large to look at.
    """
    known = entry.get(ACCEPTED)
    if isinstance(known, list):
        accepted = {tuple(one) for one in known if isinstance(one, list)}
        return {METADATA_KEY: {ACCEPTED: accepted & set(np.ndindex(levels[0].shape[:-2]))}}
    if not entry.get("predicted") or is_lazy(levels[0]):
        return {}
    labels = levels[0]
    digests = {index: digest(labels[index]) for index in np.ndindex(labels.shape[:-2])}
    return {METADATA_KEY: {"predicted": digests}}


def stored_scale(entry: Mapping[str, Any], ndim: int) -> tuple[list[float], list[str]] | None:
    """Scale and units of a file written by us, or None if there are none that make sense."""
    scale, units = entry.get("scale"), entry.get("units")
    if not (isinstance(scale, list) and isinstance(units, list)):
        return None
    if not len(scale) == len(units) == ndim:
        return None
    if not all(
        isinstance(size, (int, float)) and math.isfinite(size) and size > 0 for size in scale
    ):
        return None
    known = [unit if isinstance(unit, str) and mm_per_unit(unit) else PIXEL for unit in units]
    return [float(size) for size in scale], known


def label_meta(levels: list[Any], entry: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return data and appearance of a label image.

    Colours and class names are given only where all values are tissue
    classes: other values would be shown as something that they are not.

    Parameters
    ----------
    levels : list of array of int
        Full resolution first.
    entry : mapping
        Our entry in the file, or empty.

    Returns
    -------
    levels : list of array
        As uint8 if all values are tissue classes.
    meta : dict
        Arguments of napari's Labels layer.
    """
    levels = [level.astype(np.uint8) if level.dtype == bool else level for level in levels]
    if not _all_classes(levels, entry):
        return levels, {"opacity": OPACITY}
    if levels[0].dtype != np.uint8:
        levels = [level.astype(np.uint8) for level in levels]
    return levels, tissue_appearance(_class_names(entry))


def tissue_appearance(names: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Colours, opacity and class names of a Labels layer of tissue classes.

    Parameters
    ----------
    names : mapping of int to str, optional
        Names of the classes where they differ from `tissue.CLASSES`.

    Returns
    -------
    dict
        Arguments of napari's Labels layer; `features` makes napari show the
        name of the class under the mouse.
    """
    known = {tissue.UNLABELLED: "unlabelled"} | {c.value: c.name for c in tissue.CLASSES}
    known |= dict(names or {})
    return {
        "opacity": OPACITY,
        "colormap": tissue.colormap(),
        "features": {"index": list(known), "class": list(known.values())},
    }


def _all_classes(levels: list[Any], entry: Mapping[str, Any]) -> bool:
    if any(is_lazy(level) for level in levels):
        # Too large to look at every pixel: believe our own mark, and nothing else.
        return "classes" in entry and levels[0].dtype == np.uint8
    return all(level.min() >= 0 and level.max() <= _LAST for level in levels)


def _class_names(entry: Mapping[str, Any]) -> dict[int, str]:
    """Class names from a file, which may have been edited: only of our values, of sane length."""
    classes = entry.get("classes")
    if not isinstance(classes, dict):
        return {}
    values = {str(c.value): c.value for c in tissue.CLASSES}
    return {
        values[key]: name[:_NAME_LENGTH]
        for key, name in classes.items()
        if key in values and isinstance(name, str)
    }
