"""Surfaces: from meshes with holes, or volumes, to closed solids."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from skimage.measure import marching_cubes

from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise
from napari_xnet.simulation.scene import Mixture, Solid

FAR_MM: float = 1000.0
"""Depth where a grid is wholly inside or outside."""
_SMOOTH = 0.8
"""Standard deviation of the smoothing of voxelised surfaces, in voxels."""


def signed_depth(inside: NDArray[np.bool_], spacing_mm: float) -> FloatArray:
    """Depth below the surface of a body, which lies between voxels.

    Where the grid ends the body is taken to go on.

    Parameters
    ----------
    inside : ndarray of bool, shape (Z, Y, X)
    spacing_mm : float
        Edge length of a voxel.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        In mm, positive inside.
    """
    if inside.all() or not inside.any():
        return np.full(inside.shape, FAR_MM if inside.all() else -FAR_MM, np.float32)
    total = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    total -= 0.5 * np.sign(total)
    depth: FloatArray = total.astype(np.float32) * np.float32(spacing_mm)
    return depth


def swell(inside: NDArray[np.bool_], spacing_mm: float, radius_mm: float) -> NDArray[np.bool_]:
    """Add what is not farther than a radius from the surface of a body, see `signed_depth`.

    Parameters
    ----------
    inside : ndarray of bool, shape (Z, Y, X)
    spacing_mm : float
        Edge length of a voxel.
    radius_mm : float

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
    """
    if not inside.any():
        return inside
    swollen: NDArray[np.bool_] = (
        ndimage.distance_transform_edt(~inside) <= radius_mm / spacing_mm + 0.5
    )
    return swollen


def smooth_depth(inside: NDArray[np.bool_], spacing_mm: float) -> FloatArray:
    """Depth below a surface without the steps of the voxels, see `signed_depth`."""
    smooth: FloatArray = ndimage.gaussian_filter(signed_depth(inside, spacing_mm), _SMOOTH)
    return smooth


def mesh_depth(triangles_mm: FloatArray, spacing_mm: float) -> tuple[FloatArray, Grid]:
    """Depth below a mesh, on a grid around it; holes in the mesh are closed.

    Parameters
    ----------
    triangles_mm : ndarray, shape (T, 3, 3)
        Corners of the triangles, counter-clockwise from outside.
    spacing_mm : float
        Edge length of a voxel.

    Returns
    -------
    depth_mm : ndarray of float32, shape (Z, Y, X)
        See `smooth_depth`.
    grid : Grid
    """
    points = triangles_mm.reshape(-1, 3)
    margin = 3.0 * spacing_mm
    grid = Grid.around(points.min(axis=0) - margin, points.max(axis=0) + margin, spacing_mm)
    inside = ndimage.binary_fill_holes(voxelise(triangles_mm, grid))
    return smooth_depth(inside, spacing_mm), grid


def solid(
    name: str,
    depth_mm: FloatArray,
    grid: Grid,
    filling: Mixture,
    displaces: Mixture,
) -> Solid | None:
    """Make a solid of all that lies deeper than 0.

    Parameters
    ----------
    name : str
    depth_mm : ndarray, shape (Z, Y, X)
        Positive inside.
    grid : Grid
        Where the voxels lie.
    filling, displaces
        See `Solid`.

    Returns
    -------
    Solid or None
        None if nothing is inside.
    """
    if not (depth_mm > 0).any():
        return None
    # A border outside closes what reaches the border of the grid.
    padded = np.pad(depth_mm, 1, constant_values=-grid.spacing_mm)
    vertices, faces, _, _ = marching_cubes(padded, 0.0, gradient_direction="ascent")
    vertices = (vertices - 1.0)[:, ::-1] * grid.spacing_mm + np.asarray(grid.origin_mm)
    corners = vertices[faces]
    if np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0:
        faces = faces[:, ::-1]
    return Solid(
        name,
        vertices.astype(np.float32),
        np.ascontiguousarray(faces, np.int32),
        filling,
        displaces,
    )


def fair(one: Solid | None) -> Solid | None:
    """Smooth away the steps of the voxels without shrinking (Taubin, SIGGRAPH 1995).

    Parameters
    ----------
    one : Solid or None

    Returns
    -------
    Solid or None
        None for None.
    """
    if one is None:
        return None
    count = len(one.vertices_mm)
    rows = one.faces.ravel()
    columns = np.roll(one.faces, 1, axis=1).ravel()
    near = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (count, count)).tocsr()
    near = near + near.T
    mean = sparse.diags(1.0 / np.maximum(np.asarray(near.sum(axis=1)).ravel(), 1.0)) @ near
    points = one.vertices_mm.astype(np.float64)
    for _ in range(8):
        for step in (0.5, -0.52):
            points = points + step * (mean @ points - points)
    return replace(one, vertices_mm=points.astype(np.float32))
