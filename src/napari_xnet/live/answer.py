"""What live segmentation says of a radiograph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import XNetError


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known of a radiograph after a stroke.

    Attributes
    ----------
    labels : ndarray of uint8, shape (Y, X)
        Painted pixels are as they were painted.
    uncertainty : ndarray of uint8, shape (Y, X), optional
        From 0 to 255, see `guidance.uncertainty`; if it was asked for.
    next_places : tuple of (float, float)
        Rows and columns where a stroke would help most, the best first.
    painted : bool
        Whether strokes count in it, or it is what the model says.
    """

    labels: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8] | None
    next_places: tuple[tuple[float, float], ...]
    painted: bool


class Forgotten(XNetError):
    """A radiograph is not known, or not any more: `LiveSession.describe` must see it again."""
