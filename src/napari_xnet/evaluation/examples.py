"""The images that were segmented worst, as small pictures."""

import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.evaluation.pictures import Picture, paint, radiograph_picture


@dataclass(frozen=True, eq=False)
class Example:
    """An image that was segmented badly.

    Attributes
    ----------
    name : str
    accuracy : float
    radiograph, reference, prediction, errors : Picture
    """

    name: str
    accuracy: float
    radiograph: Picture
    reference: Picture
    prediction: Picture
    errors: Picture


def errors(labels: NDArray[Any], predicted: NDArray[Any]) -> NDArray[Any]:
    """Leave of a prediction only what is wrong.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (Y, X)
        Values of `tissue.CLASSES`; `labels` are 0 where nobody annotated.

    Returns
    -------
    ndarray of the dtype of `predicted`, shape (Y, X)
        What was wrongly predicted, else 0.
    """
    wrong = (labels != tissue.UNLABELLED) & (labels != predicted)
    return np.where(wrong, predicted, predicted.dtype.type(tissue.UNLABELLED))


def keep_worst(
    worst: list[Example],
    most: int,
    name: str,
    accuracy: float,
    image: Any,
    labels: NDArray[Any],
    predicted: NDArray[Any],
) -> None:
    """Add an image to the worst ones, if it is one of them.

    Parameters
    ----------
    worst : list of Example
        The worst first; changed in place.
    most : int
        How many to keep.
    name : str
    accuracy : float
    image : array, shape (Y, X) or (Y, X, 3 or 4)
    labels, predicted : ndarray of int, shape (Y, X)
    """
    if not most or (len(worst) >= most and accuracy >= worst[-1].accuracy):
        return
    radiograph = radiograph_picture(image)
    example = Example(
        name,
        accuracy,
        radiograph,
        paint(radiograph, labels),
        paint(radiograph, predicted),
        paint(radiograph, errors(labels, predicted)),
    )
    bisect.insort(worst, example, key=lambda known: known.accuracy)
    del worst[most:]
