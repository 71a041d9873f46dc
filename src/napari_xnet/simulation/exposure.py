"""Exposures: thickness of materials to the signal of a detector."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_xnet.simulation import physics
from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.view import Thickness

_BIN_KEV = 4.0
_STEP_KV = 5.0
"""Spectra are computed for these tube voltages only, once each."""
_TEXTURE_MM = ((0.3, 0.6), (0.6, 0.7), (1.2, 0.4), (4.0, 0.35))
"""Sizes of the struts and patches of spongy bone as projected, and their weights."""
_EVEN_MM = 1.0
"""Of spongy bone, as solid bone: from here on its density begins to even out."""
_FLESH_MM = ((5.0, 0.03), (1.5, 0.015))
"""Muscle is streaky and fat lobular: a few per cent, more coarse than fine."""


@dataclass(frozen=True)
class Exposure:
    """How a radiograph is taken.

    Attributes
    ----------
    kilovolts : float
        Tube voltage.
    photons_per_mm2 : float
        Detected photons behind the body, where it is half as thick as it is
        at most: thick parts are exposed for longer.
    unsharpness_mm : float
        Blur by focal spot and detector, standard deviation.
    scatter_per_mm : float
        Scattered over primary signal per mm of tissue.
    heel : float
        Change of the open beam from the middle to the border along y.
    falloff : float
        The same towards the corners.
    texture : float
        Standard deviation of the logarithm of the density of spongy bone
        where there is little of it.
    electronic : float
        Standard deviation of the noise without beam, of the open beam's signal.
    dead_pixels : float
        Share of pixels that are dead or hot.
    grid_lines_mm : float
        Distance of the lines of an anti-scatter grid; 0 for none.
    """

    kilovolts: float = 60.0
    photons_per_mm2: float = 3e4
    unsharpness_mm: float = 0.12
    scatter_per_mm: float = physics.WITHOUT_GRID
    heel: float = 0.03
    falloff: float = 0.04
    texture: float = 0.15
    electronic: float = 0.0
    dead_pixels: float = 0.0
    grid_lines_mm: float = 0.0


def random_exposure(
    kilovolts: tuple[float, float], deepest_mm: float, rng: np.random.Generator
) -> Exposure:
    """Choose how a part of the body is exposed.

    Parameters
    ----------
    kilovolts : tuple of float
        Lowest and highest tube voltage.
    deepest_mm : float
        Greatest thickness of tissue: above 100 mm there is an anti-scatter grid.
    rng : numpy.random.Generator
    """
    gridded = deepest_mm > rng.uniform(80.0, 130.0)
    scatter = physics.WITH_GRID if gridded else physics.WITHOUT_GRID
    return Exposure(
        kilovolts=_STEP_KV * round(rng.uniform(*kilovolts) / _STEP_KV),
        photons_per_mm2=np.exp(rng.uniform(np.log(4e3), np.log(2e5))),
        unsharpness_mm=rng.uniform(0.06, 0.35),
        scatter_per_mm=scatter * rng.uniform(0.4, 1.8),
        heel=rng.uniform(-0.12, 0.12),
        falloff=rng.uniform(0.0, 0.08),
        texture=rng.uniform(0.04, 0.36),
        electronic=rng.choice((0.0, 1e-3, 4e-3), p=(0.6, 0.3, 0.1)),
        dead_pixels=rng.choice((0.0, 1e-4, 1e-3), p=(0.85, 0.1, 0.05)),
        grid_lines_mm=rng.uniform(0.4, 1.2) if gridded and rng.random() < 0.15 else 0.0,
    )


def expose(
    inside: Thickness,
    light: FloatArray,
    exposure: Exposure,
    pixel_size_mm: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Take a radiograph.

    Parameters
    ----------
    inside : Thickness
        What lies on the rays.
    light : ndarray, shape (Y, X)
        Light field of the collimator, 0 to 1.
    exposure : Exposure
    pixel_size_mm : float
        Edge length of a pixel.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (Y, X)
        Signal of the detector; 1 is the open beam in the middle.

    Raises
    ------
    XNetError
        If an optional package is missing.
    """
    mm = dict(inside.mm)
    shape = light.shape
    if "bone" in mm:
        # The deeper, the more struts lie behind each other and even out.
        uneven = exposure.texture * np.sqrt(_EVEN_MM / (inside.spongy_mm + _EVEN_MM))
        pores = np.exp(uneven * _noise(_TEXTURE_MM, shape, pixel_size_mm, rng))
        mm["bone"] = mm["bone"] + inside.spongy_mm * (pores - 1.0)
    for flesh in ("lean", "fat"):
        if flesh in mm:
            total = np.zeros(shape, np.float32)
            for size_mm, share in _FLESH_MM:
                total += share * _noise(((size_mm, 1.0),), shape, pixel_size_mm, rng)
            mm[flesh] = mm[flesh] * (1.0 + total)
    primary: FloatArray = np.ones(shape, np.float32)
    if mm:
        primary = _transmission(mm, exposure.kilovolts)
    y, x = np.meshgrid(*(np.linspace(-1.0, 1.0, size) for size in shape), indexing="ij")
    primary = primary * light * (1.0 + exposure.heel * y - exposure.falloff * (x**2 + y**2))
    tissue_mm = sum(mm.values(), np.zeros(shape, np.float32))
    signal: FloatArray = primary + physics.scatter(
        primary, tissue_mm, exposure.scatter_per_mm, pixel_size_mm
    )
    if exposure.grid_lines_mm:
        along = np.arange(shape[1]) * pixel_size_mm / exposure.grid_lines_mm
        signal = signal * (1.0 - 0.03 * (np.sin(2 * np.pi * along) > 0.3))
    middling = tissue_mm > tissue_mm.max() / 2 if tissue_mm.any() else np.ones(shape, bool)
    photons = exposure.photons_per_mm2 / max(float(np.median(signal[middling])), 1e-4)
    signal = physics.expose(signal, pixel_size_mm, photons, exposure.unsharpness_mm, rng)
    measured = np.asarray(signal, np.float32)
    if exposure.electronic:
        measured = measured + exposure.electronic * rng.standard_normal(shape, np.float32)
    if exposure.dead_pixels:
        measured[rng.random(shape) < exposure.dead_pixels] = rng.choice((0.0, 1.3))
    return np.maximum(measured, np.float32(0.0))


def _transmission(mm: dict[str, FloatArray], kilovolts: float) -> FloatArray:
    names = tuple(mm)
    attenuation, weights = _attenuation(names, _STEP_KV * round(kilovolts / _STEP_KV))
    thickness_mm = np.stack([mm[name] for name in names]).astype(np.float32)
    return physics.transmission(thickness_mm, attenuation, weights)


@functools.lru_cache(maxsize=256)
def _attenuation(names: tuple[str, ...], kilovolts: float) -> tuple[FloatArray, FloatArray]:
    beam = _beam(kilovolts)
    table = np.stack(
        [physics.attenuation_per_mm(physics.MATERIALS[one], beam.energies_kev) for one in names]
    )
    return table.astype(np.float32), beam.weights.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _beam(kilovolts: float) -> physics.Beam:
    """Spectrum of a tube voltage, which takes SpekPy a third of a second."""
    return physics.beam(kilovolts, bin_kev=_BIN_KEV)


def _noise(
    sizes: tuple[tuple[float, float], ...],
    shape: tuple[int, ...],
    pixel_size_mm: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Random field of mean 0 and deviation 1, a sum of fields of several sizes."""
    field = np.zeros(shape, np.float32)
    for size_mm, weight in sizes:
        sigma = size_mm / pixel_size_mm
        step = max(int(sigma / 2), 1)  # what is smooth needs few random numbers
        coarse = tuple(-(-length // step) + 3 for length in shape)
        noise = rng.standard_normal(coarse, np.float32)
        smooth = ndimage.gaussian_filter(noise, sigma / step, mode="wrap", truncate=3.0)
        if step > 1:
            smooth = ndimage.zoom(smooth, step, order=1)
        smooth = smooth[: shape[0], : shape[1]]
        field += weight * smooth / max(float(smooth.std()), 1e-6)
    return field / max(float(field.std()), 1e-6)
