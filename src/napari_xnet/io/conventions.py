"""Masks of other programs as tissue classes; the convention is always named, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError

TOLERANCE: Final = 100
"""How far each channel of a drawing may be from the colour that is meant."""

_COLORS: Final = {
    tissue.OPEN_BEAM: (255, 255, 255),
    tissue.SOFT_TISSUE: (255, 255, 0),
    tissue.BONE: (0, 0, 255),
}
_TISSUE: Final = "0 unlabelled, " + ", ".join(f"{one.value} {one.name}" for one in tissue.CLASSES)
_INDICES: Final = ", ".join(f"{index} {one.name}" for index, one in enumerate(tissue.CLASSES))
_SHOWN_VALUES: Final = 5


def from_tissue(mask: ArrayLike) -> NDArray[np.uint8]:
    """Check a mask of our own convention: 0 unlabelled, 1 open beam, 2 soft tissue, 3 bone.

    Parameters
    ----------
    mask : array of int or bool, shape (..., Y, X)

    Returns
    -------
    ndarray of uint8, shape (..., Y, X)
        Values 0 to 3.

    Raises
    ------
    ImageError
        If it is no image of whole numbers, or has other values.
    """
    array = _whole_numbers(mask)
    _check_values(array, len(tissue.CLASSES), f"the values of labels are {_TISSUE}")
    return array.astype(np.uint8, copy=False)


def from_indices(mask: ArrayLike) -> NDArray[np.uint8]:
    """Convert class indices of the published XNet code: 0 open beam, 1 soft tissue, 2 bone.

    Parameters
    ----------
    mask : array of int or bool, shape (..., Y, X)

    Returns
    -------
    ndarray of uint8, shape (..., Y, X)
        Values 1 to 3: this convention has no unlabelled pixels.

    Raises
    ------
    ImageError
        If it is no image of whole numbers, or has other values.
    """
    array = _whole_numbers(mask)
    hint = f"class indices are {_INDICES}"
    if array.max() == len(tissue.CLASSES):
        hint += f'; if it is meant as {_TISSUE}, choose "tissue"'
    _check_values(array, len(tissue.CLASSES) - 1, hint)
    return array.astype(np.uint8) + np.uint8(tissue.OPEN_BEAM.value)


def from_rgb(mask: ArrayLike) -> NDArray[np.uint8]:
    """Convert a drawing: white is open beam, yellow soft tissue, blue bone.

    A pixel belongs to the class whose colour it matches in every channel,
    within `TOLERANCE`. The colours are so far apart that no pixel matches
    two; a pixel that matches none, or that is more transparent than opaque,
    is unlabelled.

    Parameters
    ----------
    mask : array of uint8, shape (..., Y, X, 3 or 4)
        Red, green, blue and perhaps alpha.

    Returns
    -------
    ndarray of uint8, shape (..., Y, X)
        Values 0 to 3.

    Raises
    ------
    ImageError
        If it is no colour image of 8 bits a channel.
    """
    array = np.asarray(mask)
    if array.ndim < 3 or array.shape[-1] not in (3, 4) or array.size == 0:
        raise ImageError(
            f"The mask has the shape {array.shape} and no colours: save the drawing in colour, "
            "or choose another convention."
        )
    if array.dtype != np.uint8:
        raise ImageError(
            f"The colours of the mask are {array.dtype}: save the drawing with 8 bits a channel."
        )
    drawn = array[..., 3] >= 128 if array.shape[-1] == 4 else np.True_
    labels = np.full(array.shape[:-1], tissue.UNLABELLED, np.uint8)
    for one, color in _COLORS.items():
        matches = np.broadcast_to(drawn, labels.shape).copy()
        for channel, value in enumerate(color):
            # In 8 bits: a difference in wider numbers takes several times the memory.
            near = array[..., channel]
            matches &= near >= value - TOLERANCE if value else near <= TOLERANCE
        labels[matches] = one.value
    return labels


def from_one_hot(mask: ArrayLike) -> NDArray[np.uint8]:
    """Convert one channel per class, in the order open beam, soft tissue, bone.

    Parameters
    ----------
    mask : array of any real dtype, shape (N, Y, X, 3)
        Values 0 to 1. A pixel has the class whose value is above one half,
        which also takes masks that were interpolated.

    Returns
    -------
    ndarray of uint8, shape (N, Y, X)
        Values 0 to 3; 0 where no value is above one half.

    Raises
    ------
    ImageError
        If shape, type or values are others, or a pixel has two classes.
    """
    array = np.asarray(mask)
    channels = len(tissue.CLASSES)
    if array.ndim != 4 or array.shape[-1] != channels or array.size == 0:
        raise ImageError(
            f"One-hot labels have the shape (N, Y, X, {channels}), but these have {array.shape}."
        )
    if array.dtype.kind not in "biuf" or not ((array >= 0) & (array <= 1)).all():
        raise ImageError(
            "One-hot labels are numbers from 0 to 1, but these have others: "
            "divide them by their maximum, or mend the file."
        )
    chosen = array > 0.5
    if (chosen.sum(-1) > 1).any():
        raise ImageError(
            "The one-hot labels give a pixel two classes: each pixel must have one, or none."
        )
    labels = np.full(array.shape[:-1], tissue.UNLABELLED, np.uint8)
    for index, one in enumerate(tissue.CLASSES):
        labels[chosen[..., index]] = one.value
    return labels


CONVENTIONS: Final[Mapping[str, Callable[[ArrayLike], NDArray[np.uint8]]]] = {
    "tissue": from_tissue,
    "indices": from_indices,
    "rgb": from_rgb,
}
"""The conventions that label files may have, by the names that the command line uses."""


def convert(mask: ArrayLike, convention: str) -> NDArray[np.uint8]:
    """Convert a mask of a named convention to tissue classes.

    Parameters
    ----------
    mask : array, shape (..., Y, X), or (..., Y, X, 3 or 4) for "rgb"
    convention : {"tissue", "indices", "rgb"}
        See `from_tissue`, `from_indices` and `from_rgb`.

    Returns
    -------
    ndarray of uint8, shape (..., Y, X)
        Values 0 to 3.

    Raises
    ------
    ImageError
        If there is no such convention, or the mask does not follow it.
    """
    if convention not in CONVENTIONS:
        raise ImageError(
            f'There is no convention "{convention}" for labels. Known are: '
            f"{', '.join(CONVENTIONS)}."
        )
    return CONVENTIONS[convention](mask)


def _whole_numbers(mask: ArrayLike) -> NDArray[Any]:
    array = np.asarray(mask)
    if array.ndim < 2 or array.size == 0:
        raise ImageError(f"A mask is an image, but this one has the shape {array.shape}.")
    if array.dtype.kind not in "biu":
        raise ImageError(
            f"A mask holds whole numbers, but this one is {array.dtype}: save it as 8-bit integers."
        )
    return array


def _check_values(array: NDArray[Any], last: int, hint: str) -> None:
    if array.min() >= 0 and array.max() <= last:
        return
    others = np.unique(array[(array < 0) | (array > last)])
    shown = ", ".join(str(value) for value in others[:_SHOWN_VALUES])
    more = ", …" if len(others) > _SHOWN_VALUES else ""
    plural = "s" if len(others) > 1 else ""
    raise ImageError(f"The mask has the value{plural} {shown}{more}, but {hint}.")
