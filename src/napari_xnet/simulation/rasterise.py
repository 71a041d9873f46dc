"""Meshes to pixels and balls to voxels, by Numba: imported only when something is simulated."""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True)  # type: ignore[untyped-decorator]  # Numba has no types
def add_depths(
    points: NDArray[np.float32], faces: NDArray[np.int32], total: NDArray[np.float64]
) -> None:
    """Add where rays leave a surface, and subtract where they enter it.

    Parameters
    ----------
    points : ndarray of float32, shape (V, 3)
        Column and row in pixels, and depth along the ray.
    faces : ndarray of int32, shape (F, 3)
        Corners of the triangles, counter-clockwise from outside.
    total : ndarray of float64, shape (Y, X)
        What is added to. A ray goes through the middle of each pixel.
    """
    rows, columns = total.shape
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = float(points[a, 0]), float(points[a, 1]), float(points[a, 2])
        bx, by, bz = float(points[b, 0]), float(points[b, 1]), float(points[b, 2])
        cx, cy, cz = float(points[c, 0]), float(points[c, 1]), float(points[c, 2])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0:
            continue
        top = max(math.ceil(min(ay, by, cy)), 0)
        bottom = min(math.floor(max(ay, by, cy)), rows - 1)
        left = max(math.ceil(min(ax, bx, cx)), 0)
        right = min(math.floor(max(ax, bx, cx)), columns - 1)
        sign = 1.0 if area > 0.0 else -1.0
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                u = ((cx - bx) * (row - by) - (cy - by) * (column - bx)) / area
                v = ((ax - cx) * (row - cy) - (ay - cy) * (column - cx)) / area
                w = 1.0 - u - v
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    total[row, column] += sign * (u * az + v * bz + w * cz)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def seen_depths(
    points: NDArray[np.floating[Any]], faces: NDArray[np.int32], rows: int, columns: int
) -> tuple[float, float]:
    """Measure how near and how far along the rays the triangles in an image lie.

    Parameters
    ----------
    points : ndarray of float, shape (V, 3)
    faces : ndarray of int32, shape (F, 3)
        See `add_depths`.
    rows, columns : int
        Size of the image.

    Returns
    -------
    nearest, farthest : float
        Depths of corners of triangles whose bounding rectangle touches the
        image; infinity and its negative if there is none.
    """
    nearest, farthest = np.inf, -np.inf
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
        cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
        if max(ax, bx, cx) < -0.5 or min(ax, bx, cx) > columns - 0.5:
            continue
        if max(ay, by, cy) < -0.5 or min(ay, by, cy) > rows - 0.5:
            continue
        nearest = min(nearest, az, bz, cz)
        farthest = max(farthest, az, bz, cz)
    return nearest, farthest


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def paint_balls(
    inside: NDArray[np.bool_], centres: NDArray[np.float64], radii: NDArray[np.float64]
) -> None:
    """Mark the voxels whose centres lie in balls.

    Parameters
    ----------
    inside : ndarray of bool, shape (Z, Y, X)
        What is marked.
    centres : ndarray of float64, shape (N, 3)
        (x, y, z), in voxels.
    radii : ndarray of float64, shape (N,)
        In voxels.
    """
    depth, rows, columns = inside.shape
    for ball in range(len(radii)):
        x, y, z = centres[ball]
        radius = radii[ball]
        for k in range(max(math.ceil(z - radius), 0), min(math.floor(z + radius), depth - 1) + 1):
            disc = radius**2 - (k - z) ** 2
            half = math.sqrt(max(disc, 0.0))
            top, bottom = max(math.ceil(y - half), 0), min(math.floor(y + half), rows - 1)
            for j in range(top, bottom + 1):
                wide = math.sqrt(max(disc - (j - y) ** 2, 0.0))
                left = max(math.ceil(x - wide), 0)
                right = min(math.floor(x + wide), columns - 1)
                for i in range(left, right + 1):
                    inside[k, j, i] = True
