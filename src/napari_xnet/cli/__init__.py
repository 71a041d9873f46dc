"""The command line: ``napari-xnet``.

Progress and errors go to stderr, results to stdout. Exit codes: 0 done,
1 some inputs failed, 2 wrong call.
"""

import argparse
from collections.abc import Callable, Sequence

from napari_xnet._version import __version__
from napari_xnet.cli import demo, evaluate, models, segment, simulate, train
from napari_xnet.cli.terminal import INTERRUPTED, WRONG_CALL, say
from napari_xnet.errors import XNetError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if None.

    Returns
    -------
    int
        The exit code.
    """
    call = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = call.run
    try:
        return run(call)
    except XNetError as error:
        say(f"napari-xnet: {error}")
        return WRONG_CALL
    except KeyboardInterrupt:
        say("napari-xnet: interrupted; finished files are kept.")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="napari-xnet",
        description="Segment radiographs into open beam (1), soft tissue (2) and bone (3).",
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for command in (segment, train, evaluate, simulate, models, demo):
        command.add_to(commands)
    return whole
