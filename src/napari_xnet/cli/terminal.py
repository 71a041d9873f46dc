"""What all commands share: exit codes and messages."""

import sys

DONE, SOME_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def say(text: str) -> None:
    """Print to stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)
