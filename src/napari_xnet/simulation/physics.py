"""Physics: thickness of tissues to the signal of a detector.

Spectra are computed by SpekPy (Poludniowski et al., Med Phys 48 (2021) 3630),
attenuation coefficients by XrayDB (Elam et al., Radiat Phys Chem 63 (2002)
121), when a radiograph is simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from napari_xnet.simulation._optional import require
from napari_xnet.simulation.grid import FloatArray


@dataclass(frozen=True)
class Material:
    """What a tissue is made of.

    Attributes
    ----------
    density_g_per_cm3 : float
        Density.
    mass_fractions : mapping
        From chemical symbol to share of the mass.
    """

    density_g_per_cm3: float
    mass_fractions: Mapping[str, float]


# fmt: off
BONE = Material(1.92, MappingProxyType({
    "H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001,
    "Mg": 0.002, "P": 0.103, "S": 0.003, "Ca": 0.225,
}))
"""Cortical bone, ICRU Report 44 (1989), as in NIST's X-ray mass attenuation tables."""

LEAN = Material(1.05, MappingProxyType({
    "H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001,
    "P": 0.002, "S": 0.003, "Cl": 0.001, "K": 0.004,
}))
"""Skeletal muscle, ICRU Report 44 (1989)."""

FAT = Material(0.95, MappingProxyType({
    "H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.001, "Cl": 0.001,
}))
"""Adipose tissue, ICRU Report 44 (1989)."""
# fmt: on

LUNG = Material(0.26, LEAN.mass_fractions)
"""Inflated lung: the density of ICRU Report 44 (1989), the composition of lean tissue."""

LEAD = Material(11.35, MappingProxyType({"Pb": 1.0}))
"""Markers and aprons."""

STEEL = Material(7.9, MappingProxyType({"Fe": 0.68, "Cr": 0.18, "Ni": 0.14}))
"""Implants and clips: an austenitic steel, its molybdenum left out."""

TITANIUM = Material(4.43, MappingProxyType({"Ti": 0.9, "Al": 0.06, "V": 0.04}))
"""Implants, Ti-6Al-4V."""

PLASTER = Material(0.9, MappingProxyType({"Ca": 0.233, "S": 0.186, "O": 0.558, "H": 0.023}))
"""Casts: gypsum, CaSO4 * 2 H2O, as porous as it sets."""

PLASTIC = Material(1.05, MappingProxyType({"C": 0.923, "H": 0.077}))
"""Cables, tubes, pads, table tops: polystyrene."""

MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        "bone": BONE,
        "lean": LEAN,
        "fat": FAT,
        "lung": LUNG,
        "lead": LEAD,
        "steel": STEEL,
        "titanium": TITANIUM,
        "plaster": PLASTER,
        "plastic": PLASTIC,
    }
)
"""All materials, by the names that scenes use."""

SCINTILLATOR = Material(4.51, MappingProxyType({"Cs": 0.512, "I": 0.488}))
"""Caesium iodide."""

SCINTILLATOR_MM: float = 0.5
"""Thickness of the scintillator of a common flat panel; a usual value."""

WITHOUT_GRID: float = 0.008
"""Scattered over primary signal per mm of tissue, no grid before the detector.

A round figure, estimated, for the fields that joints are taken with: 0.2 behind a hand,
1 behind a knee. Wide fields on a trunk have 3 and more (Bushberg et al., "The essential
physics of medical imaging", on scattered radiation), but there is a grid then.
"""

WITH_GRID: float = 0.0025
"""The same behind an anti-scatter grid, which takes away about two thirds; estimated."""

SCATTER_SPREAD_MM: float = 18.0
"""Standard deviation of the spread of scattered rays on the detector; estimated."""


@dataclass(frozen=True)
class Beam:
    """What the detector sees of the tube's spectrum.

    Attributes
    ----------
    energies_kev : ndarray, shape (E,)
        Photon energies.
    weights : ndarray, shape (E,)
        Share of each energy in the signal of the open beam; their sum is 1.
    """

    energies_kev: FloatArray
    weights: FloatArray


def attenuation_per_mm(material: Material, energies_kev: FloatArray) -> FloatArray:
    """Linear attenuation coefficients.

    Parameters
    ----------
    material : Material
        What the ray passes.
    energies_kev : ndarray, shape (E,)
        Photon energies.

    Returns
    -------
    ndarray, shape (E,)
        Attenuation coefficient in 1/mm.

    Raises
    ------
    XNetError
        If xraydb is not installed.
    """
    xraydb = require("xraydb")
    total = np.zeros(len(energies_kev))
    for symbol, share in material.mass_fractions.items():
        total += share * xraydb.mu_elam(symbol, 1000.0 * np.asarray(energies_kev))
    per_mm: FloatArray = 0.1 * material.density_g_per_cm3 * total
    return per_mm


def beam(kilovolts: float, aluminium_mm: float = 2.5, bin_kev: float = 2.0) -> Beam:
    """Spectrum of a tungsten tube as an energy-integrating detector weights it.

    Parameters
    ----------
    kilovolts : float
        Tube voltage in kV.
    aluminium_mm : float
        Filter, inherent filtration included.
    bin_kev : float
        Width of the energy bins.

    Raises
    ------
    XNetError
        If spekpy or xraydb is not installed.
    """
    spekpy = require("spekpy")
    spectrum = spekpy.Spek(kvp=kilovolts, th=12, dk=bin_kev).filter("Al", aluminium_mm)
    energies, fluence = (np.asarray(part) for part in spectrum.get_spectrum(edges=False))
    absorbed = 1.0 - np.exp(-attenuation_per_mm(SCINTILLATOR, energies) * SCINTILLATOR_MM)
    signal = fluence * energies * absorbed
    kept = signal > 1e-4 * signal.max()
    return Beam(energies[kept], signal[kept] / signal[kept].sum())


def transmission(
    thickness_mm: FloatArray, attenuation: FloatArray, weights: FloatArray
) -> FloatArray:
    """Share of the detector's signal that passes, by Beer and Lambert at each energy.

    Parameters
    ----------
    thickness_mm : ndarray, shape (M, Y, X)
        Thickness of each material.
    attenuation : ndarray, shape (M, E)
        Attenuation coefficient of each material in 1/mm.
    weights : ndarray, shape (E,)
        Share of each energy in the signal of the open beam.

    Returns
    -------
    ndarray, shape (Y, X)
        Of the arguments' dtype; 1 where all thicknesses are 0.
    """
    depth = thickness_mm.reshape(len(thickness_mm), -1)
    passed: FloatArray = weights @ np.exp(-(attenuation.T @ depth))
    return passed.reshape(thickness_mm.shape[1:])


def scatter(
    primary: FloatArray, tissue_mm: FloatArray, per_mm: float, pixel_size_mm: float
) -> FloatArray:
    """Scattered signal: in proportion to primary signal and tissue, spread widely.

    Parameters
    ----------
    primary : ndarray, shape (Y, X)
        Signal of the rays that were not scattered.
    tissue_mm : ndarray, shape (Y, X)
        Thickness of all tissue.
    per_mm : float
        Scattered over primary signal per mm of tissue: `WITH_GRID`, `WITHOUT_GRID`.
    pixel_size_mm : float
        Edge length of a pixel.

    Returns
    -------
    ndarray, shape (Y, X)
        To be added to the primary signal.
    """
    # the result is smooth: a tenth of the pixels carries it
    step = max(int(SCATTER_SPREAD_MM / pixel_size_mm / 8), 1)
    coarse = (primary * tissue_mm * per_mm)[::step, ::step]
    spread = ndimage.gaussian_filter(
        coarse, SCATTER_SPREAD_MM / pixel_size_mm / step, mode="nearest"
    )
    rows, columns = (np.arange(count) / step for count in primary.shape)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    smooth: FloatArray = ndimage.map_coordinates(spread, at, order=1, mode="nearest")
    return smooth


def expose(
    signal: FloatArray,
    pixel_size_mm: float,
    photons_per_mm2: float,
    unsharpness_mm: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Measure a signal: unsharp, and grainy as few photons are.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        Ideal signal, 1 in the open beam.
    pixel_size_mm : float
        Edge length of a pixel.
    photons_per_mm2 : float
        Detected photons per area in the open beam.
    unsharpness_mm : float
        Standard deviation of the blur by focal spot and scintillator.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray, shape (Y, X)
        Measured signal, 1 on average in the open beam.
    """
    blurred = ndimage.gaussian_filter(signal, unsharpness_mm / pixel_size_mm, mode="nearest")
    photons = photons_per_mm2 * pixel_size_mm**2
    counted = rng.poisson(np.maximum(blurred, 0.0) * photons) / photons
    # the light of one photon reaches the neighbouring pixels
    measured: FloatArray = ndimage.gaussian_filter(counted, 0.45)
    return measured
