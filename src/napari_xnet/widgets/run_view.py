"""How a training run is doing: progress, a line of text and the curves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from magicgui.widgets import ProgressBar
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xnet.engine import Progress
from napari_xnet.training.events import EpochEnd, Started, Step
from napari_xnet.training.execution import Summary
from napari_xnet.training.run import Run
from napari_xnet.widgets.curves import Curves
from napari_xnet.widgets.parts import text_line
from napari_xnet.widgets.task import show_share
from napari_xnet.widgets.warm_up import no_garbage_collection
from napari_xnet.wording import duration

if TYPE_CHECKING:
    from napari import Viewer


class RunView(QWidget):
    """Shows what a run reports, from its start to what came of it.

    Parameters
    ----------
    viewer : Viewer
        Whose theme the curves follow.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._name = ""
        self._device = ""
        self._farewell = ""
        self._text = ""
        self._notes: list[str] = []
        self._curves: Curves | None = None
        self._bar = ProgressBar(name="progress", label=" ", value=0, max=1)
        self._bar.native.setVisible(False)
        self._status = text_line("status")
        self._status.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._bar.native)
        layout.addWidget(self._status.native)

    @property
    def has_started(self) -> bool:
        """Whether the network learns, so that there is something to keep."""
        return bool(self._device)

    @property
    def history(self) -> list[EpochEnd]:
        """The epochs that the curves show."""
        return list(self._curves.history) if self._curves else []

    def greet(self, text: str) -> None:
        """Say something as long as there is nothing else to say."""
        if not self._text:
            self._status.value = text

    def begin(self) -> None:
        """Say that a run is being prepared; the curves of the one before stay until it begins."""
        self._device = self._farewell = ""
        self._notes = []
        self._bar.native.setVisible(True)
        self.show_progress(Progress("Starting…"))

    def show_run(self, run: Run) -> None:
        """Show the curves, with the epochs that the run already has."""
        self._name = run.record.name
        self._shown_curves().set_history(run.history())

    def show_epoch(self, epoch: EpochEnd) -> None:
        """Add an epoch to the curves."""
        self._shown_curves().add(epoch)

    def show_progress(self, news: Progress) -> None:
        """Show how far the run is."""
        text = news.message
        if isinstance(started := news.detail, Started):
            self._device = f"{started.device} ({started.precision.removeprefix('mixed_')})"
            text = self._device
        elif isinstance(step := news.detail, Step):
            known = math.isfinite(step.seconds_left)
            left = f"{duration(step.seconds_left)} left, " if known else ""
            text = f"{self._name}: epoch {step.epoch} of {step.epochs}, {left}{self._device}"
        self._say(self._farewell or text)
        show_share(self._bar, news)

    def show_note(self, text: str) -> None:
        """Keep a note below the text: popups go away."""
        if text not in self._notes:
            self._notes.append(text)
            self._say(self._text)

    def say_until_the_end(self, text: str) -> None:
        """Say that the run is about to end, and why, whatever it still reports."""
        self._farewell = text
        self._say(text)

    def end(self, outcome: Summary | str) -> None:
        """Show what came of the run: its model, or a sentence."""
        self._bar.native.setVisible(False)
        if isinstance(outcome, Summary):
            outcome = _describe(outcome, self.history)
        self._say(outcome)

    def curve(self, field: str) -> tuple[list[int], list[float]]:
        """Return epochs and values of a curve, see `Curves.values`."""
        return self._curves.values(field) if self._curves else ([], [])

    def _say(self, text: str) -> None:
        self._text = text
        self._status.value = "\n".join([text, *self._notes])

    def _shown_curves(self) -> Curves:
        if self._curves is None:
            with no_garbage_collection():
                self._curves = Curves(self._viewer)
                layout = self.layout()
                assert layout is not None
                layout.addWidget(self._curves)
        return self._curves


def _describe(summary: Summary, history: Sequence[EpochEnd]) -> str:
    """Sentences on a model and how good it is, and was before."""
    base = next((one for one in history if one.epoch == 0), None)
    known = []
    for text, key in (("accuracy", "val_accuracy"), ("Dice", "val_dice")):
        value = summary.metrics.get(key, math.nan)
        before = getattr(base, key) if base else math.nan
        if math.isfinite(value):
            was = f" (before: {before:.3f})" if math.isfinite(before) else ""
            known.append(f"{text} {value:.3f}{was}")
    quality = f"{', '.join(known)} on what was kept aside" if known else "no validation"
    epochs = f"{summary.epochs} epoch{'s' if summary.epochs != 1 else ''}"
    return (
        f"{summary.name}: {quality}, best of {epochs} in {duration(summary.seconds)}. "
        f"Run: {summary.folder}"
    )
