"""``napari-xnet segment``."""

import argparse
import glob
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xnet import models
from napari_xnet.cli import postprocessing
from napari_xnet.cli.terminal import DONE, SOME_FAILED, failure, first_line, say
from napari_xnet.errors import XNetError

if TYPE_CHECKING:
    from napari_xnet.inference import Options


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
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
    postprocessing.add_polarity_to(segment)
    postprocessing.add_to(segment)
    segment.set_defaults(run=_segment)


def _segment(call: argparse.Namespace) -> int:
    paths, missing = [], []
    for path in _expand(call.images):
        if not path.is_file():
            missing.append(path)
        elif path.stem.endswith(("_labels", "_probabilities")):
            say(f"{path}: skipped, since by its name it is a result.")
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
    options = postprocessing.options_of(call, models.show_model(call.model))
    for path in missing:
        folder = f"is a folder: give its images, such as {path / '*.tif'}"
        say(failure(path, folder if path.is_dir() else "There is no such file."))
    failed = len(missing)
    if paths:
        failed += _segment_files(paths, call, options)
    if failed:
        say(f"napari-xnet: {failed} of {len(missing) + len(paths)} images failed.")
    return SOME_FAILED if failed else DONE


def _segment_files(paths: Sequence[Path], call: argparse.Namespace, options: "Options") -> int:
    """Segment one file after the other; return how many failed."""
    from napari_xnet.inference.files import segment_file

    failed = 0
    say("Loading TensorFlow…")
    model = models.load_model(call.model)
    for number, path in enumerate(paths, start=1):
        say(f"[{number}/{len(paths)}] {path}")
        try:
            written = segment_file(
                path,
                call.output,
                model,
                probabilities=call.probabilities,
                options=options,
                progress=_show_progress,
                note=say,
            )
        except XNetError as error:
            failed += 1
            say(failure(path, str(error)))
        except Exception as error:
            # Whatever it is (a graphics card out of memory), the other images are done.
            failed += 1
            say(failure(path, first_line(error)))
        else:
            print(*written, sep="\n", flush=True)
    return failed


def _expand(patterns: Sequence[str]) -> list[Path]:
    """Files that the arguments name; shells that leave patterns alone are common on Windows."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        found = [] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        paths.update(dict.fromkeys(Path(name) for name in found or [pattern]))
    return list(paths)


def _show_progress(done: float, total: int) -> None:
    """Show how far a stack or a large image is, on terminals only: logs stay short."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r    {100 * done / total:3.0f} %", end=end, file=sys.stderr, flush=True)
