"""Display: the signal of a detector to the image that people get, in any of the styles in use."""

import io
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.exposure import equalize_adapthist

from napari_xnet.simulation.grid import FloatArray

_Stored = NDArray[np.uint8] | NDArray[np.uint16]

STYLES = ("raw", "log", "window", "film", "multiscale", "unsharp", "clahe")
"""How a signal is turned into grey values, see `random_display`."""

_CHANCES = (0.1, 0.1, 0.16, 0.1, 0.32, 0.18, 0.04)
_FLOOR = 1e-4
"""Smallest signal: beyond it detectors show nothing but noise."""
_DARK_BONE = 0.25
_DARK_RAW_BONE = 0.9
"""Share of images on which bone is darker than air, processed and raw."""
_LEVELS = 6
_HALO_MM = (3.0, 25.0)
_JPEG = (35, 95)
_BITS = ((8, 0.7), (10, 0.05), (12, 0.15), (16, 0.1))


@dataclass(frozen=True, eq=False)
class Displayed:
    """An image as it is stored.

    Attributes
    ----------
    image : ndarray of uint8 or uint16, shape (Y, X)
    style : str
        One of `STYLES`, with ", bone dark" if bone is darker than air.
    """

    image: _Stored
    style: str

    def written_on(self, overlay: FloatArray, grey: float) -> Self:
        """Burn letters in.

        Parameters
        ----------
        overlay : ndarray, shape (Y, X)
            Share of each pixel that they cover.
        grey : float
            0 black, 1 white.
        """
        if not overlay.any():
            return self
        low, high = float(self.image.min()), float(self.image.max())
        level = low + grey * (high - low)
        written = self.image + overlay * (level - self.image.astype(np.float32))
        if self.image.dtype == np.uint8:
            return replace(self, image=np.rint(written).astype(np.uint8))
        return replace(self, image=np.rint(written).astype(np.uint16))


def clinical_display(signal: FloatArray, light: FloatArray, pixel_size_mm: float) -> Displayed:
    """Display a signal as a good workstation does: bone bright, details enhanced, 12 bits.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        1 is the open beam.
    light : ndarray, shape (Y, X)
        Light field of the collimator, 0 to 1; its shadow becomes black.
    pixel_size_mm : float
        Edge length of a pixel.
    """
    shown = light > 0.5
    density = _density(signal)
    grey = _enhance(density, pixel_size_mm, halo_mm=8.0, gain=0.4, inside=shown)
    low, high = np.quantile(grey[light > 0.99], (0.03, 0.998))
    grey = 0.03 + 0.92 * np.clip((grey - low) / max(high - low, 1e-6), 0.0, 1.05) ** 1.35
    return Displayed(_quantise(np.where(shown, grey, 0.0), 12), "unsharp")


def raw_display(signal: FloatArray) -> Displayed:
    """Store a signal as the detector measured it: bone dark, 12 bits.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        1 is the open beam.
    """
    return Displayed(_quantise(0.8 * signal, 12), _named("raw", bone_dark=True))


def random_display(
    signal: FloatArray, light: FloatArray, pixel_size_mm: float, rng: np.random.Generator
) -> Displayed:
    """Display a signal in one of the styles that are met in practice.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        1 is the open beam.
    light : ndarray, shape (Y, X)
        Light field of the collimator, 0 to 1.
    pixel_size_mm : float
        Edge length of a pixel.
    rng : numpy.random.Generator

    Returns
    -------
    Displayed

    Notes
    -----
    raw: proportional to the signal, bone dark. log: its logarithm, all of it.
    window: the logarithm, cut on both sides, thin tissue perhaps with it.
    film: the S-shaped curve of a screen-film system. multiscale: a Laplacian
    pyramid whose strong details are weakened and whose coarsest level is
    flattened, as the processing of most manufacturers does. unsharp: the
    logarithm with a wide unsharp mask, which draws a dark halo around the
    skin. clahe: contrast-limited adaptive histogram equalisation.
    """
    style = str(rng.choice(STYLES, p=_CHANCES))
    inside = light > 0.5
    if style == "raw":
        saturation = rng.uniform(0.6, 1.1)
        grey = 1.0 - np.clip(signal / saturation, 0.0, 1.0) ** rng.uniform(0.4, 1.1)
    else:
        grey = _bone_bright(style, _density(signal), inside, pixel_size_mm, rng)
    grey = _shade(grey, rng)
    if rng.random() < 0.7:
        # Soft tissue is shown darker than its share of the density.
        grey = np.clip(grey, 0.0, 1.0) ** np.exp(rng.normal(0.35, 0.3))
    bone_dark = bool(rng.random() < (_DARK_RAW_BONE if style == "raw" else _DARK_BONE))
    grey = np.clip(grey, 0.0, 1.0)
    if bone_dark:
        grey = 1.0 - grey
    if rng.random() < 0.6:  # the station blanks what was not exposed
        grey = np.where(inside, grey, 1.0 if rng.random() < 0.1 else 0.0)
    grey = _store(grey, rng)
    bits = int(rng.choice([bits for bits, _ in _BITS], p=[share for _, share in _BITS]))
    if bits == 8 and rng.random() < 0.5:
        return Displayed(_jpeg(grey, int(rng.integers(*_JPEG))), _named(style, bone_dark))
    return Displayed(_quantise(grey, bits), _named(style, bone_dark))


def _named(style: str, bone_dark: bool) -> str:
    return f"{style}, bone dark" if bone_dark else style


def _density(signal: FloatArray) -> FloatArray:
    return np.asarray(-np.log(np.maximum(signal, _FLOOR)), np.float32)


def _bone_bright(
    style: str,
    density: FloatArray,
    inside: NDArray[np.bool_],
    pixel_size_mm: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Grey values, mostly 0 to 1, of all styles but the raw one."""
    grey = density
    if style == "multiscale":
        grey = _compress(
            density,
            power=rng.uniform(0.45, 0.9),
            gain=rng.uniform(0.4, 1.3),
            flat=rng.uniform(0.25, 0.9),
        )
    elif style == "unsharp":
        halo_mm = np.exp(rng.uniform(*np.log(_HALO_MM)))
        grey = _enhance(density, pixel_size_mm, halo_mm, rng.uniform(0.3, 1.2), inside)
    values = grey[inside] if inside.any() else grey.ravel()
    low, high = np.quantile(values, (rng.uniform(0.0, 0.03), rng.uniform(0.98, 1.0)))
    span = max(float(high - low), 1e-3)
    if style == "film":
        middle, steep = low + rng.uniform(0.3, 0.7) * span, rng.uniform(4.0, 9.0) / span
        return np.asarray(1.0 / (1.0 + np.exp(-steep * (grey - middle))))
    if style in ("window", "multiscale", "unsharp") and rng.random() < 0.7:
        low += rng.uniform(-0.15, 0.12) * span  # open beam grey, or thin tissue black
    if style == "window":
        high -= rng.uniform(0.0, 0.25) * span
    grey = np.asarray((grey - low) / max(float(high - low), 1e-3))
    if style == "clahe":
        limit = rng.uniform(0.005, 0.03)
        size = max(min(grey.shape) // int(rng.integers(3, 9)), 8)
        grey = equalize_adapthist(np.clip(grey, 0.0, 1.0), size, limit).astype(np.float32)
    return grey


def _enhance(
    density: FloatArray,
    pixel_size_mm: float,
    halo_mm: float,
    gain: float,
    inside: NDArray[np.bool_],
) -> FloatArray:
    """Add what differs from the surroundings; blades must cast no halo into the picture."""
    sigma = halo_mm / pixel_size_mm
    weight = _blur(inside.astype(np.float32), sigma)
    base = _blur(np.where(inside, density, 0.0), sigma) / np.maximum(weight, 1e-3)
    return np.asarray(density + gain * (density - base))


def _blur(image: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur; a wide one of fewer pixels."""
    step = max(int(sigma / 3), 1)
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0))
    small = ndimage.uniform_filter(image, step, mode="nearest")[::step, ::step]
    small = ndimage.gaussian_filter(small, sigma / step, mode="nearest", truncate=3.0)
    return _resize(small, image.shape)


def _compress(density: FloatArray, power: float, gain: float, flat: float) -> FloatArray:
    """Weaken strong details of a Laplacian pyramid, and what is coarser than all details."""
    levels, rest = [], density
    for _ in range(_LEVELS):
        if min(rest.shape) < 8:
            break
        coarse = ndimage.gaussian_filter(rest, 1.0, mode="nearest", truncate=2.5)[::2, ::2]
        levels.append(rest - _resize(coarse, rest.shape))
        rest = coarse
    largest = float(np.ptp(density)) or 1.0
    result = rest.mean() + flat * (rest - rest.mean())
    for detail in reversed(levels):
        weakened = np.sign(detail) * largest * (np.abs(detail) / largest) ** power
        result = _resize(result, detail.shape) + gain * weakened
    return np.asarray(result, np.float32)


def _resize(image: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Interpolate linearly; the first pixels stay where they are."""
    factor = [wanted / size for wanted, size in zip(shape, image.shape, strict=True)]
    resized = ndimage.zoom(image, factor, order=1, mode="nearest", grid_mode=True)
    return np.asarray(resized, np.float32)


def _shade(grey: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Uneven light, as of a film on a light box that is photographed; haze."""
    if rng.random() < 0.3:
        y, x = (np.linspace(-1.0, 1.0, size, dtype=np.float32) for size in grey.shape)
        slope = rng.normal(0.0, 0.05, 2)
        grey = grey + slope[0] * y[:, np.newaxis] + slope[1] * x
        grey = grey - rng.uniform(0.0, 0.1) * (y[:, np.newaxis] ** 2 + x**2)
    if rng.random() < 0.2:
        wide = 0.15 * max(grey.shape)
        grey = grey + rng.uniform(0.05, 0.2) * _blur(np.clip(grey, 0.0, 1.0), wide)
    return np.asarray(grey)


def _store(grey: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Soften, sharpen, grain, dust and scratches, margins of contrast."""
    if rng.random() < 0.25:
        grey = ndimage.gaussian_filter(grey, rng.uniform(0.3, 1.2))
    if rng.random() < 0.3:
        grey = grey + rng.uniform(0.2, 1.0) * (grey - ndimage.gaussian_filter(grey, 1.5))
    if rng.random() < 0.3:
        grain = rng.standard_normal(grey.shape, np.float32)
        size = rng.uniform(0.4, 1.2)
        grain = ndimage.gaussian_filter(grain, size) * (2 * size)
        grey = grey + rng.uniform(0.005, 0.05) * grain
    if rng.random() < 0.05:
        spots = rng.random(grey.shape, np.float32) < 2e-4
        grey = np.where(ndimage.binary_dilation(spots), rng.choice((0.0, 1.0)), grey)
    if rng.random() < 0.3:
        low, high = rng.uniform(0.0, 0.15), rng.uniform(0.8, 1.0)
        grey = low + (high - low) * grey
    return np.asarray(np.clip(grey, 0.0, 1.0))


def _quantise(grey: FloatArray, bits: int) -> _Stored:
    white = 2**bits - 1
    levels = np.rint(white * np.clip(grey, 0.0, 1.0))
    return np.asarray(levels, np.uint8) if bits == 8 else np.asarray(levels, np.uint16)


def _jpeg(grey: FloatArray, quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(np.asarray(_quantise(grey, 8), np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.uint8)
