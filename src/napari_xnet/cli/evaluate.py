"""``napari-xnet evaluate``."""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xnet import models
from napari_xnet.cli import postprocessing
from napari_xnet.cli.terminal import DONE, SOME_FAILED, say
from napari_xnet.errors import XNetError
from napari_xnet.io.conventions import CONVENTIONS
from napari_xnet.io.pairing import pair_files

if TYPE_CHECKING:
    from napari_xnet.evaluation.purity import Calibration

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
    evaluate.add_argument("--images", required=True, type=Path, metavar="DIR")
    evaluate.add_argument(
        "--labels", required=True, type=Path, metavar="DIR", help="may be the same folder"
    )
    what = evaluate.add_mutually_exclusive_group()
    what.add_argument("--model", default=models.DEFAULT, metavar="NAME|PATH")
    what.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="instead of a model: labels that are there already, as segment writes them",
    )
    evaluate.add_argument("-o", "--output", type=Path, metavar="REPORTDIR")
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
    postprocessing.add_to(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(call: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_xnet.evaluation import Report
    from napari_xnet.evaluation.folders import (
        evaluate_files,
        model_predictions,
        stored_predictions,
    )
    from napari_xnet.evaluation.purity import Calibration

    if call.calibrate is not None:
        if call.predictions:
            raise XNetError("--calibrate needs a model: labels alone hold no probabilities.")
        models.check_changeable(call.model)
    pairs, notes = pair_files(
        call.images, call.labels, convention=call.convention, groups=call.groups
    )
    for note in notes:
        say(note)
    learned = _learning_curve(call.training_run) if call.training_run else []
    about = {"images": str(call.images), "labels": str(call.labels)}
    calibration = None
    if call.predictions:
        about["predictions"] = str(call.predictions)
        predict = stored_predictions(call.predictions)
    else:
        options = postprocessing.options_of(call, models.show_model(call.model))
        about |= {"model": str(call.model), "post-processing": str(options)}
        if call.calibrate is not None:
            calibration = Calibration(options)
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
        reason = why.removeprefix(f"{path}").removeprefix(path.name).lstrip(": ")
        say(f"napari-xnet: {path}: {reason}")
    if found.failures:
        say(f"napari-xnet: {len(found.failures)} of {len(pairs)} images failed.")
    if not found.scores.images:
        return SOME_FAILED
    report = Report(found.scores, about, found.worst, learned)
    print(report)
    if call.output:
        print(*report.write(call.output), sep="\n")
    if calibration:
        _write_calibration(call, calibration)
    return SOME_FAILED if found.failures else DONE


def _learning_curve(folder: Path) -> list[dict[str, Any]]:
    from napari_xnet.training.run import Run

    return [dataclasses.asdict(epoch) for epoch in Run.open(folder).history()]


def _write_calibration(call: argparse.Namespace, calibration: "Calibration") -> None:
    soft_tissue = calibration.result(call.calibrate, data=str(call.images))
    card = models.show_model(call.model).model_copy(update={"soft_tissue": soft_tissue})
    models.write_card(call.model, card)
    for name, curve in {"all images": soft_tissue.curve, **soft_tissue.groups}.items():
        chosen = curve.purest(call.calibrate)
        if chosen is None:
            chosen, reached = curve.points[-1], "not reached; the purest is"
        else:
            reached = "reached with"
        print(
            f"{name}: {call.calibrate:.2%} false soft tissue {reached} threshold "
            f"{chosen.threshold:g}: {chosen.false_share:.2%} false, "
            f"{chosen.true_positive_rate:.1%} found"
        )
    say(
        f'Written into the card of "{call.model}": napari-xnet segment IMAGE... -o DIR --model '
        f"{shlex.quote(str(call.model))} --soft-tissue-threshold {postprocessing.CALIBRATED}"
    )
