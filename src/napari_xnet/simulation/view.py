"""Views: where source and detector stand, and what lies on each ray between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from napari_xnet.simulation.grid import Detector, FloatArray
from napari_xnet.simulation.projection import depth_range, magnify, mesh_thickness
from napari_xnet.simulation.scene import SPONGY, Scene

_TILT_DEG = 7.0
"""Standard deviation of how much a part lies askew, about each axis."""
_ROLL_DEG = 12.0
"""The same in the plane of the image."""
_SHIFT = 0.12
"""Standard deviation of how far the middle is missed, of the field."""
_SOURCE_MM = (1000.0, 1500.0)
_GAP_MM = (5.0, 60.0)
"""Between the body and the detector."""
_ASPECT = (0.6, 1.7)
"""Width of an image over its height."""
_CLEARANCE = 1.4
"""Least distance of the source from the detector, of what lies between them."""


@dataclass(frozen=True, eq=False)
class View:
    """A cone beam and a detector.

    Attributes
    ----------
    axes : ndarray, shape (3, 3)
        Rows: directions in the world of the image's right, down, and of the
        beam.
    centre_mm : ndarray, shape (3,)
        World point on the central ray.
    source_mm : float
        From the source to the detector.
    gap_mm : float
        From the part of the body that is nearest to it to the detector.
    detector : Detector
    """

    axes: FloatArray
    centre_mm: FloatArray
    source_mm: float
    gap_mm: float
    detector: Detector


@dataclass(frozen=True, eq=False)
class Thickness:
    """How much of each material lies on the ray to each pixel.

    Attributes
    ----------
    mm : dict
        From the name of a material to an ndarray of float32, shape (Y, X).
    spongy_mm : ndarray of float32, shape (Y, X)
        The part of the bone that is in spongy bone.
    """

    mm: dict[str, FloatArray]
    spongy_mm: FloatArray


def standard_view(scene: Scene, size_px: int, source_mm: float = 1100.0) -> View:
    """View a scene as it is commonly viewed.

    Parameters
    ----------
    scene : Scene
    size_px : int
        Long side of the image.
    source_mm : float
        From the source to the detector.
    """
    side = scene.field_mm[1]
    detector = Detector.centred(side, side, size_px)
    return View(scene.axes, scene.centre_mm, source_mm, 20.0, detector)


def random_view(scene: Scene, size_px: int, rng: np.random.Generator) -> View:
    """View a scene from a direction, at a distance and through a field that happen in practice.

    Parameters
    ----------
    scene : Scene
    size_px : int
        Long side of the image.
    rng : numpy.random.Generator
    """
    low, high = scene.turns_deg[rng.integers(len(scene.turns_deg))]
    turn = Rotation.from_rotvec(
        np.deg2rad(rng.uniform(low, high)) * np.asarray(scene.turn_about, float)
    )
    tilts = rng.normal(0.0, (_TILT_DEG, _TILT_DEG, _ROLL_DEG))
    tilts[2] += 90.0 * _quarters(rng)
    askew = Rotation.from_euler("xyz", tilts, degrees=True)
    axes = askew.as_matrix() @ scene.axes @ turn.as_matrix().T
    side = np.exp(rng.uniform(*np.log(scene.field_mm)))
    aspect = np.exp(rng.uniform(*np.log(_ASPECT)))
    width, height = side * min(aspect, 1.0), side * min(1.0 / aspect, 1.0)
    shift = rng.normal(0.0, _SHIFT, 2) * (width, height)
    return View(
        axes,
        scene.centre_mm + shift @ axes[:2],
        rng.uniform(*_SOURCE_MM),
        rng.uniform(*_GAP_MM),
        Detector.centred(width, height, size_px),
    )


def _quarters(rng: np.random.Generator) -> int:
    """Quarter turns of the image: most lie as they are hung."""
    return int(rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)))


def thickness(scene: Scene, view: View) -> Thickness:
    """Measure each material along each ray.

    Parameters
    ----------
    scene : Scene
    view : View

    Returns
    -------
    Thickness
        Exact at the centres of the pixels, but for the length of oblique
        rays (see `projection.magnify`). Nothing is below 0.

    Notes
    -----
    The detector lies behind what is in the field, not behind an arm that is
    stretched out far beside it. The source stands as far away as it must to
    be clear of the body.
    """
    placed = [(one.vertices_mm - view.centre_mm) @ view.axes.T for one in scene.solids]
    bottom, source_mm = _distances(scene, placed, view)
    mm: dict[str, FloatArray] = {}
    for one, points in zip(scene.solids, placed, strict=True):
        magnified = magnify(points, source_mm, bottom)
        inside = mesh_thickness(magnified, one.faces, view.detector).astype(np.float32)
        for share, mixture in ((1.0, one.filling), (-1.0, one.displaces)):
            for material, part in mixture.items():
                total = mm.setdefault(material, np.zeros(view.detector.shape, np.float32))
                total += share * part * inside
    spongy = mm.pop(SPONGY, np.zeros(view.detector.shape, np.float32))
    for total in (spongy, *mm.values()):
        np.maximum(total, 0.0, out=total)
    mm["bone"] = mm.get("bone", np.zeros_like(spongy)) + spongy
    return Thickness(mm, spongy)


def _distances(scene: Scene, placed: Sequence[FloatArray], view: View) -> tuple[float, float]:
    """Where the detector lies along the beam, and how far from it the source is, in mm."""
    ranges = [
        depth_range(points, one.faces, view.detector)
        for one, points in zip(scene.solids, placed, strict=True)
    ]
    bottom = max(0.0, *(high for _, high in ranges)) + view.gap_mm
    top = min(0.0, *(low for low, _ in ranges))
    return bottom, max(view.source_mm, (bottom - top) * _CLEARANCE)
