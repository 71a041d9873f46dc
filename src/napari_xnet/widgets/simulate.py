"""The dock widget *Simulate radiographs*."""

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox, Container, ProgressBar, PushButton, SpinBox
from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_xnet.engine import Engine, Progress, shared_engine
from napari_xnet.engine.tasks import SimulationJob, simulate_radiographs
from napari_xnet.errors import Cancelled, ImageError, XNetError
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.widgets import painted
from napari_xnet.widgets.parts import Lifetime, News, row, text_line
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels

if TYPE_CHECKING:
    import napari

    from napari_xnet.simulation import SimulatedRadiograph

ALL = "all regions"
_MOST = 50
"""More are for the command line: each becomes two layers."""
_POLL_MS = 50


class SimulateWidget(Container[Any]):
    """Make radiographs with exact labels, from anatomy or from a CT that is open.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._engine = shared_engine()
        self._cancel: threading.Event | None = None
        self._life = Lifetime(self.native, self.cancel)
        self._news = News()
        self._news.arrived.connect(self._show_progress)
        self._regions: tuple[str, ...] = ()

        self._anatomy = ComboBox(
            name="anatomy",
            label="Anatomy",
            choices=lambda _: [*self._volumes(), ALL, *self._regions],
            tooltip="Part of the body; or a CT in Hounsfield units that is open as a layer.",
        )
        self._count = SpinBox(name="count", label="Number", value=4, min=1, max=_MOST)
        self._size_px = SpinBox(
            name="size_px", label="Size (px)", value=600, min=64, max=4000, step=50
        )
        self._seed = SpinBox(
            name="seed",
            label="Seed",
            value=0,
            min=0,
            max=2**31 - 1,
            tooltip="The same seed makes the same radiographs.",
        )
        self._run_button = PushButton(name="run", label="Simulate")
        self._cancel_button = PushButton(name="cancel", label="Cancel", enabled=False)
        self._progress = ProgressBar(name="progress", label=" ", value=0, max=1, visible=False)
        self._status = text_line("status")
        self.extend(
            [
                self._anatomy,
                self._count,
                self._size_px,
                self._seed,
                row(self._run_button, self._cancel_button),
                self._progress,
                self._status,
            ]
        )
        self._run_button.changed.connect(self.run)
        self._cancel_button.changed.connect(self.cancel)
        self._viewer.layers.events.inserted.connect(self._on_layers_changed)
        self._viewer.layers.events.removed.connect(self._on_layers_changed)
        self._viewer.layers.events.renamed.connect(self._on_layers_changed)
        self._propose()
        warm_up_labels()
        worker = _list_regions()
        worker.returned.connect(self._on_regions)
        worker.start()

    def run(self) -> None:
        """Simulate, and add the radiographs with their labels as layers."""
        try:
            job = self._job()
        except XNetError as error:
            show_error(str(error))
            return
        self._cancel = threading.Event()
        self._engine.environment = Preferences.current().environment
        worker = _work(job, self._engine, self._news.arrived.emit, self._cancel)
        worker.returned.connect(lambda outcome: self._finish(*outcome))
        self._refresh()
        self._show_progress(Progress("Starting…"))
        worker.start()

    def cancel(self) -> None:
        """Stop; no layer is added."""
        if self._cancel:
            self._cancel.set()

    def _volumes(self) -> list[Image]:
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb
        ]

    def _propose(self) -> None:
        volumes = self._volumes()
        self._anatomy.value = volumes[-1] if volumes else ALL

    def _job(self) -> SimulationJob:
        chosen = self._anatomy.value
        numbers = (self._count.value, self._size_px.value, self._seed.value)
        if isinstance(chosen, str):
            return SimulationJob(() if chosen == ALL else (chosen,), *numbers)
        data = chosen.data[0] if chosen.multiscale else chosen.data
        spacing = tuple(float(size) for size in np.abs(chosen.scale))
        if spacing == (1.0, 1.0, 1.0) and "pixel" in {str(unit) for unit in chosen.units}:
            raise ImageError(
                f'"{chosen.name}" does not say how large its voxels are: set its scale in mm '
                f"(viewer.layers[{chosen.name!r}].scale = z, y, x), or open a file that says so."
            )
        return SimulationJob((chosen.name,), *numbers, hu=data, spacing_mm=spacing)

    def _finish(self, made: "list[SimulatedRadiograph] | None", error: Exception | None) -> None:
        if self._life.ended:
            return
        if made:
            self._add(made, len(made))
            return
        self._cancel = None
        self._refresh()
        self._status.value = "Nothing was made."
        match error:
            case Cancelled():
                self._status.value = "Cancelled: no layer was added."
            case XNetError():
                show_error(str(error))
            case MemoryError():
                show_error("There is not enough memory for this: make fewer or smaller ones.")
            case Exception():
                raise error

    def _add(self, made: "list[SimulatedRadiograph]", count: int) -> None:
        """Add one radiograph, then the others: each takes napari a while."""
        if self._life.ended:
            return
        if not made or (self._cancel and self._cancel.is_set()):
            self._cancel = None
            self._refresh()
            self._status.value = f"Made {count - len(made)} radiographs with their labels."
            return
        one, rest = made[0], made[1:]
        size = (one.pixel_size_mm, one.pixel_size_mm)
        place = {"scale": size, "units": ("mm", "mm"), "visible": not rest}
        name = f"{one.region} {count - len(rest)}"
        with no_garbage_collection():
            image = self._viewer.add_image(one.image, name=name, **place)
            labels = self._viewer.add_labels(
                one.labels, name=f"{name}_labels", **tissue_appearance(), **place
            )
        painted.mark_painting(labels, image)
        if not rest:
            self._viewer.reset_view()
        QTimer.singleShot(_POLL_MS, functools.partial(self._add, rest, count))

    def _show_progress(self, news: Progress) -> None:
        if self._cancel is None or self._life.ended:
            return
        self._status.value = "Cancelling…" if self._cancel.is_set() else news.message
        # A bar without a maximum says "busy".
        self._progress.max = 100 if news.total else 0
        self._progress.value = int(100 * news.done / news.total) if news.total else 0

    def _on_layers_changed(self) -> None:
        if self._life.ended:
            return
        known = set(map(str, self._anatomy.choices))
        self._anatomy.reset_choices()
        if any(str(one) not in known for one in self._volumes()) and self._cancel is None:
            self._propose()

    def _on_regions(self, regions: tuple[str, ...]) -> None:
        if not self._life.ended:
            self._regions = regions
            self._anatomy.reset_choices()

    def _refresh(self) -> None:
        running = self._cancel is not None
        self._run_button.enabled = not running
        self._cancel_button.enabled = running
        self._progress.visible = running


@thread_worker
def _list_regions() -> tuple[str, ...]:
    # Importing it takes a second.
    from napari_xnet.simulation import regions

    return regions()


@thread_worker
def _work(
    job: SimulationJob,
    engine: Engine,
    report: Callable[[Progress], None],
    cancel: threading.Event,
) -> "tuple[list[SimulatedRadiograph] | None, Exception | None]":
    # Errors are returned: thread_worker swallows some kinds of exceptions.
    try:
        while (warming := warm_up_labels()).is_alive() and not cancel.is_set():
            warming.join(0.05)
        job = job.in_memory()
        return engine.run(simulate_radiographs, job, report=report, cancel=cancel), None
    except Exception as error:
        return None, error
