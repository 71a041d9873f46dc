"""A training run on the command line: a progress bar and one line for each epoch."""

import math
import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from napari_xnet.training.events import EpochEnd, Event, Note, Report, Started, Step


class ProgressBar:
    """Show the events of a run on stderr; a context manager.

    Parameters
    ----------
    report : callable, optional
        Gets the events as well.
    """

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._bar: tqdm | None = None
        self._before = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self._before = event.epoch
                self._say(
                    f"Radiographs with labels that train: {event.training}, that validate: "
                    f"{event.validation}. {event.device}, {event.precision}, "
                    f"batches of {event.batch}."
                )
            case Step():
                self._advance(event)
            case EpochEnd():
                self._say(_line(event))
            case Note():
                self._say(event.text)
        if self._report:
            self._report(event)

    def _advance(self, step: Step) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=step.total,
                initial=self._before * step.steps,
                unit="step",
                leave=False,
                file=sys.stderr,
                disable=None,  # where stderr is no terminal: logs stay short
            )
        self._bar.set_description(f"epoch {step.epoch}/{step.epochs}", refresh=False)
        self._bar.update(step.done - self._bar.n)

    def _say(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)


def _line(row: EpochEnd) -> str:
    parts = [f"epoch {row.epoch}:"]
    for name, value in (
        ("loss", row.loss),
        ("Dice", row.dice),
        ("validation loss", row.val_loss),
        ("Dice", row.val_dice),
        ("accuracy", row.val_accuracy),
    ):
        if math.isfinite(value):
            parts.append(f"{name} {value:.3f}")
    parts.append("(best)" if row.best else "")
    return " ".join(parts).rstrip()
