"""The dock widget *Train XNet*."""

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ProgressBar, PushButton
from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.events import Event
from napari.utils.notifications import show_error, show_info
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QMenu, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_xnet.engine import Engine, Progress, training_engine
from napari_xnet.engine.messages import Stop
from napari_xnet.errors import Cancelled, XNetError
from napari_xnet.models.store import models_folder
from napari_xnet.training.events import EpochEnd, Note, Prediction, Started, Step
from napari_xnet.training.execution import Summary
from napari_xnet.training.run import Run, unfinished_runs
from napari_xnet.widgets import importing, layers, model_events, painting, preview, train_job
from napari_xnet.widgets.curves import Curves, warm_up_curves
from napari_xnet.widgets.live_prediction import LivePrediction
from napari_xnet.widgets.painted import Painted
from napari_xnet.widgets.pairs_table import NO_IMAGE, PairsTable
from napari_xnet.widgets.parts import row, text_line
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.task import Task, show_failure, show_share
from napari_xnet.widgets.train_job import Source, TrainJob
from napari_xnet.widgets.train_settings import TrainSettings
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels

if TYPE_CHECKING:
    import napari

_WIDTH_PX, _HEIGHT_PX = 350, 150
_MARGIN_PX = 8
_WARMING_MS = 50
_BREATH_MS = 10


class TrainWidget(QScrollArea):
    """Train a model of one's own from painted labels.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered.
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._engine = training_engine()
        self._task = Task(self, self._on_news)
        self._stopping = False
        self._run: Run | None = None
        self._device = ""
        self._unfinished: list[Run] = []
        self._keys: painting.ClassKeys | None = painting.ClassKeys(napari_viewer)

        self._table = PairsTable(napari_viewer)
        self._advice = text_line("advice")
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
        self._preview_button = PushButton(
            name="preview",
            label="Preview augmentation",
            tooltip="Show nine random variants of the selected pair, as training will see them. "
            "Press again to go back.",
        )
        self._preview_button.native.setCheckable(True)
        self._settings = TrainSettings()
        self._start_button = PushButton(name="start", label="Start")
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
        self._progress = ProgressBar(name="progress", label=" ", value=0, max=1)
        self._status = text_line("status")
        self._status.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._curves: Curves | None = None
        self._mosaic = preview.PreviewLayers(napari_viewer)
        self._live = LivePrediction(napari_viewer, self._engine, self._table)
        self._rows = [
            row(self._new_button, self._import_button),
            row(self._preview_button),
            row(self._start_button, self._resume_button),
            row(self._stop_button, self._cancel_button),
        ]
        self._lay_out()

        self._table.changed.connect(self._refresh)
        self._new_button.changed.connect(self.new_labels)
        self._import_button.changed.connect(self.import_labels)
        self._preview_button.changed.connect(self.toggle_preview)
        self._start_button.changed.connect(self.start)
        self._resume_button.changed.connect(self.resume)
        self._stop_button.changed.connect(self.stop_and_keep)
        self._cancel_button.changed.connect(self.cancel)
        self._viewer.events.theme.connect(self._refresh)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        Preferences.on_models_folder_changed(self._on_models_folder_changed)
        self._refresh()
        self._look_for_runs()
        self._warm_up()

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
        self._hide_preview()
        labels = self._table.labels_of(image)
        if labels is None:
            with no_garbage_collection():
                labels = painting.add_painting(self._viewer, image)
            self._table.choose(image, labels)
        painting.start_painting(self._viewer, labels)

    def import_labels(self) -> None:
        """Ask for a mask and what its values mean, and make it the labels of the current image."""
        image = self._table.current_image()
        if image is None:
            show_info(NO_IMAGE)
            return
        button = self._import_button.native
        menu = importing.convention_menu(self, functools.partial(self._import_mask, image))
        menu.popup(button.mapToGlobal(QPoint(0, button.height())))

    def toggle_preview(self) -> None:
        """Show augmented variants of the current pair, or take them away."""
        if not self._preview_button.value:
            self._hide_preview()
            return
        image = self._table.current_image()
        labels = self._table.labels_of(image) if image else None
        if image is None or labels is None:
            self._preview_button.value = False
            show_info("There is no pair to preview: open an image and press New labels layer.")
            return
        try:
            config = self._settings.config()
            job = preview.PreviewJob(
                layers.Radiographs.of(image),
                layers.Radiographs.of(labels),
                layers.shown_index(image, self._viewer.dims.point),
                self._settings.preprocessing(config),
                config,
            )
        except XNetError as error:
            self._preview_button.value = False
            show_error(str(error))
            return
        worker = preview.make_mosaic(job)
        worker.returned.connect(lambda outcome: self._show_preview(image, *outcome))
        worker.start()

    def start(self) -> None:
        """Train on the ticked pairs."""
        try:
            job = self._job()
        except XNetError as error:
            show_error(str(error))
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
            self._status.value = "Stopping, to keep the best model so far…"
            self._refresh()

    def cancel(self) -> None:
        """End the training; the run can be resumed."""
        self._task.cancel()

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
        return bool(super().event(event))

    def _close(self) -> None:
        self.cancel()
        self._live.stop()
        self._hide_preview()
        if self._keys:
            self._keys.release()
            self._keys = None

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        labels, preview_row, start, stop = self._rows
        for part in (
            self._table,
            self._advice.native,
            labels.native,
            preview_row.native,
            self._settings,
            start.native,
            stop.native,
            self._progress.native,
            self._status.native,
        ):
            layout.addWidget(part)
        layout.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)

    def _warm_up(self) -> None:
        try:
            self._engine.environment = Preferences.current().environment
            self._engine.start()
        except XNetError as error:
            show_error(str(error))
        warm_up_labels()
        warm_up_curves()

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

    def _go_on(self, run: Run) -> None:
        self._begin(lambda report, cancel: run)

    def _begin(self, prepare: "_Prepare") -> None:
        self._hide_preview()
        self._stopping = False
        self._run = None
        self._device = ""
        self._engine.environment = Preferences.current().environment
        if self._curves:
            self._curves.set_history([])
        self._task.start(functools.partial(_train, prepare, self._engine), self._finish)
        self._show_progress(Progress("Starting…"))
        self._refresh()

    def _on_news(self, news: "Progress | Run") -> None:
        if isinstance(news, Run):
            self._run = news
            # Now, while the engine reads the run: as soon as it learns, the window is slower.
            self._show_curves()
            QTimer.singleShot(_BREATH_MS, self._prepare_live)
            return
        match news.detail:
            case Started() as started:
                precision = started.precision.removeprefix("mixed_")
                self._device = f"{started.device} ({precision})"
                self._live.start()
                self._refresh()
            case EpochEnd() as epoch:
                self._show_curves().add(epoch)
                return
            case Prediction() as prediction:
                self._live.show(prediction)
                return
            case Note(text):
                show_info(text)
                return
        self._show_progress(news)

    def _prepare_live(self) -> None:
        if self._task.is_running and not self._task.dock_ended:
            self._live.prepare()

    def _show_progress(self, news: Progress) -> None:
        text = news.message
        if isinstance(news.detail, Started):
            text = self._device
        elif isinstance(step := news.detail, Step):
            known = math.isfinite(step.seconds_left)
            left = f"{_duration(step.seconds_left)} left, " if known else ""
            text = f"Epoch {step.epoch} of {step.epochs}, {left}{self._device}"
        if self._task.is_cancelling:
            text = "Cancelling…"
        elif self._stopping:
            text = "Stopping, to keep the best model so far…"
        self._status.value = text
        show_share(self._progress, news)

    def _show_curves(self) -> Curves:
        if self._curves is None:
            with no_garbage_collection():
                self._curves = Curves(self._viewer)
                layout = self.widget().layout()
                layout.insertWidget(layout.count() - 1, self._curves)
        if self._run and not self._curves.history:
            self._curves.set_history(self._run.history())
        return self._curves

    def _finish(self, summary: Summary | None, error: Exception | None) -> None:
        self._live.stop()
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
        self._status.value = _describe(summary)
        show_info(f'"{summary.name}" is ready in Segment radiograph.')

    def _show_failure(self, error: Exception | None) -> None:
        kept = " Resume… goes on from the last epoch." if self._run else ""
        cancelled = isinstance(error, Cancelled)
        self._status.value = f"{'Cancelled' if cancelled else 'Not trained'}.{kept}"
        show_failure(error, "There is not enough memory for this: train on fewer pairs at once.")

    def _import_mask(self, image: Image, convention: str) -> None:
        path = importing.ask_for_mask(self)
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
            self._hide_preview()
            with no_garbage_collection():
                layer = painting.add_painting(self._viewer, image, labels)
            self._table.choose(image, layer)
        else:
            show_failure(error, "There is not enough memory to read this mask.")

    def _show_preview(
        self, image: Any, mosaic: preview.Mosaic | None, error: Exception | None
    ) -> None:
        if self._task.dock_ended or not self._preview_button.value:
            return
        if mosaic is not None and image in self._viewer.layers:
            with no_garbage_collection():
                self._mosaic.show(mosaic, image)
            return
        self._preview_button.value = False
        show_failure(error, "There is not enough memory for a preview of this pair.")

    def _hide_preview(self) -> None:
        self._preview_button.value = False
        self._mosaic.hide()

    def _on_layer_removed(self, event: Event) -> None:
        if not self._task.dock_ended and event.value in self._mosaic:  # by the user
            QTimer.singleShot(0, self._hide_preview)

    def _look_for_runs(self) -> None:
        worker = _list_runs()
        worker.returned.connect(self._on_runs)
        worker.start()

    def _on_runs(self, runs: Sequence[Run]) -> None:
        if not self._task.dock_ended:
            self._unfinished = list(runs)
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
        self._advice.native.setVisible(bool(advice))
        warning = get_theme(self._viewer.theme).warning.as_hex()
        self._advice.native.setStyleSheet(f"color: {warning}")
        self._new_button.enabled = self._table.current_image() is not None
        self._import_button.enabled = self._new_button.enabled
        self._start_button.enabled = not running
        self._resume_button.enabled = not running and bool(self._unfinished)
        self._stop_button.enabled = running and bool(self._device) and not self._stopping
        self._cancel_button.enabled = running
        self._settings.set_enabled(not running)
        self._preview_button.enabled = not running
        self._progress.native.setVisible(running)


_Prepare = Callable[[Callable[[Progress], None], threading.Event], Run]


def _train(
    prepare: _Prepare,
    engine: Engine,
    tell: Callable[[Progress | Run], None],
    cancel: threading.Event,
) -> Summary:
    run = prepare(tell, cancel)
    while (warming := warm_up_curves()).is_alive() and not cancel.is_set():
        warming.join(0.05)
    tell(run)
    return train_job.run(run, engine, tell, cancel)


@thread_worker
def _list_runs() -> list[Run]:
    try:
        return unfinished_runs()
    except OSError:
        return []


def _describe(summary: Summary) -> str:
    """Sentences on a model and how good it is."""
    percent = {
        text: summary.metrics.get(key, math.nan)
        for text, key in (("accuracy", "val_accuracy"), ("Dice", "val_dice"))
    }
    known = [f"{text} {value:.3f}" for text, value in percent.items() if math.isfinite(value)]
    quality = f"{', '.join(known)} on what was kept aside" if known else "no validation"
    epochs = f"{summary.epochs} epoch{'s' if summary.epochs != 1 else ''}"
    return (
        f"{summary.name}: {quality}, best of {epochs} in {_duration(summary.seconds)}. "
        f"Run: {summary.folder}"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
