"""What napari does once per session for its first Labels layer, done before it halts the window."""

import contextlib
import functools
import gc
import importlib
import threading
from collections.abc import Iterator

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from vispy.visuals.line.dash_atlas import DashAtlas

from napari_xnet import tissue


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep full garbage collections, which stop all threads for 0.2 s, out of the middle.

    napari's layers and imports make so many objects that they would come there, and
    whenever a layer is removed napari asks for one: frozen objects are not looked at.
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


@functools.cache
def warm_up_labels() -> threading.Thread:
    """Prepare for the first Labels layer in a thread; started once.

    napari imports pandas and compiles how it colours labels (two seconds),
    and vispy computes its line patterns, when they are first needed, in the
    GUI thread. No layer is made here: that is not safe in a thread.

    Returns
    -------
    Thread
        To wait for.
    """
    thread = threading.Thread(target=_warm_up, daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    with no_garbage_collection():
        importlib.import_module("pandas")
        DirectLabelColormap(color_dict=tissue.colormap()).map(np.zeros((2, 2), np.uint8))
        DashAtlas()
