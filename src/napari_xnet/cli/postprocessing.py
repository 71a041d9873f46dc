"""Options of post-processing, which several commands take."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from napari_xnet.errors import ModelError

if TYPE_CHECKING:
    from napari_xnet.inference import Options
    from napari_xnet.models import ModelCard

CALIBRATED = "calibrated"


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = command.add_argument_group(
        "post-processing", "All off unless given. SIZE is in px of the working image, or in mm."
    )
    group.add_argument(
        "--soft-tissue-threshold",
        type=_threshold,
        metavar="P",
        help="soft tissue only where its probability is above P, else the likelier of the others; "
        f"{CALIBRATED}: as the model's card says, see evaluate --calibrate",
    )
    group.add_argument(
        "--group", metavar="NAME", help="body part, for the calibrated threshold of that part"
    )
    for name, meaning in (
        ("bone-cleanup", "remove islands of bone that hold no square of this side"),
        ("largest-hole", "fill holes in bone, and in the body, smaller than such a square"),
        ("bone-dilation", "paint bone over soft tissue as far as such a square reaches around it"),
        ("bone-opening", "with --bone-dilation: not around smaller bone (default: 10)"),
        ("smallest-region", "remove regions of soft tissue smaller than such a square"),
    ):
        group.add_argument(f"--{name}", type=_size, metavar="SIZE", help=meaning)
    group.add_argument("--size-unit", choices=("px", "mm"), default="px", help="of SIZE")


def options_of(call: argparse.Namespace, card: "ModelCard", **others: Any) -> "Options":
    """Options that a call asks for.

    Parameters
    ----------
    call : Namespace
    card : ModelCard
        Of the model that is used.
    **others
        Further fields of `Options`.

    Raises
    ------
    ModelError
        If a calibrated threshold is asked for, but the model has none.
    """
    from napari_xnet.inference import Options

    sizes = ("bone_cleanup", "largest_hole", "bone_dilation", "bone_opening", "smallest_region")
    given: dict[str, Any] = {
        name: getattr(call, name) for name in sizes if getattr(call, name) is not None
    }
    threshold = call.soft_tissue_threshold
    if threshold == CALIBRATED:
        known = card.soft_tissue
        if known is None:
            raise ModelError(
                f'The model "{card.name}" was not calibrated: napari-xnet evaluate --calibrate.'
            )
        threshold = known.threshold(call.group or "")
        if call.size_unit == "px":
            given.setdefault("smallest_region", known.smallest_region)
    return Options(soft_tissue_threshold=threshold, size_unit=call.size_unit, **given, **others)


def probability(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability: give 0 to 1")
    return value


def _threshold(text: str) -> float | str:
    return text if text == CALIBRATED else probability(text)


def _size(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a size: give 0 or more")
    return value
