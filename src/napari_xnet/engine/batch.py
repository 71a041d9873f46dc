"""Segment a folder of images for the window."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from napari_xnet.engine.reporter import Reporter
from napari_xnet.engine.tasks import loaded
from napari_xnet.errors import XNetError
from napari_xnet.inference import Options
from napari_xnet.inference.batch import Summary, refuse_clashes, segment_files
from napari_xnet.inference.files import Target, prepare_folder
from napari_xnet.io.reading import images_in
from napari_xnet.models import show_model
from napari_xnet.wording import duration

_TELLS_AFTER = 3
"""Images, before the time left is more than a guess."""


@dataclass(frozen=True)
class FolderJob:
    """What to segment, and where results go.

    Attributes
    ----------
    images, labels : Path
        Folders; that of the labels is made.
    model : Path
        Folder of the model.
    options : Options
    probabilities : bool
        Whether to write them, too.
    """

    images: Path
    labels: Path
    model: Path
    options: Options
    probabilities: bool


def segment_folder(job: FolderJob, *, progress: Reporter) -> Summary:
    """Segment the images of a folder into files; write a table of those that failed.

    Parameters
    ----------
    job : FolderJob
    progress : Reporter

    Returns
    -------
    Summary

    Raises
    ------
    XNetError
        If there are no images, the model cannot be loaded, or the folder of
        the labels cannot be written.
    """
    images = images_in(job.images)
    refuse_clashes(images)
    prepare_folder(job.labels)
    target = Target.of(job.labels, show_model(job.model), job.options, job.probabilities)
    places = {image: place for place, image in enumerate(images)}
    summary = Summary()
    start = time.monotonic()

    def report(image: Path, share: float) -> None:
        left = ""
        if summary.segmented >= _TELLS_AFTER:
            each = (time.monotonic() - start) / summary.segmented
            left = f", {duration(each * (len(images) - summary.total))} left"
        progress(places[image] + share, len(images), f"{image.name}{left}")

    for outcome in segment_files(images, target, lambda: loaded(job.model), report):
        summary.add(outcome)
    with contextlib.suppress(XNetError):  # the disk is full: that is among the failures, too
        summary.write_failures(job.labels)
    return summary
