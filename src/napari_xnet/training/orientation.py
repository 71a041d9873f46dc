"""Which way round a painted radiograph is: bone bright or bone dark."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.training.examples import Example


def bone_is_dark(image: NDArray[np.float32], labels: NDArray[np.uint8]) -> bool | None:
    """Tell from labels which way round an image is.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
    labels : ndarray of uint8, shape (H, W)
        Values of `tissue.CLASSES`; all others are ignored.

    Returns
    -------
    bool or None
        Whether the densest painted class is darker than the least dense one:
        thin bone may well be darker than thick soft tissue elsewhere, but not
        than the open beam. None if fewer than two are painted, or if they are
        equally bright.
    """
    painted = [image[labels == one.value] for one in tissue.CLASSES]
    means = [float(pixels.mean()) for pixels in painted if len(pixels)]
    if len(means) < 2 or means[-1] == means[0]:
        return None
    return means[-1] < means[0]


def turn(
    example: Example, guess: Callable[[Example], NDArray[np.float32]] | None = None
) -> Example:
    """Turn an example so that bone is bright.

    Parameters
    ----------
    example : Example
        With a standardised image.
    guess : callable, optional
        Returns the image turned; asked where the labels do not tell, and
        where no open beam is painted, without which they are no good judge.
        If None, what the labels do not tell stays as it is.

    Returns
    -------
    Example
    """
    known = np.where(example.labels > tissue.UNLABELLED, example.labels, example.validation)
    if example.shadow is not None:  # lead is as bright as bone or as the beam
        known = np.where(example.shadow, tissue.UNLABELLED, known)
    dark = bone_is_dark(example.image, known)
    if guess and (dark is None or not (known == tissue.OPEN_BEAM.value).any()):
        return replace(example, image=guess(example))
    return replace(example, image=-example.image) if dark else example
