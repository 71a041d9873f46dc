"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from napari_xnet.errors import ImageError

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}(\.[a-z]+)?")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; rename it to `path` at the end.

    Parameters
    ----------
    path : path-like
        File to write. An existing file is replaced only when the block ends
        without an error.

    Yields
    ------
    Path
        The name to write to; it has the same extension as `path`.

    Raises
    ------
    ImageError
        If the folder does not exist, the disk is full or writing is forbidden.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise ImageError(
            f"The folder {target.parent} does not exist. Create it, or choose another one."
        )
    # Short, so that a file name of the greatest legal length still has a temporary name.
    temporary = target.with_name(f".{uuid.uuid4().hex[:12]}{target.suffix}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except OSError as error:
        raise ImageError(_explain(target, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a power cut may come."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return  # there folders cannot be opened
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError:
        if not folder:  # not all file systems can do that to folders
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, older_than_s: float = 0) -> None:
    """Remove the temporary files that killed processes left in a folder.

    Parameters
    ----------
    folder : Path
    older_than_s : float
        Seconds since they were last written to, so that what others are
        writing stays.
    """
    newest = time.time() - older_than_s
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime <= newest:
                    path.unlink()


def _explain(target: Path, error: OSError) -> str:
    """Return one sentence or two about a failed write."""
    if error.errno in _FULL:
        return f"The disk is full: {target.name} was not written to {target.parent}."
    if error.errno in _FORBIDDEN:
        return (
            f"{target.name} may not be written to {target.parent}. "
            "Choose a folder and a name that you may write to."
        )
    return f"{target} could not be written: {error.strerror or error}."
