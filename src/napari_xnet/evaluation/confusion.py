"""Counts of true and predicted classes, and what follows from them.

Scores of a class that does not occur where it would have to are NaN: they
are left out of means, and are null in reports.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue

FIRST = tissue.OPEN_BEAM.value
CLASSES = len(tissue.CLASSES)
SOFT = tissue.SOFT_TISSUE.value - FIRST

Counts = NDArray[np.float64]
"""Pixels by true class (rows) and predicted class (columns), shape (..., 3, 3)."""
Scores = NDArray[np.float64]


def annotated(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the pixels that have one of `tissue.CLASSES`."""
    known: NDArray[np.bool_] = (labels >= FIRST) & (labels < FIRST + CLASSES)
    return known


def count(labels: NDArray[Any], predicted: NDArray[Any]) -> Counts:
    """Compare predicted with painted labels.

    Parameters
    ----------
    labels : ndarray of int, shape (...)
        Values of `tissue.CLASSES`; pixels with others are left out.
    predicted : ndarray of int, shape (...)
        Values of `tissue.CLASSES`.

    Returns
    -------
    ndarray of float64, shape (3, 3)
    """
    known = annotated(labels)
    true, found = (values[known].astype(np.intp) - FIRST for values in (labels, predicted))
    index = true * CLASSES + found
    return np.bincount(index, minlength=CLASSES**2).reshape(CLASSES, CLASSES).astype(np.float64)


def accuracy(counts: Counts) -> Any:
    """Share of the pixels whose class was found, shape (...)."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def of_rows(counts: Counts) -> Scores:
    """Shares of the pixels of each true class, shape (..., 3, 3)."""
    shares: Scores = _ratio(counts, counts.sum(axis=-1, keepdims=True))
    return shares


def recall(counts: Counts) -> Scores:
    """Share of each class that was found, shape (..., 3): its true-positive rate."""
    scores: Scores = _ratio(_hits(counts), counts.sum(axis=-1))
    return scores


def precision(counts: Counts) -> Scores:
    """Share of what was taken for each class that is of it, shape (..., 3)."""
    scores: Scores = _ratio(_hits(counts), counts.sum(axis=-2))
    return scores


def false_positive_rate(counts: Counts) -> Scores:
    """Share of all other pixels that were taken for each class, shape (..., 3)."""
    others = counts.sum(axis=(-2, -1))[..., np.newaxis] - counts.sum(axis=-1)
    scores: Scores = _ratio(counts.sum(axis=-2) - _hits(counts), others)
    return scores


def dice(counts: Counts) -> Scores:
    """Dice coefficient (F1) of each class that was painted, shape (..., 3)."""
    painted = counts.sum(axis=-1)
    scores = _ratio(2 * _hits(counts), painted + counts.sum(axis=-2))
    return np.where(painted > 0, scores, np.nan)


def iou(counts: Counts) -> Scores:
    """Intersection over union (Jaccard index) of each class that was painted, shape (..., 3)."""
    painted, hits = counts.sum(axis=-1), _hits(counts)
    scores = _ratio(hits, painted + counts.sum(axis=-2) - hits)
    return np.where(painted > 0, scores, np.nan)


def macro(scores: Scores) -> Any:
    """Mean over the classes that have a score, shape (...)."""
    scored = np.isfinite(scores)
    return _ratio(np.where(scored, scores, 0).sum(axis=-1), scored.sum(axis=-1))


def macro_dice(counts: Counts) -> float:
    """Mean Dice coefficient of the classes that were painted."""
    return float(macro(dice(counts)))


def _hits(counts: Counts) -> Scores:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: Any, whole: Any) -> Any:
    """Quotient, NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)[()]
