"""The part of *Train XNet* for live segmentation: buttons, keys, and how far one is."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from magicgui.widgets import CheckBox, PushButton
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xnet import tissue
from napari_xnet.errors import reason
from napari_xnet.io import write_labels_layer
from napari_xnet.io.label_layers import ACCEPTED, METADATA_KEY, marker
from napari_xnet.io.layerdata import layer_name
from napari_xnet.io.tiff import open_tiff
from napari_xnet.widgets import layers, painted
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.live import Live
from napari_xnet.widgets.pairs_table import PairsTable
from napari_xnet.widgets.parts import Lifetime, row, text_line

if TYPE_CHECKING:
    from napari import Viewer

_SAVE_MS = 2000
"""So long after the last stroke it is saved."""

_INVITATION = "Press Live, and the segmentation follows your brush."

KEYS = {
    "toggle": "Control-L",
    "accept": "A",
    "next_place": "N",
    "next_image": "PageDown",
    "previous_image": "PageUp",
}


class LivePanel(QWidget):
    """Live segmentation for someone who labels many radiographs, by mouse or keys alone.

    Parameters
    ----------
    viewer : Viewer
    table : PairsTable
    live : Live
    start_painting : callable
        Makes sure that the displayed radiograph has a layer to paint on.
    """

    def __init__(
        self,
        viewer: "Viewer",
        table: PairsTable,
        live: Live,
        start_painting: Callable[[], None],
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._table = table
        self._live = live
        self._start_painting = start_painting
        self._life = Lifetime(self, self._save_the_rest)
        self._to_save: dict[Labels, Image] = {}
        self._saving: dict[Labels, Image] = {}
        self._paths: dict[str, str] = {}
        """Where labels were saved, by the id of their layer: copies of a layer share metadata."""
        self._errors: dict[str, str] = {}
        self._said = ""

        self.live_button = PushButton(
            name="live",
            label="Live",
            tooltip="Segment the radiograph again after each stroke (Ctrl+L).",
        )
        self.live_button.native.setCheckable(True)
        self.place_button = PushButton(
            name="next_place",
            label="Where next?",
            tooltip="Centre the view on the place where a stroke would help most (N).",
        )
        self.accept_button = PushButton(
            name="accept",
            label="Accept",
            tooltip="Make the live segmentation the labels of this radiograph (A); Ctrl+Z undoes.",
        )
        self.keep_button = PushButton(
            name="keep",
            label="Keep as model",
            tooltip="Save what was learned from the strokes as a model for Segment radiograph.",
        )
        self.deeper_button = PushButton(
            name="deeper",
            label="Train deeper",
            tooltip="Train the network itself for a few minutes, from where the live segmentation "
            "is.",
        )
        self.uncertainty = CheckBox(
            name="uncertainty",
            label="Show uncertainty",
            tooltip="A layer that is bright where two classes are nearly equally likely.",
        )
        self.status = text_line("live_status", lines=2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._rows = [
            row(self.live_button, self.place_button, self.accept_button),
            row(self.keep_button, self.deeper_button),
            row(self.uncertainty),
        ]
        for one in self._rows:
            layout.addWidget(one.native)
        layout.addWidget(self.status.native)

        self._save_soon = QTimer(self)
        self._save_soon.setSingleShot(True)
        self._save_soon.setInterval(_SAVE_MS)
        self._save_soon.timeout.connect(self._save)
        self.live_button.changed.connect(self.turn)
        self.place_button.changed.connect(live.go_to_next_place)
        self.accept_button.changed.connect(self.accept)
        self.uncertainty.changed.connect(live.show_uncertainty)
        live.changed.connect(self.refresh)
        table.changed.connect(self.refresh)
        table.stroke.connect(self._on_stroke)
        table.row_chosen.connect(self._on_row_chosen)
        viewer.dims.events.current_step.connect(self.refresh)
        self.bind_keys()
        self.refresh()

    def bind_keys(self) -> None:
        """Let keys do what the buttons do, wherever the canvas has the focus."""
        actions: dict[str, Callable[[], None]] = {
            "toggle": lambda: self.turn(not self._live.is_on),
            "accept": self.accept,
            "next_place": self._live.go_to_next_place,
            "next_image": functools.partial(self.step, 1),
            "previous_image": functools.partial(self.step, -1),
        }
        for name, key in KEYS.items():
            act = actions[name]
            self._viewer.bind_key(key, lambda _, act=act: act(), overwrite=True)

    def release_keys(self) -> None:
        """Give the keys back."""
        for key in KEYS.values():
            self._viewer.bind_key(key, None)

    def step(self, by: int) -> None:
        """Go to the next or the one before of all radiographs, ready to paint."""
        every = self._every()
        shown = self._live.shown()
        if not every or shown is None:
            return
        keys = [(image, index) for image, index in every]
        value = getattr(self._viewer.layers.selection.active, "selected_label", None)
        here = keys.index((shown.image, shown.index)) if (shown.image, shown.index) in keys else 0
        image, index = keys[int(np.clip(here + by, 0, len(keys) - 1))]
        if image != shown.image:
            self._table.selectRow(self._table.images().index(image))
        place = image.data_to_world((*index, 0, 0))
        before = self._viewer.dims.ndim - image.ndim  # another layer may have more axes
        for axis in range(len(index)):
            self._viewer.dims.set_point(before + axis, place[axis])
        if self._live.is_on:
            self._start_painting()
            layer = self._viewer.layers.selection.active
            if isinstance(layer, Labels) and value in [one.value for one in tissue.CLASSES]:
                layer.selected_label = value

    def accept(self) -> None:
        """Make the live segmentation the labels of the displayed radiograph."""
        shown, answer = self._live.shown(), self._live.answer
        if shown is None or answer is None:
            pending = "This radiograph is still being looked at: wait a moment, then accept."
            show_info(pending if self._live.is_on else "Nothing to accept: press Live (Ctrl+L).")
            return
        if shown.labels is None:
            self._start_painting()
            shown = self._live.shown()
            if shown is None or shown.labels is None:
                return
        if not isinstance(shown.labels.data, np.ndarray):
            show_error(
                f'"{shown.labels.name}" cannot be painted, since its pixels are still on disk: '
                "press New labels layer."
            )
            return
        page = shown.labels.data[shown.index] if shown.index else shown.labels.data
        # Strokes that are newer than the answer stay, and so do values that are no tissue class.
        own = painted.corrections(shown.labels, shown.index, page)
        is_tissue = (page >= 0) & (page <= tissue.CLASSES[-1].value)
        accepted = np.where(is_tissue & (own == 0), answer.labels, page)
        where = np.nonzero(page != accepted)
        fixed = tuple(np.full(len(where[0]), number) for number in shown.index)
        # As if it were painted, so that it can be undone.
        shown.labels.data_setitem((*fixed, *where), accepted[where])
        _entry(shown.labels).setdefault(ACCEPTED, set()).add(shown.index)
        self._live.show_accepted()
        self._to_save[shown.labels] = shown.image
        self._save()
        self._table.fill_soon()
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done, and how far one is."""
        if self._life.ended:
            return
        is_on = self._live.is_on
        with self.live_button.changed.blocked():
            self.live_button.value = is_on
        answer = self._live.answer
        self.place_button.enabled = answer is not None and bool(answer.next_places)
        self.accept_button.enabled = answer is not None
        self.keep_button.enabled = answer is not None and answer.painted
        self.deeper_button.enabled = self.keep_button.enabled
        self.uncertainty.enabled = is_on
        every = self._every() if is_on else []
        accepted = sum(
            index in painted.accepted(labels)
            for image, index in every
            if (labels := self._table.labels_of(image)) is not None
        )
        progress = f"{accepted} of {len(every)} accepted." if every else ""
        status = self._live.status or _INVITATION
        self.status.value = " ".join(filter(None, (status, progress, self._said)))

    def say(self, text: str) -> None:
        """Say something behind the rest."""
        self._said = text
        self.refresh()

    def _every(self) -> list[tuple[Image, Index]]:
        return [
            (image, index)
            for image in self._table.images()
            for index in Radiographs.of(image).indices()
        ]

    def turn(self, on: bool) -> None:
        """Turn live segmentation on, ready to paint, or off."""
        self._said = ""
        self._live.turn(on)
        if on:
            self._start_painting()

    def _on_row_chosen(self) -> None:
        self._said = ""
        if self._live.is_on and not self._life.ended:
            self._start_painting()

    def _on_stroke(self, labels: Labels) -> None:
        image = self._table.image_of(labels)
        if self._live.is_on and image is not None and not self._life.ended:
            self._to_save[labels] = image
            self._save_soon.start()
            self._take_back(labels)

    def _take_back(self, labels: Labels) -> None:
        """Count what is not labelled everywhere any more, because it was undone, no more."""
        shown = self._live.shown()
        if shown is None or shown.labels is None or shown.labels is not labels:
            return
        known = _entry(labels).get(ACCEPTED, set())
        page = shown.labels.data[shown.index] if shown.index else shown.labels.data
        if shown.index in known and not np.all(page):
            known.discard(shown.index)
            self._table.fill_soon()
            self.refresh()

    def _save(self) -> None:
        """Save what was painted, one file after the other, in a thread."""
        if self._saving or not self._to_save or self._life.ended:
            return
        labels, image = self._to_save.popitem()
        try:
            path = self._path_for(labels, image)
        except OSError as error:
            show_error(f"The labels are not saved: {error}")
            return
        self._saving = {labels: image}
        worker = _write_in_thread(path, labels)
        worker.returned.connect(functools.partial(self._on_saved, labels))
        worker.start()

    def _save_the_rest(self) -> None:
        """Save at once what is left when the dock, or napari, is closed."""
        for labels, image in (self._saving | self._to_save).items():
            with contextlib.suppress(OSError):
                _write(self._path_for(labels, image), labels)
        self._to_save.clear()

    def _path_for(self, labels: Labels, image: Image) -> str:
        """Where labels are saved: where they were saved before, or else at a free name.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        known = self._paths.get(str(labels.unique_id))
        return known or str(layers.free_path(labels, _folder_for(image), _name_for(labels, image)))

    def _on_saved(self, labels: Labels, outcome: tuple[str | None, Exception | None]) -> None:
        self._saving = {}
        if self._life.ended:
            return
        path, error = outcome
        if error is not None:
            why = reason(error)
            if why != self._errors.get(str(labels.unique_id)):  # once is enough
                show_error(f"The labels were not saved: {why}")
            self._errors[str(labels.unique_id)] = why
        elif path is not None:
            self._paths[str(labels.unique_id)] = path
            self.say(f"Saved {Path(path).name}.")
        self._save()


def _folder_for(image: Image) -> Path:
    """Where labels of an image are saved: beside its file, or else in a folder of ours."""
    if image.source.path and not image.source.sample:
        return layers.folder_of(image)
    folder = platformdirs.user_data_path("napari-xnet") / "labels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _entry(labels: Labels) -> dict[str, Any]:
    """Our own metadata of a layer."""
    own: dict[str, Any] = labels.metadata.setdefault(METADATA_KEY, {})
    return own


def _name_for(labels: Labels, image: Image) -> str:
    """Name by which labels are found again: that of the image's file, not of its layer."""
    path = image.source.path
    if labels.source.path or not path or image.source.sample:
        return str(labels.name)
    return f"{layer_name(Path(path))}_labels"


@thread_worker
def _write_in_thread(path: str, labels: Labels) -> tuple[str | None, Exception | None]:
    return _write(path, labels)


def _holds(path: str, labels: Labels) -> bool:
    """Whether a file holds these labels already."""
    try:
        with open_tiff(Path(path)) as tif:
            accepted = {tuple(one) for one in marker(tif, 0).get(ACCEPTED, ())}
            same = np.array_equal(tif.asarray(), labels.data)
    except Exception:  # whatever is wrong with it
        return False
    return same and accepted == painted.accepted(labels)


def _write(path: str, labels: Labels) -> tuple[str | None, Exception | None]:
    """Save labels, unless nothing has changed, or nothing is painted that could be saved."""
    try:
        if _holds(path, labels) if Path(path).exists() else not np.any(labels.data):
            return None, None
        write_labels_layer(path, labels.data, labels.as_layer_data_tuple()[1])
    except Exception as error:
        return path, error
    return path, None
