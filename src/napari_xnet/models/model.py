"""A model: a network, its weights and its card."""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ModelError
from napari_xnet.io.atomic import sync
from napari_xnet.models import weights
from napari_xnet.models.card import ModelCard
from napari_xnet.models.features import pixel_features
from napari_xnet.models.forest import Forest
from napari_xnet.models.prediction import Network, Polarity, as_seen, asking, predict

if TYPE_CHECKING:
    from napari_xnet.backend import keras

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
FOREST_FILE = "classifier.safetensors"


class Model:
    """A network with the card that says what it is.

    Attributes
    ----------
    card : ModelCard
    network : keras.Model
        From working images (batch, H, W, 1) to probabilities (batch, H, W, 3). The first
        prediction compiles it: training that follows does not count for this object.
    forest : Forest, optional
        Decides over the network's features, see `live`.
    """

    def __init__(
        self, card: ModelCard, network: "keras.Model", forest: Forest | None = None
    ) -> None:
        self.card = card
        self.network = network
        self.forest = forest

    def __repr__(self) -> str:
        architecture = self.card.architecture
        return f"<Model {self.card.name!r}: {architecture.name} {architecture.filters}>"

    @classmethod
    def load(cls, folder: str | Path) -> "Model":
        """Load a model from its folder.

        Parameters
        ----------
        folder : path
            Folder with ``card.json`` and ``weights.safetensors``.

        Raises
        ------
        ModelError
            If the folder holds no model, or a damaged one.
        """
        folder = Path(folder)
        card = ModelCard.read(folder / CARD_FILE)
        path = folder / WEIGHTS_FILE
        if not path.is_file():
            raise ModelError(f"The model folder {folder} has no {WEIGHTS_FILE}.")
        if weights.sha256(path) != card.weights_sha256:
            raise ModelError(
                f"The weights {path} are not those of their card (SHA-256 differs): the file is "
                "damaged or was changed. Copy or import the model again."
            )
        forest = _load_forest(folder / FOREST_FILE, card)
        network = build(card)
        weights.load(network, path)
        return cls(card, network, forest)

    def save(self, folder: str | Path, dtype: type[np.floating[Any]] = np.float32) -> None:
        """Save the model as a folder with ``card.json`` and ``weights.safetensors``.

        The folder appears whole or not at all; a model that is there already
        is replaced.

        Parameters
        ----------
        folder : path-like
        dtype : type
            Of the weights on disk: ``np.float32``, or ``np.float16`` for half
            the size.

        Raises
        ------
        ModelError
            If the folder cannot be written.
        """
        data = weights.to_bytes(self.network, dtype)
        digest = hashlib.sha256(data).hexdigest()
        changes: dict[str, Any] = {"weights_sha256": digest, "classifier": None}
        files = {WEIGHTS_FILE: data}
        if self.forest:
            files[FOREST_FILE] = self.forest.to_bytes()
            changes["classifier"] = self.forest.shape(files[FOREST_FILE])
        self.card = self.card.model_copy(update=changes)
        write_folder(Path(folder), {CARD_FILE: self.card.to_json().encode(), **files})

    @functools.cached_property
    def _compiled(self) -> Network:
        from napari_xnet.devices import compiled, fastest_precision
        from napari_xnet.networks.folding import folded

        return compiled(folded(self.network, fastest_precision()))

    def predict(
        self,
        images: NDArray[np.float32],
        polarity: Polarity = "auto",
        *,
        shadows: NDArray[np.bool_] | None = None,
        call_px: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities of working images.

        Parameters
        ----------
        images : ndarray of float32, shape (N, H, W)
            Working images of one size, H and W multiples of 8.
        polarity : {"auto", "bone bright", "bone dark"}
        shadows : ndarray of bool, shape (N, H, W), optional
        call_px : int, optional
        check : callable, optional
            All four: see `prediction.predict`.

        Returns
        -------
        ndarray of float32, shape (N, H, W, 3)
            Probabilities in the order of `tissue.CLASSES`.
        """
        if self.forest is None:
            return predict(
                self._compiled,
                images,
                self.card.preprocessing,
                polarity,
                shadows=shadows,
                call_px=call_px,
                check=check,
            )
        found = self.describe(images, polarity, shadows=shadows, call_px=call_px, check=check)
        return np.stack([probabilities for probabilities, _ in found])

    def describe(
        self,
        images: NDArray[np.float32],
        polarity: Polarity = "auto",
        *,
        shadows: NDArray[np.bool_] | None = None,
        call_px: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Tell what the model says of working images, and the features of their pixels.

        Parameters
        ----------
        images, polarity, shadows, call_px, check
            See `predict`.

        Yields
        ------
        probabilities : ndarray of float32, shape (H, W, 3)
        features : ndarray of float32, shape (H, W, F)
            See `pixel_features`.
        """
        preprocessing = self.card.preprocessing
        ask = asking(self._compiled, call_px, check)
        images = as_seen(ask, images, preprocessing, polarity, shadows)
        for image in images:
            (probabilities,) = predict(
                self._compiled,
                image[np.newaxis],
                preprocessing,
                "bone bright",
                call_px=call_px,
                check=check,
            )
            features = pixel_features(self.network, image, probabilities)
            if self.forest is not None:
                if features.shape[-1] != self.forest.features:
                    raise ModelError(
                        f'The classifier of "{self.card.name}" belongs to another network.'
                    )
                pixels = features.reshape(-1, features.shape[-1])
                probabilities = self.forest.predict(pixels).reshape(probabilities.shape)
            yield probabilities, features


def _load_forest(path: Path, card: ModelCard) -> Forest | None:
    if card.classifier is None:
        return None
    if not path.is_file():
        raise ModelError(f"The model folder {path.parent} has no {path.name}.")
    if weights.sha256(path) != card.classifier.sha256:
        raise ModelError(f"{path} is not that of its card (SHA-256 differs): it is damaged.")
    return Forest.load(path, card.classifier)


def build(card: ModelCard, dtype: str | None = None) -> "keras.Model":
    """Build the network that a card describes, with random weights, for any size of image.

    Parameters
    ----------
    card : ModelCard
    dtype : str, optional
        Keras dtype policy, that of the session if None.

    Returns
    -------
    keras.Model
    """
    from napari_xnet.networks import ARCHITECTURES

    architecture = card.architecture
    return ARCHITECTURES[architecture.name](
        (None, None, 1),
        classes=len(card.classes),
        kernel_size=architecture.kernel_size,
        filters=architecture.filters,
        l2=architecture.l2,
        dtype=dtype,
    )


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder of files under a temporary name, then rename it.

    Raises
    ------
    ModelError
        If it cannot be written, or if something is there that is not a model;
        it is then still there.
    """
    if folder.exists() and not _is_model_folder(folder):
        raise ModelError(f"{folder} is there already and is not a model: choose another name.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder.parent) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            for name, data in files.items():
                (new / name).write_bytes(data)
                sync(new / name)
            if folder.exists():
                shutil.move(folder, old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
            sync(folder.parent)
    except OSError as error:
        raise ModelError(
            f"The model cannot be written to {folder}: {error.strerror or error}."
        ) from error


def _is_model_folder(folder: Path) -> bool:
    """Whether a folder holds nothing but (a part of) a model."""
    names = {CARD_FILE, WEIGHTS_FILE, FOREST_FILE}
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= names
