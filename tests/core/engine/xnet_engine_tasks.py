"""What the tests ask of the engine: functions that its process can import."""

import os
import time

from napari_xnet import errors


def echo(*args, progress, **kwargs):
    return args, kwargs


def describe(array, progress):
    """What the engine sees of an array."""
    return array.shape, array.dtype.str, array.tobytes(), array.flags.writeable


def pid(progress):
    return os.getpid()


def count(total, pause_s, progress):
    """Report each step."""
    for step in range(total):
        progress(step + 1, total)
        time.sleep(pause_s)
    return total


def sleep(seconds, progress):
    """Never report, so that nobody can stop it kindly."""
    progress(0, 1)
    time.sleep(seconds)


def fail(name, message, progress):
    kinds = {"MemoryError": MemoryError, "ZeroDivisionError": ZeroDivisionError}
    raise (kinds.get(name) or getattr(errors, name))(message)


def hear(end, progress):
    """Return what was told until the end came."""
    heard = []
    progress(0, 1)
    while end not in heard:
        heard += progress.told()
        progress(len(heard), 1)
        time.sleep(0.01)
    return heard


def leave(progress):
    os._exit(3)
