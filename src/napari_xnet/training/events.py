"""What a training run tells while it runs, and what it can be asked meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Started:
    """The network is built and the first step is about to be made.

    Attributes
    ----------
    device : str
        Where it trains, for people: "CPU" or the name of the graphics card.
    precision : {"float32", "mixed_bfloat16"}
    batch : int
        Examples in a batch.
    epoch, epochs : int
        Epochs that are done already, and how many there are at most.
    training, validation : int
        Radiographs that train, and radiographs that validate.
    """

    device: str
    precision: str
    batch: int
    epoch: int
    epochs: int
    training: int
    validation: int


@dataclass(frozen=True)
class Step:
    """A batch was learned.

    Attributes
    ----------
    epoch, epochs : int
        The current epoch, from 1, and how many there are at most.
    step, steps : int
        The current batch in it, from 1, and how many there are.
    seconds_left : float
        Estimate of the time to the last epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds_left: float

    @property
    def done(self) -> int:
        """Batches of all epochs that are done."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def total(self) -> int:
        """Batches of all epochs."""
        return self.epochs * self.steps


@dataclass(frozen=True)
class EpochEnd:
    """An epoch was learned, validated and saved; one row of ``log.csv``.

    Attributes
    ----------
    epoch : int
        From 1; 0 is the base model before it learned anything.
    loss, dice, accuracy : float
        Of the training batches; NaN at epoch 0.
    val_loss, val_dice, val_accuracy : float
        Of the validation labels; NaN if there are none. Dice is the mean over
        the classes.
    learning_rate : float
        After the last step.
    seconds : float
        Time that the epoch took.
    share : float
        Share of the trained weights in the model, see `tether`.
    best : bool
        Whether this is the best epoch so far.
    """

    epoch: int
    loss: float
    dice: float
    accuracy: float
    val_loss: float
    val_dice: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    share: float
    best: bool


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of the watched image now.

    Attributes
    ----------
    key : object
        That of the `Watch` it answers.
    labels : ndarray of uint8, shape (Y, X)
        Values 1 to 3.
    """

    key: Any
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Note:
    """Something that the user should know, one sentence."""

    text: str


Event = Started | Step | EpochEnd | Prediction | Note

Report = Callable[[Event], None]
"""Called with each event; may raise (`Cancelled`) to stop at once."""


@dataclass(frozen=True, eq=False)
class Watch:
    """An image to predict every few seconds.

    Attributes
    ----------
    key : object
        Comes back with each `Prediction`.
    image : ndarray, shape (Y, X) or (Y, X, 3 or 4) if `rgb`
        The radiograph in full size.
    rgb : bool
    """

    key: Any
    image: NDArray[Any]
    rgb: bool = False


class Control(Protocol):
    """What can be asked of a run; it looks after each step."""

    def stop_requested(self) -> bool:
        """Whether to stop after this step and keep the best model so far."""

    def watch(self) -> Watch | None:
        """Return the image to predict, if any."""


class NoControl:
    """Nobody asks anything."""

    def stop_requested(self) -> bool:
        """Do not stop."""
        return False

    def watch(self) -> None:
        """Watch nothing."""
