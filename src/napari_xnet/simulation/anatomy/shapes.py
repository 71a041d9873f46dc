"""Shapes of bodies that were segmented by others: cut to a box, with cortices in their bones."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xnet.simulation.anatomy.surfaces import smooth_depth, solid
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise
from napari_xnet.simulation.scene import BONE, FAT, LEAN, Mixture, Solid, spongy

_SHAFT = (0.4, 0.75)
"""Parts of the length of a long bone: where the marrow begins to taper off, and where it ends."""
_SPONGE_MM = 0.7
"""Spongy bone between cortex and marrow."""


@dataclass(frozen=True, eq=False)
class BoneShape:
    """A bone as a surface and as depths below it.

    Attributes
    ----------
    name : str
    vertices_mm : ndarray, shape (V, 3)
    faces : ndarray of int, shape (F, 3)
        Counter-clockwise from outside.
    depth_mm : ndarray of float32, shape (Z, Y, X)
        Positive inside.
    grid : Grid
        Where the depths lie.
    long : bool
        Whether it has a shaft.
    """

    name: str
    vertices_mm: NDArray[np.float32]
    faces: NDArray[np.int32]
    depth_mm: FloatArray
    grid: Grid
    long: bool

    @property
    def triangles_mm(self) -> NDArray[np.float32]:
        """Corners, shape (F, 3, 3)."""
        return self.vertices_mm[self.faces]


def bone_shape(
    name: str,
    vertices_mm: FloatArray,
    faces: NDArray[np.int32],
    voxels: int,
    finest_mm: float,
    *,
    remade: bool = False,
    long: bool = False,
) -> BoneShape:
    """Measure depths in a bone.

    Parameters
    ----------
    name : str
    vertices_mm : ndarray, shape (V, 3)
    faces : ndarray of int, shape (F, 3)
        Counter-clockwise from outside.
    voxels : int
        Along its longest side.
    finest_mm : float
        No voxel is smaller.
    remade : bool
        Whether to take the surface of the voxels: it has no holes, and fewer
        triangles than a fine one.
    long : bool
        Whether it has a shaft.
    """
    low, high = vertices_mm.min(axis=0), vertices_mm.max(axis=0)
    spacing = max(float((high - low).max()) / voxels, finest_mm)
    grid = Grid.around(low - 3.0 * spacing, high + 3.0 * spacing, spacing)
    below = smooth_depth(voxelise(vertices_mm[faces], grid), spacing)
    made = solid(name, below, grid, BONE, LEAN) if remade else None
    if made is not None:
        return BoneShape(name, made.vertices_mm, made.faces, below, grid, long)
    return BoneShape(
        name, vertices_mm.astype(np.float32), faces.astype(np.int32), below, grid, long
    )


def bone_solids(
    bone: BoneShape, cortex_mm: float, shaft_share: float, mineral: float, within: Mixture = LEAN
) -> tuple[Solid, ...]:
    """Make a bone of cortex, spongy bone, and marrow if it has a shaft.

    Parameters
    ----------
    bone : BoneShape
    cortex_mm : float
        Thickness of the cortex; that of a long bone's ends.
    shaft_share : float
        Thickness of the cortex in the middle of a shaft, of its radius.
    mineral : float
        Share of mineralised bone in the spongy bone.
    within : mapping
        What surrounds the bone.

    Returns
    -------
    tuple of Solid
        One to three; what is too thin has no inside.
    """
    outer = Solid(bone.name, bone.vertices_mm, bone.faces, BONE, within)
    thickness: float | FloatArray = cortex_mm
    parts: list[Solid | None] = []
    along = _along(bone) if bone.long else np.zeros(1, np.float32)
    middle = (np.abs(along) < 0.25) & (bone.depth_mm > 0)
    if bone.long and middle.any():
        radius = float(np.percentile(bone.depth_mm[middle], 97.0))
        thickest = max(shaft_share * radius, cortex_mm)
        bulge = np.clip(1.0 - (along / 0.85) ** 2, 0.0, 1.0)
        thickness = (cortex_mm + (thickest - cortex_mm) * bulge).astype(np.float32)
        marrow = marrow_depth(bone.depth_mm - thickness, along, radius)
        parts.append(solid(f"{bone.name}, marrow", marrow, bone.grid, FAT, spongy(mineral)))
    inner = solid(
        f"{bone.name}, inside",
        bone.depth_mm - thickness,
        bone.grid,
        spongy(mineral),
        BONE,
    )
    return (outer, *(one for one in (inner, *parts) if one is not None))


def marrow_depth(inside_mm: FloatArray, along: FloatArray, radius_mm: float) -> FloatArray:
    """Depth below the surface of the marrow of a long bone, which tapers off at both ends.

    Parameters
    ----------
    inside_mm : ndarray
        Depth below the inner surface of the cortex.
    along : ndarray that broadcasts to it
        Where along the bone: -1 and 1 at its ends.
    radius_mm : float
        Of the shaft.
    """
    begin, end = _SHAFT
    ramp = np.maximum(np.abs(along) - begin, 0.0) / (end - begin)
    depth: FloatArray = (inside_mm - _SPONGE_MM - radius_mm * ramp).astype(np.float32)
    return depth


def _along(bone: BoneShape) -> FloatArray:
    """Where along the bone each voxel lies: -1 and 1 at its ends."""
    points = bone.vertices_mm.astype(np.float64)
    middle = points.mean(axis=0)
    direction = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    ends = (points - middle) @ direction
    z, y, x = bone.grid.axes_mm()
    place = (
        (x - middle[0]) * direction[0]
        + (y - middle[1]) * direction[1]
        + (z - middle[2]) * direction[2]
    )
    low, high = ends.min(), ends.max()
    result: FloatArray = (2.0 * (place - low) / (high - low) - 1.0).astype(np.float32)
    return result


def resized(one: Solid, scale: float, mirror: int | None = None) -> Solid:
    """Scale a solid about the origin; mirror it along an axis of the world, if one is given."""
    vertices = one.vertices_mm * np.float32(scale)
    if mirror is None:
        return replace(one, vertices_mm=vertices)
    vertices = vertices.copy()
    vertices[:, mirror] *= -1.0
    return replace(
        one, vertices_mm=vertices, faces=np.ascontiguousarray(one.faces[:, ::-1], np.int32)
    )


def ellipsoid(grid: Grid, centre_mm: FloatArray, radii_mm: FloatArray) -> FloatArray:
    """Depth below the surface of an ellipsoid, about right near the surface.

    Parameters
    ----------
    grid : Grid
    centre_mm, radii_mm : ndarray, shape (3,)
        Along x, y and z.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    z, y, x = grid.axes_mm()
    squares = sum(
        ((axis - centre) / radius) ** 2
        for axis, centre, radius in zip((x, y, z), centre_mm, radii_mm, strict=True)
    )
    result: FloatArray = ((1.0 - np.sqrt(squares)) * float(np.min(radii_mm))).astype(np.float32)
    return result
