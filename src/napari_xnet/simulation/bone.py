"""Bone as a material: a dense cortex around spongy bone and marrow."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise

SPONGY_FRACTION: float = 0.24
"""Mean share of mineralised bone in the spongy bone near joints.

Bone volume fractions of healthy adults lie between 0.1 (vertebra) and 0.35
(femoral head): Hildebrand et al., J Bone Miner Res 14 (1999) 1167.
"""

SHAFT_FRACTION: float = 0.05
"""The same in the marrow cavity of a shaft, which is almost free of it."""

CORTEX_PER_WIDTH: float = 0.22
"""Cortical thickness over the width of the shaft in the middle of a long bone.

Both walls together about 0.45: the metacarpal index of Barnett and Nordin,
Clin Radiol 11 (1960) 166.
"""

THIN_CORTEX_MM: tuple[float, float] = (0.45, 1.3)
"""Thickness of the cortex at the ends of long bones and around short ones: smallest, largest."""


@dataclass(frozen=True)
class Bone:
    """One bone, posed.

    Attributes
    ----------
    name : str
        Name of the mesh.
    triangles_mm : ndarray, shape (T, 3, 3)
        Corners (x, y, z) of the surface, counter-clockwise from outside.
    root_mm : ndarray, shape (3,)
        The joint towards the trunk.
    """

    name: str
    triangles_mm: FloatArray
    root_mm: FloatArray

    @property
    def vertices_mm(self) -> FloatArray:
        """Corners of all triangles, shape (3 T, 3)."""
        return self.triangles_mm.reshape(-1, 3)

    def axis_mm(self) -> tuple[FloatArray, FloatArray]:
        """Both ends of the long axis, the one towards the trunk first, each of shape (3,)."""
        points = self.triangles_mm.mean(axis=1)
        sides = np.diff(self.triangles_mm, axis=1)
        area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
        centre = np.average(points, axis=0, weights=area)
        spread = (points - centre) * area[:, None]
        direction = np.linalg.svd(spread, full_matrices=False)[2][0]
        along = (self.vertices_mm - centre) @ direction
        ends = centre + np.outer([along.min(), along.max()], direction)
        distance = np.linalg.norm(ends - self.root_mm, axis=1)
        near, far = np.argsort(distance)
        return ends[near], ends[far]


@dataclass(frozen=True)
class BoneVolume:
    """A bone on its own grid.

    Attributes
    ----------
    grid : Grid
        Where the voxels lie.
    envelope : ndarray of float32, shape (Z, Y, X)
        Share of each voxel inside the bone's surface.
    mineral : ndarray of float32, shape (Z, Y, X)
        Share of each voxel filled with cortical bone; the rest of the
        envelope is marrow.
    """

    grid: Grid
    envelope: FloatArray
    mineral: FloatArray


def _texture(
    shape: tuple[int, int, int], spacing_mm: float, rng: np.random.Generator
) -> FloatArray:
    """Random field of mean 0 and deviation 1 that looks like trabeculae seen in projection."""
    field = np.zeros(shape, dtype=np.float32)
    # struts and plates along the beam and across it, and patches of uneven density
    for sizes_mm, weight in (((2.0, 0.5, 0.28), 0.6), ((2.0, 0.3, 0.3), 0.8), ((4, 2.5, 2.5), 0.6)):
        noise = rng.standard_normal(shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(noise, [size / spacing_mm for size in sizes_mm])
        field += weight * smooth / max(float(smooth.std()), 1e-6)
    field /= max(float(field.std()), 1e-6)
    return field


def _shaft_width_mm(bone: Bone) -> float:
    """Width of a bone in the middle of its length."""
    near, far = bone.axis_mm()
    direction = (far - near) / np.linalg.norm(far - near)
    points = np.concatenate([bone.vertices_mm, bone.triangles_mm.mean(axis=1)])
    along = (points - near) @ direction / np.linalg.norm(far - near)
    middle = points[np.abs(along - 0.5) < 0.2]
    if len(middle) < 6:
        middle = points
    across = middle - np.outer((middle - near) @ direction, direction)
    return 2.0 * float(np.median(np.linalg.norm(across - across.mean(axis=0), axis=1)))


def bone_volume(
    bone: Bone,
    low_mm: FloatArray,
    high_mm: FloatArray,
    spacing_mm: float,
    rng: np.random.Generator,
) -> BoneVolume | None:
    """Fill a bone with cortex, spongy bone and marrow.

    Parameters
    ----------
    bone : Bone
        The bone in the frame of the beam.
    low_mm, high_mm : ndarray, shape (2,)
        Part (x, y) of the picture that is needed.
    spacing_mm : float
        Edge length of the voxels.
    rng : numpy.random.Generator
        Source of the trabecular pattern.

    Returns
    -------
    BoneVolume or None
        None where the bone lies outside the picture.
    """
    points = bone.vertices_mm
    margin = 3 * spacing_mm
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    # some bone beyond the border, because depth below the surface is measured there too
    low[:2] = np.maximum(low[:2], low_mm - 12.0)
    high[:2] = np.minimum(high[:2], high_mm + 12.0)
    if (low >= high).any():
        return None
    grid = Grid.around(low, high, spacing_mm)
    inside = voxelise(bone.triangles_mm, grid)
    if not inside.any():
        return None

    # triangles of coarse meshes must not show as facets
    edges = np.linalg.norm(np.diff(bone.triangles_mm, axis=1), axis=2)
    sigma = max(float(np.median(edges)) * 0.2 / spacing_mm, 0.6)
    blurred = ndimage.gaussian_filter(inside.astype(np.float32), sigma, mode="nearest")
    # a new surface, one voxel thick, at the level that keeps the volume
    level = float(np.quantile(blurred, 1.0 - inside.mean()))
    envelope = np.clip(0.5 + (blurred - level) * sigma * np.sqrt(2.0 * np.pi), 0.0, 1.0)
    envelope = envelope.astype(np.float32)
    depth = ndimage.distance_transform_edt(envelope > 0.5).astype(np.float32) * spacing_mm

    near, far = bone.axis_mm()
    length = float(np.linalg.norm(far - near))
    along = np.zeros(grid.shape, dtype=np.float32)
    for axis, start, step in zip(
        grid.axes_mm(), reversed(near), reversed((far - near) / length**2), strict=True
    ):
        along += (axis - start) * step
    width = _shaft_width_mm(bone)
    thin = float(np.clip(0.035 * width, *THIN_CORTEX_MM))
    # 0 at the joints, 1 along the shaft; short bones have no shaft
    slender = float(np.clip((length / width - 1.8) / 1.2, 0.0, 1.0))
    shaft = np.clip((0.5 - np.abs(along - 0.5)) / 0.28, 0.0, 1.0)
    shaft = slender * shaft * shaft * (3.0 - 2.0 * shaft)
    cortex = thin + (max(CORTEX_PER_WIDTH * width, thin) - thin) * shaft
    wall = 1.0 / (1.0 + np.exp((depth - cortex) / (0.12 * cortex + 0.35 * spacing_mm)))

    spongy = SPONGY_FRACTION + (SHAFT_FRACTION - SPONGY_FRACTION) * shaft
    # denser towards the joint surface, as trabeculae converge there
    spongy = spongy * (1.0 + 0.5 * np.exp(-depth / (3.0 * thin)))
    texture = _texture(grid.shape, spacing_mm, rng)
    spongy = np.clip(spongy * np.exp(0.33 * texture - 0.05), 0.0, 0.9)
    mineral = envelope * (wall + (1.0 - wall) * spongy)
    return BoneVolume(grid, envelope, mineral.astype(np.float32))
