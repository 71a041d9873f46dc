"""Drawing on images: letters, patches, wide blurs and slow variations, all of them fast."""

import functools
import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_xnet.simulation.grid import FloatArray

_CAPITALS = 0.72
"""Height of a capital letter over the size of Pillow's own font."""
_LARGEST_PX = 1500


def lettering(
    text: str, height_px: float, bold: float = 0.0, turn_deg: float = 0.0, mirrored: bool = False
) -> FloatArray:
    """Write text.

    Parameters
    ----------
    text : str
        Lines may be separated by newlines.
    height_px : float
        Height of a capital letter.
    bold : float
        How much thicker the strokes are, of the height.
    turn_deg : float
        Counter-clockwise.
    mirrored : bool
        Whether it is seen from behind.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Share of each pixel that is covered, 0 to 1.
    """
    size = int(np.clip(round(height_px / _CAPITALS), 4, _LARGEST_PX))
    stroke = round(bold * height_px)
    font = _font(size)
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    box = ruler.multiline_textbbox((0, 0), text, font=font, stroke_width=stroke)
    width, height = (max(math.ceil(box[i + 2] - box[i]), 1) + 4 for i in (0, 1))
    page = Image.new("L", (width, height))
    at = (2 - box[0], 2 - box[1])
    ImageDraw.Draw(page).multiline_text(at, text, fill=255, font=font, stroke_width=stroke)
    if mirrored:
        page = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn_deg:
        page = page.rotate(turn_deg, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(page, np.float32) / 255.0


@functools.lru_cache(maxsize=64)
def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)


def paste(onto: FloatArray, patch: FloatArray, row: float, column: float) -> None:
    """Lay a patch on an image, in place; the larger value wins, what lies outside is cut off.

    Parameters
    ----------
    onto : ndarray, shape (Y, X)
    patch : ndarray, shape (H, W)
    row, column : float
        Where its middle lies.
    """
    top = round(row - patch.shape[0] / 2)
    left = round(column - patch.shape[1] / 2)
    first_row, first_column = max(-top, 0), max(-left, 0)
    target = onto[max(top, 0) : max(top + patch.shape[0], 0)]
    target = target[:, max(left, 0) : max(left + patch.shape[1], 0)]
    source = patch[first_row : first_row + target.shape[0]]
    source = source[:, first_column : first_column + target.shape[1]]
    np.maximum(target, source, out=target)


def polygon(points: FloatArray, shape: tuple[int, int], line_px: float | None = None) -> FloatArray:
    """Fill a polygon, or draw a line.

    Parameters
    ----------
    points : ndarray, shape (N, 2)
        Columns and rows of its corners, in pixels from the upper left corner.
    shape : tuple of int
        Of the image.
    line_px : float, optional
        Width of the line; a filled polygon if None.

    Returns
    -------
    ndarray of float32, shape (Y, X)
        Share of each pixel that is covered, 0 to 1.
    """
    # Pillow draws without smoothing: draw larger and average.
    finer = 3 if max(shape) <= 1000 else 1
    page = Image.new("L", (shape[1] * finer, shape[0] * finer))
    corners = [(float(x), float(y)) for x, y in np.asarray(points) * finer]
    if line_px is None:
        ImageDraw.Draw(page).polygon(corners, fill=255)
    else:
        width = max(round(line_px * finer), 1)
        ImageDraw.Draw(page).line(corners, fill=255, width=width, joint="curve")
    return np.asarray(page.reduce(finer) if finer > 1 else page, np.float32) / 255.0


def enlarge(coarse: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Interpolate a coarse image smoothly to a shape.

    Parameters
    ----------
    coarse : ndarray, shape (H, W)
    shape : tuple of int
    """
    page = Image.fromarray(np.ascontiguousarray(coarse, np.float32))
    return np.asarray(page.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32)


def uneven(shape: tuple[int, int], patches: int, rng: np.random.Generator) -> FloatArray:
    """Vary slowly over an image, by a deviation of about 1.

    Parameters
    ----------
    shape : tuple of int
    patches : int
        How many light and dark patches there are along the long side.
    rng : numpy.random.Generator
    """
    count = [max(round(patches * side / max(shape)), 2) for side in shape]
    return enlarge(rng.standard_normal(count), shape)
