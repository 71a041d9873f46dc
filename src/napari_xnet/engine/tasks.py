"""What the window asks of the engine."""

import contextlib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_xnet.engine.messages import Stop
from napari_xnet.engine.reporter import Reporter
from napari_xnet.errors import ModelError
from napari_xnet.inference import Options, segment
from napari_xnet.models import DEFAULT, Model, find_model
from napari_xnet.models.model import CARD_FILE
from napari_xnet.training.events import Event, Step, Watch
from napari_xnet.training.execution import Summary, execute
from napari_xnet.training.run import Run

if TYPE_CHECKING:
    from napari_xnet.simulation import SimulatedRadiograph


def warm_up() -> None:
    """Load Keras and run the default model once, so that the first request need not.

    Raises
    ------
    EngineError
        If Keras cannot be loaded.
    """
    folder = find_model(DEFAULT)
    loaded(folder).predict(np.zeros((1, 64, 64), np.float32))


class Segmented(NamedTuple):
    """What `segment_image` found; see `inference.Segmentation`."""

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    notes: tuple[str, ...]
    working_scale: float


def segment_image(
    image: NDArray[Any],
    model: Path,
    rgb: bool,
    options: Options,
    probabilities: bool,
    pixel_size_mm: float | None = None,
    *,
    progress: Reporter,
) -> Segmented:
    """Segment with a model that stays loaded until another is asked for.

    Parameters
    ----------
    image, rgb, options, pixel_size_mm
        See `napari_xnet.inference.segment`.
    model : Path
        Folder of the model.
    probabilities : bool
        Whether to return them.
    progress : Reporter

    Returns
    -------
    Segmented
    """

    def report(done: float, total: int) -> None:
        progress(done, total, "Segmenting…")

    result = segment(
        image, loaded(model), rgb=rgb, pixel_size_mm=pixel_size_mm, options=options, progress=report
    )
    return Segmented(
        result.labels,
        result.probabilities if probabilities else None,
        result.notes,
        result.working_scale,
    )


def train_run(folder: Path, progress: Reporter) -> Summary:
    """Train the model of a run, or go on with it.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    progress : Reporter
        Gets each event as the detail of a `Progress`; may be told `Stop` and
        which image to `Watch`.

    Returns
    -------
    Summary
    """
    _stand_back()
    control = _Control(progress)

    def report(event: Event) -> None:
        done, total = control.position
        if isinstance(event, Step):
            done, total = control.position = event.done, event.total
        progress(done, total, "Training…", event)

    return execute(Run.open(folder), report, control)


@dataclass(frozen=True, eq=False)
class SimulationJob:
    """What to simulate.

    Attributes
    ----------
    names : tuple of str
        Regions, in turn, all of them if empty; of a CT its name.
    count, size_px, seed : int
        How many, how long their long side, and where chance begins.
    hu : array, shape (Z, Y, X), optional
        A CT in Hounsfield units, instead of regions.
    spacing_mm : tuple of float
        Distance of its voxels along z, y and x.
    """

    names: tuple[str, ...]
    count: int
    size_px: int
    seed: int
    hu: Any = None
    spacing_mm: tuple[float, ...] = ()

    def in_memory(self) -> Self:
        """Read the CT, which may be on disk."""
        return self if self.hu is None else replace(self, hu=np.ascontiguousarray(self.hu))


def simulate_radiographs(job: SimulationJob, progress: Reporter) -> "list[SimulatedRadiograph]":
    """Simulate the radiographs that the command line writes for the same numbers.

    Parameters
    ----------
    job : SimulationJob
    progress : Reporter

    Returns
    -------
    list of SimulatedRadiograph
    """
    from napari_xnet.simulation.anatomy import make_scene, regions
    from napari_xnet.simulation.bodies import plan_bodies
    from napari_xnet.simulation.ct import as_volume, remove_table
    from napari_xnet.simulation.radiograph import take, take_ct
    from napari_xnet.simulation.scene import Scene

    progress(0, job.count, "Simulating…")
    volume = None
    if job.hu is not None:
        volume = remove_table(as_volume(job.hu, job.spacing_mm, job.names[0]))
    made: list[SimulatedRadiograph] = []
    for body in plan_bodies(job.names or regions(), job.count, job.seed):
        seen = volume or make_scene(body.region, body.rng())
        for view in range(body.views):
            progress(len(made), job.count, "Simulating…")
            rng = body.rng(view)
            if isinstance(seen, Scene):
                made.append(take(seen, job.size_px, rng))
            else:
                made.append(take_ct(seen, body.region, job.size_px, rng))
    return made


def _stand_back() -> None:
    """Let the window go first: training takes all processors for minutes."""
    polite = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else 10
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(polite)


class _Control:
    """What the window told, as a run asks for it."""

    def __init__(self, progress: Reporter) -> None:
        self.position: tuple[int, int] = (0, 0)
        self._progress = progress
        self._stop = False
        self._watch: Watch | None = None

    def stop_requested(self) -> bool:
        self._listen()
        return self._stop

    def watch(self) -> Watch | None:
        self._listen()
        return self._watch

    def _listen(self) -> None:
        for value in self._progress.told():
            if isinstance(value, Stop):
                self._stop = True
            elif isinstance(value, Watch):
                self._watch = value


def loaded(folder: Path) -> Model:
    """Load a model, again only if it has changed since, or another one was asked for."""
    return _load(folder, changed_ns(folder))


def changed_ns(folder: Path) -> int:
    """Tell when a model was written.

    Raises
    ------
    ModelError
        If it is gone.
    """
    try:
        return (folder / CARD_FILE).stat().st_mtime_ns
    except OSError as error:
        raise ModelError(f"The model folder {folder} is gone: {error.strerror}.") from error


@functools.lru_cache(maxsize=1)
def _load(folder: Path, changed_ns: int) -> Model:
    return Model.load(folder)
