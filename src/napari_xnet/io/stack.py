"""Several files as one layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_xnet.errors import ImageError
from napari_xnet.io.arrays import EAGER_BYTES, is_lazy
from napari_xnet.io.calibration import PIXEL
from napari_xnet.io.contrast import contrast_limits
from napari_xnet.io.layerdata import LayerData

ALONE: Final = "open it by itself, not as part of a stack."

_Read = Callable[[str], list[LayerData]]


def stack_layers(
    paths: list[str], read: _Read, signature: Callable[[str], tuple[object, ...]]
) -> list[LayerData]:
    """One layer of several files of one image each, along a new first axis.

    Parameters
    ----------
    paths : list of str
    read : callable
        Reads one file.
    signature : callable
        What files must have in common to be stacked, such as shape and
        dtype, read from a header: an error in the middle of browsing a stack
        would come too late.

    Returns
    -------
    list of LayerData
        One layer: a dask array if the images make more than 256 MB.

    Raises
    ------
    ImageError
        If a file cannot be read, holds several images, or does not fit to the first one.
    """
    pattern = signature(paths[0])
    for path in paths[1:]:
        if signature(path) != pattern:
            raise ImageError(
                f"{Path(path).name} does not fit to {Path(paths[0]).name}. "
                "Only images of the same size and type can be opened as one stack."
            )
    first, meta, kind = _single(paths[0], read)
    if is_lazy(first) or first.nbytes * len(paths) > EAGER_BYTES:
        data = _lazy_stack(first, paths, read)
        # Colours are those of the tissue classes only where every value is known to be one.
        classes = False
    else:
        layers = [(first, meta, kind)] + [_single(path, read) for path in paths[1:]]
        if len({layer[2] for layer in layers}) > 1:
            raise ImageError("Images and labels cannot be opened as one stack: open them apart.")
        data = np.stack([layer[0] for layer in layers])
        classes = all("features" in layer[1] for layer in layers)
    meta = meta | {
        "scale": (1.0, *meta["scale"]),
        "units": (PIXEL, *meta["units"]),
        "metadata": meta["metadata"] | {"files": [Path(path).name for path in paths]},
    }
    meta.pop("multiscale", None)
    if kind == "labels" and not classes:
        meta = {key: value for key, value in meta.items() if key not in ("colormap", "features")}
    if meta.get("colormap") in ("gray", "gray_r"):
        meta["contrast_limits"] = contrast_limits(data)
    return [(data, meta, kind)]


def _single(path: str, read: _Read) -> tuple[Any, dict[str, Any], Any]:
    layers = read(path)
    if len(layers) != 1:
        raise ImageError(f"{Path(path).name} holds {len(layers)} images: {ALONE}")
    data, meta, kind = layers[0]
    return (data[0] if isinstance(data, list) else data), meta, kind


def _lazy_stack(first: Any, paths: list[str], read: _Read) -> Any:
    """Return a dask array that reads each file when it is shown; `first` is the pattern."""
    import dask.array
    from dask.delayed import delayed

    blocked: Any = dask.array  # its functions are not annotated
    load = delayed(_pixels)
    images = [
        blocked.from_delayed(load(path, read), shape=first.shape, dtype=first.dtype)
        for path in paths
    ]
    return blocked.stack(images)


def _pixels(path: str, read: _Read) -> Any:
    return np.asarray(_single(path, read)[0])
