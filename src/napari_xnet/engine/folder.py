"""The folder of files that window and engine share."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil

_PREFIX = "napari-xnet-"
_ABANDONED_S = 3600
"""Where containers share a folder, their processes cannot be seen: leave what is in use."""


def make_folder() -> str:
    """Make one, named after this process."""
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def remove_abandoned() -> None:
    """Remove those of windows that were killed together with their engine: they hold pixels."""
    newest = time.time() - _ABANDONED_S
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process = path.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            try:
                abandoned = path.stat().st_mtime < newest
            except OSError:
                continue  # another process was quicker
            if abandoned:
                shutil.rmtree(path, ignore_errors=True)
