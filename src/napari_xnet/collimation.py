"""Where the collimator let no beam through.

Its blades leave straight-edged areas at the borders of a radiograph, which
viewers paint black or white. They tell nothing of the body but may cover more
of the image than it does, and then decide on its mean and variance.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.feature import canny
from skimage.transform import downscale_local_mean, hough_line, hough_line_peaks

Float = NDArray[np.floating[Any]]
Bool = NDArray[np.bool_]

_SMALLEST_PX, _LARGEST_PX = 32, 256
"""Sides of the image in which edges are looked for."""
_ANGLES = np.deg2rad(np.arange(-15.0, 15.5, 0.5))
"""Tilts of a blade."""
_TURN, _SQUARE = np.pi / 4, np.deg2rad(3.0)
"""Blades are at right angles to each other, and so far from it at most."""
_LINES = 24
"""Lines that are looked at for each direction."""
_SUPPORT = 0.75
"""Share of its length where a line must follow an edge of the image."""
_VOTES = 0.3
"""Pixels of an edge that make a line, share of the short side."""
_BAND = 0.02
"""Width of the bands inside and outside of an edge, share of the long side: more than the
penumbra."""
_UNIFORM, _TOLERANCE = 0.9, 0.12
"""Share of a shadow that must be of one grey value, and what counts as one (share of the
image's range): scatter brightens the rim of a shadow."""
_STEPPING, _STEP = 0.4, 0.08
"""Share of an edge where the other side must differ from the shadow, and by how much."""
_ELSEWHERE = 0.08
"""Share of the rest that may have the grey of the shadow: else it is that of the open beam, and
nothing is gained."""
_NEAR_PX, _FAR_PX = 3, 12
_DARKEST, _ABRUPT = 0.25, 0.8
"""How bright it must be close to the edge, at least and relative to farther in: blades end
abruptly, bodies thicken. All px are those of the reduced image, and less than half of its
smallest side."""
_RIM_PX, _RISE = 6, 0.01
"""Widest penumbra, and by how much it brightens from px to px."""
_LEAST_EXPOSED = 0.1
"""Share of an image that something must be in."""


def collimator_shadow(image: Float) -> Bool:
    """Find the shadow of the straight blades of a collimator.

    Parameters
    ----------
    image : ndarray of float, shape (H, W)
        A radiograph of either polarity, a working image for example. NaN
        where nothing is known.

    Returns
    -------
    ndarray of bool, shape (H, W)
        True beyond straight edges (a Hough transform of Canny's edges), square
        to each other, that cut off a uniform area at the border with one of
        the image's extreme grey values, if hardly anything else has it. No
        tilt beyond 15°, no blade that reaches across the centre, no round one.
    """
    result = np.zeros(image.shape, bool)
    factor = int(np.ceil(max(image.shape) / _LARGEST_PX))
    height, width = (size // factor for size in image.shape)
    grey = _grey(image)
    if grey is None or min(height, width) < _SMALLEST_PX:
        return result
    small = downscale_local_mean(grey[: height * factor, : width * factor], (factor, factor))
    edges = canny(small, sigma=1.0, low_threshold=0.01, high_threshold=0.03)
    candidates = list(_lines(edges))
    for level in (0, 1):
        shade = np.abs(small - level)
        lines: list[tuple[float, float, int]] = []
        covered = np.zeros(small.shape, bool)
        for angle, distance in candidates:
            if lines and abs((angle - lines[0][0] + _TURN) % (2 * _TURN) - _TURN) > _SQUARE:
                continue
            beyond = _beyond(small.shape, angle, distance)
            rim = _rim(shade, edges, beyond, covered)
            if rim is not None:
                covered |= beyond > 0
                lines.append((angle, distance, rim))
        if lines and np.mean(shade[~covered] <= _TOLERANCE / 2) <= _ELSEWHERE:
            for angle, distance, rim in lines:
                # Pixels of the reduced image have their centres elsewhere.
                shift = (factor - 1) / 2 * (np.cos(angle) + np.sin(angle))
                result |= _beyond(image.shape, angle, distance * factor + shift) > -rim * factor
    exposed = np.isfinite(image) & ~result
    return result if exposed.mean() >= _LEAST_EXPOSED else np.zeros(image.shape, bool)


def _lines(edges: Bool) -> Iterator[tuple[float, float]]:
    """Yield angle and distance of nearly upright and level lines."""
    for around in (0.0, np.pi / 2):
        votes, angles, distances = hough_line(edges, around + _ANGLES)
        least = _VOTES * min(edges.shape)
        yield from zip(
            *hough_line_peaks(votes, angles, distances, 3, 3, least, _LINES)[1:], strict=True
        )


def _grey(image: Float) -> Float | None:
    """Grey values from 0 to 1; None if there is but one."""
    low, high = np.nanmin(image), np.nanmax(image)
    return np.nan_to_num((image - low) / (high - low)) if high > low else None


def _beyond(shape: tuple[int, ...], angle: float, distance: float) -> Float:
    """Distance of pixels to a line in px, positive on the side without the image's centre."""
    cosine, sine = np.cos(angle), np.sin(angle)
    y, x = np.ogrid[: shape[0], : shape[1]]
    signed = x * cosine + y * sine - distance
    centre = ((shape[1] - 1) * cosine + (shape[0] - 1) * sine) / 2 - distance
    return np.asarray(-signed if centre > 0 else signed)


def _rim(shade: Float, edges: Bool, beyond: Float, known: Bool) -> int | None:
    """Width of the penumbra beside the shadow beyond a line in px; None if there is no shadow."""
    band = _BAND * max(shade.shape)
    outside = shade[(beyond > band) & ~known]
    if not outside.size or np.mean(outside <= _TOLERANCE) < _UNIFORM:
        return None
    # A line crosses each row, or each column, once.
    axis = 1 if np.ptp(beyond[0]) > np.ptp(beyond[:, 0]) else 0
    inside = (beyond < -band / 2) & (beyond > -1.5 * band)
    stepping = np.sum(inside & (shade > _STEP), axis=axis) > inside.sum(axis) / 2
    if not stepping.any() or stepping.sum() < _STEPPING * inside.any(axis).sum():
        return None
    if np.any(edges & (np.abs(beyond) <= 1.5), axis=axis)[stepping].mean() < _SUPPORT:
        return None
    depth = np.where(np.expand_dims(stepping, axis), np.ceil(-beyond), -1).astype(int)
    profile = [float(np.median(shade[depth == px])) for px in range(_FAR_PX + 1)]
    if profile[_NEAR_PX] < max(_DARKEST, _ABRUPT * profile[_FAR_PX]):
        return None
    return int(np.argmin(np.diff(profile[: _RIM_PX + 1], append=0) > _RISE))
