"""``napari-xnet train``."""

import argparse
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xnet import models
from napari_xnet.cli.terminal import DONE, INTERRUPTED, SOME_FAILED, say
from napari_xnet.errors import XNetError, reason
from napari_xnet.io.conventions import CONVENTIONS
from napari_xnet.training.config import PRESETS

if TYPE_CHECKING:
    from napari_xnet.training.run import Run


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    train = commands.add_parser(
        "train",
        help="train a model on images and labels",
        description="Train a model of radiographs and their (partly) painted labels: "
        "LABELS/X_labels.tif or LABELS/X.tif for each IMAGES/X.tif; 0 is not annotated. The run "
        "is kept in a folder; after an interruption, --resume goes on with it.",
    )
    train.add_argument("--images", type=Path, metavar="DIR", help="folder of the radiographs")
    train.add_argument(
        "--labels", type=Path, metavar="DIR", help="folder of their labels, may be the same"
    )
    train.add_argument(
        "--published",
        type=Path,
        metavar="FILE",
        help="instead of the two folders, an HDF5 file of the published XNet code",
    )
    train.add_argument("--name", required=True, help="name of the new model")
    train.add_argument(
        "--base",
        metavar="NAME|PATH|none",
        help="model to start from; none: from scratch (default: default, of the preset paper none)",
    )
    train.add_argument(
        "--preset",
        choices=PRESETS,
        default="quick",
        help="quick: a minute or two; full: to convergence; paper: as in the XNet paper, from "
        "scratch (default: %(default)s)",
    )
    train.add_argument(
        "--config", type=Path, metavar="FILE", help="JSON file of what differs from the preset"
    )
    train.add_argument(
        "--convention",
        choices=tuple(CONVENTIONS),
        default="tissue",
        help="values of the labels: tissue: 1 open beam, 2 soft tissue, 3 bone; indices: 0, 1, 2 "
        "of them; rgb: drawn in white, yellow, blue (default: %(default)s)",
    )
    train.add_argument(
        "--groups",
        type=Path,
        metavar="CSV",
        help="file with the columns name and group (body part); without it, sub-folders are groups",
    )
    train.add_argument(
        "--runs", type=Path, metavar="DIR", help="where the folder of the run is (to be) kept"
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted run of this name; begin it if there is none",
    )
    train.set_defaults(run=_train)


def _train(call: argparse.Namespace) -> int:
    from napari_xnet.training.console import ProgressBar
    from napari_xnet.training.execution import execute
    from napari_xnet.training.run import finished_run, unfinished_runs

    # With --resume also one that is being trained, so that it is refused and not begun twice.
    known = unfinished_runs(call.runs, claimed=call.resume)
    begun = [one for one in known if one.record.name == call.name]
    if begun and call.resume:
        run = begun[0]
        say(f"Going on with {run.folder}.")
        if call.images or call.labels or call.published or call.config:
            say("It goes on as it was begun: other images and settings have no effect.")
    elif call.resume and (done := finished_run(call.name, call.runs)):
        say(f"{done.folder} is finished: nothing is left to do.")
        print(models.find_model(done.record.model, done.record.models_folder))
        return DONE
    else:
        if begun:
            say(f"{begun[0].folder} was interrupted; with --resume it would go on.")
        run = _begin_run(call)
        say(f"The run is kept in {run.folder}.")
    try:
        with ProgressBar() as bar:
            summary = execute(run, bar)
    except KeyboardInterrupt:
        where = f" --runs {shlex.quote(str(call.runs))}" if call.runs else ""
        say(
            "napari-xnet: interrupted. To go on: napari-xnet train --name "
            f"{shlex.quote(call.name)}{where} --resume"
        )
        return INTERRUPTED
    except XNetError as error:
        say(f"napari-xnet: {error}")
        return SOME_FAILED
    except Exception as error:
        # Whatever the backend raises: one line, and the run is kept.
        say(f"napari-xnet: {reason(error)}")
        return SOME_FAILED
    say(
        f'The model "{summary.name}" is that of epoch {summary.best_epoch} of {summary.epochs}: '
        "napari-xnet segment IMAGE... -o DIR --model " + shlex.quote(summary.name)
    )
    for name, value in summary.metrics.items():
        say(f"    {name} {value:.3f}")
    print(summary.model)
    return DONE


def _begin_run(call: argparse.Namespace) -> "Run":
    from napari_xnet.training.config import TrainingConfig, preset
    from napari_xnet.training.folders import read_pairs, read_published
    from napari_xnet.training.run import NONE, create_run

    config = preset(call.preset)
    if call.config:
        config = TrainingConfig.read(call.config, config)
    # Before the images are read.
    models.check_new_name(call.name)
    if call.published and (call.images or call.labels or call.groups):
        raise XNetError("Give either --published, or --images and --labels (and --groups).")
    if call.published:
        found = read_published(call.published)
    elif call.images and call.labels:
        found = read_pairs(call.images, call.labels, convention=call.convention, groups=call.groups)
    else:
        raise XNetError(
            "What to train on? Give --images DIR and --labels DIR, or --published FILE."
        )
    for note in found.notes:
        say(note)
    groups = Counter(pair.group for pair in found.pairs)
    if any(groups):
        known = ", ".join(f"{name or 'none'} ({count})" for name, count in groups.items())
        say(f"Groups: {known}.")
    return create_run(
        call.name,
        found.pairs,
        config,
        base=call.base or (NONE if call.preset == "paper" else models.DEFAULT),
        preset=call.preset,
        folder=call.runs,
    )
