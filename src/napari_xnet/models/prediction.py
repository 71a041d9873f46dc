"""What a network says of working images, whichever way round they are, at one or several sizes."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.models.card import Preprocessing

Polarity = Literal["auto", "bone bright", "bone dark"]
"""Which way round a radiograph is; ``"auto"`` if that is to be found out."""

POLARITIES: tuple[Polarity, ...] = get_args(Polarity)

Network = Callable[[Any], Any]
"""Probabilities (batch, H, W, 3), a tensor, of images (batch, H, W, 1)."""

Asked = Callable[[NDArray[np.float32], float], NDArray[np.float32]]
"""What a network says of images at a scale, see `asking`."""

_MULTIPLE = 8
_MIRRORS = ((), (2,), (1,), (1, 2))
"""Axes of (N, H, W) that are reversed."""
_LEAST = np.float32(1e-6)
"""Probability below which no answer rules a class out."""
_LEAST_CERTAINTY = np.float32(0.02)
"""Weight of an answer that says nothing."""


def predict(
    network: Network,
    images: NDArray[np.float32],
    preprocessing: Preprocessing,
    polarity: Polarity = "auto",
    *,
    shadows: NDArray[np.bool_] | None = None,
    call_px: int | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """Class probabilities of working images.

    Parameters
    ----------
    network : callable
        Keras' model, or the same `devices.compiled`.
    images : ndarray of float32, shape (N, H, W)
        Working images of one size, H and W multiples of 8.
    preprocessing : Preprocessing
        Its `polarity`, `scales` and `mirrored` say how the network is asked.
    polarity : {"auto", "bone bright", "bone dark"}
        Only a network that knows nothing but bright bones asks for it, see
        `turned`.
    shadows : ndarray of bool, shape (N, H, W), optional
        What does not count when the way round is chosen, see
        `collimation.collimator_shadow`.
    call_px : int, optional
        How many pixels the network gets in one call, but for a single image
        that has more; all at once if None.
    check : callable, optional
        Called before each call of the network; may raise to stop.

    Returns
    -------
    ndarray of float32, shape (N, H, W, 3)
        Probabilities in the order of `tissue.CLASSES`: the normalised geometric
        mean of all answers of the network, in which those count most that are
        sure of what is *not* there (Genest and Zidek 1986, "Combining
        probability distributions", logarithmic opinion pool). In each pixel
        the scales weigh as much as they are certain, 1 less the normalised
        entropy.
    """
    ask = asking(network, call_px, check)
    images = as_seen(ask, images, preprocessing, polarity, shadows)
    views = [images, -images] if preprocessing.polarity == "both" else [images]
    mirrors = _MIRRORS if preprocessing.mirrored else _MIRRORS[:1]
    asked = list(product(views, mirrors))
    pooled = np.zeros((*images.shape, len(tissue.CLASSES)), np.float32)
    weights = np.zeros((*images.shape, 1), np.float32)
    for scale in preprocessing.scales:
        answers = ask(np.concatenate([np.flip(view, axes) for view, axes in asked]), scale)
        mean = np.zeros_like(pooled)
        for (_, axes), answer in zip(asked, np.split(answers, len(asked)), strict=True):
            mean += np.log(np.maximum(np.flip(answer, axes), _LEAST)) / len(asked)
        mean -= np.log(np.exp(mean).sum(axis=-1, keepdims=True))
        weight = _certainty(mean)
        pooled += weight * mean
        weights += weight
    probabilities: NDArray[np.float32] = np.exp(pooled / weights)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities


def as_seen(
    ask: Asked,
    images: NDArray[np.float32],
    preprocessing: Preprocessing,
    polarity: Polarity = "auto",
    shadows: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Turn working images as the network sees them, if it sees them but one way round."""
    if preprocessing.polarity != "bone bright":
        return images
    size_px = min(preprocessing.scales) * preprocessing.size_px
    return turned(ask, images, size_px, polarity, shadows)


def _certainty(logarithm: NDArray[np.float32]) -> NDArray[np.float32]:
    """One less the entropy of probabilities, of which the logarithm is given: 1 if one is sure."""
    entropy = -(np.exp(logarithm) * logarithm).sum(axis=-1, keepdims=True)
    certainty: NDArray[np.float32] = 1 - entropy / np.log(np.float32(logarithm.shape[-1]))
    return np.maximum(certainty, _LEAST_CERTAINTY)


def turned(
    ask: Asked,
    images: NDArray[np.float32],
    size_px: float,
    polarity: Polarity = "auto",
    shadows: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Turn working images so that bone is bright.

    Parameters
    ----------
    ask : callable
        Returns probabilities, shape (N, H, W, 3), of images and the scale at which they are to
        be seen, see `asking`: of a network that knows nothing but bright bones, for it is surer
        of what it knows.
    images : ndarray of float32, shape (N, H, W)
        Standardised, so that their negatives are too.
    size_px : float
        Long side at which they are seen, if they are not smaller.
    polarity : {"auto", "bone bright", "bone dark"}
        ``"auto"``: the negative of an image takes its place where the
        network's probability of the likeliest class is higher there, in the
        mean over the image.
    shadows : ndarray of bool, shape (N, H, W), optional
        Of collimators: what lies around the rest does not count.

    Returns
    -------
    ndarray of float32, shape (N, H, W)
    """
    if polarity == "bone bright":
        return images
    if polarity == "bone dark":
        return -images
    seen = [images] if shadows is None else list(map(_exposed, images[:, np.newaxis], shadows))
    sureness = []
    for part in seen:
        scale = min(1.0, size_px / max(part.shape[1:]))
        likeliest = ask(np.concatenate([part, -part]), scale).max(axis=-1)
        sureness.append(likeliest.mean(axis=(1, 2)).reshape(2, -1))
    as_is, negative = np.concatenate(sureness, axis=1)
    return np.where((negative > as_is)[:, np.newaxis, np.newaxis], -images, images)


def _exposed(image: NDArray[np.float32], shadow: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Cut out (1, H, W) where it is not in the shadow: lead is as bright as bone or as the beam."""
    rows, columns = (np.flatnonzero(~shadow.all(axis=axis)) for axis in (1, 0))
    return image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def asking(
    network: Network,
    call_px: int | None = None,
    check: Callable[[], None] | None = None,
) -> Asked:
    """Return a function by which a network is asked about images at a scale.

    Parameters
    ----------
    network : callable
        Keras' model, or the same `devices.compiled`.
    call_px, check
        See `predict`.

    Returns
    -------
    callable
        Of images, ndarray of float32, shape (N, H, W), both sides multiples of 8, and the factor
        by which they are reduced or enlarged; returns probabilities, ndarray of float32, shape
        (N, H, W, 3).
    """
    from napari_xnet.backend import keras

    def ask(images: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
        size = images.shape[1:]
        reduced = tuple(max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in size)
        count = max(1, call_px // math.prod(reduced)) if call_px else len(images)
        answers = []
        for start in range(0, len(images), count):
            if check:
                check()
            batch: Any = images[start : start + count, ..., np.newaxis]
            if reduced != size:
                batch = keras.ops.image.resize(batch, reduced, antialias=True)
            answer = network(batch)
            if reduced != size:
                answer = keras.ops.image.resize(answer, size)
            answers.append(np.asarray(keras.ops.convert_to_numpy(answer), np.float32))
        return np.concatenate(answers)

    return ask
