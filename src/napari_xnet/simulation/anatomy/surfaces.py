"""Surfaces: from meshes with holes, or volumes, to closed solids; bones with cortex and marrow."""

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise
from napari_xnet.simulation.scene import BONE, LEAN, Mixture, Solid, spongy

_VOXELS = 90
"""Along the long side of a bone, if nothing else is asked for."""
_FINEST_MM = 0.3
_SMOOTH = 0.8
"""Standard deviation of the smoothing of voxelised surfaces, in voxels."""


def signed_depth(triangles_mm: FloatArray, spacing_mm: float) -> tuple[FloatArray, Grid]:
    """Depth below a surface, on a grid around it; holes in the surface are closed.

    Parameters
    ----------
    triangles_mm : ndarray, shape (T, 3, 3)
        Corners of the triangles, counter-clockwise from outside.
    spacing_mm : float
        Edge length of a voxel.

    Returns
    -------
    depth_mm : ndarray of float32, shape (Z, Y, X)
        Positive inside.
    grid : Grid
    """
    points = triangles_mm.reshape(-1, 3)
    margin = 3.0 * spacing_mm
    grid = Grid.around(points.min(axis=0) - margin, points.max(axis=0) + margin, spacing_mm)
    inside = ndimage.binary_fill_holes(voxelise(triangles_mm, grid))
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    # Between voxels, not at the first one: half a voxel on both sides.
    depth = depth - 0.5 * np.sign(depth)
    return ndimage.gaussian_filter(depth.astype(np.float32), _SMOOTH) * spacing_mm, grid


def solid(
    name: str,
    depth_mm: FloatArray,
    grid: Grid,
    filling: Mixture,
    displaces: Mixture,
    textured: bool = False,
) -> Solid | None:
    """Make a solid of all that lies deeper than 0.

    Parameters
    ----------
    name : str
    depth_mm : ndarray, shape (Z, Y, X)
        Positive inside.
    grid : Grid
        Where the voxels lie.
    filling, displaces, textured
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
        textured,
    )


def bone_solids(
    name: str,
    triangles_mm: FloatArray,
    cortex_mm: float | FloatArray,
    mineral: float,
    spacing_mm: float | None = None,
    within: Mixture = LEAN,
) -> tuple[Solid, ...]:
    """Make a bone: a dense cortex around spongy bone.

    Parameters
    ----------
    name : str
    triangles_mm : ndarray, shape (T, 3, 3)
        Its surface, perhaps with holes.
    cortex_mm : float or ndarray that broadcasts to the grid
        Thickness of the cortex.
    mineral : float
        Share of mineralised bone in the spongy bone.
    spacing_mm : float, optional
        Voxels by which the surface is made anew; chosen by the size of the
        bone if None.
    within : mapping
        What surrounds the bone.

    Returns
    -------
    tuple of Solid
        The whole bone as cortex, and what is inside in its place; a thin bone
        has no inside.
    """
    size = np.ptp(triangles_mm.reshape(-1, 3), axis=0)
    spacing = spacing_mm or max(float(size.max()) / _VOXELS, _FINEST_MM)
    depth, grid = signed_depth(triangles_mm, spacing)
    outer = solid(name, depth, grid, BONE, within)
    inner = solid(f"{name}, inside", depth - cortex_mm, grid, spongy(mineral), BONE, textured=True)
    return tuple(one for one in (outer, inner) if one is not None)
