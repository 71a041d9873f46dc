"""Pixels of a TIFF series: checked against the file, then read or left on disk."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from napari_xnet.errors import ImageError
from napari_xnet.io.mapped import Mapped

EAGER_BYTES: Final = 256 * 2**20
"""Largest decoded size that is read at once, so that the file need not stay open."""

_DAMAGED = "The file is truncated or damaged: export or copy it again."
_GREATEST_RATIO: Final = 100_000
"""No codec packs a real image of more than `EAGER_BYTES` tighter than this."""
_CHUNK_BYTES: Final = 32 * 2**20
_CHECKED_PAGES: Final = 1000


def check(series: Any, path: Path) -> None:
    """Compare what a series declares with what the file holds, before anything is allocated.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
    path : Path
        The file.

    Raises
    ------
    ImageError
        If the type of the pixels is not supported, or data are missing.
    """
    for level in series.levels:
        if level.dtype is None or level.dtype.kind not in "biuf":
            kind = "complex numbers" if level.dtype and level.dtype.kind == "c" else "an odd format"
            raise ImageError(
                f"{path.name}: the pixels are {kind}. "
                "Export the image as integers or real numbers of 8 to 64 bits."
            )
        if level.size == 0 or len(level.shape) < 2:
            raise ImageError(f"{path.name}: this TIFF file holds no two-dimensional image.")
        _check_extent(level, path)


def _check_extent(level: Any, path: Path) -> None:
    stored = path.stat().st_size
    if level.nbytes > max(EAGER_BYTES, _GREATEST_RATIO * stored):
        size = " x ".join(str(length) for length in level.shape)
        raise ImageError(
            f"{path.name}: the file declares an image of {size} pixels "
            f"but holds only {stored} bytes. {_DAMAGED}"
        )
    if level.dataoffset is not None:
        complete = level.dataoffset + level.nbytes <= stored
    else:
        pages = level.pages if len(level) <= _CHECKED_PAGES else (level.keyframe, level.pages[-1])
        complete = all(_page_complete(page, level.keyframe, stored) for page in pages)
    if not complete:
        raise ImageError(f"{path.name}: image data are missing. {_DAMAGED}")


def _page_complete(page: Any, keyframe: Any, stored: int) -> bool:
    if page is None:  # OME files may leave planes out: they read as zeros.
        return True
    counts = page.databytecounts
    if any(start + count > stored for start, count in zip(page.dataoffsets, counts, strict=False)):
        return False
    if keyframe.compression == 1 and keyframe.is_contiguous:
        return bool(sum(counts) >= keyframe.nbytes)
    # One segment per tile or strip and sample plane. Less is damage: tifffile would give zeros.
    expected = int(np.prod(keyframe.chunked))
    return len(counts) >= expected and len(page.dataoffsets) >= expected


def load(series: Any, index: int, path: Path) -> list[Any]:
    """Arrays of all resolution levels of a series.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        Checked by `check`.
    index : int
        Number of the series in the file.
    path : Path
        The file.

    Returns
    -------
    list
        Full resolution first. Up to `EAGER_BYTES` in all they are ndarrays;
        of a larger series, memory maps where the pixels lie in the file as
        they are in memory, and dask arrays elsewhere.
    """
    levels = series.levels
    if sum(level.nbytes for level in levels) <= EAGER_BYTES:
        return [_native(level.asarray()) for level in levels]
    return [_lazy(level, index, number, path) for number, level in enumerate(levels)]


def is_lazy(array: Any) -> bool:
    """Whether the pixels are still in the file."""
    return hasattr(array, "dask") or isinstance(array, np.memmap)


def plane(array: Any, position: tuple[int, ...]) -> Any:
    """Take one plane of a stack; what is still in the file stays there."""
    if not position or not isinstance(array, Mapped):
        return array[position] if position else array
    # Indexing copies. Dask puts that off until somebody wants the pixels.
    import dask.array
    from dask.delayed import delayed

    blocked: Any = dask.array  # its functions are not annotated
    read = delayed(partial(array.__getitem__, position), pure=False)
    return blocked.from_delayed(read(), shape=array.shape[len(position) :], dtype=array.dtype)


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _lazy(level: Any, index: int, number: int, path: Path) -> Any:
    byteorder = level.keyframe.parent.byteorder
    stored = np.dtype(byteorder + level.dtype.char)
    # Graphics cards take native numbers only: others go through zarr, which converts.
    if level.dataoffset is not None and stored.isnative:
        return Mapped.of(path, stored, level.dataoffset, level.shape)
    return _from_zarr(level, index, number, path)


def _from_zarr(level: Any, index: int, number: int, path: Path) -> Any:
    # Both take a second to import and only large compressed files need them.
    import dask.array
    import zarr

    blocked: Any = dask.array  # its functions are not annotated
    keyframe = level.keyframe
    by_page = keyframe.nbytes <= 2 * _CHUNK_BYTES
    # A file of its own, that lives as long as the array does.
    tif = tifffile.TiffFile(path)
    store = tif.aszarr(
        series=index,
        level=number,
        chunkmode=tifffile.CHUNKMODE.PAGE if by_page else tifffile.CHUNKMODE.STRILE,
    )
    weakref.finalize(store, tif.filehandle.close)
    array = zarr.open_array(store, mode="r")
    chunks = array.chunks if by_page else _merged(array.chunks, array.shape, array.dtype.itemsize)
    return blocked.from_array(array, chunks=chunks, lock=False)


def _merged(chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Whole multiples of the tiles or strips of a file: a graph of millions of rows is slow."""
    merged = list(chunks)
    for axis in reversed(range(len(merged))):
        rest = int(np.prod(merged)) * itemsize
        times = min(-(-shape[axis] // merged[axis]), max(1, _CHUNK_BYTES // rest))
        merged[axis] *= times
    return tuple(merged)
