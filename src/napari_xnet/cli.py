"""The command line: ``napari-xnet``.

Progress and errors go to stderr, results to stdout. Exit codes: 0 done,
1 some inputs failed, 2 wrong call.
"""

import argparse
import glob
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xnet import models
from napari_xnet._version import __version__
from napari_xnet.errors import XNetError
from napari_xnet.io.conventions import CONVENTIONS
from napari_xnet.training.config import PRESETS

if TYPE_CHECKING:
    from napari_xnet.training.run import Run

DONE, SOME_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130


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
    parser = _parser()
    call = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = call.run
    try:
        return run(call)
    except XNetError as error:
        _say(f"napari-xnet: {error}")
        return WRONG_CALL
    except KeyboardInterrupt:
        _say("napari-xnet: interrupted; finished files are kept.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-xnet",
        description="Segment radiographs into open beam (1), soft tissue (2) and bone (3).",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    segment = commands.add_parser(
        "segment",
        help="segment image files",
        description="Write DIR/<stem>_labels.tif for each image: uint8, 1 open beam, "
        "2 soft tissue, 3 bone, of the height, width and page count of the image.",
    )
    segment.add_argument(
        "images", nargs="+", metavar="IMAGE", help="TIFF, DICOM, PNG or JPEG file, or a pattern"
    )
    segment.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    segment.add_argument("--model", default=models.DEFAULT, metavar="NAME|PATH")
    segment.add_argument(
        "--probabilities",
        action="store_true",
        help="also write DIR/<stem>_probabilities.tif: float32, class axis first",
    )
    segment.add_argument(
        "--soft-tissue-threshold",
        type=_probability,
        metavar="P",
        help="soft tissue only where its probability is above P, else the likelier of the others",
    )
    segment.add_argument(
        "--polarity",
        choices=[one.replace(" ", "-") for one in models.POLARITIES],
        default=models.POLARITIES[0],
        help="which way round the radiographs are, should the model take one for its negative",
    )
    segment.set_defaults(run=_segment)

    _add_train(commands)
    _add_simulate(commands)

    store = commands.add_parser("models", help="list, show, export, import and remove models")
    actions = store.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("list", help="names of all models")
    action.set_defaults(run=_list_models)
    action = actions.add_parser("show", help="the card of a model, as JSON")
    action.add_argument("name", help="name of a model, see models list")
    action.set_defaults(run=_show_model)
    action = actions.add_parser("export", help="write a model as one ZIP file")
    action.add_argument("name", help="name of a model, see models list")
    action.add_argument("path", type=Path, help="ZIP file to write, or the folder for NAME.zip")
    action.set_defaults(run=_export_model)
    action = actions.add_parser("import", help="add a model that was exported")
    action.add_argument("path", type=Path, help="ZIP file; the model gets the name of the file")
    action.set_defaults(run=_import_model)
    action = actions.add_parser("remove", help="delete a model")
    action.add_argument("name", help="name of a model, see models list")
    action.set_defaults(run=_remove_model)

    demo = commands.add_parser(
        "demo",
        help="segment a simulated radiograph and show it",
        description="Segment a simulated radiograph in napari or, where there is no display, "
        "write the result as PNG and TIFF.",
    )
    demo.set_defaults(run=_demo)
    return parser


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_simulate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    simulate = commands.add_parser(
        "simulate",
        help="make radiographs with exact labels",
        description="Write DIR/NUMBER_REGION.tif, its _labels.tif and DIR/manifest.csv: "
        "radiographs simulated from anatomy, or from a CT. The same call goes on where it was "
        "interrupted. Needs pip install 'napari-xnet[simulation]'.",
    )
    simulate.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    simulate.add_argument("--count", required=True, type=int, metavar="N")
    simulate.add_argument(
        "--region",
        nargs="+",
        default=(),
        metavar="REGION",
        help="parts of the body, such as hand, knee, 'dog paw'; all of them if not given",
    )
    simulate.add_argument(
        "--ct",
        type=Path,
        metavar="PATH",
        help="project this CT: NIfTI, a folder with a DICOM series, or a TIFF stack, in HU",
    )
    simulate.add_argument(
        "--spacing-mm",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="distance of the CT's voxels, instead of what the file says",
    )
    simulate.add_argument(
        "--visible-human",
        type=Path,
        metavar="DIR",
        help="legs and hips of the Visible Humans: folder of their VH_F_*.glb or VH_M_*.glb",
    )
    simulate.add_argument("--seed", type=int, default=0, metavar="S")
    simulate.add_argument(
        "--size-px", type=int, default=400, help="long side of the images (default: %(default)s)"
    )
    simulate.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes (default: one for each processor)",
    )
    simulate.set_defaults(run=_simulate)


def _simulate(call: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_xnet.simulation import write_radiographs

    if call.ct and call.region:
        raise XNetError("Give either --ct or --region: a CT shows what it shows.")
    if call.ct and call.visible_human:
        raise XNetError("Give either --ct or --visible-human.")
    if call.spacing_mm and not call.ct:
        raise XNetError("--spacing-mm belongs to --ct.")
    with tqdm(total=call.count, unit="image", file=sys.stderr, disable=None) as bar:
        manifest = write_radiographs(
            call.output,
            call.count,
            call.region,
            seed=call.seed,
            size_px=call.size_px,
            workers=call.workers,
            ct=call.ct,
            spacing_mm=call.spacing_mm,
            visible_human=call.visible_human,
            progress=lambda done, total: bar.update(done - bar.n),
        )
    print(manifest)
    return DONE


def _segment(call: argparse.Namespace) -> int:
    from napari_xnet.inference import Options
    from napari_xnet.inference.files import segment_file

    paths = []
    for path in _expand(call.images):
        if path.stem.endswith(("_labels", "_probabilities")):
            _say(f"{path}: skipped, since by its name it is a result.")
        else:
            paths.append(path)
    stems = Counter(path.stem.lower() for path in paths)
    twice = [str(path) for path in paths if stems[path.stem.lower()] > 1]
    if twice:
        raise XNetError(
            f"These images would be written to one file: {', '.join(twice)}. "
            "Segment them into different folders."
        )
    try:
        call.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise XNetError(
            f"The folder {call.output} cannot be made: {error.strerror}. Choose another one."
        ) from error
    models.find_model(call.model)
    _say("Loading TensorFlow…")
    model = models.load_model(call.model)

    options = Options(
        soft_tissue_threshold=call.soft_tissue_threshold, polarity=call.polarity.replace("-", " ")
    )
    failed = 0
    for number, path in enumerate(paths, start=1):
        _say(f"[{number}/{len(paths)}] {path}")
        try:
            written = segment_file(
                path,
                call.output,
                model,
                probabilities=call.probabilities,
                options=options,
                progress=_show_progress,
                note=_say,
            )
        except XNetError as error:
            failed += 1
            reason = f"{error}".removeprefix(f"{path}").removeprefix(path.name).lstrip(": ")
            _say(f"napari-xnet: {path}: {reason}")
        except Exception as error:
            # Whatever it is (a graphics card out of memory), the other images are done.
            failed += 1
            reason = f"{error}".strip().partition("\n")[0] or "not enough memory"
            _say(f"napari-xnet: {path}: {type(error).__name__}: {reason}")
        else:
            print(*written, sep="\n", flush=True)
    if failed:
        _say(f"napari-xnet: {failed} of {len(paths)} images failed.")
    return SOME_FAILED if failed else DONE


def _train(call: argparse.Namespace) -> int:
    from napari_xnet.training.console import ProgressBar
    from napari_xnet.training.execution import execute
    from napari_xnet.training.run import finished_run, unfinished_runs

    # With --resume also one that is being trained, so that it is refused and not begun twice.
    known = unfinished_runs(call.runs, claimed=call.resume)
    begun = [one for one in known if one.record.name == call.name]
    if begun and call.resume:
        run = begun[0]
        _say(f"Going on with {run.folder}.")
        if call.images or call.labels or call.published or call.config:
            _say("It goes on as it was begun: other images and settings have no effect.")
    elif call.resume and (done := finished_run(call.name, call.runs)):
        _say(f"{done.folder} is finished: nothing is left to do.")
        print(models.find_model(done.record.model, done.record.models_folder))
        return DONE
    else:
        if begun:
            _say(f"{begun[0].folder} was interrupted; with --resume it would go on.")
        run = _begin_run(call)
        _say(f"The run is kept in {run.folder}.")
    try:
        with ProgressBar() as bar:
            summary = execute(run, bar)
    except KeyboardInterrupt:
        where = f" --runs {shlex.quote(str(call.runs))}" if call.runs else ""
        _say(
            "napari-xnet: interrupted. To go on: napari-xnet train --name "
            f"{shlex.quote(call.name)}{where} --resume"
        )
        return INTERRUPTED
    except XNetError as error:
        _say(f"napari-xnet: {error}")
        return SOME_FAILED
    except Exception as error:
        # Whatever the backend raises: one line, and the run is kept.
        reason = f"{error}".strip().partition("\n")[0] or "not enough memory"
        _say(f"napari-xnet: {type(error).__name__}: {reason}")
        return SOME_FAILED
    _say(
        f'The model "{summary.name}" is that of epoch {summary.best_epoch} of {summary.epochs}: '
        "napari-xnet segment IMAGE... -o DIR --model " + shlex.quote(summary.name)
    )
    for name, value in summary.metrics.items():
        _say(f"    {name} {value:.3f}")
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
        _say(note)
    return create_run(
        call.name,
        found.pairs,
        config,
        base=call.base or (NONE if call.preset == "paper" else models.DEFAULT),
        preset=call.preset,
        folder=call.runs,
    )


def _list_models(_: argparse.Namespace) -> int:
    print(*models.list_models(), sep="\n")
    return DONE


def _show_model(call: argparse.Namespace) -> int:
    print(models.show_model(call.name).to_json(), end="")
    return DONE


def _export_model(call: argparse.Namespace) -> int:
    print(models.export_model(call.name, call.path))
    return DONE


def _import_model(call: argparse.Namespace) -> int:
    print(models.import_model(call.path))
    return DONE


def _remove_model(call: argparse.Namespace) -> int:
    models.remove_model(call.name)
    _say(f"Removed {call.name}.")
    return DONE


def _demo(_: argparse.Namespace) -> int:
    from napari_xnet import demo

    if demo.has_display():
        demo.show()
    else:
        _say("There is no display, or no Qt (pip install 'napari[all]'): the result goes to files.")
        print(*demo.write(Path("napari-xnet-demo")), sep="\n")
    return DONE


def _expand(patterns: Sequence[str]) -> list[Path]:
    """Files that the arguments name; shells that leave patterns alone are common on Windows."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        found = [] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        paths.update(dict.fromkeys(Path(name) for name in found or [pattern]))
    return list(paths)


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability: give 0 to 1")
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show_progress(done: float, total: int) -> None:
    """Show how far a stack or a large image is, on terminals only: logs stay short."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r    {100 * done / total:3.0f} %", end=end, file=sys.stderr, flush=True)
