"""Keras, imported so that it can live in one process with napari.

Every module that needs Keras takes it from here (``from napari_xnet.backend
import keras``), never by ``import keras``; this is also the only module that
knows which backend Keras runs on.
"""

import contextlib
import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from napari_xnet.errors import EngineError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Take GPU memory as it is needed, not all of it at once.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


@contextlib.contextmanager
def _private_symbols() -> Iterator[None]:
    """Load shared libraries so that their symbols stay their own.

    TensorFlow 2.20 and later export LLVM's symbols to the whole process, and
    so does Mesa's software OpenGL; each then calls into the other's LLVM and
    the process dies (tensorflow issue 124205). ``RTLD_LOCAL`` hides
    TensorFlow's symbols, ``RTLD_DEEPBIND`` makes it prefer its own, and the
    blocked module is the one by which TensorFlow asks for the opposite.
    """
    if sys.platform != "linux" or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        yield
        return
    flags = sys.getdlopenflags()
    blocked = "tensorflow.python.pywrap_dlopen_global_flags"
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND | ctypes.RTLD_LOCAL)
    sys.modules.setdefault(blocked, None)  # type: ignore[arg-type]  # None: ImportError
    try:
        yield
    finally:
        sys.setdlopenflags(flags)
        if sys.modules.get(blocked) is None:
            del sys.modules[blocked]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what native libraries print while they load.

    TensorFlow reports its build and absent GPUs on file descriptor 2 before
    it reads its log level. A failure raises, so nothing is lost.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # a window without a console
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def _import_keras() -> Any:
    try:
        with _private_symbols(), _quiet():
            return importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        name = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise EngineError(
            f"Keras could not be loaded on {name} ({error}). Reinstall it with "
            '"pip install --force-reinstall napari-xnet", or set KERAS_BACKEND to a '
            "backend that is installed (tensorflow, jax or torch)."
        ) from error


keras = _import_keras()
