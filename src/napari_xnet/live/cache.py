"""Descriptions of radiographs on disk, up to a limit."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from napari_xnet.errors import XNetError
from napari_xnet.io.atomic import atomic_path
from napari_xnet.live.description import Description

_SUFFIX = ".npz"


class DescriptionCache:
    """Keeps descriptions in a folder; those that were not used for longest go first.

    Parameters
    ----------
    folder : Path
        Made when it is needed.
    limit_mb : int
        How much may be there; 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit_mb: int) -> None:
        self._folder = folder
        self._limit = limit_mb * 2**20
        self._tidy()

    def get(self, name: str, make: Callable[[], Description]) -> Description:
        """Return the description of a name; make it, and keep it, if it is not there.

        A folder that is full, or cannot be written or read, does no harm.
        """
        path = self._folder / f"{name}{_SUFFIX}"
        # A damaged file raises whatever its damage leads to.
        with contextlib.suppress(Exception):
            if not self._limit:
                raise FileNotFoundError
            description = Description.read(path)
            path.touch()
            return description
        description = make()
        if description.nbytes < self._limit:
            with contextlib.suppress(OSError, XNetError):
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary:
                    description.write(temporary)
                self._tidy()
        return description

    def _tidy(self) -> None:
        files = [(path, path.stat()) for path in self._folder.glob(f"*{_SUFFIX}")]
        total = 0
        for path, about in sorted(files, key=lambda one: one[1].st_mtime_ns, reverse=True):
            total += about.st_size
            if total > self._limit:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
