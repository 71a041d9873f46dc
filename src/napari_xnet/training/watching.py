"""What the network says of one image while it learns."""

import math
import time

from napari_xnet.errors import Cancelled
from napari_xnet.inference import segment
from napari_xnet.models import Model, ModelCard
from napari_xnet.training.events import Control, Note, Prediction, Report
from napari_xnet.training.trainer import Trainer

_PAUSE_S = 3.0
_SHARE = 0.2
"""Predictions come this often at most, and take no more than this share of the time."""


class Watcher:
    """Predict the watched image every few seconds.

    Parameters
    ----------
    trainer : Trainer
        What learns.
    control : Control
        Says which image is watched.
    report : callable
        Gets each `Prediction`.
    """

    def __init__(self, trainer: Trainer, control: Control, report: Report) -> None:
        self._trainer, self._control, self._report = trainer, control, report
        self._due = 0.0
        self._key: object = None

    def look(self) -> None:
        """Predict, if an image is watched and it is time."""
        watch = self._control.watch()
        now = time.monotonic()
        if watch is None or (now < self._due and watch.key == self._key):
            return
        self._key = watch.key
        try:
            with self._trainer.as_model() as model:
                quick = Model(_without_mirrors(model.card), model.network)
                labels = segment(watch.image, quick, rgb=watch.rgb).labels
        except Cancelled:
            raise
        except Exception as error:
            # That an image cannot be shown, or not for lack of memory, is no reason to stop.
            self._due = math.inf
            self._report(Note(f"The image is not predicted meanwhile: {error}"))
            return
        taken = time.monotonic() - now
        self._due = time.monotonic() + max(_PAUSE_S, taken / _SHARE)
        self._report(Prediction(watch.key, labels))


def _without_mirrors(card: ModelCard) -> ModelCard:
    """Ask about the image alone, which takes a quarter of the time."""
    preprocessing = card.preprocessing.model_copy(update={"mirrored": False})
    return card.model_copy(update={"preprocessing": preprocessing})
