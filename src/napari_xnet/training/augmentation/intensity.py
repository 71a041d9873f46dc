"""Changes of the grey values: exposure, detector, and what a viewer did to the image."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from napari_xnet.training.config import Augmentation

Float = NDArray[np.float32]
Scaling = Literal["standard", "unit"]


@dataclass(frozen=True)
class Grey:
    """The grey values of a working image.

    Attributes
    ----------
    scaling : {"standard", "unit"}
        See `imaging.working_image`.
    low, high : float
        Extremes.
    mean, std : float
    """

    scaling: Scaling
    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def of(cls, image: Float, scaling: Scaling) -> "Grey":
        """Measure an image; one that is standardised has a known mean and deviation."""
        low, high = float(image.min()), float(image.max())
        if scaling == "standard":
            return cls(scaling, low, high, 0.0, 1.0)
        return cls(scaling, low, high, float(image.mean()), float(image.std()))


def change_intensity(
    patch: Float, grey: Grey, config: Augmentation, rng: np.random.Generator, blur: bool
) -> Float:
    """Change the grey values of a patch at random.

    Parameters
    ----------
    patch : ndarray of float32, shape (P, P)
    grey : Grey
        Of the whole working image.
    config : Augmentation
    rng : numpy.random.Generator
    blur : bool
        Whether the patch may be blurred.

    Returns
    -------
    ndarray of float32, shape (P, P)
    """
    if rng.random() < config.display_probability:
        kinds = (logarithm, unsharp_mask, local_contrast)
        patch = kinds[rng.integers(len(kinds))](patch, grey.scaling, rng)
    if rng.random() < config.gamma_probability:
        exponent = math.exp(rng.uniform(*np.log(config.gamma)))
        patch = gamma(patch, grey.scaling, exponent)
    if rng.random() < config.contrast_probability:
        shift = rng.uniform(-config.brightness, config.brightness) * grey.std
        patch = contrast(patch, grey, rng.uniform(*config.contrast), shift)
    if blur and rng.random() < config.blur_probability:
        patch = gaussian_filter(patch, rng.uniform(*config.blur_sigma_px))
    if rng.random() < config.inversion_probability:
        patch = invert(patch, grey.scaling)
    if rng.random() < config.noise_probability:
        patch = add_noise(patch, grey, rng.uniform(*config.noise_sigma), rng)
    return patch


def invert(patch: Float, scaling: Scaling) -> Float:
    """Turn the polarity round."""
    return -patch if scaling == "standard" else 1 - patch


def gamma(patch: Float, scaling: Scaling, exponent: float) -> Float:
    """Raise grey values to a power."""
    return _on_unit_range(patch, scaling, lambda unit: unit ** np.float32(exponent))


def contrast(patch: Float, grey: Grey, factor: float, shift: float) -> Float:
    """Stretch grey values about the mean of the image, then shift them."""
    offset = grey.mean * (1 - factor) + shift
    return _bounded(patch * np.float32(factor) + np.float32(offset), grey.scaling)


def add_noise(patch: Float, grey: Grey, sigma: float, rng: np.random.Generator) -> Float:
    """Add white noise, its standard deviation `sigma` times that of the image."""
    noise = rng.standard_normal(patch.shape, np.float32)
    noise *= np.float32(sigma * grey.std)
    return _bounded(patch + noise, grey.scaling)


def logarithm(patch: Float, scaling: Scaling, rng: np.random.Generator) -> Float:
    """Map to a logarithmic scale, from hardly to strongly bent, from either end."""
    strength = np.float32(math.exp(rng.uniform(math.log(2), math.log(50))))

    def bend(unit: Float) -> Float:
        return np.asarray(np.log1p(strength * unit) / np.log1p(strength))

    if rng.random() < 0.5:
        return _on_unit_range(patch, scaling, bend)
    return _on_unit_range(patch, scaling, lambda unit: 1 - bend(1 - unit))


def unsharp_mask(patch: Float, scaling: Scaling, rng: np.random.Generator) -> Float:
    """Strengthen what a Gaussian filter of 1 to 6 px takes away."""
    amount, sigma = np.float32(rng.uniform(0.5, 2)), rng.uniform(1, 6)
    return _on_unit_range(
        patch,
        scaling,
        lambda unit: unit + amount * (unit - gaussian_filter(unit, sigma, truncate=3)),
    )


def local_contrast(patch: Float, scaling: Scaling, rng: np.random.Generator) -> Float:
    """Mix the patch with itself standardised in a window that moves over it."""
    share, window = np.float32(rng.uniform(0.2, 0.6)), rng.uniform(0.1, 0.3)

    def equalise(unit: Float) -> Float:
        mean, std = unit.mean(), unit.std()
        difference = unit - mean
        size = max(3, round(window * min(unit.shape)))
        local = uniform_filter(difference, size)
        variance = uniform_filter(difference**2, size) - local**2
        # Noise in flat regions is not raised to the contrast of all.
        equal = (difference - local) / np.sqrt(np.maximum(variance, 0) + (std / 3) ** 2)
        return np.asarray(mean + (1 - share) * difference + share * std * equal)

    return _on_unit_range(patch, scaling, equalise)


def _on_unit_range(patch: Float, scaling: Scaling, change: Callable[[Float], Float]) -> Float:
    """Apply a change that is made for values from 0 to 1.

    The mean and standard deviation of a standardised patch stay as they were:
    the standardisation of the whole image still holds. Constant patches stay.
    """
    low, high = patch.min(), patch.max()
    if low == high:
        return patch
    if scaling == "unit":
        return _bounded(change(patch), scaling)
    changed = change((patch - low) / (high - low))
    std = changed.std()
    if std == 0:
        return patch
    return np.asarray((changed - changed.mean()) * (patch.std() / std) + patch.mean())


def _bounded(patch: Float, scaling: Scaling) -> Float:
    return np.clip(patch, 0, 1) if scaling == "unit" else patch
