"""State of a run after an epoch: network, optimiser and history in one safetensors file."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_xnet.errors import TrainingError
from napari_xnet.io.atomic import atomic_path
from napari_xnet.models.weights import variables
from napari_xnet.training.events import EpochEnd

if TYPE_CHECKING:
    from napari_xnet.backend import keras


@dataclass
class State:
    """Where a run is.

    Attributes
    ----------
    precision : str
        Keras dtype policy that the run began with.
    batch : int
        Examples in a batch, less than the config says if memory ran out.
    history : list of EpochEnd
        All epochs so far.
    stopped : bool
        Whether the last epoch was cut short to end the training.
    """

    precision: str
    batch: int
    history: list[EpochEnd] = field(default_factory=list)
    stopped: bool = False

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.history[-1].epoch if self.history else 0

    @property
    def best(self) -> EpochEnd | None:
        """The best epoch so far."""
        return next((row for row in reversed(self.history) if row.best), None)


def save_state(
    path: Path, state: State, network: "keras.Model", optimiser: "keras.optimizers.Optimizer"
) -> None:
    """Write a checkpoint; the file is the old one or the new one, whatever happens.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    metadata = {"state": json.dumps(dataclasses.asdict(state))}
    arrays = {name: np.asarray(one) for name, one in _all_variables(network, optimiser).items()}
    data = save(arrays, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def load_state(path: Path) -> State | None:
    """Read where a run is, None if it has not begun.

    Raises
    ------
    TrainingError
        If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            values: dict[str, Any] = json.loads(file.metadata()["state"])
        values["history"] = [EpochEnd(**row) for row in values["history"]]
        return State(**values)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"The checkpoint {path} cannot be read: {error}.") from error


def load_variables(
    path: Path, network: "keras.Model", optimiser: "keras.optimizers.Optimizer"
) -> None:
    """Give network and optimiser the values of a checkpoint.

    Raises
    ------
    TrainingError
        If the file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            for name, variable in _all_variables(network, optimiser).items():
                variable.assign(file.get_tensor(name))
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(f"The checkpoint {path} cannot be read: {error}.") from error


def _all_variables(
    network: "keras.Model", optimiser: "keras.optimizers.Optimizer"
) -> dict[str, "keras.Variable"]:
    of_network = {f"network/{name}": one for name, one in variables(network).items()}
    of_optimiser = {
        f"optimiser/{number:05d}": one for number, one in enumerate(optimiser.variables)
    }
    return of_network | of_optimiser
