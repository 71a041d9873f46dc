"""What a network says of working images, whichever way round they are, at one or several sizes."""

from itertools import product
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_xnet.models.card import Preprocessing

if TYPE_CHECKING:
    from napari_xnet.backend import keras

Polarity = Literal["auto", "bone bright", "bone dark"]
"""Which way round a radiograph is; ``"auto"`` if that is to be found out."""

POLARITIES: tuple[Polarity, ...] = get_args(Polarity)

_MULTIPLE = 8
_MIRRORS = ((), (2,), (1,), (1, 2))
"""Axes of (N, H, W) that are reversed."""


def predict(
    network: "keras.Model",
    images: NDArray[np.float32],
    preprocessing: Preprocessing,
    polarity: Polarity = "auto",
) -> NDArray[np.float32]:
    """Class probabilities of working images.

    Parameters
    ----------
    network : keras.Model
    images : ndarray of float32, shape (N, H, W)
        Working images of one size, H and W multiples of 8.
    preprocessing : Preprocessing
        Its `polarity`, `scales` and `mirrored` say how the network is asked.
    polarity : {"auto", "bone bright", "bone dark"}
        Only a network that knows nothing but bright bones asks for it, see
        `turned`.

    Returns
    -------
    ndarray of float32, shape (N, H, W, 3)
        Probabilities in the order of `tissue.CLASSES`, the mean over all that
        the network was asked.
    """
    if preprocessing.polarity == "bone bright":
        images = turned(network, images, min(preprocessing.scales), polarity)
    views = [images, -images] if preprocessing.polarity == "both" else [images]
    mirrors = _MIRRORS if preprocessing.mirrored else _MIRRORS[:1]
    answers = [
        np.flip(_ask(network, np.flip(view, axes), scale), axes)
        for scale, view, axes in product(preprocessing.scales, views, mirrors)
    ]
    return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)


def turned(
    network: "keras.Model",
    images: NDArray[np.float32],
    scale: float = 1.0,
    polarity: Polarity = "auto",
) -> NDArray[np.float32]:
    """Turn working images so that bone is bright.

    Parameters
    ----------
    network : keras.Model
        One that knows nothing but bright bones: it is surer of what it knows.
    images : ndarray of float32, shape (N, H, W)
        Standardised, so that their negatives are too.
    scale : float
        At which the network is asked.
    polarity : {"auto", "bone bright", "bone dark"}
        ``"auto"``: the negative of an image takes its place where the
        network's probability of the likeliest class is higher there, in the
        mean over the image.

    Returns
    -------
    ndarray of float32, shape (N, H, W)
    """
    if polarity == "bone bright":
        return images
    if polarity == "bone dark":
        return -images
    sureness = [
        _ask(network, view, scale).max(axis=-1).mean(axis=(1, 2)) for view in (images, -images)
    ]
    return np.where((sureness[1] > sureness[0])[:, np.newaxis, np.newaxis], -images, images)


def _ask(network: "keras.Model", images: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Probabilities that a network gives images reduced or enlarged by a factor."""
    from napari_xnet.backend import keras

    batch: Any = images[..., np.newaxis]
    size = images.shape[1:]
    reduced = tuple(max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in size)
    if reduced != size:
        batch = keras.ops.image.resize(batch, reduced, antialias=True)
    result = network(batch, training=False)
    if reduced != size:
        result = keras.ops.image.resize(result, size)
    return np.asarray(keras.ops.convert_to_numpy(result), np.float32)
