"""The work behind *Train XNet*: layers' arrays in, a run, the engine; no layer, no Qt."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_xnet.engine import Engine, Progress
from napari_xnet.engine.tasks import train_run
from napari_xnet.errors import Cancelled, TrainingError
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.execution import Summary
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import Run, create_run
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.painted import Painted


@dataclass(frozen=True)
class Source:
    """A pair of layers, from which each painted radiograph becomes a pair.

    Attributes
    ----------
    name : str
        That of the image layer.
    group : str
    radiographs : Radiographs
    painted : Painted
    """

    name: str
    group: str
    radiographs: Radiographs
    painted: Painted


@dataclass(frozen=True)
class TrainJob:
    """What to train.

    Attributes
    ----------
    name : str
        Of the new model.
    sources : list of Source
    config : TrainingConfig
    base : str
        Name of a model, or ``"none"``.
    preset : str
        Where the config comes from.
    models_folder : Path
        Folder of the user's models.
    """

    name: str
    sources: list[Source]
    config: TrainingConfig
    base: str
    preset: str
    models_folder: Path


def prepare(job: TrainJob, report: Callable[[Progress], None], cancel: threading.Event) -> Run:
    """Read the pairs as they are now, check them, and save the painted labels into a new run.

    Parameters
    ----------
    job : TrainJob
    report : callable
        Called with each `Progress`.
    cancel : threading.Event
        Set it to stop.

    Returns
    -------
    Run

    Raises
    ------
    XNetError
        If it was cancelled, or cannot be done.
    """

    def check() -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled.")

    def progress(done: float, total: int) -> None:
        check()
        report(Progress("Preparing the pairs…", done, total))

    report(Progress("Reading the layers…"))
    # All labels before any image: what is painted from now on is for the next run.
    painted = [
        (source, index, labels)
        for source in job.sources
        for index, labels in source.painted.read(check)
    ]
    if not painted:
        raise TrainingError(
            "Nothing is painted in the ticked pairs: paint some strokes of each class first, or "
            "correct what was predicted."
        )
    return create_run(
        job.name,
        [
            Pair(
                _name(source, index),
                source.radiographs.read(index, check),
                labels,
                source.group,
            )
            for source, index, labels in painted
        ],
        job.config,
        base=job.base,
        preset=job.preset,
        models_folder=job.models_folder,
        progress=progress,
    )


def run(
    run: Run, engine: Engine, report: Callable[[Progress], None], cancel: threading.Event
) -> Summary:
    """Train, or go on from the last epoch.

    Parameters
    ----------
    run : Run
    engine : Engine
    report : callable
        Called with each `Progress`; its ``detail`` is an event of the training.
    cancel : threading.Event
        Set it to stop; the run can be resumed.

    Returns
    -------
    Summary

    Raises
    ------
    XNetError
        If it was cancelled, or cannot be done.
    """
    summary: Summary = engine.run(train_run, run.folder, report=report, cancel=cancel)
    return summary


def _name(source: Source, index: Index) -> str:
    slices = ", ".join(str(where) for where in index)
    return f"{source.name} (slice {slices})" if index else source.name
