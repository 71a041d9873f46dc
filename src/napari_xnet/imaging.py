"""From any radiograph to the working image that a network sees, and back.

The working image is the radiograph reduced by one factor in both directions
(never distorted), standardised, and padded so that the network can pool it.
The way back follows the edges of the radiograph itself. Both directions work
on strips of rows, so that a radiograph larger than memory passes through.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter
from scipy.sparse import csr_array

from napari_xnet import tissue
from napari_xnet.collimation import collimator_shadow
from napari_xnet.errors import ImageError

Float = NDArray[np.floating[Any]]

STRIP_PX = 2**20
"""Pixels of the radiograph that are in memory at once."""

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)
"""Weights of red, green and blue, ITU-R BT.709 as in scikit-image's rgb2gray."""

_LARGEST = 1e30
"""Values beyond this count as missing: their squares would overflow."""

_GUIDE_RADIUS_PX = 8
_GUIDE_EPSILON = 1e-3
"""Guided filter: window (working px) and regularisation (variance of the
standardised image). The best of those that `benchmarks/upsampling.py` compares."""


@dataclass(frozen=True)
class Standardisation:
    """How intensities become numbers that a network can use.

    Attributes
    ----------
    low, high : float
        Intensities are clipped to this window first.
    mean, std : float
        What becomes 0, and by what the rest is divided: mean and standard
        deviation of the clipped intensities, or start and length of the
        window.
    """

    low: float
    high: float
    mean: float
    std: float

    def __call__(self, values: Float) -> NDArray[np.float32]:
        """Standardise values of the radiograph; missing ones (NaN) become 0."""
        standard = (np.clip(values, self.low, self.high) - self.mean) / self.std
        return np.asarray(np.nan_to_num(standard, copy=False, nan=0.0), np.float32)


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """A radiograph as the network sees it.

    Attributes
    ----------
    data : ndarray of float32, shape (H, W)
        Standardised pixels, padded by repeating the border.
    shadow : ndarray of bool, shape (H, W)
        Where the collimator let no beam through, if that was asked for.
    content : (int, int)
        Height and width of the part of `data` that is not padding, in px.
    shape : (int, int)
        Height and width of the radiograph, in px.
    scale : float
        Working px per px of the radiograph, at most 1, the same in both
        directions.
    standardise : Standardisation
        From intensities of the radiograph to those of `data`.
    notes : tuple of str
        What the user should know about how the radiograph was read.
    """

    data: NDArray[np.float32]
    shadow: NDArray[np.bool_]
    content: tuple[int, int]
    shape: tuple[int, int]
    scale: float
    standardise: Standardisation
    notes: tuple[str, ...] = ()

    @property
    def unpadded(self) -> NDArray[np.float32]:
        """`data` without the padding."""
        height, width = self.content
        return self.data[:height, :width]

    @property
    def unpadded_shadow(self) -> NDArray[np.bool_]:
        """`shadow` without the padding."""
        height, width = self.content
        return self.shadow[:height, :width]


def working_image(
    image: ArrayLike,
    size_px: int = 448,
    multiple: int = 8,
    percentiles: tuple[float, float] = (0.5, 99.5),
    scaling: Literal["standard", "unit"] = "standard",
    find_collimator: bool = False,
) -> WorkingImage:
    """Reduce, standardise and pad a radiograph.

    Parameters
    ----------
    image : array of any real dtype, shape (Y, X), or (Y, X, 3 or 4) for RGB(A)
        The radiograph: anything with ``shape``, ``dtype`` and slicing (NumPy,
        memory map, dask, zarr); read in strips of rows.
    size_px : int
        Long side of the working image in px. Smaller radiographs keep their
        size.
    multiple : int
        Height and width are padded to multiples of this by repeating the
        border.
    percentiles : (float, float)
        Intensities are clipped to these percentiles of the reduced image.
    scaling : {"standard", "unit"}
        To zero mean and unit variance, or to the range from 0 to 1 as in the
        published XNet code (which subtracts the mean first; that changes
        nothing).
    find_collimator : bool
        Whether the shadow of the collimator is found and left out of percentiles, mean and
        deviation.

    Returns
    -------
    WorkingImage

    Raises
    ------
    ImageError
        If the array is empty, has another number of dimensions, is not of
        real numbers or holds no finite number.

    Notes
    -----
    Each working pixel is the mean of the area it covers, so the reduction
    does not alias. Pixels that are not finite do not count in it.
    """
    rows = _Rows(image)
    height, width = rows.shape
    scale = min(1.0, size_px / max(height, width))
    content = (_ceil(height * scale), _ceil(width * scale))
    across = _area_weights(width, content[1], scale)
    down = _area_weights(height, content[0], scale).T.tocsr()

    total = np.zeros(content)
    covered = np.zeros(content)
    missing = 0
    reference: Any = np.nan
    for start, values in rows:
        strip = down[start : start + len(values)].T
        known = ~np.isnan(values)
        missing += values.size - int(np.count_nonzero(known))
        # Of differences to one pixel, so that low contrast on a bright ground stays exact.
        if np.isnan(reference) and known.any():
            reference = values[known][0]
        total += strip @ (np.where(known, values - reference, 0) @ across.T)
        covered += strip @ (known.astype(np.float32) @ across.T)
    if missing == height * width:
        raise ImageError("The image holds no finite number: there is nothing to segment.")
    mean = np.divide(total, covered, out=np.full(content, np.nan), where=covered > 0)
    reduced = mean + float(reference)

    shadow = np.zeros(content, bool)
    if find_collimator:
        shadow = collimator_shadow(np.clip(reduced, *np.nanpercentile(reduced, percentiles)))
        if np.ptp(reduced[~shadow & np.isfinite(reduced)]) == 0:
            shadow[:] = False
    exposed = np.where(shadow, np.nan, reduced)
    low, high = (float(value) for value in np.nanpercentile(exposed, percentiles))
    if low == high:  # a small object on a constant ground
        low, high = float(np.nanmin(exposed)), float(np.nanmax(exposed))
    windowed = np.clip(exposed, low, high)
    std = float(np.nanstd(windowed))
    constant = std <= 4 * np.finfo(rows.dtype).eps * max(abs(low), abs(high))
    if constant:
        standardise = Standardisation(low, high, low, 1.0)
    elif scaling == "unit":
        standardise = Standardisation(low, high, low, high - low)
    else:
        standardise = Standardisation(low, high, float(np.nanmean(windowed)), std)

    notes = []
    if rows.rgb:
        notes.append("The image is in colour: its luminance was used.")
    if missing:
        notes.append(f"{missing} pixels are not finite numbers and were filled in.")
    if constant:
        notes.append("The image is constant: the result means nothing.")
    padding = [(0, -size % multiple) for size in content]
    return WorkingImage(
        data=np.pad(standardise(reduced), padding, mode="edge"),
        shadow=np.pad(shadow, padding, mode="edge"),
        content=content,
        shape=(height, width),
        scale=scale,
        standardise=standardise,
        notes=tuple(notes),
    )


def working_labels(labels: ArrayLike, working: WorkingImage) -> NDArray[np.uint8]:
    """Reduce labels to the grid of a working image.

    Parameters
    ----------
    labels : array of int, shape (Y, X)
        Values of `tissue.CLASSES`, 0 where nothing is annotated.
    working : WorkingImage
        The working image of their radiograph.

    Returns
    -------
    ndarray of uint8, of the shape of `working.unpadded`
        Each working pixel has the class that covers most of it among the
        annotated pixels, so that a thin stroke survives; 0 where none is
        annotated.
    """
    labels = np.asarray(labels)
    height, width = working.content
    across = _area_weights(working.shape[1], width, working.scale)
    down = _area_weights(working.shape[0], height, working.scale)
    covered = np.stack(
        [(down @ (labels == one.value).astype(np.float32)) @ across.T for one in tissue.CLASSES]
    )
    likeliest = covered.argmax(axis=0) + tissue.OPEN_BEAM.value
    return np.where(covered.any(axis=0), likeliest, tissue.UNLABELLED).astype(np.uint8)


class EdgeAwareUpsampling:
    """Class probabilities of a working image at the size of its radiograph.

    In a window around each working pixel the probabilities are fitted as a
    linear function of the intensity; the coefficients are interpolated and
    applied to the radiograph itself, whose edges the result inherits: the
    fast guided filter [1]_. Its grain is averaged first over squares of the
    size of a working pixel, from which the fit had its intensities.

    Parameters
    ----------
    probabilities : array of float, shape (H, W, classes)
        Probabilities of the working image, padded or not; they sum to 1.
    working : WorkingImage
        The working image they belong to.

    References
    ----------
    .. [1] K. He, J. Sun, "Fast Guided Filter", arXiv:1505.00996.
    """

    def __init__(self, probabilities: ArrayLike, working: WorkingImage) -> None:
        self._working = working
        height, width = working.content
        guide = working.data[:height, :width]
        # The last class is what the others leave: one fit less.
        fitted = np.moveaxis(np.asarray(probabilities, np.float32), -1, 0)[:-1, :height, :width]

        mean_guide = _window_mean(guide)
        variance = _window_mean(guide * guide) - mean_guide**2 + _GUIDE_EPSILON
        slopes, offsets = [], []
        for probability in fitted:
            mean = _window_mean(probability)
            slope = (_window_mean(guide * probability) - mean_guide * mean) / variance
            slopes.append(_window_mean(slope))
            offsets.append(_window_mean(mean - slope * mean_guide))

        self._down = _linear_weights(working.shape[0], height, working.scale)
        across = _linear_weights(working.shape[1], width, working.scale).T
        # One product serves all classes: they lie side by side in each row.
        self._coefficients = [
            np.concatenate([plane @ across for plane in planes], axis=1, dtype=np.float32)
            for planes in (slopes, offsets)
        ]

    def strips(self, image: ArrayLike) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Probabilities of the radiograph, one strip of rows after the other.

        Parameters
        ----------
        image : array, shape (Y, X) or (Y, X, 3 or 4)
            The radiograph that the working image was made of.

        Yields
        ------
        rows : slice
            Rows of the strip.
        probabilities : ndarray of float32, shape (classes, rows, X)
            Between 0 and 1; they sum to 1 over the classes.
        """
        for start, guide in guides(image, self._working):
            yield self.strip(start, guide)

    def strip(self, start: int, guide: Float) -> tuple[slice, NDArray[np.float32]]:
        """Probabilities of one strip, of which the guide is known: see `strips` and `guides`."""
        rows = slice(start, start + len(guide))
        down = self._down[rows]
        # Of the planes only what this strip needs: SciPy copies what it multiplies.
        near = slice(down.indices.min(), down.indices.max() + 1)
        slope, offset = (
            (down[:, near] @ plane[near]).reshape(len(guide), -1, guide.shape[1])
            for plane in self._coefficients
        )
        slope *= guide[:, np.newaxis]
        slope += offset
        result = np.empty((slope.shape[1] + 1, *guide.shape), np.float32)
        np.clip(slope.transpose(1, 0, 2), 0, 1, out=result[:-1])
        total = result[:-1].sum(axis=0)
        np.maximum(1 - total, 0, out=result[-1])
        result[:-1] /= np.maximum(total, 1)
        return rows, result


def guides(image: ArrayLike, working: WorkingImage) -> Iterator[tuple[int, Float]]:
    """Read a radiograph as strips whose edges `EdgeAwareUpsampling` follows.

    Parameters
    ----------
    image : array, shape (Y, X) or (Y, X, 3 or 4)
    working : WorkingImage
        That of the radiograph.

    Yields
    ------
    start : int
        First row.
    values : ndarray of float32 or float64, shape (rows, X)
        Standardised; averaged over squares as large as a working pixel.
    """
    radiograph = _Rows(image)
    side = 2 * round((1 / working.scale - 1) / 2) + 1 if working.scale < 1 else 1
    standard = (working.standardise(values) for _, values in radiograph)
    yield from _averaged(standard, side, radiograph.shape[0])


def _averaged(
    strips: Iterable[NDArray[np.float32]], side: int, height: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Average over squares of odd sides; where strips end does not show.

    Yields
    ------
    start : int
        First row of the result.
    values : ndarray of float32, shape (rows, X)
    """
    halo = side // 2
    buffer, first, read, done = None, 0, 0, 0
    for strip in strips:
        buffer = strip if buffer is None else np.concatenate([buffer, strip])
        read += len(strip)
        ready = height if read == height else read - halo
        if ready > done:
            averaged = uniform_filter(buffer, side, mode="nearest") if halo else buffer
            yield done, averaged[done - first : ready - first]
            done = ready
            kept = max(done - halo, first)
            buffer, first = buffer[kept - first :], kept


def as_array(image: ArrayLike) -> Any:
    """Turn lists into an array; what has a dtype (memory map, dask, zarr) stays lazy."""
    return image if hasattr(image, "dtype") else np.asarray(image)


class _Rows:
    """A radiograph as strips of rows, grey values of float32 (or float64).

    Iterating yields ``(start, values)``; values that are not finite or beyond
    ±1e30 are NaN.
    """

    def __init__(self, image: ArrayLike) -> None:
        self._image: Any = as_array(image)
        shape, dtype = tuple(self._image.shape), np.dtype(self._image.dtype)
        self.rgb = len(shape) == 3 and shape[2] in (3, 4)
        if len(shape) != 2 and not self.rgb:
            raise ImageError(
                f"A radiograph has the shape (Y, X), or (Y, X, 3) in colour, not {shape}."
            )
        if 0 in shape:
            raise ImageError(f"The image is empty: its shape is {shape}.")
        if dtype.kind not in "buif":
            raise ImageError(f"A radiograph holds real numbers, not {dtype}.")
        self.shape = (int(shape[0]), int(shape[1]))
        # float32 is exact for up to 16 bit; 32-bit integers get float64.
        self.dtype = np.promote_types(dtype, np.float32)

    def __iter__(self) -> Iterator[tuple[int, Float]]:
        height, width = self.shape
        step = max(1, STRIP_PX // width)
        for start in range(0, height, step):
            strip = np.asarray(self._image[start : start + step])
            with np.errstate(over="ignore", invalid="ignore"):
                values = strip[..., :3] @ _LUMINANCE if self.rgb else strip
                values = values.astype(self.dtype)
            if strip.dtype.kind == "f":
                values[~(np.abs(values) <= _LARGEST)] = np.nan
            yield start, values


def _ceil(size: float) -> int:
    """Round up, but not for a rounding error."""
    return max(1, int(np.ceil(size - 1e-6)))


def _window_mean(image: Float) -> Float:
    return np.asarray(uniform_filter(image, 2 * _GUIDE_RADIUS_PX + 1, mode="nearest"))


def _area_weights(source: int, target: int, scale: float) -> csr_array:
    """Weights (target, source) that average the area which each target pixel covers."""
    edges = np.minimum(np.arange(target + 1) / scale, source)
    first = np.minimum(edges[:-1].astype(int), source - 1)
    reach = np.arange(int(np.ceil(1 / scale)) + 1)
    column = first[:, np.newaxis] + reach
    covered = np.minimum(column + 1, edges[1:, np.newaxis]) - np.maximum(
        column, edges[:-1, np.newaxis]
    )
    row, offset = np.nonzero((covered > 0) & (column < source))
    weights = covered[row, offset] / np.diff(edges)[row]
    return csr_array(
        (weights.astype(np.float32), (row, column[row, offset])), shape=(target, source)
    )


def _linear_weights(target: int, source: int, scale: float) -> csr_array:
    """Weights (target, source) that interpolate linearly between pixel centres."""
    position = np.clip((np.arange(target) + 0.5) * scale - 0.5, 0, source - 1)
    below = np.minimum(position.astype(int), max(source - 2, 0))
    fraction = position - below
    row = np.arange(target)
    return csr_array(
        (
            np.concatenate([1 - fraction, fraction]).astype(np.float32),
            (np.tile(row, 2), np.concatenate([below, np.minimum(below + 1, source - 1)])),
        ),
        shape=(target, source),
    )
