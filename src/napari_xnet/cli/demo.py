"""``napari-xnet demo``."""

import argparse
from pathlib import Path

from napari_xnet import demo
from napari_xnet.cli.terminal import DONE, say


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "demo",
        help="segment a simulated radiograph and show it",
        description="Segment a simulated radiograph in napari or, where there is no display, "
        "write the result as PNG and TIFF.",
    )
    command.set_defaults(run=_demo)


def _demo(_: argparse.Namespace) -> int:
    if trouble := demo.why_no_window():
        say(f"{trouble}: the result goes to files.")
        print(*demo.write(Path("napari-xnet-demo")), sep="\n")
    else:
        demo.show()
    return DONE
