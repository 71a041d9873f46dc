"""Projection: from triangle meshes to maps of thickness in mm, and to voxels.

The rays are parallel to z. A cone beam is had by moving the points first
(`magnify`): a central projection onto the detector followed by a parallel one
is the same picture.
"""

import numpy as np
from numpy.typing import NDArray

from napari_xnet.simulation._optional import require
from napari_xnet.simulation.grid import Detector, FloatArray, Grid

_NEAREST: float = 0.95
"""What is nearer to the source than this lies far beside the field."""

_OFF_CENTRE: float = 1.234567e-4
"""Shift of the rays in pixels, so that none runs exactly through a vertex or along an edge."""


def magnify(points_mm: FloatArray, source_mm: float, detector_z_mm: float) -> FloatArray:
    """Move points sideways so that parallel rays see what a point source saw.

    Parameters
    ----------
    points_mm : ndarray, shape (N, 3)
        Points (x, y, z); the central ray runs through x = y = 0.
    source_mm : float
        Distance from source to detector. Points farther than 95 % of it from the
        detector are taken for that far.
    detector_z_mm : float
        Where along z the detector lies.

    Returns
    -------
    ndarray, shape (N, 3)
        The points, x and y enlarged, z as it was. Lengths along the oblique
        rays are taken for those along z: 0.5 % too short at 6 degrees.
    """
    height = np.minimum(detector_z_mm - points_mm[:, 2:], _NEAREST * source_mm)
    moved: FloatArray = np.concatenate(
        [points_mm[:, :2] * (source_mm / (source_mm - height)), points_mm[:, 2:]], axis=1
    )
    return moved


def crossings(
    triangles_mm: FloatArray,
    origin_mm: tuple[float, float],
    spacing_mm: float,
    shape: tuple[int, int],
) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.int8]]:
    """Where the rays of a grid of pixels cross triangles.

    Parameters
    ----------
    triangles_mm : ndarray, shape (T, 3, 3)
        Corners (x, y, z) of the triangles, counter-clockwise from outside.
    origin_mm : tuple of float
        Centre (x, y) of pixel ``[0, 0]``.
    spacing_mm : float
        Distance of the pixels.
    shape : tuple of int
        Number of pixels along (y, x).

    Returns
    -------
    pixel : ndarray of int, shape (C,)
        Flat index of the pixel of each crossing.
    z_mm : ndarray, shape (C,)
        Where along the ray.
    sign : ndarray of int8, shape (C,)
        1 where the ray leaves the body, -1 where it enters.
    """
    tri = np.asarray(triangles_mm, dtype=np.float64)
    xy = (tri[:, :, :2] - np.asarray(origin_mm)) / spacing_mm - _OFF_CENTRE * np.array([1.0, 1.7])
    limits = np.array(shape[::-1]) - 1
    first = np.maximum(np.ceil(xy.min(axis=1)).astype(np.intp), 0)
    last = np.minimum(np.floor(xy.max(axis=1)).astype(np.intp), limits)
    a, b, c = xy[:, 0], xy[:, 1], xy[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    size = np.maximum(last - first + 1, 0)
    count = np.where(area != 0.0, size[:, 0] * size[:, 1], 0)

    # one entry per pixel of each triangle's bounding rectangle
    owner = np.repeat(np.arange(len(tri)), count)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    column = first[owner, 0] + inside % size[owner, 0]
    row = first[owner, 1] + inside // size[owner, 0]

    def edge(p: FloatArray, q: FloatArray) -> FloatArray:
        p, q = p[owner], q[owner]
        across = (q[:, 0] - p[:, 0]) * (row - p[:, 1])
        value: FloatArray = (across - (q[:, 1] - p[:, 1]) * (column - p[:, 0])) / area[owner]
        return value

    weight = np.stack([edge(b, c), edge(c, a), edge(a, b)], axis=1)
    hit = (weight >= 0.0).all(axis=1)
    owner, weight = owner[hit], weight[hit]
    z = np.einsum("ij,ij->i", weight, tri[owner, :, 2])
    pixel = row[hit] * shape[1] + column[hit]
    return pixel, z, np.sign(area[owner]).astype(np.int8)


def mesh_thickness(
    vertices_mm: FloatArray, faces: NDArray[np.int32], detector: Detector
) -> NDArray[np.float64]:
    """Thickness of a closed mesh along the beam, exact at the pixel centres.

    Where a ray leaves the body its depth counts positive, where it enters
    negative; the sum is the length inside, whatever the order of the triangles.

    Parameters
    ----------
    vertices_mm : ndarray, shape (V, 3)
        Corners (x, y, z).
    faces : ndarray of int32, shape (F, 3)
        Corners of the triangles, counter-clockwise from outside.
    detector : Detector
        Where the rays end.

    Returns
    -------
    ndarray of float64, shape (Y, X)
        Thickness in mm.

    Raises
    ------
    XNetError
        If Numba is not installed.
    """
    require("numba")
    from napari_xnet.simulation.rasterise import add_depths

    pixels = _pixels(vertices_mm, detector) - _OFF_CENTRE * np.array([1.0, 1.7])
    # Depths from the middle of the body: differences of large numbers lose digits.
    depths = vertices_mm[:, 2:] - vertices_mm[:, 2].mean()
    total = np.zeros(detector.shape)
    add_depths(np.concatenate([pixels, depths], axis=1, dtype=np.float32), faces, total)
    return np.maximum(total, 0.0)


def depth_range(
    vertices_mm: FloatArray, faces: NDArray[np.int32], detector: Detector
) -> tuple[float, float]:
    """Measure where along the beam the part of a mesh lies that is in the field.

    Parameters
    ----------
    vertices_mm, faces, detector
        See `mesh_thickness`.

    Returns
    -------
    low, high : float
        In mm; infinity and its negative if nothing is in the field.

    Raises
    ------
    XNetError
        If Numba is not installed.
    """
    require("numba")
    from napari_xnet.simulation.rasterise import seen_depths

    points = np.concatenate([_pixels(vertices_mm, detector), vertices_mm[:, 2:]], axis=1)
    low, high = seen_depths(points, faces, *detector.shape)
    return float(low), float(high)


def _pixels(points_mm: FloatArray, detector: Detector) -> FloatArray:
    """Place points in the image: columns and rows."""
    pixels: FloatArray = (points_mm[:, :2] - np.asarray(detector.origin_mm)) / (
        detector.pixel_size_mm
    )
    return pixels


def _winding(triangles_mm: FloatArray, grid: Grid, along: int) -> NDArray[np.bool_]:
    """Voxels inside a mesh, judged by rays along one axis (0 is x, 1 is y, 2 is z)."""
    # cyclic permutations of the axes keep the orientation of the triangles
    order = [(along + 1) % 3, (along + 2) % 3, along]
    origin = np.asarray(grid.origin_mm)[order]
    columns, rows, depth = (grid.shape[2 - axis] for axis in order)
    pixel, z, sign = crossings(
        triangles_mm[:, :, order],
        (float(origin[0]), float(origin[1])),
        grid.spacing_mm,
        (rows, columns),
    )
    first_after = np.clip(np.ceil((z - origin[2]) / grid.spacing_mm).astype(np.intp), 0, depth)
    steps = np.bincount(
        pixel * (depth + 1) + first_after, weights=-sign, minlength=rows * columns * (depth + 1)
    )
    inside = np.cumsum(steps.reshape(rows, columns, depth + 1)[..., :-1], axis=-1) > 0.5
    # inside has the axes (order[1], order[0], order[2]) of (x, y, z); volumes are [z, y, x]
    axes = [order[1], order[0], order[2]]
    result: NDArray[np.bool_] = inside.transpose([axes.index(axis) for axis in (2, 1, 0)])
    return result


def voxelise(triangles_mm: FloatArray, grid: Grid) -> NDArray[np.bool_]:
    """Voxels whose centre lies inside a mesh.

    Rays along the three axes vote, so that a hole or a stray triangle, which
    spoils the rays through it along one axis, does no harm.

    Parameters
    ----------
    triangles_mm : ndarray, shape (T, 3, 3)
        Corners (x, y, z) of the triangles, counter-clockwise from outside.
    grid : Grid
        Where to look.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
    """
    votes = np.zeros(grid.shape, dtype=np.uint8)
    for along in range(3):
        votes += _winding(triangles_mm, grid, along)
    return votes >= 2
