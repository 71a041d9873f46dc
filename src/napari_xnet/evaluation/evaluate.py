"""Evaluate segmentations that are arrays."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xnet.errors import ImageError
from napari_xnet.evaluation.report import Report
from napari_xnet.evaluation.scores import Evaluation

Images = ArrayLike | Sequence[ArrayLike]


def evaluate(
    labels_pred: Images, labels_true: Images, probabilities: Images | None = None
) -> Report:
    """Compare segmentations with labels.

    Parameters
    ----------
    labels_pred : array of int, shape (Y, X) or (N, Y, X), or a sequence of (Y, X)
        1 open beam, 2 soft tissue, 3 bone.
    labels_true : array of int or sequence, as `labels_pred`
        The same; 0 where nobody annotated: such pixels do not count.
    probabilities : array of float, shape (3, Y, X) or (3, N, Y, X), or a sequence of (3, Y, X)
        For AUC and calibration, as ``segment(…).probabilities``.

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
    predicted, true = list(_images(labels_pred)), list(_images(labels_true))
    said: list[Any] = [None] * len(true)
    if isinstance(probabilities, np.ndarray) and probabilities.ndim == 4:
        said = list(probabilities.swapaxes(0, 1))
    elif isinstance(probabilities, np.ndarray) and probabilities.ndim == 3:
        said = [probabilities]
    elif probabilities is not None:
        said = [np.asarray(one) for one in cast(Sequence[ArrayLike], probabilities)]
    if not len(predicted) == len(true) == len(said):
        raise ImageError(
            f"There are {len(predicted)} predictions, {len(true)} references"
            + (f" and {len(said)} sets of probabilities" if probabilities is not None else "")
            + ": give as many of each."
        )
    if not true:
        raise ImageError("There is no image to evaluate.")
    scores = Evaluation()
    for number, (labels, one, planes) in enumerate(zip(true, predicted, said, strict=True)):
        scores.add(labels, one, planes, name=f"image {number}")
    return Report(scores)


def _images(labels: Any) -> Iterator[NDArray[Any]]:
    """Take a stack, or a sequence of images and stacks, apart."""
    if not hasattr(labels, "dtype") and np.ndim(labels[0]) >= 2:
        for one in labels:
            yield from _images(np.asarray(one))
        return
    array = np.asarray(labels)
    if array.ndim < 2:
        raise ImageError(f"Labels have the shape (Y, X) or (N, Y, X), not {array.shape}.")
    yield from array.reshape(-1, *array.shape[-2:])
