"""Confidence intervals by drawing images anew."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS = 1000
_AT_ONCE = 50
_SEED = 20190101
_UNDEFINED = 0.05
"""Share of draws that may have no score, for want of a class."""


def interval(
    images: NDArray[Any],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    level: float = 0.95,
) -> NDArray[np.float64]:
    """Interval that holds a score for as many draws of the images as `level` says.

    Images are drawn with replacement, as many as there are, `REPEATS` times
    (percentile bootstrap, B. Efron, R. Tibshirani, "An introduction to the
    bootstrap", 1993, chapter 13). The same images give the same interval.

    Parameters
    ----------
    images : ndarray, shape (images, ...)
        What the score is made of: counts of each image.
    score : callable
        Of the sums of many draws, shape (draws, ...), returns the scores,
        shape (draws, scores).
    level : float

    Returns
    -------
    ndarray of float64, shape (scores, 2)
        Lower and upper end; NaN where a score is not defined for more than a
        twentieth of the draws, or for less than two images.
    """
    count = len(images)
    flat = images.reshape(count, -1).astype(np.float64)
    rng = np.random.default_rng(_SEED)
    scores = []
    for _ in range(0, REPEATS, _AT_ONCE):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE)
        sums = weights.astype(np.float64) @ flat
        scores.append(score(sums.reshape(_AT_ONCE, *images.shape[1:])))
    drawn = np.concatenate(scores)
    if count < 2:
        drawn = np.full_like(drawn, np.nan)
    drawn[:, np.isnan(drawn).mean(axis=0) > _UNDEFINED] = np.nan
    tail = (1 - level) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all draws of a score are undefined
        return np.nanquantile(drawn, [tail, 1 - tail], axis=0).T
