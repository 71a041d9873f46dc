"""Memory maps of files that somebody may shorten while they are open."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from napari_xnet.errors import ImageError

_COPIED_BYTES = 2**26


class Mapped(np.memmap):
    """A read-only memory map that refuses what is not in its file any more.

    Reading a page of memory that the file has lost ends the process. So each
    index looks at the length of the file first, and what is small is copied at
    once.
    """

    @classmethod
    def of(cls, path: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> Mapped:
        """Map an array that lies in a file as it is in memory."""
        return cls(path, dtype, "r", offset, shape)

    def __getitem__(self, key: Any) -> Any:
        """Return a part of it.

        Raises
        ------
        ImageError
            If the file has become shorter.
        """
        file: mmap.mmap | None = self._mmap  # type: ignore[attr-defined]
        start = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        if file is not None and file.size() < start + len(file):
            name = Path(str(self.filename)).name
            raise ImageError(f"{name} was changed while it was open: open it again.")
        found = super().__getitem__(key)
        small = isinstance(found, np.ndarray) and found.nbytes <= _COPIED_BYTES
        return np.array(found) if small else found
