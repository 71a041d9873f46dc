"""Only one process at a time may train a run."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from napari_xnet.errors import TrainingError
from napari_xnet.io.atomic import atomic_path

_FILE = "process.json"


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim the folder of a run for this process.

    Raises
    ------
    TrainingError
        If another process trains it.
    ImageError
        If the folder cannot be written.
    """
    if is_claimed(folder):
        raise TrainingError(f"The run {folder} is being trained by another process.")
    path = folder / _FILE
    own = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(own))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def is_claimed(folder: Path) -> bool:
    """Whether another process that is alive has claimed the folder of a run."""
    try:
        owner = json.loads((folder / _FILE).read_text())
        process = psutil.Process(owner["pid"])
        # Numbers of processes come again; their starts do not.
        return bool(process.pid != os.getpid() and process.create_time() == owner["started"])
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False
