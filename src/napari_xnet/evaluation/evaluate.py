"""Evaluate segmentations that are arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xnet.errors import ImageError
from napari_xnet.evaluation.report import Report
from napari_xnet.evaluation.scores import Evaluation

Images = ArrayLike | Sequence[ArrayLike]


def evaluate(
    labels_pred: Images,
    labels_true: Images,
    probabilities: Images | None = None,
    *,
    names: Sequence[str] | None = None,
    pixel_size_mm: float | None = None,
) -> Report:
    """Compare segmentations with labels.

    Parameters
    ----------
    labels_pred : array of int, shape (Y, X) or (..., Y, X), or a sequence of (Y, X)
        1 open beam, 2 soft tissue, 3 bone.
    labels_true : array of int or sequence, as `labels_pred`
        The same; 0 where nobody annotated: such pixels do not count, nor do
        images in which there are no others.
    probabilities : array of float, shape (3, Y, X) or (3, ..., Y, X), or a sequence of (3, Y, X)
        For AUC and calibration, as ``segment(…).probabilities``.
    names : sequence of str, optional
        Of the images.
    pixel_size_mm : float, optional
        Edge length of a pixel, for distances in mm.

    Returns
    -------
    Report
        Its `values` are the numbers; its `write` writes them as JSON, CSV and
        an HTML page.

    Raises
    ------
    ImageError
        If numbers or sizes of images differ, values are none of ours, or
        nothing is annotated.

    Examples
    --------
    >>> import numpy as np
    >>> true = np.array([[1, 2, 2, 3], [0, 2, 2, 3]])
    >>> report = evaluate(np.array([[1, 2, 2, 2], [1, 2, 2, 3]]), true)
    >>> report.values["accuracy"]
    0.8571428571428571
    """
    predicted, true = _images(labels_pred), _images(labels_true)
    said = [None] * len(true) if probabilities is None else _planes(probabilities)
    titles = [f"image {number}" for number in range(len(true))] if names is None else list(names)
    if not len(predicted) == len(true) == len(said) == len(titles):
        raise ImageError(
            f"There are {len(predicted)} predictions, {len(true)} references"
            + (f", {len(said)} sets of probabilities" if probabilities is not None else "")
            + (f", {len(titles)} names" if names is not None else "")
            + ": give as many of each."
        )
    scores = Evaluation()
    for title, labels, one, planes in zip(titles, true, predicted, said, strict=True):
        if np.any(labels):
            scores.add(labels, one, planes, name=title, pixel_size_mm=pixel_size_mm)
    if not scores.images:
        raise ImageError("There is no image to evaluate: nothing is annotated.")
    return Report(scores)


def _images(labels: Any) -> list[NDArray[Any]]:
    """Take stacks, and sequences of images and stacks, apart."""
    if not hasattr(labels, "dtype") and len(labels) and np.ndim(labels[0]) >= 2:
        return [image for one in labels for image in _images(np.asarray(one))]
    array = np.asarray(labels)
    if array.size == 0:
        return []
    if array.ndim < 2:
        raise ImageError(f"Labels have the shape (Y, X) or (..., Y, X), not {array.shape}.")
    return list(array.reshape(-1, *array.shape[-2:]))


def _planes(probabilities: Any) -> list[NDArray[Any] | None]:
    """Take the probabilities of stacks, and sequences of them, apart."""
    if not hasattr(probabilities, "dtype"):
        return [planes for one in probabilities for planes in _planes(np.asarray(one))]
    array = np.asarray(probabilities)
    if array.ndim < 3:
        raise ImageError(f"Probabilities have the shape (3, Y, X), not {array.shape}.")
    planes = array.reshape(len(array), -1, *array.shape[-2:])
    return list(planes.swapaxes(0, 1))
