"""How far predicted borders are from true ones, at full resolution."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_xnet import tissue

TOLERANCE_PX = 2.0
"""Of the boundary F1."""


class SurfaceScores(NamedTuple):
    """Distances between the borders of a class; NaN where one has no border.

    Attributes
    ----------
    hausdorff95_px : float
        95th percentile of the distances from each border to the other, both together.
    mean_distance_px : float
        Mean of the distances from each border to the other, both together
        (average symmetric surface distance).
    boundary_f1 : float
        Harmonic mean of the shares of both borders that have the other
        within `TOLERANCE_PX`.
    """

    hausdorff95_px: float
    mean_distance_px: float
    boundary_f1: float


NOTHING = SurfaceScores(np.nan, np.nan, np.nan)


def surface_scores(labels: NDArray[Any], predicted: NDArray[Any]) -> list[SurfaceScores]:
    """Compare the borders of each class.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Values of `tissue.CLASSES`; 0 where nobody annotated.
    predicted : ndarray of int, shape (Y, X)

    Returns
    -------
    list of SurfaceScores
        One for each of `tissue.CLASSES`. A border is made of the pixels of a
        class that touch another class on one of four sides; the frame is no
        border. Predicted borders are asked for only where there are labels,
        and are no farther from a true border than from what nobody
        annotated, where there may be one.
    """
    known = labels != tissue.UNLABELLED
    unknown = np.argwhere(~known & _beside(known))
    scores = []
    for one in tissue.CLASSES:
        true, found = _border(labels, one.value), _border(predicted, one.value)
        counted = found[known[tuple(found.T)]]
        scores.append(_compare(true, found, np.concatenate([true, unknown]), counted))
    return scores


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find pixels that touch a mask on one of four sides."""
    beside = np.zeros(mask.shape, bool)
    beside[1:] |= mask[:-1]
    beside[:-1] |= mask[1:]
    beside[:, 1:] |= mask[:, :-1]
    beside[:, :-1] |= mask[:, 1:]
    return beside


def _border(labels: NDArray[Any], value: int) -> NDArray[np.intp]:
    """Places of the pixels of a class at another one, shape (N, 2)."""
    other = (labels != value) & (labels != tissue.UNLABELLED)
    return np.argwhere((labels == value) & _beside(other))


def _compare(
    true: NDArray[np.intp],
    found: NDArray[np.intp],
    may_be: NDArray[np.intp],
    counted: NDArray[np.intp],
) -> SurfaceScores:
    """Compare a true with a found border, and what counts of that with where one may be."""
    if not len(true):
        return NOTHING
    if not len(found):
        return SurfaceScores(np.nan, np.nan, 0.0)
    to_found, _ = cKDTree(found).query(true)
    # Where nothing that was found counts, only what was to be found does.
    to_true = cKDTree(may_be).query(counted)[0] if len(counted) else np.zeros(0)
    recall = float((to_found <= TOLERANCE_PX).mean())
    precision = float((to_true <= TOLERANCE_PX).mean()) if len(counted) else recall
    both = recall + precision
    distances = np.concatenate([to_found, to_true])
    return SurfaceScores(
        float(np.percentile(distances, 95)),
        float(distances.mean()),
        2 * recall * precision / both if both else 0.0,
    )
