"""Flesh: masses around a posed skeleton grown together, fat around them, skin around all.

Creases in a mass are closed before fat is put around it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet.simulation.anatomy.human.masses import Build, Mass
from napari_xnet.simulation.anatomy.human.skeleton import Skeleton
from napari_xnet.simulation.anatomy.surfaces import fair, signed_depth, solid, swell
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.scene import AIR, FAT, LEAN, Solid

_CLEAR_MM = 1.6
"""Least flesh over bone."""


def _closed(distance_mm: FloatArray, spacing_mm: float, radius_mm: float) -> FloatArray:
    """Fill the creases into which a ball of a given radius does not reach.

    What reaches the border of the grid is taken to go on beyond it.
    """
    step = max(int(radius_mm / (5.0 * spacing_mm)), 1)
    spacing = step * spacing_mm
    pad = int(np.ceil(radius_mm / spacing)) + 2
    inside = np.pad(distance_mm[::step, ::step, ::step] <= 0.0, pad, "edge")
    closed = radius_mm - signed_depth(swell(inside, spacing, radius_mm), spacing)
    fine = ndimage.affine_transform(
        ndimage.gaussian_filter(closed, 0.7),
        np.full(3, 1.0 / step),
        offset=pad,
        output_shape=distance_mm.shape,
        order=1,
        mode="nearest",
        output=np.float32,
    )
    return np.asarray(np.minimum(distance_mm, fine), np.float32)


def _paint(inside: NDArray[np.bool_], grid: Grid, mass: Mass) -> None:
    """Mark the voxels inside the balls of a mass."""
    from napari_xnet.simulation.rasterise import paint_balls

    for centres, radii in mass.balls:
        paint_balls(
            inside,
            (np.asarray(centres, np.float64) - grid.origin_mm) / grid.spacing_mm,
            np.asarray(radii, np.float64) / grid.spacing_mm,
        )


def voxels(points_mm: FloatArray, grid: Grid) -> NDArray[np.bool_]:
    """Voxels in which points lie."""
    index = np.rint((points_mm - np.asarray(grid.origin_mm)) / grid.spacing_mm).astype(int)[:, ::-1]
    index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
    result = np.zeros(grid.shape, bool)
    result[tuple(index.T)] = True
    return result


def _box(mass: Mass, surfaces: dict[str, FloatArray], body: Skeleton) -> tuple[FloatArray, ...]:
    lows, highs = [], []
    for centres, radii in mass.balls:
        lows.append((centres - radii[:, None]).min(axis=0))
        highs.append((centres + radii[:, None]).max(axis=0))
    for bone in body.find(mass.bones):
        if bone.rest.key in surfaces:
            lows.append(surfaces[bone.rest.key].min(axis=0))
            highs.append(surfaces[bone.rest.key].max(axis=0))
    return np.min(lows, axis=0), np.max(highs, axis=0)


def extent(
    body: Skeleton, masses: Sequence[Mass], surfaces: dict[str, FloatArray], build: Build
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper corner of a box around all that `grow` may make, each of shape (3,).

    Parameters
    ----------
    body, masses, surfaces, build
        See `grow`.
    """
    lows, highs = [], []
    for mass in masses:
        low, high = _box(mass, surfaces, body)
        margin = 1.5 * mass.fat_mm * build.fat + mass.shell_mm + 6.0
        lows.append(low - margin)
        highs.append(high + margin)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def grow(
    body: Skeleton,
    masses: Sequence[Mass],
    surfaces: dict[str, FloatArray],
    grid: Grid,
    build: Build,
    rng: np.random.Generator,
) -> list[Solid]:
    """Grow flesh around bones.

    Parameters
    ----------
    body : Skeleton
    masses : sequence of Mass
        What is there.
    surfaces : dict
        From the names of the bones that are there to points all over their
        surfaces, each an ndarray of shape (N, 3), not farther apart than the voxels.
    grid : Grid
        Flesh is made in it only, and cut off at its sides.
    build : Build
    rng : numpy.random.Generator
        For uneven fat.

    Returns
    -------
    list of Solid
        Skin and what is lean in it.
    """
    spacing = grid.spacing_mm
    far = np.float32(1e3)
    lean, skin = np.full(grid.shape, far), np.full(grid.shape, far)
    uneven = _uneven(grid, rng)
    for mass in masses:
        margin = mass.fat_mm * build.fat * 1.5 + mass.shell_mm + 4 * spacing
        low, high = _box(mass, surfaces, body)
        part, box = grid.crop(low - margin, high + margin)
        if min(part.shape) < 2:
            continue
        inside = np.zeros(part.shape, bool)
        _paint(inside, part, mass)
        own = [surfaces[one.rest.key] for one in body.find(mass.bones) if one.rest.key in surfaces]
        if own:
            inside |= swell(voxels(np.concatenate(own), part), spacing, mass.shell_mm)
        if not inside.any():
            continue
        flesh = -signed_depth(inside, spacing)
        np.minimum(lean[box], flesh, out=lean[box])
        whole = _closed(flesh, spacing, mass.crease_mm)
        if mass.full_mm is not None:
            np.minimum(lean[box], whole + mass.full_mm, out=lean[box])
        np.minimum(skin[box], whole - mass.fat_mm * build.fat * uneven[box], out=skin[box])
    skin = _closed(skin, spacing, spacing)
    bone = -signed_depth(voxels(np.concatenate(list(surfaces.values())), grid), spacing)
    skin = ndimage.gaussian_filter(np.clip(skin, -8 * spacing, 8 * spacing), 1.3)
    skin = np.minimum(skin, bone - max(_CLEAR_MM, 0.8 * spacing))
    lean = ndimage.gaussian_filter(np.clip(lean, -8 * spacing, 8 * spacing), 0.8)
    lean = np.maximum(np.minimum(lean, bone - 0.9 * spacing), skin + 0.3 * spacing)
    result = (
        fair(solid("skin", -skin, grid, FAT, AIR)),
        fair(solid("lean", -lean, grid, LEAN, FAT)),
    )
    return [one for one in result if one is not None]


def _uneven(grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Smooth random factor around 1."""
    z, y, x = grid.axes_mm()
    result = np.ones(grid.shape, np.float32)
    extent = grid.spacing_mm * max(grid.shape)
    for _ in range(4):
        wave = rng.normal(0.0, 2.0 * np.pi / (0.8 * extent), 3)
        phase = rng.uniform(0.0, 2.0 * np.pi)
        result += 0.12 * np.sin(wave[0] * x + wave[1] * y + wave[2] * z + phase)
    return result
