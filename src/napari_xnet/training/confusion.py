"""Counts of true and predicted classes, and what follows from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue

CLASSES = len(tissue.CLASSES)

Counts = NDArray[np.float64]
"""Pixels by true class (rows) and predicted class (columns), shape (3, 3)."""


def count(labels: NDArray[Any], probabilities: NDArray[np.floating]) -> Counts:
    """Compare probabilities with painted labels.

    Parameters
    ----------
    labels : ndarray of int, shape (...)
        Values of `tissue.CLASSES`; others are left out.
    probabilities : ndarray of float, shape (..., 3)

    Returns
    -------
    ndarray of float64, shape (3, 3)
    """
    true = labels.astype(np.intp) - tissue.OPEN_BEAM.value
    known = (true >= 0) & (true < CLASSES)
    predicted = probabilities.argmax(axis=-1)
    index = true[known] * CLASSES + predicted[known]
    return np.bincount(index, minlength=CLASSES**2).reshape(CLASSES, CLASSES).astype(np.float64)


def accuracy(counts: Counts) -> float:
    """Share of the pixels whose class was found; NaN if there are none."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def dice(counts: Counts) -> NDArray[np.float64]:
    """Dice coefficient (F1) of each class, shape (3,); NaN for classes that nobody painted."""
    with np.errstate(invalid="ignore"):
        scores = 2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))
    return np.where(counts.sum(axis=1) > 0, scores, np.nan)


def macro_dice(counts: Counts) -> float:
    """Mean Dice coefficient of the classes that were painted; NaN if there are none."""
    scores = dice(counts)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
