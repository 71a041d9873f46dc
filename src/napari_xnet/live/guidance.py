"""Where a stroke would help most."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

_STROKE = 1 / 50
"""Size of a stroke, of the long side of the radiograph."""


def uncertainty(probabilities: NDArray[np.floating], axis: int = -1) -> NDArray[np.float32]:
    """How little a class is ahead of the next one: 0 where one is sure, 1 where two are equal.

    Parameters
    ----------
    probabilities : ndarray of float
        They sum to 1 along `axis`.
    axis : int
        That of the classes.

    Returns
    -------
    ndarray of float32
        One less the margin, without that axis.
    """
    two = np.partition(probabilities, -2, axis=axis)
    first, second = np.take(two, -1, axis=axis), np.take(two, -2, axis=axis)
    return np.asarray(1 - first + second, np.float32)


def next_place(
    probabilities: NDArray[np.float32], painted: NDArray[np.uint8]
) -> tuple[int, int] | None:
    """Find the middle of the region that is least certain.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (H, W, 3)
    painted : ndarray of uint8, shape (H, W)
        Not 0 where a stroke is: nobody need paint there again.

    Returns
    -------
    (int, int) or None
        Row and column; None if all is painted.
    """
    # A stroke is far larger than a pixel: every second one will do.
    probabilities, painted = probabilities[::2, ::2], painted[::2, ::2]
    size = max(1.0, max(painted.shape) * _STROKE)
    near = maximum_filter(painted > 0, round(size))
    if near.all():
        return None
    unsure = np.where(near, 0, uncertainty(probabilities))
    # Many pixels that are unsure together are worth a stroke; a border alone is not.
    pooled = np.where(near, -1, gaussian_filter(unsure, size / 2))
    row, column = np.unravel_index(int(pooled.argmax()), pooled.shape)
    return 2 * int(row), 2 * int(column)
