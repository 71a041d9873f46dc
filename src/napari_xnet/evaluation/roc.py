"""ROC curves of classes against the rest, from histograms: any number of pixels, little memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from napari_xnet.evaluation.confusion import CLASSES, FIRST, annotated

BINS = 2**16
"""Probabilities are told apart in steps of 1 / 65535."""

Histogram = NDArray[np.float64]
"""Pixels by class asked for, true class, and probability, shape (..., 3, 3, bins)."""


def histogram(labels: NDArray[Any], probabilities: NDArray[np.floating]) -> Histogram:
    """Count pixels by what a model says of them and by what they are.

    Parameters
    ----------
    labels : ndarray of int, shape (...)
        Values of `tissue.CLASSES`; pixels with others are left out.
    probabilities : ndarray of float, shape (3, ...)

    Returns
    -------
    ndarray of float64, shape (3, 3, BINS)
    """
    known = annotated(labels)
    offset = (labels[known].astype(np.int32) - FIRST) * BINS
    result = np.empty((CLASSES, CLASSES, BINS))
    for asked, probability in zip(result, probabilities, strict=True):
        steps = np.clip(probability[known] * (BINS - 1) + 0.5, 0, BINS - 1).astype(np.int32)
        asked[:] = np.bincount(offset + steps, minlength=CLASSES * BINS).reshape(CLASSES, BINS)
    return result


def coarse(counts: Histogram) -> NDArray[np.uint32]:
    """Reduce a histogram to some hundred bins, narrow where probabilities are near 0 or 1.

    Returns
    -------
    ndarray of uint32, shape (..., bins)
    """
    return np.add.reduceat(counts, _COARSE_STARTS, axis=-1).astype(np.uint32)


_LOGITS = 1 / (1 + np.exp(-np.linspace(-11, 11, 255)))
_COARSE_STARTS = np.unique(np.concatenate([[0], np.ceil(_LOGITS * (BINS - 1))]).astype(int))


def curve(counts: Histogram, asked: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ROC curve of a class against the rest.

    Parameters
    ----------
    counts : ndarray, shape (..., 3, 3, bins)
    asked : int
        Index of the class.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of float64, shape (..., bins + 1)
        From (0, 0) to (1, 1), by falling threshold; NaN where there is no
        pixel of one side.
    """
    positive = counts[..., asked, asked, ::-1].astype(np.float64)
    negative = counts[..., asked, :, ::-1].sum(axis=-2) - positive
    rates = []
    for side in (negative, positive):
        total = np.cumsum(side, axis=-1)
        with np.errstate(invalid="ignore"):
            rate = total / total[..., -1:]
        rates.append(np.concatenate([np.zeros_like(rate[..., :1]), rate], axis=-1))
    return rates[0], rates[1]


def auc(counts: Histogram) -> NDArray[np.float64]:
    """Area under the ROC curve of each class against the rest, shape (..., 3)."""
    curves = [curve(counts, asked) for asked in range(CLASSES)]
    return np.stack([trapezoid(true, false, axis=-1) for false, true in curves], axis=-1)
