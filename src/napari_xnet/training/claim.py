"""Only one process at a time may train a run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from napari_xnet.errors import TrainingError

_FILE = "training.lock"
_PATIENCE_S = 1.0
"""As long as another process may look whether a run is claimed."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim the folder of a run; the operating system frees it when the process ends, however.

    Raises
    ------
    TrainingError
        If it is claimed already, or cannot be written.
    """
    lock = FileLock(folder / _FILE)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout as error:
        raise TrainingError(f"The run {folder} is being trained by another process.") from error
    except NotImplementedError:
        pass  # some network drives have no locks: nothing is claimed there
    except OSError as error:
        raise TrainingError(f"{lock.lock_file} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether the folder of a run is claimed."""
    lock = FileLock(folder / _FILE)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
