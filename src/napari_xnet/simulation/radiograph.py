"""One simulated radiograph: from a scene to image and labels."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet import tissue
from napari_xnet.errors import XNetError
from napari_xnet.simulation.anatomy import make_scene
from napari_xnet.simulation.bodies import plan_bodies
from napari_xnet.simulation.ct import Volume, random_ct_projection
from napari_xnet.simulation.display import (
    Displayed,
    clinical_display,
    random_display,
    raw_display,
)
from napari_xnet.simulation.exposure import Exposure, expose, random_exposure
from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scene import Scene
from napari_xnet.simulation.scenery import Scenery, plain_scenery, random_scenery
from napari_xnet.simulation.view import Thickness, random_view, standard_view, thickness

BONE_MM: float = 0.3
"""A pixel is bone from this thickness on, in mm of solid cortical bone.

It takes away some 3 % of the signal, about what the eye still sees in soft
tissue; a shaft is that thick a tenth of a millimetre inside its outline.
"""

SOFT_TISSUE_MM: float = 1.0
"""A pixel is soft tissue from this thickness of fat or muscle on: 2 to 3 % of the signal."""

SIZES_PX: tuple[int, int] = (16, 4000)
"""Smallest and largest long side."""


_DISPLAYS = 3
_EXPOSURES = 4
"""How often a radiograph is displayed and exposed anew until bone can be seen."""
_BORDER_PX = 6
"""How far from a border between tissues their grey values are compared."""
_FEWEST = 50
"""Pixels on each side of a border that make a comparison."""
_VISIBLE = 0.5
"""Least `bone_contrast`: of a pixel of bone and one of tissue, the wrong one is brighter in a third
of all pairs."""
_CT_KILOVOLTS = (55.0, 100.0)
"""A CT does not say which part of the body it shows."""


class _Origin(NamedTuple):
    """What a radiograph shows, and the range of tube voltages for that."""

    region: str
    source: str
    kilovolts: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SimulatedRadiograph:
    """A radiograph whose tissues are known.

    Attributes
    ----------
    image : ndarray of uint8 or uint16, shape (Y, X)
    labels : ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`: 1 to 3.
    pixel_size_mm : float
        Edge length of a pixel at the detector.
    region, source : str
        Part of the body, and where the anatomy comes from.
    style : str
        How the signal is displayed, see `display`.
    kilovolts : float
        Tube voltage.
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    labels: NDArray[np.uint8]
    pixel_size_mm: float
    region: str
    source: str
    style: str
    kilovolts: float


def check_size(size_px: int) -> None:
    """Refuse a long side that makes no sense.

    Raises
    ------
    XNetError
        If it is not within `SIZES_PX`.
    """
    low, high = SIZES_PX
    if not low <= size_px <= high:
        raise XNetError(f"The size must lie between {low} and {high} px, not {size_px}.")


def label_map(inside: Thickness, scenery: Scenery) -> NDArray[np.uint8]:
    """Label what lies on each ray.

    Parameters
    ----------
    inside : Thickness
        Of the body alone.
    scenery : Scenery
        What else is there.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
        Bone from `BONE_MM` of bone or metal on, and where implants are; soft
        tissue from `SOFT_TISSUE_MM` on; all else, and the shadow of the
        collimator, is open beam. Letters and lead hide nothing.
    """
    # In a CT, metal is what lies in a bone.
    bone = sum(
        (inside.mm[name] for name in ("bone", "titanium") if name in inside.mm),
        np.zeros_like(inside.spongy_mm),
    )
    total = sum(inside.mm.values(), np.zeros_like(bone))
    labels = np.full(bone.shape, tissue.OPEN_BEAM.value, np.uint8)
    labels[total >= SOFT_TISSUE_MM] = tissue.SOFT_TISSUE.value
    labels[(bone >= BONE_MM) | scenery.covered] = tissue.BONE.value
    labels[scenery.light <= 0.5] = tissue.OPEN_BEAM.value
    return labels


def bone_contrast(image: NDArray[Any], labels: NDArray[np.uint8]) -> float:
    """How far apart the grey values of bone and of the soft tissue next to it are.

    Parameters
    ----------
    image : ndarray of any real dtype, shape (Y, X)
    labels : ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`.

    Returns
    -------
    float
        Difference of their means within 6 px of the border, over the root mean
        square of their standard deviations (d'); infinite if the two tissues
        share hardly any border.
    """
    bone, soft = (labels == one.value for one in (tissue.BONE, tissue.SOFT_TISSUE))
    size = 2 * _BORDER_PX + 1
    sides = [
        image[one & ndimage.maximum_filter(other, size)].astype(np.float64)
        for one, other in ((bone, soft), (soft, bone))
    ]
    if min(map(len, sides)) < _FEWEST:
        return np.inf
    spread = np.sqrt(np.mean([side.var() for side in sides]))
    difference = abs(sides[0].mean() - sides[1].mean())
    return float(difference / spread) if spread else np.inf if difference else 0.0


def take(scene: Scene, size_px: int, rng: np.random.Generator) -> SimulatedRadiograph:
    """Take a radiograph as it may come from any clinic: view, exposure and display at random.

    Parameters
    ----------
    scene : Scene
    size_px : int
        Long side of the image.
    rng : numpy.random.Generator

    Returns
    -------
    SimulatedRadiograph

    Raises
    ------
    XNetError
        If an optional package is missing.
    """
    view = random_view(scene, size_px, rng)
    inside = thickness(scene, view)
    origin = _Origin(scene.region, scene.source, scene.kilovolts)
    return _develop(inside, view.detector.pixel_size_mm, origin, rng)


def take_ct(
    volume: Volume, name: str, size_px: int, rng: np.random.Generator
) -> SimulatedRadiograph:
    """Take a radiograph of a CT, see `take`.

    Parameters
    ----------
    volume : Volume
        Without the table, see `ct.remove_table`.
    name : str
        For `SimulatedRadiograph.region`.
    size_px : int
        Long side of the image.
    rng : numpy.random.Generator
    """
    inside, detector = random_ct_projection(volume, size_px, rng)
    return _develop(inside, detector.pixel_size_mm, _Origin(name, "CT", _CT_KILOVOLTS), rng)


def _develop(
    inside: Thickness, pixel: float, origin: _Origin, rng: np.random.Generator
) -> SimulatedRadiograph:
    """Expose and display what lies on the rays, at random."""
    scenery = random_scenery(inside, pixel, rng)
    labels = label_map(inside, scenery)
    deepest = float(sum(inside.mm.values(), np.zeros(1)).max())
    clearest, best = -1.0, None
    for _ in range(_EXPOSURES):
        exposure = random_exposure(origin.kilovolts, deepest, rng)
        signal = expose(_with(inside, scenery), scenery.light, exposure, pixel, rng)
        for _ in range(_DISPLAYS):
            shown = random_display(signal, scenery.light, pixel, rng)
            contrast = bone_contrast(shown.image, labels) if np.ptp(shown.image) else 0.0
            if contrast > clearest:
                clearest, best = contrast, (shown, exposure)
            if clearest >= _VISIBLE:
                break
        if clearest >= _VISIBLE:
            break
    assert best is not None
    shown, exposure = best
    shown = shown.written_on(scenery.overlay, scenery.overlay_grey)
    return _radiograph(origin, pixel, labels, shown, exposure)


def simulate(
    region: str,
    seed: int = 0,
    size_px: int = 900,
    display: Literal["random", "clinical", "raw"] = "random",
) -> SimulatedRadiograph:
    """Simulate a radiograph.

    Parameters
    ----------
    region : str
        Part of the body, one of `anatomy.regions`.
    seed : int
        Same seed, same arguments, same versions of the packages: same radiograph,
        with ``display="random"`` the one that `write_radiographs` writes first.
    size_px : int
        Long side of the image.
    display : {"random", "clinical", "raw"}
        random: view, exposure, what else is in the beam and display are
        chosen at random. clinical: the standard view alone, well exposed, bone
        bright. raw: the same as measured, bone dark.

    Returns
    -------
    SimulatedRadiograph

    Raises
    ------
    XNetError
        If the region is unknown, the size makes no sense or the extra
        ``simulation`` is not installed.
    """
    check_size(size_px)
    (body,) = plan_bodies([region], 1, seed)
    scene, rng = make_scene(region, body.rng()), body.rng(0)
    if display == "random":
        return take(scene, size_px, rng)
    view = standard_view(scene, size_px)
    inside = thickness(scene, view)
    scenery = plain_scenery(inside)
    exposure = Exposure(kilovolts=float(np.mean(scene.kilovolts)))
    pixel = view.detector.pixel_size_mm
    signal = expose(inside, scenery.light, exposure, pixel, rng)
    if display == "raw":
        shown = raw_display(signal)
    else:
        shown = clinical_display(signal, scenery.light, pixel)
    origin = _Origin(scene.region, scene.source, scene.kilovolts)
    return _radiograph(origin, pixel, label_map(inside, scenery), shown, exposure)


def _with(inside: Thickness, scenery: Scenery) -> Thickness:
    mm: dict[str, FloatArray] = dict(inside.mm)
    for material, more in scenery.mm.items():
        mm[material] = mm[material] + more if material in mm else more
    return Thickness(mm, inside.spongy_mm)


def _radiograph(
    origin: _Origin,
    pixel_size_mm: float,
    labels: NDArray[np.uint8],
    shown: Displayed,
    exposure: Exposure,
) -> SimulatedRadiograph:
    return SimulatedRadiograph(
        shown.image,
        labels,
        pixel_size_mm,
        origin.region,
        origin.source,
        shown.style,
        exposure.kilovolts,
    )
