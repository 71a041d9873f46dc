"""Live segmentation: labels that follow the brush."""

import functools
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from napari.utils.events import Event
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_xnet.engine import Engine
from napari_xnet.engine.live import LivePair, LiveSettings, live_answer, live_keep, live_prepare
from napari_xnet.engine.messages import Stop
from napari_xnet.errors import Cancelled, XNetError
from napari_xnet.inference import Options
from napari_xnet.live.answer import Answer, Forgotten
from napari_xnet.models import DEFAULT, find_model
from napari_xnet.widgets import layers, painted
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.pairs_table import PairsTable
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.passing_labels import PassingLabels
from napari_xnet.widgets.preferences import Preferences
from napari_xnet.widgets.task import elsewhere
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer

_IDLE_MS = 700
"""So long after the last stroke other radiographs are looked at."""

_RECENT = 6
"""Answers that are kept for radiographs that were shown, or may be shown next."""

Key = tuple[str, Index]
"""Id of an image layer, and which of its radiographs."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The radiograph that is displayed, and the layer that is painted for it."""

    image: Image
    index: Index
    labels: Labels | None

    @property
    def key(self) -> Key:
        """By which the engine knows it."""
        return str(self.image.unique_id), self.index


class Live(QObject):
    """Asks the engine after each stroke, and shows what it answers; the newest request wins.

    Parameters
    ----------
    viewer : Viewer
    dock : QWidget
        With which it ends.
    engine : Engine
    table : PairsTable
        Knows which labels belong to which image.
    base : callable
        Returns the name of the model that describes the pixels.
    """

    changed = Signal()
    """It was turned on or off, or there is another answer."""

    def __init__(
        self,
        viewer: "Viewer",
        dock: QWidget,
        engine: Engine,
        table: PairsTable,
        base: Callable[[], str],
    ) -> None:
        super().__init__(dock)
        self.is_on = False
        self.status = ""
        self._id = uuid.uuid4().hex
        self._viewer = viewer
        self._engine = engine
        self._table = table
        self._base = base
        self._life = Lifetime(dock)
        self._prediction = PassingLabels(viewer, "live")
        self._unsure: Image | None = None
        self._unsure_of: object = None
        self._shows_uncertainty = False
        self._asking = self._again = False
        self._is_preparing = False
        self._next: Key | None = None
        """What is being looked at before it is shown, if that is known."""
        self._wanted: Key | None = None
        """What was asked for in the meantime."""
        self._recent: OrderedDict[Key, Answer] = OrderedDict()
        """Answers for what was shown, or may be shown next."""
        self._has_learned = False
        """Paint that the answer shown does not know."""
        self._pid: int | None = None
        self._settings: LiveSettings | None = None
        self._told: set[Key] = set()
        """What the engine knows; another process knows nothing."""
        self._painted: set[Key] = set()
        """Of whose paint it knows all."""
        self._gone: list[Key] = []
        self._answer: tuple[Key, Answer] | None = None
        self._later: Callable[[], None] | None = None
        """What waits until no answer is awaited."""
        self._revisions: Counter[str] = Counter()
        """How often the labels of an image were painted on, by its id."""
        self._labels_of: dict[str, str] = {}
        """Ids of the labels of each image that the engine knows."""
        self._place = 0
        """How many of its places were gone to."""
        self._alone: Image | None = None
        """The radiograph that was brought up, and the others put away."""
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(_IDLE_MS)
        self._idle.timeout.connect(self._look_ahead)
        table.stroke.connect(self._on_stroke)
        table.changed.connect(self._on_labels_chosen)
        table.changed.connect(self._on_moved)
        viewer.layers.selection.events.active.connect(self._on_moved)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.current_step.connect(self._on_moved)

    def turn(self, on: bool) -> None:
        """Turn it on or off; off, its layers go."""
        if on == self.is_on:
            return
        self.is_on = on
        self._alone = None
        if on:
            self._on_moved()
            self._ask()
        else:
            self._idle.stop()
            self._answer = None
            self._recent.clear()
            self.status = ""
            self._prediction.remove()
            self._remove_uncertainty()
        self.changed.emit()

    def show_uncertainty(self, on: bool) -> None:
        """Show where the classes are nearly equally likely, as a layer."""
        self._shows_uncertainty = on
        if on:
            self._ask()
        else:
            self._remove_uncertainty()

    def shown(self) -> Shown | None:
        """Return the radiograph of the selected layer or row, if it is displayed."""
        active = self._viewer.layers.selection.active
        image = self._table.image_of(active) or self._table.current_image()
        if image is None or image not in self._viewer.layers:
            return None
        index = layers.shown_index(image, self._viewer.dims.point)
        return Shown(image, index, self._table.labels_of(image))

    @property
    def answer(self) -> Answer | None:
        """What the engine said of the radiograph that is displayed."""
        shown = self.shown()
        if self.is_on and self._answer and shown and self._answer[0] == shown.key:
            return self._answer[1]
        return None

    def ask_again(self) -> None:
        """Ask for what is displayed, since what it depends on has changed."""
        self._ask()

    def show_accepted(self) -> None:
        """Hide the live segmentation, which has become the labels."""
        if self._prediction.layer is not None:
            self._prediction.layer.visible = False

    def go_to_next_place(self) -> None:
        """Centre the view on the place where a stroke would help most."""
        shown, answer = self.shown(), self.answer
        if shown is None or answer is None or not answer.next_places:
            return
        # Each time another one, until a stroke is painted.
        place = answer.next_places[self._place % len(answer.next_places)]
        self._place += 1
        place = shown.image.data_to_world((*shown.index, *place))
        centre = list(self._viewer.scene.camera.center)
        centre[-2:] = place[-2:]
        self._viewer.scene.camera.center = tuple(centre)

    def keep(self, folder: Path, finish: Callable[[Exception | None], None]) -> None:
        """Save model and classifier as a new model, in a thread.

        Parameters
        ----------
        folder : Path
        finish : callable
            Gets None, or what went wrong.
        """
        if self._asking or self._again:  # strokes that are on their way count, too
            self._later = functools.partial(self.keep, folder, finish)
            return
        assert self._settings is not None
        worker = _keep(self._engine, self._settings, folder)
        worker.returned.connect(lambda outcome: None if self._life.ended else finish(*outcome))
        worker.start()

    def _on_stroke(self, layer: Labels) -> None:
        if not self.is_on or self._life.ended:
            return
        image = self._table.image_of(layer)
        if image is not None:
            self._revisions[str(image.unique_id)] += 1
            shown = self.shown()
            if shown is not None and shown.image == image and layer.n_edit_dimensions < 3:
                self._painted.discard(shown.key)
            else:
                own = str(image.unique_id)
                self._painted = {key for key in self._painted if key[0] != own}
            self._ask()

    def _on_labels_chosen(self) -> None:
        """Forget the paint of labels that were deleted, or that others have taken the place of."""
        if self._life.ended:
            return
        now = {str(one.unique_id): self._table.labels_of(one) for one in self._table.images()}
        for own, labels in now.items():
            chosen = str(labels.unique_id) if labels is not None else ""
            before = self._labels_of.get(own)
            self._labels_of[own] = chosen
            if before and before != chosen:
                self._forget(own)
                if self.is_on:
                    self._ask()

    def _forget(self, own: str) -> None:
        """Let the engine forget an image, and what is painted on it."""
        self._gone += [key for key in self._told if key[0] == own]
        self._told = {key for key in self._told if key[0] != own}
        self._painted = {key for key in self._painted if key[0] != own}
        for key in [key for key in self._recent if key[0] == own]:
            del self._recent[key]

    def _on_data(self, event: Event) -> None:
        if not self._life.ended:
            self._forget(str(event.source.unique_id))
            if self.is_on:
                self._ask()

    def _on_moved(self) -> None:
        shown = self.shown() if self.is_on and not self._life.ended else None
        if shown is not None and shown.image != self._alone:
            # Else one would paint on what is on top of it.
            self._alone = shown.image
            self._table.show_alone(shown.image)
        if shown is not None and (self._answer is None or self._answer[0] != shown.key):
            if answer := self._recent.get(shown.key):
                self._show(shown, answer)  # at once; strokes made since then count soon
            self._ask()

    def _on_removed(self, event: Event) -> None:
        if self._life.ended:
            return
        own = str(event.value.unique_id)
        self._forget(own)
        if event.value is self._unsure:
            self._unsure = None
        if event.value is self._prediction.layer:  # by the user
            self._prediction.layer = None
            if self.is_on:
                self.turn(False)
                self._say("Live was turned off, since its layer was deleted.")
        elif own == self._prediction.image_id:
            self._prediction.remove()

    def _current_settings(self) -> LiveSettings:
        preferences = Preferences.current()
        base = self._base()
        return LiveSettings(
            model=find_model(DEFAULT if base == "none" else base, preferences.models_folder),
            options=Options(size_px=preferences.size_px, memory_mb=preferences.memory_mb),
            session=self._id,
            cache=platformdirs.user_cache_path("napari-xnet") / "live",
            cache_mb=preferences.live_cache_mb,
        )

    def _ask(self) -> None:
        """Ask for what is displayed; while an answer is awaited, once more after it."""
        if not self.is_on or self._life.ended:
            return
        if self._asking:
            self._again = True
            shown = self.shown()
            self._wanted = shown.key if shown else None
            if self._is_preparing and self._wanted != self._next:
                self._engine.tell(Stop())
            return
        shown = self.shown()
        if shown is None:
            self._say("No image open: File > Open, or File > Open Sample > XNet.")
            return
        try:
            settings = self._begin()
            radiographs = Radiographs.of(shown.image)
        except XNetError as error:
            self._fail(error)
            return
        self._asking, self._again, self._has_learned = True, False, False
        job = _Job(
            settings,
            shown,
            radiographs,
            shown.key in self._told,
            tuple(self._gone),
            self._shows_uncertainty,
            self._revisions[shown.key[0]],
        )
        self._gone = []
        self._idle.stop()
        worker = _answer(self._engine, job)
        worker.returned.connect(lambda outcome: self._on_answer(job, *outcome))
        worker.start()
        if shown.key not in self._told:
            self._say("Looking at the radiograph…")

    def _begin(self) -> LiveSettings:
        """Note what the engine knows: nothing, if it or the settings are new."""
        settings = self._current_settings()
        self._engine.environment = Preferences.current().environment
        self._engine.start()
        if (self._engine.pid, settings) != (self._pid, self._settings):
            self._told, self._painted = set(), set()
            self._recent.clear()
        self._pid, self._settings = self._engine.pid, settings
        return settings

    def _on_answer(self, job: "_Job", answer: Answer | None, error: Exception | None) -> None:
        self._asking = False
        if self._life.ended or not self.is_on:
            return
        key = job.shown.key
        if isinstance(error, Forgotten):
            self._told.discard(key)
            self._painted.discard(key)
            self._again = True
        elif answer is None:
            self._fail(error)
            return
        elif job.shown.image not in self._viewer.layers:
            self._gone.append(key)
        else:
            if key not in self._told:
                job.shown.image.events.data.disconnect(self._on_data)
                job.shown.image.events.data.connect(self._on_data)
            self._told.add(key)
            if self._revisions[key[0]] == job.revision:
                self._painted.add(key)
            shown = self.shown()
            if shown is not None and shown.key == key and job.shown.image in self._viewer.layers:
                self._show(job.shown, answer)
        if self._again:
            self._ask()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Do what had to wait, or else look ahead soon."""
        later, self._later = self._later, None
        if later is not None:
            later()
        self._idle.start()

    def _remember(self, key: Key, answer: Answer) -> None:
        self._recent[key] = answer
        self._recent.move_to_end(key)
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def _show(self, shown: Shown, answer: Answer) -> None:
        self._answer = (shown.key, answer)
        self._place = 0
        self._remember(*self._answer)
        labels = shown.labels
        covers = labels is not None and painted.was_predicted(labels, shown.index)
        self._prediction.show(
            shown.image, shown.index, answer.labels, outlined_over=labels if covers else None
        )
        if answer.uncertainty is not None and self._shows_uncertainty:
            self._show_uncertainty(shown, answer.uncertainty)
        if self._prediction.layer is not None:
            # What is accepted is looked at by itself.
            is_done = shown.labels is not None and shown.index in painted.accepted(shown.labels)
            self._prediction.layer.visible = not is_done
        follows = "Live: it follows your strokes."
        self._say(follows if answer.painted else "Live: paint what the model has got wrong.")

    def _show_uncertainty(self, shown: Shown, values: NDArray[np.uint8]) -> None:
        place = layers.placement(shown.image)
        shape = Radiographs.of(shown.image).shape
        with no_garbage_collection():
            if self._unsure is None or self._unsure.data.shape != shape:
                self._remove_uncertainty()
                selected = set(self._viewer.layers.selection)
                active = self._viewer.layers.selection.active
                self._unsure = Image(
                    np.zeros(shape, np.uint8),
                    name="uncertainty",
                    colormap="magma",
                    blending="additive",
                    contrast_limits=(0, 255),
                    opacity=0.7,
                    **place,
                )
                painted.mark_passing(self._unsure)
                self._viewer.layers.append(self._unsure)
                self._viewer.layers.selection = selected
                self._viewer.layers.selection.active = active
            for name, value in place.items():
                setattr(self._unsure, name, value)
            if self._unsure_of != shown.image.unique_id:
                self._unsure.data[:] = 0  # it was of another stack
                self._unsure_of = shown.image.unique_id
            self._unsure.data[shown.index] = values
            self._unsure.refresh()

    def _remove_uncertainty(self) -> None:
        layer, self._unsure = self._unsure, None
        if layer is not None and layer in self._viewer.layers:
            with no_garbage_collection():
                self._viewer.layers.remove(layer)

    def _look_ahead(self) -> None:
        """Let the engine look at what may be shown next, then at what is painted elsewhere."""
        if not self.is_on or self._asking or self._life.ended or self._settings is None:
            return
        beside, elsewhere = self._others()
        if beside or elsewhere:
            self._asking = self._is_preparing = True
            self._next = beside[0].key if beside else None
            known, revisions = frozenset(self._told), Counter(self._revisions)
            job = _Ahead(self._settings, beside, elsewhere, known, revisions, self._must_stop)
            worker = _prepare(self._engine, job)
            worker.returned.connect(self._on_prepared)
            worker.start()
        elif self._has_learned:
            self._ask()

    def _must_stop(self, key: Key) -> bool:
        """Whether something else is wanted than what may be looked at next."""
        return self._again and self._wanted != key

    def _others(self) -> tuple[list[Shown], list[Shown]]:
        """Neighbours that the engine does not know, and those with paint that it may not know."""
        every = [
            Shown(image, index, self._table.labels_of(image))
            for image in self._table.images()
            for index in Radiographs.of(image).indices()
        ]
        now = self.shown()
        here = next((at for at, one in enumerate(every) if now and one.key == now.key), None)
        neighbours = [] if here is None else every[here + 1 : here + 3] + every[:here][-1:]
        with_paint = {str(pair.image.unique_id) for pair in self._table.pairs()}
        return (
            [one for one in neighbours if one.key not in self._told],
            [
                one
                for at, one in enumerate(every)
                if at != here and one.key[0] in with_paint and one.key not in self._painted
            ],
        )

    def _on_prepared(self, outcome: "_Seen") -> None:
        self._asking = self._is_preparing = False
        if self._life.ended or not self.is_on:
            return
        if outcome.key is not None and outcome.answer is not None:
            self._remember(outcome.key, outcome.answer)
        known = [*outcome.unpainted, *([outcome.key] if outcome.key is not None else [])]
        self._painted.update(
            key for key in known if self._revisions[key[0]] == outcome.revisions[key[0]]
        )
        if outcome.forgotten is not None:
            self._told.discard(outcome.forgotten)
        self._has_learned |= outcome.has_paint
        if outcome.key is not None:
            self._told.add(outcome.key)
        if self._again:
            self._ask()
        else:
            self._go_on()

    def _fail(self, error: Exception | None) -> None:
        self._asking = False
        self._later = None
        self._told.clear()  # whatever it was, begin anew
        self.turn(False)
        if isinstance(error, XNetError) and not isinstance(error, Cancelled):
            show_error(str(error))
            self.status = f"Live segmentation was turned off. {error}"
            self.changed.emit()
        elif error is not None and not isinstance(error, XNetError):
            raise error

    def _say(self, text: str) -> None:
        self.status = text
        self.changed.emit()


@dataclass(frozen=True, eq=False)
class _Job:
    settings: LiveSettings
    shown: Shown
    radiographs: Radiographs
    knows_image: bool
    gone: tuple[Key, ...]
    with_uncertainty: bool
    revision: int


def _nothing() -> None:
    pass


def _paint_of(labels: Labels | None, index: Index) -> NDArray[np.uint8] | None:
    if labels is None:
        return None
    values = Radiographs.of(labels).read(index, _nothing)
    return painted.corrections(labels, index, values)


@thread_worker
def _answer(engine: Engine, job: _Job) -> tuple[Answer | None, Exception | None]:
    try:
        index = job.shown.index
        image = None if job.knows_image else job.radiographs.read(index, _nothing)
        pair = LivePair(job.shown.key, image, _paint_of(job.shown.labels, index))
        with elsewhere():
            found = engine.run(live_answer, job.settings, pair, job.gone, job.with_uncertainty)
    except Exception as error:
        return None, error
    return found, None


@dataclass(frozen=True, eq=False)
class _Ahead:
    settings: LiveSettings
    beside: list[Shown]
    elsewhere: list[Shown]
    known: frozenset[Key]
    revisions: Counter[str]
    must_stop: Callable[[Key], bool]


@dataclass(frozen=True, eq=False)
class _Seen:
    key: Key | None
    """Of the radiograph that the engine looked at."""
    answer: Answer | None
    has_paint: bool
    unpainted: list[Key]
    forgotten: Key | None
    revisions: Counter[str]


@thread_worker
def _prepare(engine: Engine, job: _Ahead) -> _Seen:
    """Let the engine look at one of them: a neighbour, or else the first that has paint."""
    unpainted: list[Key] = []
    for one in (*job.beside, *job.elsewhere):
        if job.must_stop(one.key):
            break
        has_paint, answer = False, None
        try:
            paint = _paint_of(one.labels, one.index)
            has_paint = paint is not None and bool(paint.any())
            if not has_paint and one not in job.beside:
                unpainted.append(one.key)
                continue
            known = one.key in job.known
            image = None if known else Radiographs.of(one.image).read(one.index, _nothing)
            with elsewhere():
                answer = engine.run(live_prepare, job.settings, LivePair(one.key, image, paint))
        except Forgotten:
            return _Seen(None, None, False, unpainted, one.key, job.revisions)
        except Exception:
            # It is said when it is shown; until then it must not be tried for ever.
            return _Seen(one.key, None, False, unpainted, None, job.revisions)
        if answer is None:
            break
        return _Seen(one.key, answer, has_paint, unpainted, None, job.revisions)
    return _Seen(None, None, False, unpainted, None, job.revisions)


@thread_worker
def _keep(engine: Engine, settings: LiveSettings, folder: Path) -> tuple[Exception | None]:
    # A worker that returns an error itself would raise it.
    try:
        with elsewhere():
            engine.run(live_keep, settings, folder)
    except Exception as error:
        return (error,)
    return (None,)
