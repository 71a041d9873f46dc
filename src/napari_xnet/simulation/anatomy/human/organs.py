"""Air in the body: lungs, windpipe, gas in the bowel."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from napari_xnet.simulation.anatomy.human import bones
from napari_xnet.simulation.anatomy.human.flesh import voxels
from napari_xnet.simulation.anatomy.human.masses import strand
from napari_xnet.simulation.anatomy.human.skeleton import Skeleton
from napari_xnet.simulation.anatomy.surfaces import fair, signed_depth, solid
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.scene import AIR, LEAN, Mixture, Solid

LUNG: Mixture = {"lung": 1.0}


def lungs(
    body: Skeleton,
    rotation: FloatArray,
    shift_mm: FloatArray,
    surfaces: dict[str, FloatArray],
    spacing_mm: float,
    rng: np.random.Generator,
) -> list[Solid]:
    """Fill the ribcage with two lungs.

    Parameters
    ----------
    body : Skeleton
    rotation : ndarray, shape (3, 3)
        From the frame of `skeleton.pose` to that of `body`.
    shift_mm : ndarray, shape (3,)
        The same.
    surfaces : dict
        See `grow`; all bones of the ribcage.
    spacing_mm : float
        Of the voxels.
    rng : numpy.random.Generator
        For the depth of the breath and the size of the heart.
    """
    names = [one.rest.key for one in body.find(r"rib\d+|sternum|thoracic\d+")]
    points = (np.concatenate([surfaces[one] for one in names]) - shift_mm) @ rotation
    low, high = points.min(axis=0), points.max(axis=0)
    grid = Grid.around(low - 4 * spacing_mm, high + 4 * spacing_mm, spacing_mm)
    ribs = -signed_depth(voxels(points, grid), spacing_mm)
    chest = _hulls(points, grid)
    z, y, x = grid.axes_mm()
    middle = (low + high) / 2
    height = high[2] - low[2]
    breath = rng.uniform(0.22, 0.36)
    heart = rng.uniform(0.85, 1.2)
    result = []
    for side in (-1.0, 1.0):  # right, left
        dome = low[2] + height * (breath + (0.03 if side < 0 else 0.0))
        dome = dome - 75.0 * ((side * x - 60.0) / 75.0) ** 2 - 60.0 * ((y - middle[1]) / 70.0) ** 2
        inner = 22.0 + 12.0 * np.clip((low[2] + 0.55 * height - z) / 60.0, 0.0, 1.0)
        depth = np.minimum(chest - 8.0, side * x - inner)
        depth = np.minimum(depth, 0.7 * (z - dome))
        # heart, more to the left
        at = np.array([12.0, middle[1] - 38.0, low[2] + (breath + 0.13) * height])
        size = np.array([52.0, 42.0, 55.0]) * heart
        ball = sum(((v - a) / s) ** 2 for v, a, s in zip((x, y, z), at, size, strict=True))
        depth = np.minimum(depth, 45.0 * (np.sqrt(ball) - 1.0))
        depth = np.minimum(depth, ribs - 2.0)
        smooth = ndimage.gaussian_filter(np.clip(depth, -30.0, 30.0).astype(np.float32), 1.0)
        one = fair(solid("lung", smooth, grid, LUNG, LEAN))
        if one is not None:
            result.append(one.moved(rotation, shift_mm))
    return result


def _hulls(points_mm: FloatArray, grid: Grid) -> FloatArray:
    """Depth inside the convex hull of the points near each layer of a grid, in mm."""
    z, y, x = grid.axes_mm()
    result = np.full(grid.shape, -50.0, np.float32)
    for index, height in enumerate(z.ravel()):
        near = points_mm[np.abs(points_mm[:, 2] - height) < 22.0, :2]
        if len(near) > 20:
            planes = ConvexHull(near).equations.astype(np.float32)
            beyond = [a * x[0] + b * y[0] + c for a, b, c in planes]
            result[index] = np.maximum(-np.max(beyond, axis=0), -50.0)
    return result


def bubbles(
    low_mm: FloatArray, high_mm: FloatArray, count: int, rng: np.random.Generator
) -> list[Solid]:
    """Gas in the bowel: irregular bubbles within a box.

    Parameters
    ----------
    low_mm, high_mm : ndarray, shape (3,)
        Corners of the box, which must lie in lean tissue.
    count : int
    rng : numpy.random.Generator
    """
    result = []
    for _ in range(count):
        radius = np.exp(rng.uniform(np.log(4.0), np.log(16.0)))
        grid = Grid.around(np.full(3, -2.2 * radius), np.full(3, 2.2 * radius), radius / 5.0)
        z, y, x = grid.axes_mm()
        depth = np.full(grid.shape, -radius, np.float32)
        for _ in range(4):
            at = rng.normal(0.0, 0.4 * radius, 3)
            own = rng.uniform(0.5, 0.9) * radius
            ball = own - np.sqrt((x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2)
            depth = np.maximum(depth, ball)
        one = solid("gas", ndimage.gaussian_filter(depth, 1.0), grid, AIR, LEAN)
        if one is not None:
            result.append(one.moved(np.eye(3), rng.uniform(low_mm, high_mm)))
    return result


def organs(
    body: Skeleton,
    axes: FloatArray,
    shift: FloatArray,
    surfaces: dict[str, FloatArray],
    rng: np.random.Generator,
) -> list[Solid]:
    """Make the lungs where the chest is shown, and gas where the bowel is.

    Parameters
    ----------
    body : Skeleton
    axes : ndarray, shape (3, 3)
        From the frame of `skeleton.pose` to that of `body`.
    shift : ndarray, shape (3,)
        The same, in mm.
    surfaces : dict
        See `flesh.grow`.
    rng : numpy.random.Generator
    """
    result: list[Solid] = []
    chest = [one.rest.key for one in body.find(r"rib\d+|sternum|thoracic\d+")]
    if sum(one in surfaces for one in chest) > 0.4 * len(chest):
        points = {one: surfaces.get(one, bones.surface(body.bones[one], 0)) for one in chest}
        result += lungs(body, axes, shift, points, 4.0, rng)
    if "sacrum" in surfaces:
        low = axes.T @ (body.bones["sacrum"].centre_mm - shift) + np.array((-80.0, -125.0, -60.0))
        high = low + np.array((160.0, 65.0, 200.0))
        for gas in bubbles(low, high, int(rng.integers(0, 16)), rng):
            result.append(gas.moved(axes, shift))
    return result


def airway(body: Skeleton, axes: FloatArray) -> list[Solid]:
    """Throat and windpipe, before the spine."""
    spine = np.stack(
        [body.bones[one].centre_mm for one in ("cervical2", "cervical5", "cervical1", "thoracic2")]
    )
    centres, radii = strand(spine - 42.0 * axes[:, 1], (8.0, 7.0, 8.5, 8.5))
    grid = Grid.around(centres.min(axis=0) - 14.0, centres.max(axis=0) + 14.0, 2.0)
    depth = np.full(grid.shape, -20.0, np.float32)
    z, y, x = grid.axes_mm()
    for at, radius in zip(centres, radii, strict=True):
        ball = radius - np.sqrt((x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2)
        np.maximum(depth, ball, out=depth)
    one = fair(solid("airway", depth, grid, AIR, LEAN))
    return [] if one is None else [one]
