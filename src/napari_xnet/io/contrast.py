"""Contrast limits from a small part of an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (0.5, 99.5)
_PLANES = 5
_ROWS = 48
_COLUMNS = 1024
_BLOCKS = 9
_BLOCK_BYTES = 64 * 2**20


def contrast_limits(array: Any) -> tuple[float, float]:
    """Percentiles 0.5 and 99.5 of a bounded sample of an image.

    Parameters
    ----------
    array : ndarray, memmap or dask array of real numbers, shape (..., Y, X)
        Of an array in memory or mapped, a few hundred rows are read; of a
        dask array, a few blocks.

    Returns
    -------
    tuple of float
        Lower and upper limit, the upper one always greater.
    """
    values = (_sample_blocks if hasattr(array, "dask") else _sample_rows)(array)
    with np.errstate(invalid="ignore"):  # some patterns of bits are no numbers
        values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    if not math.isfinite(high - low):
        return -float(np.finfo(np.float32).max), float(np.finfo(np.float32).max)
    if high <= low:
        # Rare values (a marker on an empty field) may lie outside of the percentiles.
        low, high = float(values.min()), float(values.max())
    if high <= low:
        high = low + max(1.0, abs(low) * 1e-3)
    return low, high


def _sample_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced planes, rows and columns.

    Whole rows cost one seek each; a fixed stride over a mapped 4 GB file
    would touch, and so load, nearly every page of it.
    """
    *leading, height, width = array.shape
    step = -(-width // _COLUMNS)
    # Plane by plane: reshaping an array whose axes were moved would copy all of it.
    planes = [np.unravel_index(i, leading) for i in _spread(math.prod(leading), _PLANES)]
    rows = _spread(height, _ROWS)
    return np.concatenate([array[(*plane, row)][::step] for plane in planes for row in rows])


def _sample_blocks(array: Any) -> NDArray[Any]:
    """Evenly spaced blocks of a dask array, at least one, at most 64 MB if more."""
    blocks = array.blocks
    count = math.prod(blocks.shape)
    block_bytes = max(1, math.prod(array.chunksize) * array.dtype.itemsize)
    chosen = _spread(count, max(1, min(_BLOCKS, _BLOCK_BYTES // block_bytes)))
    parts = []
    for index in chosen:
        block = blocks[np.unravel_index(index, blocks.shape)].compute(scheduler="synchronous")
        parts.append(_sample_rows(np.atleast_2d(block)))
    return np.concatenate(parts)


def _spread(length: int, count: int) -> list[int]:
    """At most `count` indices in the middles of equal parts of ``range(length)``."""
    count = min(length, count)
    return [int((2 * i + 1) * length / (2 * count)) for i in range(count)]
