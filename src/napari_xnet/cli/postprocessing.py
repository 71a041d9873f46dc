"""Options of post-processing, which several commands take."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from napari_xnet.errors import ModelError, XNetError
from napari_xnet.inference.postprocess import SIZE_UNITS
from napari_xnet.models import POLARITIES

if TYPE_CHECKING:
    from napari_xnet.inference import Options
    from napari_xnet.models import ModelCard

CALIBRATED = "calibrated"

_MEANINGS = {
    "bone_cleanup": "remove islands of bone that hold no square of this side",
    "largest_hole": "fill holes in bone, and in the body, smaller than such a square",
    "bone_opening": "with --bone-dilation: not around bone that is thinner (10 px in the paper)",
    "bone_dilation": "paint bone over soft tissue as far as such a square reaches around it",
    "smallest_region": "remove regions of soft tissue smaller than such a square",
}
"""What each size of `PostProcessing` does."""


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


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
        "--body-part", metavar="NAME", help="the calibrated threshold of that part (group)"
    )
    for name, meaning in _MEANINGS.items():
        group.add_argument(_flag(name), type=_size, metavar="SIZE", help=meaning)
    group.add_argument("--size-unit", choices=SIZE_UNITS, help="of SIZE (default: px)")


def options_of(call: argparse.Namespace, card: "ModelCard") -> "Options":
    """Options that a call asks for.

    Parameters
    ----------
    call : Namespace
    card : ModelCard
        Of the model that is used.

    Raises
    ------
    XNetError
        If a calibrated threshold is asked for, but the model has none; or an
        option is given that would do nothing.
    """
    from napari_xnet.inference import Options

    given: dict[str, Any] = {
        name: getattr(call, name) for name in _MEANINGS if getattr(call, name) is not None
    }
    if call.bone_opening and not call.bone_dilation:
        raise XNetError("--bone-opening belongs to --bone-dilation.")
    if call.size_unit and not given:
        raise XNetError("--size-unit belongs to a size, such as --bone-cleanup.")
    threshold = call.soft_tissue_threshold
    if threshold == CALIBRATED:
        known = card.soft_tissue
        if known is None:
            raise ModelError(
                f'The model "{card.name}" was not calibrated: napari-xnet evaluate --calibrate.'
            )
        if call.size_unit == "mm":
            raise XNetError("A calibration is in px: leave --size-unit mm out.")
        threshold = known.threshold(call.body_part or "")
        given.setdefault("smallest_region", known.smallest_region)
    elif call.body_part:
        raise XNetError(f"--body-part belongs to --soft-tissue-threshold {CALIBRATED}.")
    return Options(
        soft_tissue_threshold=threshold,
        size_unit=call.size_unit or "px",
        polarity=call.polarity.replace("-", " "),
        **given,
    )


def check_none(call: argparse.Namespace, reason: str) -> None:
    """Refuse all options of post-processing.

    Raises
    ------
    XNetError
        If one is given; its message ends with the reason.
    """
    names = ("soft_tissue_threshold", "body_part", *_MEANINGS, "size_unit")
    given = [_flag(name) for name in names if getattr(call, name) is not None]
    if given:
        raise XNetError(f"{', '.join(given)} would do nothing: {reason}")


def add_polarity_to(command: argparse.ArgumentParser) -> None:
    """Add the option that says which way round radiographs are."""
    command.add_argument(
        "--polarity",
        choices=[one.replace(" ", "-") for one in POLARITIES],
        default=POLARITIES[0],
        help="which way round the radiographs are, should the model take one for its negative",
    )


def probability(text: str) -> float:
    """Read a probability, or a share, from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1 (0.005 is 0.5 %)")
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
