"""Only one process at a time may train a run."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from napari_xnet.errors import TrainingError

_FILE = "process.json"
_CLOCK_S = 2.0
"""By so much the clock may have been set since a process started."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim the folder of a run for this process.

    Raises
    ------
    TrainingError
        If another process trains it, or the folder cannot be written.
    """
    refused = TrainingError(f"The run {folder} is being trained by another process.")
    if is_claimed(folder):
        raise refused
    path = folder / _FILE
    own = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    try:
        path.unlink(missing_ok=True)  # of a process that was killed
        # Of two processes that come here at once only one can make the file.
        with path.open("x") as file:
            json.dump(own, file)
    except FileExistsError as error:
        raise refused from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}.") from error
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
        same = abs(process.create_time() - owner["started"]) < _CLOCK_S
        return bool(same and process.pid != os.getpid())
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False
