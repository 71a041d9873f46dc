"""The part of *Train XNet* for live segmentation: buttons, keys, and how far one is."""

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

from napari_xnet.errors import XNetError
from napari_xnet.io import write_labels_layer
from napari_xnet.io.label_layers import METADATA_KEY
from napari_xnet.widgets import layers
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.live import Live
from napari_xnet.widgets.pairs_table import PairsTable
from napari_xnet.widgets.parts import Lifetime, row, text_line

if TYPE_CHECKING:
    from napari import Viewer

_ACCEPTED, _SAVED = "accepted", "saved"
_SAVE_MS = 2000
"""So long after the last stroke it is saved."""

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
        self._life = Lifetime(self)
        self._to_save: dict[Labels, Image] = {}
        self._saving = False
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
        self.status = text_line("live_status")
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
        here = keys.index((shown.image, shown.index)) if (shown.image, shown.index) in keys else 0
        image, index = keys[int(np.clip(here + by, 0, len(keys) - 1))]
        if image != shown.image:
            self._table.selectRow(self._table.images().index(image))
        place = image.data_to_world((*index, 0, 0))
        for axis in range(len(index)):
            self._viewer.dims.set_point(axis, place[axis])
        if self._live.is_on:
            self._start_painting()

    def accept(self) -> None:
        """Make the live segmentation the labels of the displayed radiograph."""
        shown, answer = self._live.shown(), self._live.answer
        if shown is None or answer is None:
            show_info("There is no live segmentation to accept: press Live, and wait a moment.")
            return
        if shown.labels is None:
            self._start_painting()
            shown = self._live.shown()
            if shown is None or shown.labels is None:
                return
        page = shown.labels.data[shown.index] if shown.index else shown.labels.data
        where = np.nonzero(np.asarray(page) != answer.labels)
        fixed = tuple(np.full(len(where[0]), number) for number in shown.index)
        # As if it were painted, so that it can be undone.
        shown.labels.data_setitem((*fixed, *where), answer.labels[where])
        _entry(shown.labels).setdefault(_ACCEPTED, set()).add(shown.index)
        self._to_save[shown.labels] = shown.image
        self._save()
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done, and how far one is."""
        if self._life.ended:
            return
        is_on = self._live.is_on
        with self.live_button.changed.blocked():
            self.live_button.value = is_on
        answer = self._live.answer
        self.place_button.enabled = answer is not None and answer.next_place is not None
        self.accept_button.enabled = answer is not None
        self.keep_button.enabled = answer is not None and answer.painted
        self.deeper_button.enabled = self.keep_button.enabled
        self.uncertainty.enabled = is_on
        every = self._every() if is_on else []
        accepted = sum(
            index in _entry(labels).get(_ACCEPTED, ())
            for image, index in every
            if (labels := self._table.labels_of(image)) is not None
        )
        progress = f"{accepted} of {len(every)} accepted." if every else ""
        text = " ".join(filter(None, (self._live.status, progress, self._said)))
        self.status.value = text
        self.status.native.setVisible(bool(text))

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
        self._live.turn(on)
        if on:
            self._start_painting()

    def _on_stroke(self, labels: Labels) -> None:
        image = self._table.image_of(labels)
        if self._live.is_on and image is not None and not self._life.ended:
            self._to_save[labels] = image
            self._save_soon.start()

    def _save(self) -> None:
        """Save what was painted, one file after the other, in a thread."""
        if self._saving or not self._to_save or self._life.ended:
            return
        labels, image = self._to_save.popitem()
        path = _entry(labels).get(_SAVED)
        if path is None:
            try:
                path = str(layers.free_path(labels, _folder_for(image)))
            except OSError as error:
                show_error(f"The labels are not saved: {error}")
                return
        self._saving = True
        worker = _write(path, labels)
        worker.returned.connect(functools.partial(self._on_saved, labels))
        worker.start()

    def _on_saved(self, labels: Labels, outcome: tuple[str | None, XNetError | None]) -> None:
        self._saving = False
        if self._life.ended:
            return
        path, error = outcome
        if error is not None:
            show_error(f"The labels were not saved: {error}")
        elif path is not None:
            _entry(labels)[_SAVED] = path
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


@thread_worker
def _write(path: str, labels: Labels) -> tuple[str | None, XNetError | None]:
    try:
        if not np.any(labels.data):
            return None, None
        write_labels_layer(path, labels.data, labels.as_layer_data_tuple()[1])
    except XNetError as error:
        return path, error
    return path, None
