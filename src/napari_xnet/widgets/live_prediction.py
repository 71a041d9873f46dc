"""What the network says of the displayed image while it trains, as a layer that comes and goes."""

import contextlib
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.events import Event
from qtpy.QtCore import QObject, QTimer

from napari_xnet.engine import Engine
from napari_xnet.errors import ImageError
from napari_xnet.training.events import Prediction, Watch
from napari_xnet.widgets import layers
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.pairs_table import PairsTable
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.passing_labels import PassingLabels
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer

_DEBOUNCE_MS = 200

Key = tuple[str, Index]
"""Id of an image layer, and which of its radiographs."""


class LivePrediction(QObject):
    """Watches the displayed image and shows the predictions that come back.

    They go into a layer of their own, below the painted one; if the user
    deletes it, it stays away until the next training.

    Parameters
    ----------
    viewer : Viewer
    engine : Engine
        That trains.
    table : PairsTable
        Knows which image a Labels layer belongs to.
    """

    def __init__(self, viewer: "Viewer", engine: Engine, table: PairsTable) -> None:
        super().__init__(table)
        self._viewer = viewer
        self._engine = engine
        self._table = table
        self._life = Lifetime(table)
        self._labels = PassingLabels(viewer, "training")
        self._watched: Key | None = None
        self._on = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_DEBOUNCE_MS)
        self._soon.timeout.connect(self._watch)
        viewer.layers.selection.events.active.connect(self._on_moved)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self._on_moved)
        viewer.dims.events.current_step.connect(self._on_moved)

    def prepare(self) -> None:
        """Make the layer, still empty: while the network learns that would take twice as long."""
        self._on = True
        target = self._target()
        if target is not None:
            with contextlib.suppress(ImageError), no_garbage_collection():
                self._labels.prepare(target[0])

    def start(self) -> None:
        """Watch from now on: the training has begun."""
        self._watched = None
        self._watch()

    def show(self, prediction: Prediction) -> None:
        """Show a prediction, unless its image is not there any more."""
        asked = self._watched
        self._watch()  # napari does not say when a layer is hidden or shown
        if prediction.key != asked == self._watched:
            # An earlier request may have arrived after the last one: ask again.
            self._watched = None
            self._watch()
        image_id, index = prediction.key
        image = next(
            (one for one in layers.radiograph_layers(self._viewer) if _id(one) == image_id), None
        )
        if not self._on or image is None or self._watched != prediction.key:
            return
        self._labels.show(image, index, prediction.labels)

    def stop(self) -> None:
        """Take the layer away."""
        self._on = False
        self._soon.stop()
        self._labels.remove()

    def _target(self) -> tuple[Image, Index] | None:
        """Return the image of the selected layer or row, else the topmost one that is shown."""
        images = [one for one in layers.radiograph_layers(self._viewer) if one.visible]
        active = self._viewer.layers.selection.active
        chosen = self._table.image_of(active) or self._table.current_image()
        image = chosen if chosen in images else (images[-1] if images else None)
        return (image, layers.shown_index(image, self._viewer.dims.point)) if image else None

    def _watch(self) -> None:
        """Ask for predictions of what is displayed now."""
        target = self._target() if self._on and not self._life.ended else None
        if target is None:
            return
        image, index = target
        key = (_id(image), index)
        if key == self._watched:
            return
        try:
            radiographs = Radiographs.of(image)
        except ImageError:
            return
        self._watched = key
        _send(self._engine, radiographs, key).start()

    def _on_moved(self) -> None:
        if self._on and not self._life.ended:
            self._soon.start()

    def _on_removed(self, event: Event) -> None:
        if event.value is self._labels.layer and self._on:  # by the user
            self.stop()
        elif _id(event.value) == self._labels.image_id:
            self._labels.remove()
        self._on_moved()


@thread_worker
def _send(engine: Engine, radiographs: Radiographs, key: Key) -> None:
    try:
        image = radiographs.read(key[1], lambda: None)
    except Exception:
        return  # it was removed, or its file: there is nothing to watch
    engine.tell(Watch(key, image, radiographs.rgb))


def _id(layer: Any) -> str:
    return str(layer.unique_id)
