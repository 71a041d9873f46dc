"""What all commands share: exit codes and messages."""

import sys
from pathlib import Path

DONE, SOME_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def say(text: str) -> None:
    """Print to stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def failure(path: Path, why: str) -> str:
    """Say once which file failed, and why."""
    for name in (str(path), path.name):
        # But not where it is one of two that do not fit together.
        if why.startswith((f"{name}: ", f"{name} cannot ")):
            why = why.removeprefix(name).lstrip(": ")
    return f"napari-xnet: {path}: {why}"
