"""One simulated radiograph: from a region's name to image and labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet import tissue
from napari_xnet.errors import XNetError
from napari_xnet.simulation import physics
from napari_xnet.simulation.anatomy import Body, pose
from napari_xnet.simulation.bone import bone_volume
from napari_xnet.simulation.grid import Detector, FloatArray, Grid
from napari_xnet.simulation.projection import volume_thickness

BONE_MM: float = 0.3
"""A pixel is bone from this thickness on, in mm of solid cortical bone.

It takes away some 3 % of the signal, about what the eye still sees in soft
tissue; a shaft is that thick a tenth of a millimetre inside its outline.
"""

SOFT_TISSUE_MM: float = 1.0
"""A pixel is soft tissue from this thickness of fat or muscle on: 2 to 3 % of the signal."""

WHITE: int = 4095
"""Largest value of an image: 12 bits, as common detectors have."""

PHOTONS_PER_MM2: float = 1.5e5
"""Detected photons in the open beam: about 5 microgray of air kerma at the detector."""

UNSHARPNESS_MM: float = 0.12
"""Blur by focal spot and scintillator, standard deviation."""

MARKER_MM: float = 11.0
"""Height of the letter R, the side marker that lies beside the right hand or foot."""

MARKER_TRANSMISSION: float = 0.03
"""Signal behind the lead of the marker, scattered rays included."""

_LETTER = "####. #...# #...# ####. #.#.. #..#. #...#"

DETAIL: float = 0.4
"""How much the display adds of what differs from its surroundings within 8 mm."""

GAMMA: float = 1.35
"""Exponent of the display's curve: soft tissue dark, bone bright, as radiologists like it."""

BLACK: float = 0.03
"""Grey value of the open beam in the display."""

LARGEST_PX: int = 4000
"""Largest long side: memory grows with the third power."""


@dataclass(frozen=True)
class SimulatedRadiograph:
    """A radiograph whose tissues are known.

    Attributes
    ----------
    image : ndarray of uint16, shape (Y, X)
        12-bit values.
    labels : ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`: 1 to 3.
    pixel_size_mm : float
        Edge length of a pixel at the detector.
    region : str
        Part of the body.
    seed : int
        What `simulate` was called with.
    """

    image: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    pixel_size_mm: float
    region: str
    seed: int


def thickness_maps(
    body: Body, detector: Detector, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Thickness of solid bone, lean tissue and fat along the beam.

    Parameters
    ----------
    body : Body
        What lies on the detector.
    detector : Detector
        Where the rays end.
    rng : numpy.random.Generator
        Source of the texture of the bones.

    Returns
    -------
    bone_mm, lean_mm, fat_mm : ndarray, shape (Y, X)
        The pores of bone are marrow and count as fat.
    """
    low, high = detector.low_mm, detector.high_mm
    bone, envelope = np.zeros(detector.shape), np.zeros(detector.shape)
    for one in body.bones:
        size = np.ptp(one.vertices_mm, axis=0)[:2].min()
        spacing = max(detector.pixel_size_mm, size / 140.0)
        volume = bone_volume(one, low, high, spacing, rng)
        if volume is not None:
            bone += volume_thickness(volume.mineral, volume.grid, detector)
            envelope += volume_thickness(volume.envelope, volume.grid, detector)

    points = np.concatenate([one.vertices_mm for one in body.bones])
    margin = body.region.depth_mm
    corner = np.array([low[0] - 12.0, low[1] - 12.0, points[:, 2].min() - margin])
    corner2 = np.array([high[0] + 12.0, high[1] + 12.0, points[:, 2].max() + margin])
    grid = Grid.around(corner, corner2, max(float(max(high - low)) / 230.0, detector.pixel_size_mm))
    skin, lean = body.soft_tissue(grid)
    skin_mm = np.maximum(volume_thickness(skin, grid, detector), envelope)
    lean_mm = np.clip(volume_thickness(lean, grid, detector) - envelope, 0.0, skin_mm - envelope)
    return bone, lean_mm, skin_mm - lean_mm - bone


def _labels(bone_mm: FloatArray, soft_mm: FloatArray) -> NDArray[np.uint8]:
    """Thickness maps to label values by `BONE_MM` and `SOFT_TISSUE_MM`."""
    labels = np.full(bone_mm.shape, tissue.OPEN_BEAM.value, dtype=np.uint8)
    labels[soft_mm + bone_mm >= SOFT_TISSUE_MM] = tissue.SOFT_TISSUE.value
    labels[bone_mm >= BONE_MM] = tissue.BONE.value
    return labels


def _field(shape: tuple[int, int], pixel_size_mm: float, rng: np.random.Generator) -> FloatArray:
    """Light field of the collimator: 1 inside, 0 in the shadow of its blades, soft edges."""
    rows, columns = shape
    y, x = np.mgrid[:rows, :columns]
    angle = np.deg2rad(rng.uniform(1.0, 2.5) * rng.choice([-1, 1]))
    v = (y - rows / 2) * np.cos(angle) - (x - columns / 2) * np.sin(angle)
    u = (y - rows / 2) * np.sin(angle) + (x - columns / 2) * np.cos(angle)
    beyond = np.maximum(
        np.abs(v) - rng.uniform(0.455, 0.47) * rows, np.abs(u) - rng.uniform(0.44, 0.455) * columns
    )
    light: FloatArray = 1.0 / (1.0 + np.exp(beyond * pixel_size_mm / 0.25))
    return light


def _shading(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Uneven exposure: heel effect along y and longer ways to the corners, a few per cent."""
    y, x = np.meshgrid(*(np.linspace(-1.0, 1.0, count) for count in shape), indexing="ij")
    return 1.0 + rng.uniform(-0.05, 0.05) * y - 0.04 * (x**2 + y**2)


def _marker(free: NDArray[np.bool_], pixel_size_mm: float, rng: np.random.Generator) -> FloatArray:
    """Lead letter R where there is most room: share of each pixel that it covers."""
    covered = np.zeros(free.shape)
    room = ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1] * pixel_size_mm
    row, column = np.unravel_index(int(room.argmax()), room.shape)
    letter = np.array([[bit == "#" for bit in line] for line in _LETTER.split()], dtype=float)
    letter = ndimage.zoom(np.pad(letter, 1), MARKER_MM / len(letter) / pixel_size_mm, order=1)
    letter = ndimage.rotate(letter, rng.uniform(-12.0, 12.0), order=1)
    top, left = int(row) - letter.shape[0] // 2, int(column) - letter.shape[1] // 2
    bottom, right = top + letter.shape[0], left + letter.shape[1]
    if (
        room.max() < MARKER_MM
        or top < 0
        or left < 0
        or bottom > free.shape[0]
        or right > free.shape[1]
    ):
        return covered
    covered[top:bottom, left:right] = np.clip(4.0 * letter - 1.0, 0.0, 1.0)
    return covered


def _display(signal: FloatArray, light: FloatArray, pixel_size_mm: float) -> FloatArray:
    """Clinical display, 0 to 1: bone bright, detail enhanced, shadow of the collimator black."""
    shown = light > 0.5
    density = np.where(shown, -np.log(np.maximum(signal, 1e-3)), 0.0)
    # weighted by the light, so that the blades cast no halo into the picture
    weight = ndimage.gaussian_filter(shown.astype(np.float64), 8.0 / pixel_size_mm)
    base = ndimage.gaussian_filter(density, 8.0 / pixel_size_mm) / np.maximum(weight, 1e-3)
    density = density + DETAIL * (density - base)
    inside = density[light > 0.99]
    low, high = np.quantile(inside, [0.03, 0.998])
    grey = BLACK + (0.95 - BLACK) * np.clip((density - low) / (high - low), 0.0, 1.2) ** GAMMA
    return np.where(shown, grey, 0.0)


def simulate(
    region: str,
    seed: int = 0,
    size_px: int = 900,
    *,
    display: bool = True,
    collimated: bool = False,
    marker: bool = False,
) -> SimulatedRadiograph:
    """Simulate a radiograph.

    Parameters
    ----------
    region : str
        Part of the body, a key of `REGIONS`.
    seed : int
        Same seed, same arguments, same machine: same radiograph.
    size_px : int
        Long side of the image.
    display : bool
        Bone bright, as in clinical display; else the raw signal, bone dark.
    collimated : bool
        Whether the blades of the collimator show.
    marker : bool
        Whether a lead letter lies in the open beam, if there is room.

    Returns
    -------
    SimulatedRadiograph
        Image and labels.

    Raises
    ------
    XNetError
        If the region is unknown, the size makes no sense or the extra
        ``simulation`` is not installed.
    """
    if not 16 <= size_px <= LARGEST_PX:
        raise XNetError(f"The size must lie between 16 and {LARGEST_PX} px, not {size_px}.")
    rng = np.random.default_rng(seed)
    body = pose(region, rng)
    detector = Detector.centred(*body.region.field_mm, size_px)
    bone, lean, fat = thickness_maps(body, detector, rng)
    labels = _labels(bone, lean + fat)

    pixel = detector.pixel_size_mm
    # muscle is streaky and fat lobular: a few per cent, more coarse than fine
    for scale_mm, share in ((5.0, 0.03), (1.5, 0.015)):
        noise = ndimage.gaussian_filter(rng.standard_normal(detector.shape), scale_mm / pixel)
        lean = lean * (1.0 + share * noise / noise.std())

    beam = physics.beam(body.region.kilovolts)
    materials = (physics.BONE, physics.LEAN, physics.FAT)
    mu = np.stack([physics.attenuation_per_mm(one, beam.energies_kev) for one in materials])
    light: FloatArray = np.ones(detector.shape)
    if collimated:
        light = _field(detector.shape, pixel, rng)
    primary: FloatArray = physics.transmission(np.stack([bone, lean, fat]), mu, beam.weights)
    primary = primary * light * _shading(detector.shape, rng)
    signal: FloatArray = primary + physics.scatter(
        primary, bone + lean + fat, body.region.scatter_per_mm, pixel
    )
    if marker:
        free = (labels == tissue.OPEN_BEAM.value) & (light > 0.99)
        covered = _marker(free, pixel, rng)
        signal = signal * (1.0 - (1.0 - MARKER_TRANSMISSION) * covered)
    signal = physics.expose(signal, pixel, PHOTONS_PER_MM2, UNSHARPNESS_MM, rng)
    labels[light <= 0.5] = tissue.OPEN_BEAM.value

    grey = _display(signal, light, pixel) if display else 0.8 * signal
    image = np.clip(np.rint(WHITE * grey), 0, WHITE).astype(np.uint16)
    return SimulatedRadiograph(image, labels, pixel, region, seed)
