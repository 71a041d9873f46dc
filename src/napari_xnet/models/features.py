"""What is known of each pixel of a working image: the ground on which a `Forest` decides."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_xnet.backend import keras

_SIGMA_PX = (1.0, 16.0)
_SIGMAS = 5
_LEAST = 1e-4
"""Probabilities below this are all the same."""


def pixel_features(
    network: "keras.Model", image: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Describe each pixel of a working image.

    Parameters
    ----------
    network : keras.Model
    image : ndarray of float32, shape (H, W)
        As the network sees it, sides multiples of 8.
    probabilities : ndarray of float32, shape (H, W, 3)
        What the network, perhaps asked in several ways, says of it.

    Returns
    -------
    ndarray of float32, shape (H, W, F)
        Intensity, edges and eigenvalues of the Hessian at five scales (as
        ``skimage.feature.multiscale_basic_features``), the features before
        the network's last convolution, and the logarithm of the probabilities.
    """
    from skimage.feature import multiscale_basic_features

    from napari_xnet.backend import keras

    plain = multiscale_basic_features(
        image, sigma_min=_SIGMA_PX[0], sigma_max=_SIGMA_PX[1], num_sigma=_SIGMAS
    )
    convolutions = [one for one in network.layers if isinstance(one, keras.layers.Conv2D)]
    last: Any = keras.Model(network.input, convolutions[-1].input)
    learned = keras.ops.convert_to_numpy(last(image[np.newaxis, ..., np.newaxis], training=False))
    surety = np.log(np.maximum(probabilities, _LEAST))
    return np.concatenate([plain, learned[0], surety], axis=-1, dtype=np.float32)
