"""Things that lie in the beam, or over the image: collimator edges, lead markers, cut-outs."""

import math

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.training.augmentation.intensity import Grey

Float = NDArray[np.float32]
Labels = NDArray[np.uint8]
Bool = NDArray[np.bool_]

_LETTERS = [
    np.array([[mark == "#" for mark in row] for row in rows.split()])
    for rows in (
        "#.... #.... #.... #.... #.... #.... #####",
        "####. #...# #...# ####. #.#.. #..#. #...#",
    )
]
"""L and R, as on the markers of the sides of a body."""


def add_collimator(
    patch: Float, labels: Labels, grey: Grey, rng: np.random.Generator
) -> tuple[Float, Labels]:
    """Close the jaws of a collimator over one to four sides.

    Parameters
    ----------
    patch : ndarray of float32, shape (P, P)
    labels : ndarray of uint8, shape (P, P)
    grey : Grey
        Of the working image; the shadow has one of its extremes: dark on a
        detector, bright on a display, and viewers paint it black.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (P, P)
    ndarray of uint8, shape (P, P)
        Open beam in the shadow, as before elsewhere. Where less than half of
        the patch is painted the shadow is not labelled: it would drown strokes.
    """
    covered = _shadow(len(patch), rng)
    value = np.float32(grey.low if rng.random() < 0.5 else grey.high)
    painted = (labels > tissue.UNLABELLED) & (labels <= tissue.CLASSES[-1].value)
    known = 2 * np.count_nonzero(painted) >= labels.size
    shadow = np.uint8(tissue.OPEN_BEAM.value if known else tissue.UNLABELLED)
    return np.where(covered, value, patch), np.where(covered, shadow, labels)


def _shadow(patch_px: int, rng: np.random.Generator) -> Bool:
    """Draw all that is outside of a slightly rotated rectangle."""
    angle = math.radians(rng.uniform(-8, 8))
    along = np.arange(patch_px, dtype=np.float32) - (patch_px - 1) / 2
    y, x = along[:, np.newaxis], along
    down = math.cos(angle) * y - math.sin(angle) * x
    right = math.sin(angle) * y + math.cos(angle) * x
    covered = np.zeros((patch_px, patch_px), bool)
    jaws = [down, -down, right, -right]
    for index in rng.permutation(4)[: rng.integers(1, 5)]:
        covered |= jaws[index] > patch_px * (0.5 - rng.uniform(0.02, 0.25))
    return covered


def add_marker(
    patch: Float, labels: Labels, grey: Grey, rng: np.random.Generator
) -> tuple[Float, Labels]:
    """Lay a letter or a plate of lead into the open beam, if there is room.

    Parameters
    ----------
    patch : ndarray of float32, shape (P, P)
    labels : ndarray of uint8, shape (P, P)
    grey : Grey
        Of the working image. Lead absorbs: it has the extreme that is
        farther from the grey value of the beam.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (P, P)
    ndarray of uint8, shape (P, P)
        As they were: a marker is part of the open beam.
    """
    shape = _marker(len(patch), rng)
    corner = _room(labels == tissue.OPEN_BEAM.value, shape.shape, rng)
    if corner is None:
        return patch, labels
    marked = patch.copy()
    place = marked[corner[0] : corner[0] + shape.shape[0], corner[1] : corner[1] + shape.shape[1]]
    beam = float(place.mean())
    place[shape] = grey.low if beam - grey.low > grey.high - beam else grey.high
    return marked, labels


def _marker(patch_px: int, rng: np.random.Generator) -> Bool:
    size_px = rng.uniform(0.04, 0.12) * patch_px
    kind = rng.integers(len(_LETTERS) + 1)
    if kind == len(_LETTERS):
        height, width = (max(1, round(size_px * rng.uniform(0.3, 1))) for _ in range(2))
        return np.ones((height, width), bool)
    letter = _LETTERS[kind]
    factor = max(1, round(size_px / len(letter)))
    letter = np.kron(letter, np.ones((factor, factor), bool))
    # Films are put on the viewer in any way.
    letter = np.rot90(letter, int(rng.integers(4)))
    return np.asarray(letter[:, ::-1] if rng.random() < 0.5 else letter)


def _room(free: Bool, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int] | None:
    """Draw the corner of a rectangle in which all is free."""
    height, width = shape
    if height > free.shape[0] or width > free.shape[1] or np.count_nonzero(free) < height * width:
        return None
    total = np.zeros((free.shape[0] + 1, free.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(free, axis=0, dtype=np.int32), axis=1, out=total[1:, 1:])
    inside = total[height:, width:] - total[:-height, width:]
    inside += total[:-height, :-width] - total[height:, :-width]
    corners = np.flatnonzero(inside == height * width)
    if not corners.size:
        return None
    y, x = divmod(int(rng.choice(corners)), inside.shape[1])
    return y, x


def cut_out(
    patch: Float, labels: Labels, grey: Grey, rng: np.random.Generator
) -> tuple[Float, Labels]:
    """Replace a rectangle by one grey value [1]_.

    Parameters
    ----------
    patch : ndarray of float32, shape (P, P)
    labels : ndarray of uint8, shape (P, P)
    grey : Grey
        Of the working image.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (P, P)
    ndarray of uint8, shape (P, P)
        Unlabelled in the rectangle, as before elsewhere.

    References
    ----------
    .. [1] T. DeVries, G. W. Taylor, "Improved regularization of convolutional
       neural networks with cutout", arXiv:1708.04552.
    """
    size_px = len(patch)
    sides = [max(1, round(share * size_px)) for share in rng.uniform(0.1, 0.3, 2)]
    y, x = (int(rng.integers(size_px - side + 1)) for side in sides)
    hole = (slice(y, y + sides[0]), slice(x, x + sides[1]))
    patch, labels = patch.copy(), labels.copy()
    patch[hole] = rng.uniform(grey.low, grey.high)
    labels[hole] = tissue.UNLABELLED
    return patch, labels
