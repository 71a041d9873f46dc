"""Where a stroke would help most."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

_STROKE = 1 / 50
"""Size of a stroke, of the long side of the radiograph."""
_APART = 3
"""Distance between places, in strokes."""


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


def next_places(
    probabilities: NDArray[np.float32], painted: NDArray[np.uint8], count: int = 5
) -> list[tuple[int, int]]:
    """Find the middles of the regions that are least certain.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (H, W, 3)
    painted : ndarray of uint8, shape (H, W)
        Not 0 where a stroke is: nobody need paint there again.
    count : int
        How many at most.

    Returns
    -------
    list of (int, int)
        Row and column, the best first, apart from each other and, unless the
        image is tiny, from its border; none if all is painted.
    """
    # A stroke is far larger than a pixel: every second one will do.
    probabilities, painted = probabilities[::2, ::2], painted[::2, ::2]
    size = max(1.0, max(painted.shape) * _STROKE)
    near = maximum_filter(painted > 0, round(size))
    margin = round(size)
    if min(painted.shape) > 4 * margin:
        # Blades of the collimator and frames end there: a stroke says little of the rest.
        inside = np.zeros_like(near)
        inside[margin:-margin, margin:-margin] = True
        near |= ~inside
    unsure = np.where(near, 0, uncertainty(probabilities))
    # Many pixels that are unsure together are worth a stroke; a border alone is not.
    pooled = np.where(near, -1, gaussian_filter(unsure, size / 2))
    places: list[tuple[int, int]] = []
    reach = round(_APART * size)
    while len(places) < count and pooled.max() >= 0:
        row, column = np.unravel_index(int(pooled.argmax()), pooled.shape)
        places.append((2 * int(row), 2 * int(column)))
        around = tuple(slice(max(0, at - reach), at + reach + 1) for at in (row, column))
        pooled[around] = -1
    return places
