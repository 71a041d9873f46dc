"""Keep tifffile's log lines about damaged files from the user: our errors say it in a sentence."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def _pass(_record: logging.LogRecord) -> bool:
    return not _quiet.get()


# A filter that asks a context variable leaves other threads' and plugins' lines alone.
logging.getLogger("tifffile").addFilter(_pass)


@contextlib.contextmanager
def quiet_tifffile() -> Iterator[None]:
    """Drop the log lines of tifffile inside the block, in this thread."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)
