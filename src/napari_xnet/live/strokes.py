"""A classifier learned from painted pixels, with a network's opinion as a weak prior."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import ExtraTreeClassifier

from napari_xnet import tissue
from napari_xnet.live.description import Description
from napari_xnet.models.forest import Forest

_TREES = 20
_DRAWN = 2000
"""Pixels that a tree is grown from, at most."""
_CHUNK = 2**14
_MOST_PAINTED = 3000
"""Painted pixels of a radiograph, and of all others together, that are learned from; more would
make the answer slower, not better."""
_OPINIONS = 1500
"""Pixels of which the network's opinion counts."""
_OPINION_WEIGHT = 0.5
"""Of all opinions together, of that of as many painted pixels."""
_HALVED_BY = 4000
"""So many painted pixels halve the weight of each opinion."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels of a radiograph, their classes, and how much each counts.

    Attributes
    ----------
    pixels : ndarray of float32, shape (N, F)
    classes : ndarray of uint8, shape (N,)
        Indices of classes.
    weights : ndarray of float32, shape (N,)
    """

    pixels: NDArray[np.float32]
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]

    @classmethod
    def painted(cls, description: Description, labels: NDArray[np.uint8]) -> Self:
        """Take what is painted, at most so much as counts.

        Parameters
        ----------
        description : Description
        labels : ndarray of uint8, shape (H, W)
            On the grid of the working image, see `imaging.working_labels`.
        """
        where = np.flatnonzero(labels)
        if len(where) > _MOST_PAINTED:
            where = np.random.default_rng(0).choice(where, _MOST_PAINTED, replace=False)
        classes = labels.reshape(-1)[where] - np.uint8(tissue.OPEN_BEAM.value)
        return cls(_take(description, where), classes, np.ones(len(where), np.float32))

    @classmethod
    def opinions(cls, description: Description, count: int = _OPINIONS) -> Self:
        """Draw what the network takes some pixels for, with how sure it is as their weights."""
        probabilities = description.probabilities.reshape(-1, len(tissue.CLASSES))
        rng = np.random.default_rng(0)
        where = rng.choice(len(probabilities), min(count, len(probabilities)), replace=False)
        chosen = probabilities[where]
        classes = chosen.argmax(axis=1).astype(np.uint8)
        return cls(_take(description, where), classes, chosen.max(axis=1))

    @classmethod
    def together(cls, several: Sequence[Self]) -> Self:
        """Put samples of several radiographs together."""
        return cls(
            np.concatenate([one.pixels for one in several]),
            np.concatenate([one.classes for one in several]),
            np.concatenate([one.weights for one in several]),
        )

    def __len__(self) -> int:
        """Count the pixels."""
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class Learned:
    """Extremely randomised trees of scikit-learn's trees.

    Attributes
    ----------
    trees : list of ExtraTreeClassifier
        Each knows the same classes.
    """

    trees: list[ExtraTreeClassifier]

    @property
    def classes(self) -> list[int]:
        """Indices of the tissue classes that it knows."""
        return [int(one) for one in self.trees[0].classes_]

    def as_forest(self) -> Forest:
        """Return it as plain arrays."""
        return Forest.of([one.tree_ for one in self.trees], self.classes)

    def predict(self, pixels: NDArray[np.float32], workers: int = 1) -> NDArray[np.float32]:
        """Probabilities of pixels, as `Forest.predict`, but faster."""
        result = np.zeros((len(pixels), len(tissue.CLASSES)), np.float32)
        # Of a node, see `Forest`; of leaves alone they count.
        probabilities = self.as_forest().probabilities

        def fill(start: int) -> None:
            part = slice(start, start + _CHUNK)
            # Chunk by chunk, so that the features of a pixel stay in the cache for all trees.
            total = result[part]
            for tree, known in zip(self.trees, probabilities, strict=True):
                total += known.take(tree.tree_.apply(pixels[part]), axis=0)
            total /= len(self.trees)

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, range(0, len(pixels), _CHUNK)))
        return result


def learn(
    painted: Sequence[Samples],
    opinions: Sequence[Samples],
    workers: int = 1,
    own: int | None = None,
) -> Learned:
    """Learn from strokes, and a little from the network's opinion.

    The opinions together weigh half as much as the strokes at most, and ever
    less the more is painted: one stroke corrects, and does not destroy.

    Parameters
    ----------
    painted, opinions : sequences of Samples
        Of each radiograph; something is painted.
    workers : int
        Threads.
    own : int, optional
        Which of `painted` is the radiograph that the answer is for: all others
        together weigh no more, so that it follows its own strokes however
        many were finished before.

    Returns
    -------
    Learned
        The same for the same samples.
    """
    strokes, prior = Samples.together(_shared(painted, own)), Samples.together(opinions)
    rng = np.random.default_rng(0)
    if len(prior) > _OPINIONS:
        prior = _some(prior, rng.choice(len(prior), _OPINIONS, replace=False))
    mass = float(strokes.weights.sum())
    share = min(1.0, mass / max(1, len(prior)))
    weight = _OPINION_WEIGHT * share / (1 + mass / _HALVED_BY)
    pixels = np.concatenate([strokes.pixels, prior.pixels])
    classes = np.concatenate([strokes.classes, prior.classes])
    weights = np.concatenate([strokes.weights, prior.weights * weight]).astype(float)
    weights /= weights.sum()

    def grow(seed: int) -> ExtraTreeClassifier:
        # A tree that is fully grown obeys whom it knows, whatever that weighs. So the weights say
        # who is drawn, which not every version of scikit-learn's own forest does.
        drawn = np.random.default_rng(seed).multinomial(min(len(weights), _DRAWN), weights)
        tree = ExtraTreeClassifier(max_features="sqrt", random_state=seed)
        return tree.fit(pixels, classes, drawn.astype(float))

    with ThreadPoolExecutor(workers) as pool:
        return Learned(list(pool.map(grow, range(_TREES))))


def _shared(painted: Sequence[Samples], own: int | None) -> list[Samples]:
    """Give each radiograph its share of what is learned from."""
    others = [one for number, one in enumerate(painted) if number != own]
    each = max(1, _MOST_PAINTED // max(1, len(others)))
    rng = np.random.default_rng(0)
    fewer = [
        one if len(one) <= each else _some(one, rng.choice(len(one), each, replace=False))
        for one in others
    ]
    if own is None:
        return fewer
    if not others:
        return [painted[own]]
    heavy = sum(len(one) for one in fewer)
    weight = np.float32(min(1.0, len(painted[own]) / heavy))
    lighter = [Samples(one.pixels, one.classes, one.weights * weight) for one in fewer]
    return [painted[own], *lighter]


def _take(description: Description, where: NDArray[np.intp]) -> NDArray[np.float32]:
    features = description.features
    return features.reshape(-1, features.shape[-1])[where].astype(np.float32)


def _some(samples: Samples, chosen: NDArray[np.intp]) -> Samples:
    return Samples(samples.pixels[chosen], samples.classes[chosen], samples.weights[chosen])
