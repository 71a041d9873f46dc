"""The form in which images go to napari, without importing napari."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels"]]
"""Data, keyword arguments of the layer, and its type. Multiscale data is a list of arrays."""


def layer_name(path: Path) -> str:
    """Name of a layer: the file name without ``.tif``, ``.ome.tif`` and the like."""
    stem = path.stem
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem
