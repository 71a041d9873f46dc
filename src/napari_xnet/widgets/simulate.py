"""The dock widget *Simulate radiographs*."""

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import ComboBox, Container, ProgressBar, PushButton, SpinBox
from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_xnet.engine import Engine, Progress, shared_engine
from napari_xnet.engine.tasks import SimulationJob, simulate_radiographs
from napari_xnet.errors import Cancelled, ImageError, XNetError
from napari_xnet.io.calibration import mm_per_unit
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.widgets import painted
from napari_xnet.widgets.parts import ScrolledDock, give_room, lay_out, row, text_line
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.task import Task, show_failure, show_share
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels
from napari_xnet.wording import several

if TYPE_CHECKING:
    import napari

    from napari_xnet.simulation import SimulatedRadiograph

ALL = "all regions"
_MOST = 50
"""More are for the command line: each becomes two layers."""
_POLL_MS = 50


class SimulateWidget(ScrolledDock):
    """Make radiographs with exact labels, from anatomy or from a CT that is open.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__(napari_viewer)
        self._engine = shared_engine()
        self._task = Task(self, self._show_progress)
        self._to_add: list[SimulatedRadiograph] = []
        self._note = ""
        self._regions: tuple[str, ...] = ()

        self._anatomy = ComboBox(
            name="anatomy",
            label="Anatomy",
            choices=lambda _: [*self._volumes(), ALL, *self._regions],
            tooltip="Part of the body; or a CT in Hounsfield units that is open as a layer.",
        )
        self._count = SpinBox(
            name="count",
            label="Number",
            value=4,
            min=1,
            max=_MOST,
            tooltip="How many radiographs, each seen from another side.",
        )
        self._size_px = SpinBox(
            name="size_px",
            label="Long side (px)",
            value=600,
            min=64,
            max=4000,
            step=50,
            tooltip="Of the radiographs.",
        )
        self._seed = SpinBox(
            name="seed",
            label="Seed",
            value=0,
            min=0,
            max=2**31 - 1,
            tooltip="The same seed makes the same radiographs.",
        )
        self._run_button = PushButton(
            name="run",
            label="Simulate",
            tooltip="Add radiographs, and their exact labels, as layers.",
        )
        self._cancel_button = PushButton(
            name="cancel", label="Cancel", enabled=False, tooltip="Stop; no layer is added."
        )
        self._progress = ProgressBar(name="progress", label=" ", value=0, max=1, visible=False)
        self._status = text_line("status")
        self._parts = Container(
            widgets=[
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
        self.put(self._parts.native)
        lay_out(self._parts)
        give_room(self)
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
        self._engine.environment = Preferences.current().environment
        self._task.start(functools.partial(_simulate, job, self._engine), self._finish)
        self._refresh()
        self._show_progress(Progress("Starting…"))

    def cancel(self) -> None:
        """Stop; no further layer is added."""
        self._task.cancel()
        self._to_add.clear()

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
        chosen, self._note = self._anatomy.value, ""
        numbers = (self._count.value, self._size_px.value, self._seed.value)
        if isinstance(chosen, str):
            return SimulationJob(() if chosen == ALL else (chosen,), *numbers)
        data = chosen.data[0] if chosen.multiscale else chosen.data
        factors = [mm_per_unit(unit) for unit in chosen.units]
        if None in factors and not np.array_equal(chosen.scale, (1.0, 1.0, 1.0)):
            factors = [1.0, 1.0, 1.0]
            self._note = f' The scale of "{chosen.name}" has no unit: it was taken for mm.'
        if None in factors:
            raise ImageError(
                f'"{chosen.name}" does not say how large its voxels are: set its scale and units '
                f"(layer = viewer.layers[{chosen.name!r}]; layer.scale = z, y, x; "
                'layer.units = "mm"), or open a file that says so.'
            )
        spacing = tuple(float(size) for size in np.abs(chosen.scale) * factors)
        return SimulationJob((chosen.name,), *numbers, hu=data, spacing_mm=spacing)

    def _finish(self, made: "list[SimulatedRadiograph] | None", error: Exception | None) -> None:
        if made:
            self._to_add = made
            self._add(len(made))
            return
        self._refresh()
        match error:
            case Cancelled():
                self._status.value = "Cancelled: no layer was added."
            case XNetError():
                # A notification shows but its beginning.
                self._status.value = f"Nothing was made. {error}"
            case _:
                self._status.value = "Nothing was made."
        show_failure(error, "There is not enough memory for this: make fewer or smaller ones.")

    def _add(self, count: int, added: int = 0) -> None:
        """Add one radiograph, then the others: each takes napari a while."""
        if self._task.dock_ended:
            return
        if not self._to_add:
            self._refresh()
            self._status.value = (
                f"Made {several(added, 'radiograph')} with labels."
                + (" The eyes in the layer list show those that are hidden." if added > 1 else "")
                + self._note
            )
            return
        one = self._to_add.pop(0)
        last = not self._to_add
        size = (one.pixel_size_mm, one.pixel_size_mm)
        place = {"scale": size, "units": ("mm", "mm"), "visible": last}
        name = f"{one.region} {added + 1}"
        with no_garbage_collection():
            image = self._viewer.add_image(one.image, name=name, **place)
            labels = self._viewer.add_labels(
                one.labels, name=f"{name}_labels", **tissue_appearance(), **place
            )
        painted.mark_painting(labels, image)
        if last:
            # The CT would lie across the radiographs.
            for layer in self._viewer.layers:
                if layer in self._volumes():
                    layer.visible = False
            # napari cannot fit the view to a layer that has fewer dimensions than another.
            flat = self._viewer.dims.ndim == image.ndim
            self._viewer.reset_view(layers=[image] if flat else None)
        self._show_progress(Progress("Adding layers…", added + 1, count))
        QTimer.singleShot(_POLL_MS, functools.partial(self._add, count, added + 1))

    def _show_progress(self, news: Progress) -> None:
        self._status.value = "Cancelling…" if self._task.is_cancelling else news.message
        show_share(self._progress, news)

    def _on_layers_changed(self) -> None:
        if self._task.dock_ended:
            return
        known = set(map(str, self._anatomy.choices))
        self._anatomy.reset_choices()
        if any(str(one) not in known for one in self._volumes()) and not self._is_busy():
            self._propose()

    def _is_busy(self) -> bool:
        return self._task.is_running or bool(self._to_add)

    def _on_regions(self, regions: tuple[str, ...]) -> None:
        if not self._task.dock_ended:
            self._regions = regions
            self._anatomy.reset_choices()

    def _refresh(self) -> None:
        running = self._is_busy()
        self._run_button.enabled = not running
        self._cancel_button.enabled = running
        self._progress.visible = running


@thread_worker
def _list_regions() -> tuple[str, ...]:
    # Importing it takes a second.
    from napari_xnet.simulation import regions

    return regions()


def _simulate(
    job: SimulationJob,
    engine: Engine,
    report: Callable[[Progress], None],
    cancel: threading.Event,
) -> "list[SimulatedRadiograph]":
    job = job.in_memory()
    made: list[SimulatedRadiograph] = engine.run(
        simulate_radiographs, job, report=report, cancel=cancel
    )
    return made
