"""The dock widget *Segment radiograph*."""

import functools
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    ProgressBar,
    PushButton,
)
from napari.layers import Labels
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QFileDialog

from napari_xnet import tissue
from napari_xnet.engine import Progress, shared_engine
from napari_xnet.engine.batch import FolderJob, segment_folder
from napari_xnet.errors import Cancelled, XNetError
from napari_xnet.inference import SIZE_RANGE_PX, Options, PostProcessing
from napari_xnet.inference.batch import FAILURES_FILE, Summary
from napari_xnet.io.labels import write_labels_layer
from napari_xnet.models import DEFAULT, POLARITIES, find_model, list_models, show_model
from napari_xnet.widgets import layers, memory, painted, segment_job
from napari_xnet.widgets.batch_form import BatchForm
from napari_xnet.widgets.model_events import model_events
from napari_xnet.widgets.parts import ScrolledDock, give_room, lay_out, row, text_line
from napari_xnet.widgets.postprocessing_form import PostProcessingForm
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.relabelling import Relabelling, fitting
from napari_xnet.widgets.segment_job import SegmentJob, SegmentResult, count_labels, shares
from napari_xnet.widgets.task import Task, show_failure, show_share
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels
from napari_xnet.wording import several

if TYPE_CHECKING:
    import napari

DETAILS = {"Fast": 0.5, "Standard": 1.0, "Fine": 1.5}
"""Working size of each level of detail, as a multiple of the model's own."""

_THIS, _ALL = "This slice", "All slices"


class SegmentWidget(ScrolledDock):
    """Segment an image layer into a Labels layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered.
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__(napari_viewer)
        self._engine = shared_engine()
        self._task = Task(self, self._show_progress)
        self._noun = "Slice"
        """What progress is counted in."""

        self._image = ComboBox(
            name="image",
            label="Image",
            choices=lambda _: layers.radiograph_layers(self._viewer),
            nullable=False,
            tooltip="The radiograph to segment, or a stack of them; follows the selected layer.",
        )
        self._model = ComboBox(
            name="model",
            label="Model",
            choices=lambda _: list_models(Preferences.current().models_folder),
            tooltip="The network that segments. Models that you import appear here.",
        )
        self._detail = ComboBox(
            name="detail",
            label="Detail",
            choices=list(DETAILS),
            value="Standard",
            tooltip="How large the network sees the radiograph. Standard is what the model was "
            "made for; Fast is coarser; Fine sees smaller structures but less context.",
        )
        self._slices = ComboBox(
            name="slices",
            label="Slices",
            choices=[_THIS, _ALL],
            tooltip="Of a stack, segment the radiograph that is displayed, or all of them.",
        )
        self._polarity = ComboBox(
            name="polarity",
            label="Polarity",
            choices=[(one.capitalize(), one) for one in POLARITIES],
            tooltip="Which way round the radiograph is. Auto: the model finds out. Choose it "
            "yourself if bone and open beam come out swapped.",
        )
        self._form = PostProcessingForm()
        self._batch = BatchForm()
        self._probabilities = CheckBox(
            name="probabilities",
            label="Add probabilities",
            tooltip="Also add the probability of each class as a hidden image layer.",
        )
        self._run_button = PushButton(
            name="run",
            label="Segment",
            tooltip="Let the model label each pixel of the radiograph, in a layer of its own.",
        )
        self._cancel_button = PushButton(
            name="cancel", label="Cancel", enabled=False, tooltip="Stop; no layer is changed."
        )
        self._save_button = PushButton(
            name="save",
            label="Save labels…",
            tooltip="Save the selected Labels layer, or else the newest one of the image, as a "
            "TIFF with class colours, class names and pixel size.",
        )
        self._progress = ProgressBar(name="progress", label=" ", value=0, max=1, visible=False)
        self._status = text_line("status")
        self._parts = Container(
            widgets=[
                self._image,
                self._model,
                self._detail,
                self._slices,
                self._polarity,
                *self._form.widgets,
                self._probabilities,
                row(self._run_button, self._cancel_button),
                self._progress,
                self._status,
                row(self._save_button),
                *self._batch.widgets,
            ]
        )
        self._remembered = {
            **{one.name: one for one in (self._model, self._detail, self._probabilities)},
            **self._form.remembered,
        }
        self._relabelling = Relabelling(self._viewer, self)
        # First the model and its calibration, then what the user had chosen instead.
        memory.recall("segment", {self._model.name: self._model})
        self._show_calibration()
        memory.recall("segment", self._remembered)
        self._form.refresh()

        self._image.changed.connect(self._on_image_changed)
        self._model.changed.connect(self._show_calibration)
        self._detail.changed.connect(self._on_detail_changed)
        self._form.changed.connect(self._relabel)
        for widget in self._remembered.values():
            widget.changed.connect(self._remember)
        self._run_button.changed.connect(self.run)
        self._cancel_button.changed.connect(self.cancel)
        self._save_button.changed.connect(self.save)
        self._batch.pressed.connect(self.run_folder)
        self._viewer.layers.events.inserted.connect(self._on_layers_changed)
        self._viewer.layers.events.removed.connect(self._on_layers_changed)
        self._viewer.layers.selection.events.active.connect(self._on_layer_selected)
        Preferences.on_models_folder_changed(self._model.reset_choices)
        model_events.trained.connect(self._on_model_trained)
        self._on_layer_selected()
        self._refresh()
        self._warm_up()
        self.put(self._parts.native)
        lay_out(self._parts)
        give_room(self)

    def run(self) -> None:
        """Segment the chosen image."""
        try:
            job = self._job()
        except XNetError as error:
            show_error(str(error))
            return
        self._noun = "Slice"
        self._engine.environment = Preferences.current().environment
        self._task.start(
            functools.partial(segment_job.run, job, self._engine),
            functools.partial(self._finish, job),
        )
        self._refresh()
        self._show_progress(Progress("Starting…"))

    def run_folder(self) -> None:
        """Segment the images of the chosen folder, without layers."""
        preferences = Preferences.current()
        try:
            model = find_model(self._model.value or DEFAULT, preferences.models_folder)
            options = self._options(model)
            job = self._batch.job(model, options, self._probabilities.value)
        except XNetError as error:
            show_error(str(error))
            return
        self._noun = "Image"
        self._engine.environment = preferences.environment
        self._task.start(
            lambda report, cancel: self._engine.run(
                segment_folder, job, report=report, cancel=cancel
            ),
            functools.partial(self._finish_folder, job),
        )
        self._refresh()
        self._show_progress(Progress("Starting…"))

    def cancel(self) -> None:
        """Stop the segmentation that is running; no layer changes."""
        self._task.cancel()

    def save(self) -> None:
        """Ask for a file name and save the labels."""
        layer = layers.labels_to_save(self._viewer, self._image.value)
        if layer is None:
            show_info("There is no Labels layer to save: press Segment first.")
            return
        place = layers.free_path(layer, layers.folder_of(self._image.value or layer))
        path, _ = QFileDialog.getSaveFileName(
            self, "Save labels", str(place), "TIFF (*.tif *.tiff)"
        )
        if path:
            whole = Path(path)
            if whole.suffix.lower() not in (".tif", ".tiff"):
                # Of this file the dialog has not asked.
                whole = whole.with_name(f"{whole.name}.tif")
                if whole.exists():
                    show_error(
                        f"{whole.name} is there already: choose another name, or give it with "
                        ".tif to replace it."
                    )
                    return
            try:
                (path,) = write_labels_layer(str(whole), layer.data, layer.as_layer_data_tuple()[1])
            except XNetError as error:
                show_error(str(error))
            else:
                self._status.value = f"Saved {path}."

    def _warm_up(self) -> None:
        try:
            self._engine.environment = Preferences.current().environment
            self._engine.start()
        except XNetError as error:
            show_error(str(error))
        warm_up_labels()

    def _job(self) -> SegmentJob:
        layer = self._image.value
        preferences = Preferences.current()
        radiographs = layers.Radiographs.of(layer)
        model = find_model(self._model.value or DEFAULT, preferences.models_folder)
        if radiographs.is_stack and self._slices.value == _ALL:
            indices = radiographs.indices()
        else:
            indices = [layers.shown_index(layer, self._viewer.dims.point)]
        shown = layers.shown_index(layer, self._viewer.dims.point)
        page_px = math.prod(radiographs.shape[-2:])
        return SegmentJob(
            image_id=str(layer.unique_id),
            image_name=layer.name,
            radiographs=radiographs,
            indices=indices,
            place=layers.placement(layer),
            model=model,
            options=self._options(model),
            adds_probabilities=self._probabilities.value,
            kept=fitting(indices, shown, page_px, preferences.memory_mb),
            pixel_size_mm=layers.pixel_size_mm(layer),
        )

    def _options(self, model: Path) -> Options:
        preferences = Preferences.current()
        size_px = preferences.size_px or show_model(model).preprocessing.size_px
        return Options(
            **self._form.steps(),
            polarity=self._polarity.value,
            size_px=int(np.clip(size_px * DETAILS[self._detail.value], *SIZE_RANGE_PX)),
            memory_mb=preferences.memory_mb,
        )

    def _finish_folder(
        self, job: FolderJob, summary: Summary | None, error: Exception | None
    ) -> None:
        self._refresh()
        if summary is None:
            cancelled = isinstance(error, Cancelled)
            self._status.value = (
                "Cancelled. Press Segment folder again to go on." if cancelled else "Not segmented."
            )
            show_failure(error, "There is not enough memory for this: close other programs.")
            return
        text = str(summary)
        if summary.failures:
            table = job.labels / FAILURES_FILE
            text += f" See {table}." if table.exists() else f" {summary.reasons()[0][0]}"
            show_warning(f"{several(len(summary.failures), 'image')} failed: {text}")
        self._status.value = text

    def _finish(
        self, job: SegmentJob, result: SegmentResult | None, error: Exception | None
    ) -> None:
        self._refresh()
        if result:
            with no_garbage_collection():
                self._show_result(job, result)
            return
        cancelled = isinstance(error, Cancelled)
        self._status.value = "Cancelled: no layer was changed." if cancelled else "Not segmented."
        show_failure(error, "There is not enough memory for this: segment fewer slices at once.")

    def _show_result(self, job: SegmentJob, result: SegmentResult) -> None:
        shape = job.radiographs.shape
        labels = layers.find_labels(self._viewer, job.image_id, shape, job.indices)
        if labels is None:
            edited = layers.hide_older_labels(self._viewer, job.image_id)
            labels = layers.add_labels(
                self._viewer, job.image_id, job.image_name, job.model.name, shape, job.place
            )
            if edited:
                show_info(f'Your edits are kept in "{edited}", hidden below "{labels.name}".')
        layers.write_labels(labels, result.labels, job.place)
        if job.adds_probabilities:
            stack = np.zeros((len(tissue.CLASSES), *shape), np.float32)
            for index, probabilities in result.probabilities.items():
                for layer, probability in zip(stack, probabilities, strict=True):
                    layer[index] = probability
            layers.show_probabilities(
                self._viewer, job.image_id, job.image_name, stack, job.place, below=labels
            )
        self._relabelling.keep(
            labels,
            job,
            {index: result.probabilities[index] for index in job.kept},
            result.working_scale,
        )
        self._viewer.layers.selection.active = labels
        self._status.value = result.summary()
        if not job.options.agrees(self._form.steps()):  # the form was changed in the meantime
            self._relabel()
        for note in result.notes:
            show_info(note)

    def _relabel(self) -> None:
        """Let the labels of the last run follow the form, as far as it needs no network."""
        layer, job = self._image.value, self._relabelling.job
        if layer is None or job is None or self._task.is_running:
            return
        if job.image_id != str(layer.unique_id) or job.model != self._model_folder():
            self._status.value = "Press Segment to apply this."
            return
        shown = layers.shown_index(layer, self._viewer.dims.point)
        try:
            labels = self._relabelling.relabel(PostProcessing(**self._form.steps()), shown)
        except XNetError as error:
            self._status.value = str(error)
            return
        if labels is None:
            self._status.value = "These labels stay as they are: press Segment for new ones."
        else:
            self._status.value = f"{shares(Counter(count_labels(labels)))}."
        if left := self._relabelling.left_behind():
            self._status.value += (
                f" {left} of {len(job.indices)} slices do not follow, since their probabilities "
                "are not in memory: press Segment for all."
            )

    def _model_folder(self) -> Path | None:
        try:
            return find_model(self._model.value or DEFAULT, Preferences.current().models_folder)
        except XNetError:
            return None  # *Segment* says so

    def _on_detail_changed(self) -> None:
        self._form.standard_detail = DETAILS[self._detail.value] == 1.0
        self._form.refresh()

    def _show_calibration(self) -> None:
        folder = self._model_folder()
        try:
            known = show_model(folder).soft_tissue if folder else None
        except XNetError:
            known = None
        self._form.show_model(known)

    def _show_progress(self, news: Progress) -> None:
        message = news.message
        if news.total > 1:
            number = min(int(news.done) + 1, news.total)
            message = f"{self._noun} {number} of {news.total}: {message}"
        self._status.value = "Cancelling…" if self._task.is_cancelling else message
        show_share(self._progress, news)

    def _remember(self) -> None:
        memory.remember("segment", self._remembered)

    def _on_image_changed(self) -> None:
        if not self._task.is_running:
            self._status.value = ""  # it spoke of another image
        self._refresh()

    def _on_layers_changed(self) -> None:
        self._image.reset_choices()
        self._refresh()

    def _on_layer_selected(self) -> None:
        active = self._viewer.layers.selection.active
        for image in self._image.choices:
            if active == image or (isinstance(active, Labels) and painted.paints(active, image)):
                self._image.value = image

    def _on_model_trained(self, name: str) -> None:
        if self._task.dock_ended:
            return
        self._model.reset_choices()
        if name in self._model.choices:
            self._model.value = name

    def _refresh(self) -> None:
        layer = self._image.value
        running = self._task.is_running
        self._slices.enabled = layer is not None and layer.ndim > 2
        self._run_button.enabled = layer is not None and not running
        self._batch.enable(not running)
        self._cancel_button.enabled = running
        self._progress.visible = running
        if layer is None and not running:
            self._status.value = "No image open: File > Open, or File > Open Sample > XNet."
        elif self._status.value.startswith("No image"):
            self._status.value = ""
