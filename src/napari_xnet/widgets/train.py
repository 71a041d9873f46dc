"""The dock widget *Train XNet*."""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error, show_info, show_warning
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QSize, Qt, QTimer
from qtpy.QtWidgets import QMenu, QSizePolicy

from napari_xnet.engine import Engine, Progress, shared_engine, training_engine
from napari_xnet.engine.messages import Stop
from napari_xnet.errors import Cancelled, XNetError
from napari_xnet.models.store import check_new_name, free_name, models_folder
from napari_xnet.training.config import deeper
from napari_xnet.training.events import EpochEnd, Note, Prediction, Started
from napari_xnet.training.execution import Summary
from napari_xnet.training.run import Run, unfinished_runs
from napari_xnet.widgets import importing, layers, model_events, painting, train_job
from napari_xnet.widgets.live import Live
from napari_xnet.widgets.live_panel import LivePanel
from napari_xnet.widgets.live_prediction import LivePrediction
from napari_xnet.widgets.painted import Painted
from napari_xnet.widgets.pairs_table import NO_IMAGE, PairsTable
from napari_xnet.widgets.parts import ScrolledDock, give_room, keep_place, row, text_line
from napari_xnet.widgets.plots import warm_up_plots
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.preview import Preview, PreviewJob
from napari_xnet.widgets.run_view import RunView
from napari_xnet.widgets.task import Task, show_failure
from napari_xnet.widgets.train_job import Source, TrainJob
from napari_xnet.widgets.train_settings import TrainSettings
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels

if TYPE_CHECKING:
    import napari

_WIDTH_PX, _HEIGHT_PX = 350, 150
_MARGIN_PX = 8
_WARMING_MS = 50
_BREATH_MS = 10


class TrainWidget(ScrolledDock):
    """Train a model of one's own from painted labels.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered.
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__(napari_viewer)
        self._engine = training_engine()
        self._task = Task(self, self._on_news)
        self._stopping = False
        self._refused_for: str | None = None
        """What was missing when *Start* was refused."""
        self._run: Run | None = None
        self._unfinished: list[Run] = []
        self._keys: painting.ClassKeys | None = painting.ClassKeys(napari_viewer)

        self._table = PairsTable(napari_viewer)
        self._advice = text_line("advice")
        keep_place(self._advice.native)
        self._new_button = PushButton(
            name="new_labels",
            label="New labels layer",
            tooltip="Make a Labels layer for the image of the selected row, or go on painting in "
            "the one it has. Keys 1, 2, 3 choose open beam, soft tissue, bone.",
        )
        self._import_button = PushButton(
            name="import_labels",
            label="Import labels…",
            tooltip="Take a mask of another program as the labels of the selected row's image.",
        )
        self._preview = Preview(self, napari_viewer, self._preview_job)
        self._settings = TrainSettings()
        self._start_button = PushButton(
            name="start", label="Start", tooltip="Train a model on the ticked pairs."
        )
        self._resume_button = PushButton(
            name="resume",
            label="Resume…",
            tooltip="Go on with a training that was cancelled or interrupted, from its last epoch.",
        )
        self._stop_button = PushButton(
            name="stop",
            label="Stop and keep",
            tooltip="End the training now and keep the best model so far.",
        )
        self._cancel_button = PushButton(
            name="cancel",
            label="Cancel",
            tooltip="End the training now without a model. It can be resumed.",
        )
        self._run_view = RunView(napari_viewer)
        self._watched = LivePrediction(napari_viewer, self._engine, self._table)
        self._live = Live(
            napari_viewer, self, shared_engine(), self._table, lambda: self._settings.base.value
        )
        self._settings.base.changed.connect(self._live.ask_again)
        self._is_keeping = False
        self._live_panel = LivePanel(napari_viewer, self._table, self._live, self.paint_here)
        self._rows = [
            row(self._new_button, self._import_button),
            row(self._preview.button),
            row(self._start_button, self._resume_button),
            row(self._stop_button, self._cancel_button),
        ]
        self._lay_out()

        self._table.changed.connect(self._refresh)
        self._live.changed.connect(self._refresh)
        self._new_button.changed.connect(self.new_labels)
        self._import_button.changed.connect(self.import_labels)
        self._live_panel.keep_button.changed.connect(self.keep_live)
        self._live_panel.deeper_button.changed.connect(self.train_deeper)
        self._start_button.changed.connect(self.start)
        self._resume_button.changed.connect(self.resume)
        self._stop_button.changed.connect(self.stop_and_keep)
        self._cancel_button.changed.connect(self.cancel)
        Preferences.on_models_folder_changed(self._on_models_folder_changed)
        self._refresh()
        self._look_for_runs()
        self._warm_up()
        give_room(self)

    def new_labels(self) -> None:
        """Make a Labels layer to paint on for the image of the current row, or select it."""
        if self._task.dock_ended:
            return
        image = self._table.current_image()
        if image is None:
            show_info(NO_IMAGE)
            return
        if warm_up_labels().is_alive():  # or the window would stand still
            QTimer.singleShot(_WARMING_MS, self.new_labels)
            return
        self._preview.hide()
        labels = self._table.labels_of(image)
        if labels is None:
            with no_garbage_collection():
                labels = painting.add_painting(self._viewer, image)
            self._table.choose(image, labels)
        self._table.show_alone(image)
        painting.let_show_through(self._viewer, image, labels)
        painting.start_painting(self._viewer, labels)

    def paint_here(self) -> None:
        """Make sure that there is a layer to paint on for the displayed radiograph, selected."""
        image = self._table.current_image()
        labels = self._table.labels_of(image) if image is not None else None
        if labels is None:
            self.new_labels()
        elif self._viewer.layers.selection.active != labels or labels.mode == "pan_zoom":
            painting.start_painting(self._viewer, labels)

    def keep_live(self) -> None:
        """Save what was learned from the strokes as a model of its own."""
        name = self._settings.name.value.strip()

        def tell() -> None:
            self._settings.propose_name()
            self._live_panel.say(f'"{name}" is ready in Segment radiograph.')

        self._keep(name, tell)

    def train_deeper(self) -> None:
        """Train the network from where the live segmentation is."""
        folder = Preferences.current().models_folder
        name = free_name(f"{self._settings.name.value.strip()}-live", folder)

        def start() -> None:
            try:
                job = replace(self._job(), base=name, config=deeper(), preset="quick")
            except XNetError as error:
                self._refuse(error)
                show_warning(str(error))
                return
            self._begin(functools.partial(train_job.prepare, job))

        self._keep(name, start)

    def _keep(self, name: str, then: Callable[[], None]) -> None:
        folder = Preferences.current().models_folder or models_folder()
        if self._task.is_running or self._is_keeping:
            show_info("Wait until the training, or what is being kept, is finished.")
            return
        try:
            check_new_name(name, folder)
        except XNetError as error:
            show_error(str(error))
            return
        self._is_keeping = True

        def finish(error: Exception | None) -> None:
            self._is_keeping = False
            if error is not None:
                show_failure(error, "There is not enough memory to keep this model.")
                return
            model_events.announce(name)
            self._settings.refresh_models()
            then()

        self._live.keep(folder / name, finish)

    def import_labels(self) -> None:
        """Ask for a mask and what its values mean, and make it the labels of the current image."""
        image = self._table.current_image()
        if image is None:
            show_info(NO_IMAGE)
            return
        button = self._import_button.native
        menu = importing.convention_menu(self, functools.partial(self._import_mask, image))
        menu.popup(button.mapToGlobal(QPoint(0, button.height())))

    def start(self) -> None:
        """Train on the ticked pairs."""
        try:
            job = self._job()
        except XNetError as error:
            self._refuse(error)
            show_warning(str(error))
            return
        self._begin(functools.partial(train_job.prepare, job))

    def resume(self) -> None:
        """Go on with an interrupted run; ask which if there are several."""
        if len(self._unfinished) == 1:
            self._go_on(self._unfinished[0])
        elif self._unfinished:
            menu = QMenu(self)
            for run in self._unfinished:
                action = menu.addAction(f"{run.record.name}, {run.record.created[:16]}")
                action.triggered.connect(functools.partial(self._go_on, run))
            button = self._resume_button.native
            menu.popup(button.mapToGlobal(QPoint(0, button.height())))

    def stop_and_keep(self) -> None:
        """End the training soon and keep the best model so far."""
        if self._task.is_running:
            self._stopping = True
            self._engine.tell(Stop())
            self._run_view.say_until_the_end("Stopping, to keep the best model so far…")
            self._refresh()

    def cancel(self) -> None:
        """End the training; the run can be resumed."""
        if self._task.is_running:
            self._task.cancel()
            self._run_view.say_until_the_end("Cancelling…")

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As wide as it needs; where it is not so high, the dock scrolls."""
        return QSize(_WIDTH_PX, self.widget().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Low enough for a small screen."""
        return QSize(_WIDTH_PX // 2, _HEIGHT_PX)

    def event(self, event: QEvent) -> bool:
        """Notice that the dock is closed: napari takes its widget out but keeps it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close()
        elif event.type() == QEvent.Type.ParentChange and self._keys is None:
            self._keys = painting.ClassKeys(self._viewer)
            self._live_panel.bind_keys()
        return bool(super().event(event))

    def _close(self) -> None:
        if self._task.is_running:
            show_info("Training was cancelled: Train XNet > Resume… goes on from the last epoch.")
        self.cancel()
        self._watched.stop()
        self._live.turn(False)
        self._preview.hide()
        if self._keys:
            self._keys.release()
            self._live_panel.release_keys()
            self._keys = None

    def _lay_out(self) -> None:
        labels, preview_row, start, stop = self._rows
        self.put(
            self._table,
            self._advice.native,
            labels.native,
            self._live_panel,
            preview_row.native,
            self._settings,
            start.native,
            stop.native,
            self._run_view,
        )
        margins = (_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        self.widget().layout().setContentsMargins(*margins)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)

    def _warm_up(self) -> None:
        try:
            self._engine.environment = Preferences.current().environment
            self._engine.start()
        except XNetError as error:
            show_error(str(error))
        warm_up_labels()
        warm_up_plots()

    def _job(self) -> TrainJob:
        rows = self._table.pairs()
        if not rows:
            raise XNetError(self._table.advice() or "No pair is ticked: tick those to train on.")
        return TrainJob(
            name=self._settings.name.value.strip(),
            sources=[
                Source(
                    one.image.name,
                    one.group,
                    layers.Radiographs.of(one.image),
                    Painted.of(one.labels),
                )
                for one in rows
            ],
            config=self._settings.config(),
            base=self._settings.base.value,
            preset=self._settings.preset.value,
            # By name, because the engine may have been started with another.
            models_folder=Preferences.current().models_folder or models_folder(),
        )

    def _preview_job(self) -> PreviewJob:
        image = self._table.current_image()
        labels = self._table.labels_of(image) if image else None
        if image is None or labels is None:
            raise XNetError("There is no pair to preview: open an image, press New labels layer.")
        config = self._settings.config()
        index = layers.shown_index(image, self._viewer.dims.point)
        return PreviewJob(image, labels, index, self._settings.preprocessing(config), config)

    def _go_on(self, run: Run) -> None:
        self._begin(lambda report, cancel: run)

    def _begin(self, prepare: "_Prepare") -> None:
        self._preview.hide()
        self._live.turn(False)
        self._stopping = False
        self._refused_for = None
        self._run = None
        self._settings.fold()
        self._engine.environment = Preferences.current().environment
        self._task.start(functools.partial(_train, prepare, self._engine), self._finish)
        self._run_view.begin()
        self._refresh()

    def _on_news(self, news: "Progress | Run") -> None:
        if isinstance(news, Run):
            self._run = news
            # Now, while the engine reads the run: as soon as it learns, the window is slower.
            self._run_view.show_run(news)
            QTimer.singleShot(_BREATH_MS, self._prepare_live)
            return
        match news.detail:
            case EpochEnd() as epoch:
                self._run_view.show_epoch(epoch)
            case Prediction() as prediction:
                self._watched.show(prediction)
            case Note(text):
                show_info(text)
                self._run_view.show_note(text)
            case Started():
                self._run_view.show_progress(news)
                self._watched.start()
                self._refresh()
            case _:
                self._run_view.show_progress(news)

    def _prepare_live(self) -> None:
        if self._task.is_running and not self._task.dock_ended:
            self._watched.prepare()

    def _finish(self, summary: Summary | None, error: Exception | None) -> None:
        self._watched.stop()
        self._look_for_runs()
        if summary:
            self._show_summary(summary)
        else:
            self._show_failure(error)
        self._refresh()

    def _show_summary(self, summary: Summary) -> None:
        model_events.announce(summary.name)
        self._settings.refresh_models()
        self._settings.propose_name()
        self._run_view.end(summary)
        show_info(f'"{summary.name}" is ready in Segment radiograph.')

    def _show_failure(self, error: Exception | None) -> None:
        can_go_on = self._run and Run.open(self._run.folder).record.can_go_on
        kept = " Resume… goes on from the last epoch." if can_go_on else ""
        if isinstance(error, Cancelled):
            self._run_view.end(f"Cancelled.{kept}")
        elif isinstance(error, XNetError):
            self._refuse(error, kept)
        else:
            self._run_view.end(f"Not trained.{kept}")
        show_failure(error, "There is not enough memory for this: train on fewer pairs at once.")

    def _refuse(self, error: XNetError, kept: str = "") -> None:
        self._refused_for = self._table.advice()
        self._run_view.end(f"Not trained: {error}{kept}")

    def _import_mask(self, image: Image, convention: str) -> None:
        path = importing.ask_for_mask(self, layers.folder_of(image))
        if path is None or image not in self._viewer.layers:
            return
        shape = layers.Radiographs.of(image).shape
        worker = importing.read_mask(path, convention, shape, image.name)
        worker.returned.connect(lambda outcome: self._show_mask(image, *outcome))
        worker.start()

    def _show_mask(
        self, image: Image, labels: NDArray[np.uint8] | None, error: Exception | None
    ) -> None:
        if self._task.dock_ended or image not in self._viewer.layers:
            return
        if labels is not None:
            self._preview.hide()
            with no_garbage_collection():
                layer = painting.add_painting(self._viewer, image, labels)
            self._table.choose(image, layer)
            self._table.show_alone(image)
        else:
            show_failure(error, "There is not enough memory to read this mask.")

    def _look_for_runs(self) -> None:
        worker = _list_runs()
        worker.returned.connect(self._on_runs)
        worker.start()

    def _on_runs(self, runs: Sequence[Run]) -> None:
        if self._task.dock_ended:
            return
        self._unfinished = list(runs)
        if len(runs) == 1:
            self._run_view.greet(f'"{runs[0].record.name}" was interrupted: Resume… goes on.')
        elif runs:
            self._run_view.greet(f"{len(runs)} trainings were interrupted: Resume… lists them.")
        self._refresh()

    def _on_models_folder_changed(self) -> None:
        if not self._task.dock_ended:
            self._settings.refresh_models()

    def _refresh(self) -> None:
        if self._task.dock_ended:
            return
        running = self._task.is_running
        advice = self._table.advice()
        self._advice.value = advice
        if self._refused_for and self._refused_for != advice:  # that has been mended
            self._refused_for = None
            self._run_view.end("")
        # Live segmentation needs no class: the model knows those that nobody painted.
        self._advice.native.setVisible(bool(advice) and not running and not self._live.is_on)
        self._new_button.enabled = self._table.current_image() is not None
        self._import_button.enabled = self._new_button.enabled
        self._start_button.enabled = not running
        self._resume_button.enabled = not running and bool(self._unfinished)
        started = self._run_view.has_started
        self._stop_button.enabled = running and started and not self._stopping
        self._cancel_button.enabled = running
        self._settings.set_enabled(not running)
        self._preview.button.enabled = not running and self._new_button.enabled


_Prepare = Callable[[Callable[[Progress], None], threading.Event], Run]


def _train(
    prepare: _Prepare,
    engine: Engine,
    tell: Callable[[Progress | Run], None],
    cancel: threading.Event,
) -> Summary:
    run = prepare(tell, cancel)
    while (warming := warm_up_plots()).is_alive() and not cancel.is_set():
        warming.join(0.05)
    tell(run)
    return train_job.run(run, engine, tell, cancel)


@thread_worker
def _list_runs() -> list[Run]:
    try:
        return unfinished_runs()
    except OSError:
        return []
