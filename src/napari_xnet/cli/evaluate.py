"""``napari-xnet evaluate``."""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xnet import models
from napari_xnet.cli import postprocessing
from napari_xnet.cli.terminal import DONE, SOME_FAILED, failure, say
from napari_xnet.errors import XNetError
from napari_xnet.io.conventions import CONVENTIONS
from napari_xnet.io.pairing import pair_files

if TYPE_CHECKING:
    from napari_xnet.evaluation.purity import Calibration
    from napari_xnet.inference import Options

_PICTURES = 6
"""How many of the worst images the report shows."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure how good a model is on images with labels",
        description="Segment the images of a folder and compare with their labels: "
        "LABELS/X_labels.tif or LABELS/X.tif for each IMAGES/X.tif; 0 is not annotated and does "
        "not count. Writes REPORTDIR/report.json, report.csv (a row for each image) and "
        "report.html.",
    )
    evaluate.add_argument(
        "--images", required=True, type=Path, metavar="DIR", help="folder of the radiographs"
    )
    evaluate.add_argument(
        "--labels",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder of their labels, may be the same",
    )
    what = evaluate.add_mutually_exclusive_group()
    what.add_argument(
        "--model",
        default=models.DEFAULT,
        metavar="NAME|PATH",
        help="name of a model, see models list, or its folder (default: %(default)s)",
    )
    what.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="instead of a model: labels that are there already, as segment writes them",
    )
    evaluate.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="REPORTDIR",
        help="folder for the report; without it, only the numbers are printed",
    )
    evaluate.add_argument(
        "--convention",
        choices=tuple(CONVENTIONS),
        default="tissue",
        help="what the values of the labels mean, see train (default: %(default)s)",
    )
    evaluate.add_argument(
        "--groups",
        type=Path,
        metavar="CSV",
        help="file with the columns name and group (body part); without it, sub-folders are groups",
    )
    evaluate.add_argument(
        "--run",
        dest="training_run",
        type=Path,
        metavar="DIR",
        help="folder of a training run, to show how it learned",
    )
    evaluate.add_argument(
        "--no-pictures",
        action="store_true",
        help="a report without any pixels: do not show the worst images",
    )
    evaluate.add_argument(
        "--calibrate",
        type=postprocessing.probability,
        metavar="SHARE",
        help="find the soft-tissue threshold by which no more than this share of what is taken for "
        "soft tissue is none, such as 0.005, and write it into the model's card",
    )
    postprocessing.add_polarity_to(evaluate)
    postprocessing.add_to(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(call: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_xnet.evaluation import Report
    from napari_xnet.evaluation.about import about_model
    from napari_xnet.evaluation.folders import (
        evaluate_files,
        model_predictions,
        stored_predictions,
    )
    from napari_xnet.evaluation.purity import Calibration
    from napari_xnet.evaluation.report import make_folder

    if call.predictions:
        postprocessing.check_none(call, "--predictions are compared as they are.")
        if call.calibrate is not None:
            raise XNetError("--calibrate needs a model: labels alone hold no probabilities.")
    pairs, notes = pair_files(
        call.images, call.labels, convention=call.convention, groups=call.groups
    )
    for note in notes:
        say(note)
    learned = _learning_curve(call.training_run) if call.training_run else []
    about = {"images": str(call.images), "labels": str(call.labels)}
    calibration = None
    # What cannot be written is refused before the first image, not after the last.
    if call.output:
        make_folder(call.output)
    if call.predictions:
        about["predictions"] = str(call.predictions)
        predict = stored_predictions(call.predictions)
    else:
        card = models.show_model(call.model)
        options = postprocessing.options_of(call, card)
        about |= about_model(card, options) | {"model": str(call.model)}
        if call.calibrate is not None:
            models.check_changeable(call.model)
            if not options.agrees(_only_smallest_region(options)):
                raise XNetError(
                    "A calibration keeps no other step than --smallest-region, in px: leave the "
                    "others out."
                )
            calibration = Calibration(options.smallest_region)
        say("Loading TensorFlow…")
        predict = model_predictions(models.load_model(call.model), options)

    with tqdm(total=len(pairs), unit="image", file=sys.stderr, disable=None) as bar:
        found = evaluate_files(
            pairs,
            predict,
            convention=call.convention,
            calibration=calibration,
            pictures=_PICTURES if call.output and not call.no_pictures else 0,
            progress=lambda done, total: bar.update(done - bar.n),
        )
    for path, why in found.failures.items():
        say(failure(path, why))
    if found.failures:
        say(f"napari-xnet: {len(found.failures)} of {len(pairs)} images failed.")
    if not found.scores.images:
        if not found.failures:
            say(
                f"napari-xnet: Nothing is annotated in the labels in {call.labels}: all are 0. "
                "There is nothing to compare with."
            )
        return SOME_FAILED
    report = Report(found.scores, about, found.worst, learned)
    print(report)
    if calibration:
        _write_calibration(call, calibration)
    if call.output:
        print(*report.write(call.output), sep="\n")
    return SOME_FAILED if found.failures else DONE


def _learning_curve(folder: Path) -> list[dict[str, Any]]:
    from napari_xnet.training.run import Run

    return [dataclasses.asdict(epoch) for epoch in Run.open(folder).history()]


def _only_smallest_region(options: "Options") -> dict[str, Any]:
    """Values of a calibration's post-processing: all off but one."""
    from napari_xnet.inference import PostProcessing

    return vars(PostProcessing(smallest_region=options.smallest_region))


def _write_calibration(call: argparse.Namespace, calibration: "Calibration") -> None:
    from napari_xnet.evaluation.purity import FEWEST

    soft_tissue = calibration.result(call.calibrate, data=call.images.resolve().name)
    card = models.show_model(call.model).model_copy(update={"soft_tissue": soft_tissue})
    models.write_card(call.model, card)
    for name, curve in {"all images": soft_tissue.curve, **soft_tissue.groups}.items():
        chosen = curve.nearest(call.calibrate)
        kept = "kept" if curve.purest(call.calibrate) else "not kept by all that are higher"
        print(
            f"{name}: threshold {chosen.threshold:g}: {chosen.false_share:.2%} false soft tissue, "
            f"{chosen.true_positive_rate:.1%} found (at most {call.calibrate:.2%} is {kept})"
        )
    if few := calibration.small_groups():
        say(f"Fewer than {FEWEST} images, so no threshold of their own: {', '.join(few)}.")
    say(
        f'Written into the card of "{call.model}": napari-xnet segment IMAGE... -o DIR --model '
        f"{shlex.quote(str(call.model))} --soft-tissue-threshold {postprocessing.CALIBRATED}"
    )
