"""The dock widget *Evaluate segmentation*."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from magicgui.widgets import ComboBox, Container, ProgressBar, PushButton, Select
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_xnet import tissue
from napari_xnet.engine import Progress, shared_engine
from napari_xnet.errors import Cancelled, ImageError, XNetError
from napari_xnet.evaluation import Report
from napari_xnet.evaluation.about import about_model
from napari_xnet.inference import Options
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.models import find_model, list_models, show_model
from napari_xnet.widgets import evaluate_job, layers, painted
from napari_xnet.widgets.evaluate_job import (
    Comparison,
    EvaluateJob,
    EvaluateResult,
    summary_table,
)
from napari_xnet.widgets.model_events import model_events
from napari_xnet.widgets.parts import ScrolledDock, give_room, lay_out, row, text_line
from napari_xnet.widgets.plots import warm_up_plots
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.roc_plot import RocPlot
from napari_xnet.widgets.task import Task, show_failure, show_share
from napari_xnet.widgets.warm_up import no_garbage_collection, warm_up_labels

if TYPE_CHECKING:
    import napari

_NO_LABELS = "No reference: paint labels (Train XNet > New labels layer), or open a file of labels."

_NO_TISSUE = (
    'In "{name}" 1, 2 and 3 are not known to be open beam, soft tissue and bone: open the file by '
    "File > Open, and choose the reader napari-xnet."
)

_ERRORS = {tissue.UNLABELLED: "no error"} | {
    one.value: f"false {one.name}" for one in tissue.CLASSES
}


class EvaluateWidget(ScrolledDock):
    """Compare a model, or a Labels layer, with labels of a person.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.Viewer") -> None:
        super().__init__(napari_viewer)
        self._engine = shared_engine()
        self._task = Task(self, self._show_progress)
        self._report: Report | None = None
        self._said_none: set[str] = set()
        self._errors: WeakKeyDictionary[Labels, Labels] = WeakKeyDictionary()

        self._prediction = ComboBox(
            name="prediction",
            label="Compare",
            choices=lambda _: self._predictions(),
            tooltip="A model, which segments the radiographs; or a Labels layer that is there.",
        )
        self._references = Select(
            name="references",
            label="with",
            choices=lambda _: self._reference_layers(),
            tooltip="Labels of a person, in part or whole: what is not painted does not count. "
            "Several can be selected.",
        )
        self._references.native.setMaximumHeight(90)
        self._run_button = PushButton(
            name="run", label="Evaluate", tooltip="Compare, and show curves, and a layer of errors."
        )
        self._cancel_button = PushButton(
            name="cancel", label="Cancel", enabled=False, tooltip="Stop without a result."
        )
        self._save_button = PushButton(
            name="save",
            label="Save report…",
            enabled=False,
            tooltip="Save a page with all numbers, curves and the worst radiographs (HTML), and "
            "beside it the numbers as JSON and CSV.",
        )
        self._progress = ProgressBar(name="progress", label=" ", value=0, max=1, visible=False)
        self._status = text_line("status")
        self._form = Container(
            name="evaluate_form",
            widgets=[
                self._prediction,
                self._references,
                row(self._run_button, self._cancel_button),
                self._progress,
                self._status,
                row(self._save_button),
            ],
        )
        self._table = QLabel(objectName="table")
        self._table.setWordWrap(True)
        self._plot = RocPlot(napari_viewer)
        self._plot.hide()
        self.put(self._form.native, self._table, self._plot)

        self._run_button.changed.connect(self.run)
        self._cancel_button.changed.connect(self._task.cancel)
        self._save_button.changed.connect(self.save)
        for event in ("inserted", "removed", "renamed"):
            getattr(napari_viewer.layers.events, event).connect(self._on_layers_changed)
        Preferences.on_models_folder_changed(self._prediction.reset_choices)
        model_events.trained.connect(self._on_model_trained)
        self._select_newest()
        self._refresh()
        warm_up_labels()
        warm_up_plots()
        lay_out(self._form)
        give_room(self)

    def run(self) -> None:
        """Evaluate what is chosen."""
        try:
            job = self._job()
        except XNetError as error:
            show_error(str(error))
            return
        self._engine.environment = Preferences.current().environment
        references = list(self._references.value)
        self._task.start(
            functools.partial(evaluate_job.run, job, self._engine),
            functools.partial(self._finish, references),
        )
        self._refresh()
        self._show_progress(Progress("Starting…"))

    def save(self) -> None:
        """Ask for a file name and save the report."""
        if self._report is None:
            return
        name, _ = QFileDialog.getSaveFileName(
            self, "Save report", str(Path("report.html")), "Report (*.html)"
        )
        if not name:
            return
        path = Path(name)
        stem = path.stem if path.suffix.lower() == ".html" else path.name
        # Of the three files, the dialog has asked about the page alone.
        lost = [one for one in (".json", ".csv") if path.with_name(stem + one).exists()]
        if lost and not path.exists():
            show_error(f"{stem}{lost[0]} is there already, and no report: choose another name.")
            return
        try:
            written = self._report.write(path.parent, stem)
        except XNetError as error:
            show_error(str(error))
        else:
            self._status.value = f"Saved {', '.join(one.name for one in written)}."

    def _reference_layers(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if painted.is_tissue(layer)]

    def _predictions(self) -> list[tuple[str, Any]]:
        models = list_models(Preferences.current().models_folder)
        return [
            *((f"Model: {name}", name) for name in models),
            *((f"Labels: {layer.name}", layer) for layer in self._reference_layers()),
        ]

    def _job(self) -> EvaluateJob:
        references = self._references.value
        if not references:
            raise ImageError(
                "Select a reference below “with”." if self._reference_layers() else self._why_none()
            )
        chosen = self._prediction.value
        if isinstance(chosen, Labels):
            if references == [chosen]:
                raise ImageError("A layer cannot be compared with itself: select another one.")
            if len(references) > 1:
                raise ImageError(
                    f'"{chosen.name}" is compared with one reference: select one, or a model.'
                )
        comparisons = [self._comparison(layer, chosen) for layer in references]
        about = {"references": ", ".join(layer.name for layer in references)}
        if isinstance(chosen, Labels):
            return EvaluateJob(comparisons, None, Options(), about | {"prediction": chosen.name})
        preferences = Preferences.current()
        model = find_model(chosen, preferences.models_folder)
        options = Options(size_px=preferences.size_px, memory_mb=preferences.memory_mb)
        about["radiographs"] = ", ".join(one.image_name for one in comparisons)
        about |= about_model(show_model(model), options) | {"model": chosen}
        return EvaluateJob(comparisons, model, options, about)

    def _comparison(self, reference: Labels, chosen: Labels | str) -> Comparison:
        image = self._image_of(reference)
        if image is None and not isinstance(chosen, Labels):
            raise ImageError(
                f'The radiograph of "{reference.name}" is not open: a model needs it. Open it '
                f'under the name "{reference.name.removesuffix("_labels")}".'
            )
        labels = layers.Radiographs.of(reference)
        prediction = None
        if isinstance(chosen, Labels):
            prediction = layers.Radiographs.of(chosen)
            if prediction.shape != labels.shape:
                raise ImageError(
                    f'"{chosen.name}" and "{reference.name}" differ in size: '
                    f"{prediction.shape} and {labels.shape}."
                )
        return Comparison(
            reference.name,
            labels,
            prediction,
            None if image is None else layers.Radiographs.of(image),
            None if image is None else layers.pixel_size_mm(image),
            "" if image is None else image.name,
        )

    def _image_of(self, labels: Labels) -> Image | None:
        """Find the radiograph of labels: made for it, named after it, or the only one that fits."""
        images = layers.radiograph_layers(self._viewer)
        found = painted.propose(images, [labels], lambda _: False)
        return next(iter(found), None)

    def _finish(
        self, references: list[Labels], result: EvaluateResult | None, error: Exception | None
    ) -> None:
        self._refresh()
        if result is None:
            cancelled = isinstance(error, Cancelled)
            self._status.value = "Cancelled." if cancelled else "Not evaluated."
            show_failure(error, "There is not enough memory for this: evaluate fewer at once.")
            return
        self._report = result.report
        self._save_button.enabled = True
        self._table.setText(summary_table(result.report.values))
        self._plot.show_scores(result.report.scores)
        for layer in self._reference_layers():
            layer.visible = False  # errors would not be seen among labels of the same colours
        with no_garbage_collection():
            for layer, wrong in zip(references, result.errors, strict=True):
                self._show_errors(layer, wrong)
        seen = result.report.about.get("radiographs")
        self._status.value = (
            f"Segmented {seen} with the likeliest class everywhere. " if seen else ""
        ) + (
            "Errors are shown in the colour of what was wrongly predicted; labels are hidden "
            "meanwhile: the eyes in the layer list show them."
        )

    def _show_errors(self, reference: Labels, wrong: dict[layers.Index, Any]) -> None:
        if reference not in self._viewer.layers:
            return
        data = np.zeros(layers.Radiographs.of(reference).shape, np.uint8)
        for index, values in wrong.items():
            data[index] = values
        place = layers.placement(reference)
        layer = self._errors.get(reference)
        if layer is not None and layer in self._viewer.layers and layer.data.shape == data.shape:
            layer.data = data
            for key, value in place.items():
                setattr(layer, key, value)
            return
        name = f"{reference.name} errors"
        layer = Labels(data, name=name, **tissue_appearance(_ERRORS), **place)
        painted.mark_passing(layer)
        self._errors[reference] = layer
        self._viewer.layers.append(layer)

    def _show_progress(self, news: Progress) -> None:
        self._status.value = "Cancelling…" if self._task.is_cancelling else news.message
        show_share(self._progress, news)

    def _on_layers_changed(self) -> None:
        if self._task.dock_ended:
            return
        before = set(self._references.choices)
        self._prediction.reset_choices()
        self._references.reset_choices()
        if set(self._references.choices) - before:
            self._select_newest()
        self._refresh()

    def _select_newest(self) -> None:
        """Propose labels that no network wrote."""
        candidates = [
            layer for layer in self._reference_layers() if not painted.Painted.of(layer).written
        ]
        if candidates and not self._references.value:
            self._references.value = candidates[-1:]

    def _on_model_trained(self, name: str) -> None:
        if not self._task.dock_ended:
            self._prediction.reset_choices()
            if name in self._prediction.choices:
                self._prediction.value = name

    def _refresh(self) -> None:
        running, known = self._task.is_running, bool(self._reference_layers())
        self._run_button.enabled = known and not running
        self._cancel_button.enabled = running
        self._progress.visible = running
        if not known and not running:
            self._status.value = self._why_none()
        elif self._status.value in self._said_none:
            self._status.value = ""

    def _why_none(self) -> str:
        """Say why there is no reference."""
        opened_otherwise = [
            layer.name
            for layer in self._viewer.layers
            if layer.name.endswith("_labels") and not painted.is_tissue(layer)
        ]
        why = _NO_TISSUE.format(name=opened_otherwise[-1]) if opened_otherwise else _NO_LABELS
        self._said_none.add(why)
        return why
