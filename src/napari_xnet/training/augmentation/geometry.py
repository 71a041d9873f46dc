"""Where each pixel of an example comes from: one map of coordinates, one interpolation.

Flips, rotation, shear, translation, crop and elastic deformation are composed
before anything is resampled, so that none of them blurs what another left.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_xnet.training.config import Augmentation

Float = NDArray[np.float32]

_STRIP_PX = 2**13
_OFF_CENTRE = 1 / 4
"""What a window is to show lies up to this share of its side from its middle."""


def draw_scale(config: Augmentation, rng: np.random.Generator) -> float:
    """Draw the side of the window that becomes the patch, in sides of the patch."""
    return float(rng.uniform(*config.crop))


def draw_centre(
    shape: tuple[int, int],
    patch_px: int,
    scale: float,
    rng: np.random.Generator,
    near: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Draw the centre of a window that lies inside an image.

    Parameters
    ----------
    shape : (int, int)
        Of the image, in px.
    patch_px : int
        Side of the patch in px.
    scale : float
        Side of the window, in sides of the patch.
    rng : numpy.random.Generator
    near : (float, float), optional
        y and x in px of what is to be in the window, not far from its middle.

    Returns
    -------
    (float, float)
        y and x in px; the middle of the image along an axis that is shorter
        than the window.
    """
    side = scale * (patch_px - 1)
    off = rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * side
    centre = []
    for axis, size in enumerate(shape):
        first, last = side / 2, size - 1 - side / 2
        if first >= last:
            centre.append((size - 1) / 2)
        elif near is None:
            centre.append(rng.uniform(first, last))
        else:
            centre.append(float(np.clip(near[axis] + off[axis], first, last)))
    return centre[0], centre[1]


def draw_coordinates(
    config: Augmentation,
    patch_px: int,
    scale: float,
    centre: tuple[float, float],
    deform: bool,
    rng: np.random.Generator,
) -> Float:
    """Draw where the pixels of a patch come from.

    Parameters
    ----------
    config : Augmentation
    patch_px : int
        Side P of the patch in px.
    scale : float
        Side of the window, in sides of the patch.
    centre : (float, float)
        y and x in px of the image.
    deform : bool
        Whether an elastic deformation is part of it.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (2, P, P)
        y and x in px of the image; 0 is the centre of the first pixel.
    """
    flip_y = -1 if rng.random() < config.flip_vertical else 1
    flip_x = -1 if rng.random() < config.flip_horizontal else 1
    angle = math.radians(rng.uniform(-config.rotation_deg, config.rotation_deg))
    shear = math.tan(math.radians(rng.uniform(-config.shear_deg, config.shear_deg)))
    shift = rng.uniform(-config.translation, config.translation, 2) * patch_px
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = scale * rotation @ np.array([[1, 0], [shear, 1]]) @ np.diag([flip_y, flip_x])
    coordinates = _affine(patch_px, matrix, _on_grid(centre, patch_px, scale), shift)
    if deform:
        amplitude = rng.uniform(*config.elastic_amplitude_px)
        down, right = elastic_field(patch_px, amplitude, config.elastic_smoothness_px, rng)
        for axis in (0, 1):
            coordinates[axis] += np.float32(matrix[axis, 0]) * down
            coordinates[axis] += np.float32(matrix[axis, 1]) * right
    return coordinates


def window_coordinates(patch_px: int, centre: tuple[float, float], scale: float = 1.0) -> Float:
    """Where the pixels of a patch come from that is only scaled, see `draw_coordinates`."""
    middle = _on_grid(centre, patch_px, scale)
    return _affine(patch_px, scale * np.eye(2), middle, np.zeros(2))


def _on_grid(centre: tuple[float, float], patch_px: int, scale: float) -> tuple[float, float]:
    """Move the centre by half a pixel at most, so that an unscaled window consists of pixels."""
    if scale != 1:
        return centre
    half = (patch_px - 1) / 2
    y, x = (math.floor(value - half + 0.5) + half for value in centre)
    return y, x


def _affine(
    patch_px: int,
    matrix: NDArray[np.float64],
    centre: tuple[float, float],
    shift: NDArray[np.float64],
) -> Float:
    along = np.arange(patch_px) - (patch_px - 1) / 2
    y, x = along[:, np.newaxis] + shift[0], along + shift[1]
    coordinates = np.empty((2, patch_px, patch_px), np.float32)
    for axis in (0, 1):
        coordinates[axis] = centre[axis] + matrix[axis, 0] * y + matrix[axis, 1] * x
    return coordinates


def elastic_field(
    patch_px: int, amplitude_px: float, smoothness_px: float, rng: np.random.Generator
) -> Float:
    """Draw a smooth random displacement.

    Parameters
    ----------
    patch_px : int
        Side P of the patch in px.
    amplitude_px : float
        Standard deviation of the displacement in each direction.
    smoothness_px : float
        Standard deviation of the Gaussian that smooths white noise [1]_.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (2, P, P)
        Displacement down and to the right, in px of the patch.

    Notes
    -----
    The noise is drawn and smoothed on a grid half as coarse as the Gaussian
    is wide (but not finer than the pixels) and interpolated linearly: a tenth
    of the time for fields that differ by 3 % of the amplitude.

    References
    ----------
    .. [1] P. Y. Simard, D. Steinkraus, J. C. Platt, "Best practices for
       convolutional neural networks applied to visual document analysis",
       ICDAR 2003.
    """
    spacing = max(1.0, smoothness_px / 2)
    sigma = smoothness_px / spacing
    nodes = math.ceil((patch_px - 1) / spacing) + 1
    margin = math.ceil(4 * sigma)
    noise = rng.standard_normal((2, nodes + 2 * margin, nodes + 2 * margin), np.float32)
    inside = slice(margin, margin + nodes)
    field = gaussian_filter(noise, (0, sigma, sigma))[:, inside, inside]
    if spacing > 1:
        at = np.arange(patch_px, dtype=np.float32) / np.float32(spacing)
        first = np.minimum(at.astype(np.intp), max(nodes - 2, 0))
        second = np.minimum(first + 1, nodes - 1)
        weight = at - first.astype(np.float32)
        # Columns first: the rows, many more by then, are copied in one piece each.
        field = _lerp(field.take(first, axis=2), field.take(second, axis=2), weight)
        weight = weight[:, np.newaxis]
        field = _lerp(field.take(first, axis=1), field.take(second, axis=1), weight)
    field = field - field.mean(axis=(1, 2), keepdims=True)
    std = field.std(axis=(1, 2), keepdims=True)
    return np.asarray(field * (np.float32(amplitude_px) / np.maximum(std, 1e-12)), np.float32)


def sample_image(image: Float, coordinates: Float, scale: float) -> Float:
    """Interpolate an image linearly, its borders reflected.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
    coordinates : ndarray of float32, shape (2, P, P)
        y and x in px.
    scale : float
        Distance of neighbouring coordinates in px.

    Returns
    -------
    ndarray of float32, shape (P, P)

    Notes
    -----
    Linear interpolation is a filter with variance 1/6 px², the mean over the
    area of a pixel `scale` times as large one with variance scale²/12: up to
    a scale of √2 the former is enough against aliasing. Beyond, a Gaussian
    adds the difference.

    Written with NumPy because it takes a fifth of the time of
    ``scipy.ndimage.map_coordinates`` and releases Python's lock as well.
    """
    variance = scale**2 / 12 - 1 / 6
    if variance > 0:
        image = gaussian_filter(image, math.sqrt(variance))
    values = np.ascontiguousarray(image, np.float32).ravel()
    patch = np.empty(coordinates.shape[1:], np.float32)
    for rows in _strips(patch.shape):
        patch[rows] = _linear(values, image.shape, coordinates[:, rows])
    return patch


def _linear(values: Float, shape: tuple[int, ...], coordinates: Float) -> Float:
    height, width = shape
    y, x = _reflect(coordinates[0], height), _reflect(coordinates[1], width)
    top, left = y.astype(np.int32), x.astype(np.int32)  # the floor, as both are at least 0
    np.minimum(top, max(height - 2, 0), out=top)
    np.minimum(left, max(width - 2, 0), out=left)
    down, right = y - top.astype(np.float32), x - left.astype(np.float32)
    corner = top.astype(np.intp) * width + left
    below, beside = width * (height > 1), int(width > 1)
    return _lerp(
        _lerp(values.take(corner), values.take(corner + beside), right),
        _lerp(values.take(corner + below), values.take(corner + below + beside), right),
        down,
    )


def sample_labels(labels: NDArray[np.uint8], coordinates: Float) -> NDArray[np.uint8]:
    """Take the nearest label, none outside of the image.

    Parameters
    ----------
    labels : ndarray of uint8, shape (H, W)
    coordinates : ndarray of float32, shape (2, P, P)
        y and x in px.

    Returns
    -------
    ndarray of uint8, shape (P, P)
    """
    height, width = labels.shape
    values = np.ascontiguousarray(labels, np.uint8).ravel()
    patch = np.empty(coordinates.shape[1:], np.uint8)
    for rows in _strips(patch.shape):
        y, x = np.floor(coordinates[:, rows] + np.float32(0.5)).astype(np.intp)
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y *= width
        y += x
        y *= inside
        patch[rows] = values.take(y) * inside
    return patch


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut a patch into rows whose intermediate results stay in the cache."""
    height, width = shape
    step = max(1, _STRIP_PX // width)
    for start in range(0, height, step):
        yield slice(start, start + step)


def _lerp(first: Float, second: Float, weight: Float) -> Float:
    # In this form the result is one of both, exactly, where the weight is 0 or 1.
    return np.asarray(first * (1 - weight) + second * weight)


def _reflect(coordinate: Float, size: int) -> Float:
    """Fold coordinates into an image whose edges are mirrors (``d c b a | a b c d``)."""
    if coordinate.min() >= 0 and coordinate.max() <= size - 1:
        return coordinate
    shifted = coordinate + np.float32(0.5)
    period = np.float32(2 * size)
    shifted -= period * np.floor(shifted / period + np.float32(0.5))
    return np.asarray(np.clip(np.abs(shifted) - np.float32(0.5), 0, size - 1))
