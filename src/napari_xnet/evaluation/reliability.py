"""Whether a model is right as often as it says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.evaluation.confusion import FIRST, annotated

BINS = 15

Reliability = NDArray[np.float64]
"""Pixels, their confidence in total, and how many were right, by confidence, shape (3, BINS)."""


def reliability(labels: NDArray[Any], probabilities: NDArray[np.floating]) -> Reliability:
    """Compare confidence, the probability of the likeliest class, with being right.

    Parameters
    ----------
    labels : ndarray of int, shape (...)
        Values of `tissue.CLASSES`; pixels with others are left out.
    probabilities : ndarray of float, shape (3, ...)

    Returns
    -------
    ndarray of float64, shape (3, BINS)
    """
    known = annotated(labels)
    confidence = probabilities.max(axis=0)[known]
    right = (probabilities.argmax(axis=0) + FIRST == labels)[known]
    # As usual, a bin holds its upper edge.
    index = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    weights: tuple[NDArray[Any] | None, ...] = (None, confidence, right)
    return np.stack([np.bincount(index, one, BINS).astype(np.float64) for one in weights])


def expected_calibration_error(bins: Reliability) -> float:
    """Mean distance of confidence and accuracy; NaN without pixels.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017, eq. 5, 15 bins.
    """
    pixels, confidence, right = bins
    total = pixels.sum()
    return float(np.abs(confidence - right).sum() / total) if total else float("nan")
