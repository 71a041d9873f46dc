"""Small pictures of radiographs with what is wrong in their segmentation."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xnet import tissue
from napari_xnet.imaging import working_image

LONG_SIDE_PX = 360
_OPACITY = 0.55

Picture = NDArray[np.uint8]
"""Red, green, blue, shape (Y, X, 3)."""


def radiograph_picture(image: Any) -> Picture:
    """Reduce a radiograph to a picture in grey."""
    values = working_image(image, LONG_SIDE_PX, multiple=1, scaling="unit").unpadded
    grey = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)


def paint(picture: Picture, labels: NDArray[Any]) -> Picture:
    """Lay the colours of labels, of full size, over a picture.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of int, shape (Y, X)
        Values of `tissue.CLASSES`; others stay transparent.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    rows, columns = (
        (np.arange(small) * large // small)
        for small, large in zip(picture.shape, labels.shape, strict=False)
    )
    seen = labels[np.ix_(rows, columns)]
    result = picture.astype(np.float32)
    for one in tissue.CLASSES:
        color = [int(one.color[at : at + 2], 16) for at in (1, 3, 5)]
        here = seen == one.value
        result[here] = (1 - _OPACITY) * result[here] + _OPACITY * np.array(color)
    return result.astype(np.uint8)


def data_url(picture: Picture) -> str:
    """Encode a picture so that it can stand in a page."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
