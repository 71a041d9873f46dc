"""Pairs of radiograph and labels: what a model is trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError, TrainingError


@dataclass(frozen=True, eq=False)
class Pair:
    """A radiograph and its (partly) painted labels.

    Attributes
    ----------
    name : str
        For messages and files.
    image : array of any real dtype, shape (Y, X), or (Y, X, 3 or 4) in colour
    labels : array of int, shape (Y, X)
        Values of `tissue.CLASSES`; 0 is not annotated and carries no loss.
    group : str
        Body part or the like, "" for none; groups are evened out.
    part : {"", "train", "validation"}
        Which side of the split the pair is on, "" to leave that to the
        split.
    """

    name: str
    image: Any
    labels: Any
    group: str = ""
    part: Literal["", "train", "validation"] = ""


def count_classes(labels: NDArray[Any]) -> dict[int, int]:
    """Count the painted pixels of each tissue class.

    Parameters
    ----------
    labels : ndarray of int

    Returns
    -------
    dict from int to int
        One entry for each of `tissue.CLASSES`.
    """
    return {one.value: int(np.count_nonzero(labels == one.value)) for one in tissue.CLASSES}


def check_pair(pair: Pair) -> bool:
    """Refuse a pair that cannot be trained on.

    Parameters
    ----------
    pair : Pair

    Returns
    -------
    bool
        Whether anything is painted.

    Raises
    ------
    ImageError
        If image and labels differ in shape, or the labels are not tissue
        classes.
    """
    labels = np.asarray(pair.labels)
    image_shape = tuple(int(size) for size in np.shape(pair.image)[:2])
    if labels.ndim != 2 or labels.shape != image_shape:
        raise ImageError(
            f"{pair.name}: the image is {_size(image_shape)} px and its labels are "
            f"{_size(labels.shape)}: they must have the same height and width."
        )
    if labels.dtype.kind not in "biu":
        raise ImageError(
            f"{pair.name}: labels are whole numbers, but these are {labels.dtype}: save them as "
            "8-bit integers."
        )
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    last = tissue.CLASSES[-1].value
    if low < 0 or high > last:
        wrong = high if high > last else low
        raise ImageError(
            f"{pair.name}: the labels hold the value {wrong}. They may be 0 (unlabelled), "
            f"{', '.join(f'{one.value} ({one.name})' for one in tissue.CLASSES)}. Masks of another "
            "convention must be imported as such."
        )
    return high > tissue.UNLABELLED


def check_labels(painted: Mapping[int, int], pairs: int, believes: bool = False) -> list[str]:
    """Refuse labels of which nothing can be learned.

    Parameters
    ----------
    painted : mapping from int to int
        Painted pixels of each tissue class, of all pairs together.
    pairs : int
        How many there are.
    believes : bool
        Whether a base model speaks for what is not painted: then one class is
        enough.

    Returns
    -------
    list of str
        What the user should know.

    Raises
    ------
    TrainingError
        If nothing, or only one class, is painted.
    """
    if not pairs:
        raise TrainingError("There is no pair of image and labels to train on.")
    there = [one.name for one in tissue.CLASSES if painted[one.value]]
    missing = [one.name for one in tissue.CLASSES if not painted[one.value]]
    if not there:
        raise TrainingError(
            "Nothing is painted: all labels are 0. Paint some strokes of each class first."
        )
    if believes:
        return []
    if len(there) == 1:
        raise TrainingError(
            f"Only {there[0]} is painted: paint some {' and '.join(missing)} too, so that there is "
            "something to tell apart."
        )
    return [
        f"No {name} is painted anywhere: the model learns nothing about it." for name in missing
    ]


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
