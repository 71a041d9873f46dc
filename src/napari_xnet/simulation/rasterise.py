"""Lengths of rays inside meshes, compiled by Numba: imported only when something is simulated."""

import math

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
