"""Weights of a network as a safetensors file: plain arrays, no code."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_xnet.errors import ModelError

if TYPE_CHECKING:
    from napari_xnet.backend import keras


def to_bytes(network: "keras.Model", dtype: type[np.floating] = np.float32) -> bytes:
    """Serialise the weights of a network.

    Parameters
    ----------
    network : keras.Model
    dtype : type
        Type on disk, ``np.float32`` or ``np.float16``.

    Returns
    -------
    bytes
        A safetensors file with one array for each variable, named
        ``layer/variable``.
    """
    arrays = {name: np.asarray(variable, dtype) for name, variable in variables(network).items()}
    return bytes(save(arrays))


def load(network: "keras.Model", path: Path) -> None:
    """Load weights into a network; names and shapes are compared before any array is read.

    Raises
    ------
    ModelError
        If the file is damaged or belongs to another network.
    """
    expected = variables(network)
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if shapes != {name: tuple(variable.shape) for name, variable in expected.items()}:
                raise ModelError(
                    f"The weights {path} do not fit the network that their card names."
                )
            for name, variable in expected.items():
                variable.assign(file.get_tensor(name).astype(np.float32))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights {path} cannot be read: {error}.") from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The weights {path} cannot be read: {error.strerror}.") from error


def variables(network: "keras.Model") -> dict[str, "keras.Variable"]:
    """Variables of a network by ``layer/variable``, in the order of the graph."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
    }
