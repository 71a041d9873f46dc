"""Read TIFF radiographs and label images into napari layers."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xnet.errors import ImageError
from napari_xnet.io import label_layers
from napari_xnet.io.arrays import check, load
from napari_xnet.io.calibration import MM, PIXEL, series_calibration
from napari_xnet.io.contrast import contrast_limits
from napari_xnet.io.layerdata import LayerData, layer_name
from napari_xnet.io.ome import channel_names
from napari_xnet.io.quiet import quiet_tifffile
from napari_xnet.io.stack import ALONE, stack_layers
from napari_xnet.io.tiff_metadata import acquisition

EXTENSIONS = (".tif", ".tiff")
MOST_PAGES = 1_000_000
"""Of a file."""
_LOOP_FOUND = 99
"""Loops of fewer pages are cut open by tifffile."""
_RGB = {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
_ALPHA = {tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA}


def get_reader(
    path: str | list[str],
) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Reader for napari: `read_tiff` for a file, `read_tiff_stack` for a list of files.

    npe2 hands over a list only if the user asked to stack the files; files
    that become one layer each arrive one by one.

    Parameters
    ----------
    path : str or list of str
        What the user opens.

    Returns
    -------
    callable or None
        None if a path is not a TIFF file by its name.
    """
    paths = path if isinstance(path, list) else [path]
    if not paths or not all(_is_tiff_name(item) for item in paths):
        return None
    return _read_any


def read_tiff(path: str | os.PathLike[str]) -> list[LayerData]:
    """Layers of a TIFF file.

    One layer for each series of images of the same size, and for each named
    channel; pyramids become one multiscale layer. Values are as stored, also
    where the file asks for an inverted (``MINISWHITE``) or coloured display.
    More than 256 MB stay on disk until they are shown.

    Parameters
    ----------
    path : path-like
        Single- or multi-page, ImageJ, OME, BigTIFF, tiled or pyramidal file.

    Returns
    -------
    list of LayerData
        Images with name, scale, units, contrast limits and acquisition
        metadata; integer images named ``*_labels`` or written by
        `napari_xnet.io.labels` as labels in class colours.

    Raises
    ------
    ImageError
        If the file cannot be read; the message says why.
    """
    path = Path(path)
    with open_tiff(path) as tif:
        indices = _image_series(tif)
        for index in indices:
            check(tif.series[index], path)
        names = _names(tif, indices, path)
        return [
            layer
            for index, name in zip(indices, names, strict=True)
            for layer in _layers(tif, index, name, path)
        ]


def read_tiff_stack(paths: list[str]) -> list[LayerData]:
    """One layer of several TIFF files of one image each, stacked along a new first axis.

    Parameters
    ----------
    paths : list of str
        Files with images of the same shape and type, in the order of the stack.

    Returns
    -------
    list of LayerData
        One layer; a dask array if the images make more than 256 MB.

    Raises
    ------
    ImageError
        If a file cannot be read, or does not fit to the first one.
    """
    return stack_layers(paths, read_tiff, _signature)


def _read_any(path: str | list[str]) -> list[LayerData]:
    if isinstance(path, list):
        return read_tiff_stack(path) if len(path) > 1 else read_tiff(path[0])
    return read_tiff(path)


def _is_tiff_name(path: object) -> bool:
    name = str(path)
    return name.lower().endswith(EXTENSIONS) and "://" not in name and not os.path.isdir(name)


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; turn all that can go wrong with its content into one `ImageError`."""
    try:
        with quiet_tifffile(), tifffile.TiffFile(path) as tif:
            yield tif
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except MemoryError as error:
        raise ImageError(f"{path.name}: not enough memory to read the image.") from error
    # tifffile and the codecs raise nearly every kind of error on damaged files.
    except Exception as error:
        raise ImageError(f"{path.name}: {_explain(path, error)}") from error


def _explain(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "the file is empty. Export or copy it again."
    text = str(error)
    if isinstance(error, ImportError) or "imagecodecs" in text:
        return (
            "its compression needs the package imagecodecs. "
            "Run pip install imagecodecs, or export the image uncompressed."
        )
    if "COMPRESSION" in text:
        return "its compression is not known. Export the image uncompressed."
    if isinstance(error, tifffile.TiffFileError) and "not a TIFF file" in text:
        return "this is not a TIFF file, in spite of its name."
    return "the TIFF file is truncated or damaged. Export or copy it again."


def _image_series(tif: tifffile.TiffFile) -> list[int]:
    """Numbers of the series that are images, not thumbnails or masks of others."""
    _check_chain(tif)
    series = tif.series
    if not series:
        raise ImageError(f"{tif.filename}: this TIFF file holds no image.")
    declared = (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1
    counted = series[0].kind in ("generic", "uniform")  # as many images as there are pages
    lost_slices = counted and isinstance(declared, int) and declared > len(tif.pages)
    lost_pages = (counted or series[0].dataoffset is None) and not _pages_complete(tif)
    if lost_slices or lost_pages:
        raise ImageError(
            f"{tif.filename}: more images are announced than are there. "
            "The file is truncated or damaged: export or copy it again."
        )
    main = [i for i, item in enumerate(series) if not item.keyframe.subfiletype & 5]
    return main or [0]


def _check_chain(tif: tifffile.TiffFile) -> None:
    """Refuse pages that lead back to earlier ones, which tifffile would read for ever."""
    kind, file = tif.tiff, tif.filehandle
    offset, seen = tif.pages.first.offset, set[int]()
    while offset and offset not in seen and len(seen) <= MOST_PAGES:
        seen.add(offset)
        try:
            file.seek(offset)
            (tags,) = struct.unpack(kind.tagnoformat, file.read(kind.tagnosize))
            file.seek(offset + kind.tagnosize + tags * kind.tagsize)
            (offset,) = struct.unpack(kind.offsetformat, file.read(kind.offsetsize))
        except (struct.error, OSError, ValueError):
            return  # the chain breaks off: see `_pages_complete`
    if len(seen) > MOST_PAGES:
        raise ImageError(f"{tif.filename}: more than {MOST_PAGES:,} images in a file are too many.")
    if offset and len(seen) >= _LOOP_FOUND:
        raise ImageError(
            f"{tif.filename}: its pages lead back to earlier ones. "
            "The file is damaged: export or copy it again."
        )
    len(tif.pages)  # tifffile looks for shorter loops only when it counts


def _pages_complete(tif: tifffile.TiffFile) -> bool:
    """Whether the chain of pages ends as it should; tifffile stops silently where it breaks."""
    pages = tif.pages
    known = {pages[index].offset for index in {0, len(pages) - 1}}
    position = pages.next_page_offset
    if position is None:
        return True
    tif.filehandle.seek(position)
    link = tif.filehandle.read(tif.tiff.offsetsize)
    following = int.from_bytes(link, "little" if tif.byteorder == "<" else "big")
    return len(link) == tif.tiff.offsetsize and (following == 0 or following in known)


def _signature(path: str) -> tuple[object, ...]:
    """Return what two files must share to be stacked, read from their headers only."""
    with open_tiff(Path(path)) as tif:
        indices = _image_series(tif)
        if len(indices) > 1:
            raise ImageError(f"{tif.filename} holds {len(indices)} images: {ALONE}")
        series = tif.series[indices[0]]
        check(series, Path(path))
        return series.shape, str(series.dtype), series.axes, _is_inverted(series)


def _names(tif: tifffile.TiffFile, indices: list[int], path: Path) -> list[str]:
    """Layer names of the series: numbered unless the file names them."""
    stem = layer_name(path)
    if len(indices) == 1:
        return [stem]
    own = [tif.series[index].name for index in indices]
    if not all(own) or len(set(own)) < len(own):
        own = [f"[{number}]" for number in range(1, len(indices) + 1)]
    return [f"{stem} {name}" for name in own]


def _layers(tif: tifffile.TiffFile, index: int, name: str, path: Path) -> list[LayerData]:
    series = tif.series[index]
    axes, rgb, levels = _arrange(series, load(series, index, path))
    entry = label_layers.marker(tif, index)
    labels = not rgb and label_layers.is_labels(path, levels[0].dtype, entry)

    sizes = series_calibration(tif, index)
    spatial = axes.removesuffix("S") if rgb else axes
    scale = [sizes.get(axis, 1.0) for axis in spatial]
    units = [MM if axis in sizes else PIXEL for axis in spatial]
    meta: dict[str, Any] = {"name": name, "metadata": acquisition(tif, index)}

    if labels:
        scale, units = label_layers.stored_scale(entry, len(axes)) or (scale, units)
        levels, appearance = label_layers.label_meta(levels, entry)
        meta |= {"scale": tuple(scale), "units": tuple(units)} | appearance
        meta["metadata"] |= label_layers.provenance(levels, entry)
        return [_layer_data(levels, meta, "labels")]

    names = _split_channels(tif, index, axes, levels[0].shape)
    if not names:
        meta |= {"scale": tuple(scale), "units": tuple(units)} | _look(series, levels, rgb)
        return [_layer_data(levels, meta, "image")]
    axis = axes.index("C")
    layers = []
    for number, channel in enumerate(names):
        part = [level[(slice(None),) * axis + (number,)] for level in levels]
        own = meta | {
            "name": f"{name} {channel}",
            "scale": tuple(scale[:axis] + scale[axis + 1 :]),
            "units": tuple(units[:axis] + units[axis + 1 :]),
            "visible": number == 0,  # opaque layers would hide one another
        }
        layers.append(_layer_data(part, own | _look(series, part, rgb), "image"))
    return layers


def _layer_data(levels: list[Any], meta: dict[str, Any], kind: Any) -> LayerData:
    if len(levels) == 1:
        return levels[0], meta, kind
    return levels, meta | {"multiscale": True}, kind


def _arrange(series: Any, levels: list[Any]) -> tuple[str, bool, list[Any]]:
    """Move the samples of a pixel to where napari wants them.

    Returns
    -------
    axes : str
        Axis letters of the arrays, ending in YX, or in YXS for colours.
    rgb : bool
        Whether the last axis holds red, green, blue and perhaps alpha.
    levels : list of array
    """
    axes: str = series.axes
    at = axes.find("S")
    if at < 0:
        return axes, False, levels
    rest = axes.replace("S", "")
    keyframe = series.keyframe
    samples = levels[0].shape[at]
    if keyframe.photometric in _RGB and samples in (3, 4):
        return rest + "S", True, [np.moveaxis(level, at, -1) for level in levels]
    extra = keyframe.extrasamples or ()
    if samples - sum(item in _ALPHA for item in extra) == 1:
        # Gray with alpha: the signal is the first sample.
        return rest, False, [level[(slice(None),) * at + (0,)] for level in levels]
    return "S" + rest, False, [np.moveaxis(level, at, 0) for level in levels]


def _split_channels(
    tif: tifffile.TiffFile, index: int, axes: str, shape: tuple[int, ...]
) -> list[str]:
    """Names of the channels that become layers of their own, empty for none.

    Only channels that somebody named: tifffile, and programs that use it,
    write every plain stack of three dimensions with an axis "C".
    """
    if "C" not in axes or tif.series[index].kind != "ome":
        return []
    names = channel_names(tif.ome_metadata, index)
    return names if len(names) == shape[axes.index("C")] else []


def _is_inverted(series: Any) -> bool:
    """Whether small values are meant to be shown bright."""
    return bool(series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE)


def _look(series: Any, levels: list[Any], rgb: bool) -> dict[str, Any]:
    if rgb:
        return {"rgb": True}
    # The coarsest level has seen every pixel, and is the quickest to read.
    limits = contrast_limits(levels[-1])
    table = series.keyframe.colormap
    if series.keyframe.photometric != tifffile.PHOTOMETRIC.PALETTE or table is None:
        colormap = "gray_r" if _is_inverted(series) else "gray"
        return {"colormap": colormap, "contrast_limits": limits}
    # The indices are the signal (ImageJ's lookup tables); the palette is how to show it.
    colors = np.ones((table.shape[1], 4), np.float32)
    colors[:, :3] = table.T / 65535
    return {
        "colormap": {"name": "palette", "colors": colors, "interpolation": "linear"},
        "contrast_limits": (0.0, float(table.shape[1] - 1)),
    }
