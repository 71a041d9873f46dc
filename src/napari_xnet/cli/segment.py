"""``napari-xnet segment``."""

import argparse
import contextlib
import glob
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from napari_xnet import models
from napari_xnet.cli import postprocessing
from napari_xnet.cli.terminal import DONE, SOME_FAILED, failure, say
from napari_xnet.errors import XNetError

if TYPE_CHECKING:
    from napari_xnet.inference import Options
    from napari_xnet.inference.batch import Outcome, Summary
    from napari_xnet.inference.files import Target

_MOST_REASONS = 10
"""Lines of a list on the terminal."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    segment = commands.add_parser(
        "segment",
        help="segment image files",
        description="Write DIR/<stem>_labels.tif for each image: uint8, 1 open beam, "
        "2 soft tissue, 3 bone, of the height, width and page count of the image.",
    )
    segment.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="TIFF, DICOM, PNG or JPEG file, a pattern, or a folder of such files",
    )
    segment.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="folder for the results"
    )
    segment.add_argument(
        "--model",
        default=models.DEFAULT,
        metavar="NAME|PATH",
        help="name of a model, see models list, or its folder (default: %(default)s)",
    )
    segment.add_argument(
        "--probabilities",
        action="store_true",
        help="also write DIR/<stem>_probabilities.tif: float32, class axis first",
    )
    postprocessing.add_polarity_to(segment)
    postprocessing.add_to(segment)
    where = segment.add_argument_group(
        "many images",
        "Results that are there already are kept, so an interrupted command goes on when it is "
        "given again. DIR/failures.csv lists what failed. Needs the extra cluster (Dask).",
    )
    where.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="processes on this machine (default: as many as it has room for, if worth it)",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster that sees the same files, such as tcp://10.0.0.1:8786",
    )
    segment.set_defaults(run=_segment)


def _segment(call: argparse.Namespace) -> int:
    from napari_xnet.inference.files import prepare_folder

    if call.scheduler and call.workers:
        raise XNetError("--workers are those of this machine: leave them out with --scheduler.")
    paths, summary = _inputs(call.images)
    card = models.show_model(call.model)
    options = postprocessing.options_of(call, card)
    prepare_folder(call.output)
    for outcome in summary.failures:
        say(failure(outcome.image, outcome.error))
    if paths:
        _segment_all(paths, call, card, options, summary)
    try:
        table = summary.write_failures(call.output)
    except XNetError as error:
        say(f"napari-xnet: {error}")
        table = None
    if summary.total > 1 or summary.failures:
        say(f"napari-xnet: {summary}")
    for why, count in summary.reasons()[:_MOST_REASONS]:
        say(f"    {count:6d}  {why}")
    if table:
        say(f"    See {table}.")
    return SOME_FAILED if summary.failures else DONE


def _inputs(patterns: Sequence[str]) -> tuple[list[Path], "Summary"]:
    """Files to segment; and a summary with what is none.

    Raises
    ------
    ImageError
        If two of them would be written to one file.
    """
    from napari_xnet.inference.batch import Outcome, Summary, refuse_clashes
    from napari_xnet.io.reading import images_in, is_result

    paths, summary = [], Summary()
    for path in _expand(patterns):
        if path.is_dir():
            try:
                paths += images_in(path)
            except XNetError as error:
                summary.add(Outcome(path, error=str(error)))
        elif not path.is_file():
            summary.add(Outcome(path, error="There is no such file."))
        elif is_result(path):
            say(f"{path}: skipped, since by its name it is a result.")
        else:
            paths.append(path)
    refuse_clashes(paths)
    return paths, summary


def _segment_all(
    paths: list[Path],
    call: argparse.Namespace,
    card: models.ModelCard,
    options: "Options",
    summary: "Summary",
) -> None:
    from napari_xnet.inference.files import Target

    total = len(paths)
    if call.scheduler:  # whose workers are in other folders
        paths = [path.absolute() for path in paths]
    folder = call.output.absolute() if call.scheduler else call.output
    target = Target.of(folder, card, options, call.probabilities)
    with _outcomes(paths, target, call) as outcomes:
        for number, outcome in enumerate(outcomes, start=1):
            summary.add(outcome)
            there = ": there already" if outcome.was_there else ""
            say(f"[{number}/{total}] {outcome.image}{there}")
            for note in outcome.notes:
                say(f"    {note}")
            if outcome.error:
                say(failure(outcome.image, outcome.error))
            elif outcome.written:
                print(*outcome.written, sep="\n", flush=True)


@contextlib.contextmanager
def _outcomes(
    paths: list[Path], target: "Target", call: argparse.Namespace
) -> Iterator[Iterator["Outcome"]]:
    """Segment on a cluster, in a pool of processes or in this process."""
    model = models.find_model(call.model)
    if call.scheduler:
        cluster = _cluster()
        with cluster.connected(call.scheduler) as client:
            yield cluster.segment_on(client, paths, target, model)
        return
    workers = call.workers
    if workers is None:
        has_dask = importlib.util.find_spec("distributed") is not None
        workers = _cluster().pool_size(len(paths)) if has_dask else 1
    if workers > 1:
        cluster = _cluster()
        say(f"Starting {workers} workers…")
        with cluster.local_pool(workers) as client:
            yield cluster.segment_on(client, paths, target, model)
        return
    from napari_xnet.inference.batch import segment_files

    def load() -> models.Model:
        say("Loading TensorFlow…")
        return models.load_model(model)

    yield segment_files(paths, target, load, _show_progress)


def _cluster() -> ModuleType:
    """Import what needs Dask's distributed scheduler.

    Raises
    ------
    XNetError
        If it is not installed.
    """
    try:
        return importlib.import_module("napari_xnet.inference.cluster")
    except ImportError as error:
        raise XNetError(
            'Several workers need the extra "cluster": pip install "napari-xnet[cluster]".'
        ) from error


def _expand(patterns: Sequence[str]) -> list[Path]:
    """Files that the arguments name; shells that leave patterns alone are common on Windows."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        found = [] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        paths.update(dict.fromkeys(Path(name) for name in found or [pattern]))
    return list(paths)


def _show_progress(image: Path, share: float) -> None:
    """Show how far a stack or a large image is, on terminals only: logs stay short."""
    if share and sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        print(f"\r    {image.name} {100 * share:3.0f} %", end=end, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count
