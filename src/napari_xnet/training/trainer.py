"""A network that learns from examples, one batch after the other; nothing of files or progress."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.backend import keras
from napari_xnet.evaluation import confusion
from napari_xnet.io.atomic import atomic_path
from napari_xnet.models import Model, ModelCard
from napari_xnet.models import weights as weight_files
from napari_xnet.models.model import build
from napari_xnet.models.prediction import asking, predict, turned
from napari_xnet.networks.blocks import REDUCTION
from napari_xnet.training import orientation
from napari_xnet.training.config import FineTuning, Loss, TrainingConfig
from napari_xnet.training.examples import BELIEVED, REHEARSED, Example
from napari_xnet.training.losses import CLASSES, make_loss, one_hot
from napari_xnet.training.optimisers import make_optimiser
from napari_xnet.training.rehearsal import rehearsal_examples
from napari_xnet.training.sampling import Batch, Sampler
from napari_xnet.training.tether import Tether

_Pixel = TypeVar("_Pixel", bound=np.generic)

_ENCODER = ("enc", "flat1")
"""How the names of the layers of the first encoder begin."""


class Trainer:
    """Train a network.

    Parameters
    ----------
    config : TrainingConfig
    card : ModelCard
        Architecture and preprocessing of the network.
    examples : sequence of Example
    base : Model, optional
        Where the weights come from; random ones if None.
    precision : {"float32", "mixed_bfloat16"}

    Attributes
    ----------
    network : keras.Model
    optimiser : keras.optimizers.Optimizer
    sampler : Sampler
        Where the batches come from.
    patch_px : int
        Side of the patches.
    tether : Tether
        Holds the network to its base.
    validating : list of Example
        Those that have labels for validation.
    """

    def __init__(
        self,
        config: TrainingConfig,
        card: ModelCard,
        examples: Sequence[Example],
        base: Model | None = None,
        precision: str = "float32",
    ) -> None:
        keras.utils.set_random_seed(config.seed)
        self.card = card
        self.network = build(card, precision)
        size = config.patch_px or card.preprocessing.size_px
        self.patch_px = -(-size // REDUCTION) * REDUCTION

        for layer in self.network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.batch_norm_momentum
        held = config.fine_tuning
        rehearsal: list[Example] = []
        if base:
            own = weight_files.variables(self.network)
            for name, variable in weight_files.variables(base.network).items():
                own[name].assign(variable)
            _freeze(self.network, held)
        if card.preprocessing.polarity == "bone bright":
            guess = self._turned if base else None
            examples = [orientation.turn(one, guess) for one in examples]
        config = config.for_polarity(card.preprocessing.polarity)
        self.validating = [one for one in examples if one.validation.any()]
        if base:
            if held.pseudo_labels:
                examples = [
                    one.believe(self._opinion(base, one.image), held.confidence) for one in examples
                ]
            if held.rehearsal:
                rehearsal = rehearsal_examples(card.preprocessing)
        # Random weights are nothing to hold on to.
        limits = (held.share, held.forgetting) if base else (1.0, 1.0)
        self.tether = Tether(self.network, self._familiar_accuracy, *limits)
        self.sampler = Sampler(examples, config, self.patch_px, card.preprocessing, rehearsal)
        self._loss = make_loss(
            config.loss,
            class_weights(config.loss, painted_px(examples)),
            {BELIEVED: held.pseudo_labels, REHEARSED: held.rehearsal} if base else {},
            wrong_polarity=config.sampling.wrong_polarity > 0,
        )
        self._counts = _Counts()
        self.begin_epoch()
        self.optimiser = make_optimiser(config.optimiser, config.epochs * self.sampler.steps)
        # Compiling with XLA takes longer than it saves, and slows bfloat16 down.
        self.network.compile(self.optimiser, self._loss, metrics=[self._counts], jit_compile=False)
        # So that a checkpoint finds all variables.
        self.optimiser.build(self.network.trainable_variables)

    def begin_epoch(self) -> None:
        """Forget the losses and the counts of the batches so far."""
        self._losses: list[float] = []
        self._epoch_counts = np.zeros((CLASSES, CLASSES))

    def learn(self, batch: Batch) -> float:
        """Learn from one batch.

        Returns
        -------
        float
            Mean loss of the batches of this epoch.
        """
        images, targets = batch
        # Some versions of Keras forget the batches before, others do not.
        self.network.reset_metrics()
        loss = self.network.train_on_batch(images, targets, return_dict=True)["loss"]
        self._losses.append(float(loss))
        self._epoch_counts += keras.ops.convert_to_numpy(self._counts.counts)
        return float(np.mean(self._losses))

    def is_finite(self) -> bool:
        """Whether all weights are numbers still."""
        return all(
            np.isfinite(keras.ops.convert_to_numpy(one)).all() for one in self.network.weights
        )

    def counts(self) -> confusion.Counts:
        """Return what the network said of the batches of this epoch, before it learned them."""
        return self._epoch_counts

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        return float(keras.ops.convert_to_numpy(self.optimiser.learning_rate))

    @contextlib.contextmanager
    def as_model(self) -> Iterator[Model]:
        """Make the network what it would be at the end; afterwards it goes on learning.

        Yields
        ------
        Model
        """
        with self.tether.mixed():
            yield Model(self.card, self.network)

    def save_weights(self, path: Path) -> None:
        """Write the weights of the network; the file is the old one or the new one.

        Raises
        ------
        ImageError
            If it cannot be written.
        """
        data = weight_files.to_bytes(self.network)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)

    def load_weights(self, path: Path) -> None:
        """Read what `save_weights` wrote.

        Raises
        ------
        ModelError
            If the file is damaged.
        """
        weight_files.load(self.network, path)

    def validate(self, check: Callable[[], None]) -> tuple[float, confusion.Counts]:
        """Score the network on the labels for validation.

        Parameters
        ----------
        check : callable
            Called between radiographs; what it raises stops the work.

        Returns
        -------
        loss : float
            Mean over the radiographs, and the L2 penalty; NaN if none
            validates.
        counts : ndarray, shape (3, 3)
            See `confusion`.
        """
        losses = []
        # As in the loss of the training, which Keras adds them to.
        penalty = sum(float(keras.ops.convert_to_numpy(one)) for one in self.network.losses)
        counts = np.zeros((CLASSES, CLASSES))
        for one in self.validating:
            check()
            probabilities = self.predict(one.image)
            targets = one.validation[np.newaxis, ..., np.newaxis].astype(np.float32)
            loss = self._loss(targets, probabilities[np.newaxis])
            losses.append(float(keras.ops.convert_to_numpy(loss)))
            counts += _count(one, probabilities)
        return (float(np.mean(losses)) + penalty if losses else math.nan), counts

    @functools.cached_property
    def _familiar(self) -> list[Example]:
        # Half the size is enough to notice what is forgotten, and four times as fast.
        return rehearsal_examples(self.card.preprocessing, self.card.preprocessing.size_px // 2)

    def _familiar_accuracy(self) -> float:
        counts = [_count(one, self._predict(one.image, scales=(1.0,))) for one in self._familiar]
        return float(confusion.accuracy(np.sum(counts, axis=0)))

    def _opinion(self, base: Model, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the base about the image of an example; its classifier, if it has one."""
        if base.forest is None:
            return self.predict(image)
        padding = [(0, -size % REDUCTION) for size in image.shape]
        padded = np.pad(image, padding, mode="edge")[np.newaxis]
        (probabilities,) = base.predict(padded, "bone bright")
        return np.asarray(probabilities[: image.shape[0], : image.shape[1]])

    def predict(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities of the image of an example.

        Without mirror images, which the model is asked about later: four times
        as fast.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)

        Returns
        -------
        ndarray of float32, shape (H, W, 3)
        """
        return self._predict(image)

    def _predict(self, image: NDArray[np.float32], **asked: object) -> NDArray[np.float32]:
        height, width = image.shape
        preprocessing = self.card.preprocessing.model_copy(update={"mirrored": False} | asked)
        result = predict(self.network, _padded(image), preprocessing, "bone bright")
        return result[0, :height, :width]

    def _turned(self, example: Example) -> NDArray[np.float32]:
        height, width = example.image.shape
        preprocessing = self.card.preprocessing
        size_px = min(preprocessing.scales) * preprocessing.size_px
        shadows = None if example.shadow is None else _padded(example.shadow)
        images = turned(asking(self.network), _padded(example.image), size_px, shadows=shadows)
        return images[0, :height, :width]


def _count(one: Example, probabilities: NDArray[np.float32]) -> confusion.Counts:
    predicted = probabilities.argmax(axis=-1) + tissue.OPEN_BEAM.value
    return confusion.count(one.validation, predicted)


def _padded(image: NDArray[_Pixel]) -> NDArray[_Pixel]:
    """Make a batch of an image that the network can pool."""
    padding = [(0, -size % REDUCTION) for size in image.shape]
    return np.pad(image, padding, mode="edge")[np.newaxis]


def painted_px(examples: Sequence[Example]) -> NDArray[np.intp]:
    """Count the painted training pixels of each class, shape (3,)."""
    return np.array(
        [sum(np.count_nonzero(one.labels == c.value) for one in examples) for c in tissue.CLASSES]
    )


def class_weights(config: Loss, painted: NDArray[np.intp]) -> tuple[float, ...]:
    """Weights of the classes in the cross-entropy.

    Parameters
    ----------
    config : Loss
    painted : ndarray of int, shape (3,)
        Painted pixels of each class. ``"balanced"`` weighs a class by the
        inverse square root of them; one that nobody painted weighs nothing.

    Returns
    -------
    tuple of 3 float
        Their mean over the painted classes is 1.
    """
    if isinstance(config.class_weights, tuple):
        return config.class_weights
    if config.class_weights == "equal":
        return (1.0,) * CLASSES
    weights = np.where(painted > 0, 1 / np.sqrt(np.maximum(painted, 1)), 0)
    return tuple((weights / weights[painted > 0].mean()).tolist())


class _Counts(keras.metrics.Metric):  # type: ignore[misc]  # Keras has no types
    """Pixels by true and predicted class, see `confusion`."""

    def __init__(self) -> None:
        super().__init__(name="accuracy")
        self.counts = self.add_variable((CLASSES, CLASSES), "zeros", name="counts")

    def update_state(self, targets: Any, probabilities: Any, sample_weight: None = None) -> None:
        predicted = keras.ops.argmax(keras.ops.reshape(probabilities, (-1, CLASSES)), axis=-1)
        found = keras.ops.one_hot(predicted, CLASSES, dtype="float32")
        self.counts.assign_add(keras.ops.matmul(keras.ops.transpose(one_hot(targets)), found))

    def result(self) -> Any:
        return keras.ops.trace(self.counts) / keras.ops.maximum(keras.ops.sum(self.counts), 1.0)


def _freeze(network: "keras.Model", config: FineTuning) -> None:
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # In Keras this also makes it use, and keep, its statistics.
            layer.trainable = config.batch_norm == "batch"
        elif config.freeze == "encoder":
            layer.trainable = not layer.name.startswith(_ENCODER)
        elif config.freeze == "all but the head":
            layer.trainable = layer.name == "head"
