"""Bones of the skeleton as closed solids: cortex, spongy bone, marrow, growth plates.

The meshes of the model are coarse; here they are made smooth and closed, once
per process and only those that are asked for.
"""

import functools
import re
from dataclasses import replace
from typing import Any

import numpy as np

from napari_xnet.simulation.anatomy.human.skeleton import PlacedBone, RestBone, rest_bones
from napari_xnet.simulation.anatomy.shapes import marrow_depth, resized
from napari_xnet.simulation.anatomy.surfaces import fair, mesh_depth, solid
from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scene import BONE, FAT, LEAN, Solid, spongy

CORTEX_PER_WIDTH: float = 0.2
"""Cortical thickness over the width of the shaft in the middle of a long bone.

Both walls together 0.40 and, with `CORTEX_LEVELS`, 0.30 to 0.48: around the limit of
normal of Barnett and Nordin's metacarpal index, some 0.43, Clin Radiol 11 (1960) 166.
"""

THIN_CORTEX_MM: tuple[float, float] = (0.4, 1.3)
"""Cortex at the ends of long bones and around short ones: smallest, largest."""

CORTEX_LEVELS: tuple[float, ...] = (0.75, 0.95, 1.2)
"""Cortical thickness over the usual one: porous, common, dense. Few, because each is kept."""

STAGES: int = 3
"""Ages that are told apart in children, from the youngest to the oldest."""

PLATES: tuple[tuple[str, float | None, float | None], ...] = (
    ("femur", None, 0.14),
    ("tibia", 0.11, 0.09),
    ("fibula", 0.10, 0.10),
    ("humerus", 0.13, 0.10),
    ("radius", 0.08, 0.10),
    ("ulna", None, 0.08),
    ("2mc|foot[0-4]$", None, 0.22),
    ("[3-5]mc", 0.22, None),  # in the model their joint towards the trunk is the far one
    (r"1mc|thumb|\d(?:prox|mid|dist)ph|bofoot", 0.20, None),
)
"""Bones that grow, by the beginning of the name, and where: distance of the plate from the end
towards the trunk and from the other, over half the length. Read off anatomical drawings."""

_PLATE_MM = (4.5, 3.2, 2.2)
"""Thickness of growth plates at each stage, in an adult's size; estimated."""
_LATE = r"lunate|scaphoid|pisiform|triquetrum|capitate|trapezium|trapezoid|hamate|patella"
_GROWN = (0.6, 0.78, 0.92)
"""How large the bony core of the bones that ossify late is at each stage; estimated."""

_VOXELS = (25_000, 250_000)
"""Of the box around a bone: smallest and largest number."""
_MINERAL = 0.25
"""Share of mineralised bone in spongy bone, where none is given."""
_RIB_MINERAL = 0.55
"""Share of mineralised bone in a whole rib, cortex and inside together; estimated."""
_THIN_VOXELS = (25_000, 70_000)
"""Least number for a rib, and for scapula and pelvis: thin bones vanish in coarse voxels."""
_FINEST_MM = 0.3
_SKULL_MM = 5.5
"""Thickness of the vault: Lynnerup, Forensic Sci Int 117 (2001) 45."""


@functools.cache
def _find(key: str) -> RestBone:
    return next(bone for bone in rest_bones() if bone.key == key)


_DETAIL = (0.09, 0.25, 1.0)
"""Voxels over the usual number, for views of many and of few bones."""


@functools.cache
def _depth(key: str, detail: int) -> tuple[FloatArray, Any]:
    bone = _find(key)
    box = np.ptp(bone.triangles_mm.reshape(-1, 3), axis=0)
    voxels = np.clip(_VOXELS[0] * (float(box.max()) / 40.0) ** 1.5, *_VOXELS)
    if bone.name.startswith("rib"):
        voxels = 90_000
    elif bone.name.startswith(("scapula", "pelvis")):
        voxels = _VOXELS[1]  # thin
    voxels = voxels * _DETAIL[detail]
    if bone.name.startswith(("rib", "scapula", "pelvis")):
        voxels = max(voxels, _THIN_VOXELS[not bone.name.startswith("rib")])
    spacing = max(float((box.prod() / voxels) ** (1 / 3)), float(box.max()) / 280, _FINEST_MM)
    depth, grid = mesh_depth(bone.triangles_mm, spacing)
    if bone.name.startswith(("rib", "scapula")):
        depth = depth + np.float32(0.25 * spacing)  # as much as smoothing takes away
    return depth, grid


def _sizes(key: str) -> tuple[float, float]:
    """Half the length of a bone along its axis, and its width in the middle, in mm."""
    points = _find(key).triangles_mm.reshape(-1, 3)
    half = float(points[:, 2].max())
    middle = points[np.abs(points[:, 2]) < 0.25 * half]
    middle = middle if len(middle) > 12 else points
    across = middle[:, :2] - middle[:, :2].mean(axis=0)
    return half, 2.0 * float(np.median(np.linalg.norm(across, axis=1)))


def _slender(key: str) -> float:
    """Say from 0 to 1 how much of a shaft a bone has: short ones have none."""
    if re.match(
        r"rib|scapula|pelvis|sternum|jaw|cervical|thoracic|lumbar|sacrum|skull", _find(key).name
    ):
        return 0.0
    half, width = _sizes(key)
    return float(np.clip((2.0 * half / width - 1.8) / 1.2, 0.0, 1.0))


def _cortex_mm(key: str, detail: int) -> float | FloatArray:
    """Usual thickness of the cortex along a bone."""
    if key == "skull":
        return _SKULL_MM
    half, width = _sizes(key)
    thin = float(np.clip(0.035 * width, *THIN_CORTEX_MM))
    z = _depth(key, detail)[1].axes_mm()[0]
    shaft = np.clip((half - np.abs(z)) / (0.56 * half), 0.0, 1.0)
    shaft = _slender(key) * shaft * shaft * (3.0 - 2.0 * shaft)
    thick = max(CORTEX_PER_WIDTH * width, thin)
    cortex: FloatArray = thin + (thick - thin) * shaft
    return cortex


@functools.cache
def _outer(key: str, detail: int) -> Solid:
    depth, grid = _depth(key, detail)
    one = fair(solid(key, depth, grid, BONE, LEAN))
    assert one is not None
    return one


@functools.cache
def _inner(key: str, level: int, detail: int) -> Solid | None:
    depth, grid = _depth(key, detail)
    inside = depth - CORTEX_LEVELS[level] * _cortex_mm(key, detail)
    filling = LEAN if key == "skull" else spongy(_MINERAL)
    return fair(solid(f"{key}, inside", inside, grid, filling, BONE))


@functools.cache
def _marrow(key: str, level: int, detail: int) -> Solid | None:
    """Fat in the shaft of a long bone; none in others."""
    if not _slender(key):
        return None
    depth, grid = _depth(key, detail)
    half, width = _sizes(key)
    inside = depth - CORTEX_LEVELS[level] * _cortex_mm(key, detail)
    marrow = marrow_depth(inside, grid.axes_mm()[0] / half, width / 2.0)
    return fair(solid(f"{key}, marrow", marrow, grid, FAT, spongy(_MINERAL)))


@functools.cache
def _growth_plates(
    key: str, level: int, detail: int, stage: int, towards_trunk: int
) -> tuple[tuple[Solid, ...], tuple[Solid, ...]]:
    """Cartilage in place of cortex, and cortex in place of spongy bone where both are gone."""
    name = _find(key).name
    shares = next((ends for pattern, *ends in PLATES if re.match(pattern, name)), ())
    depth, grid = _depth(key, detail)
    _, width = _sizes(key)
    z, y, x = grid.axes_mm()
    # Some meshes have loose triangles beyond the end of the bone.
    low, high = z.ravel()[np.flatnonzero((depth > 0).any(axis=(1, 2)))[[0, -1]]]
    wave = 0.04 * width * (np.sin(6.0 * x / width) + np.sin(5.0 * y / width + 1.0))
    thick = max(_PLATE_MM[stage], 1.4 * grid.spacing_mm)
    inside = depth - CORTEX_LEVELS[level] * _cortex_mm(key, detail)
    cartilage, filled = [], []
    for share, end in zip(shares, (towards_trunk, -towards_trunk), strict=False):
        if share is None or not _slender(key):
            continue
        place = (high if end > 0 else low) - end * share * (high - low) / 2.0
        slab = 0.5 * thick - np.abs(z - place - wave)
        # A little wider than the bone, whose surface was smoothed.
        outer = np.minimum(depth + 0.5 * grid.spacing_mm, slab)
        cartilage.append(solid(f"{key}, growth plate", outer, grid, LEAN, BONE))
        inner = np.minimum(inside, slab)
        filled.append(solid(f"{key}, within the plate", inner, grid, BONE, spongy(_MINERAL)))
    return (
        tuple(one for one in cartilage if one is not None),
        tuple(one for one in filled if one is not None),
    )


def surface(bone: PlacedBone, detail: int = 2) -> FloatArray:
    """Corners of the smooth surface of a bone in the world, shape (V, 3)."""
    return _outer(bone.rest.key, detail).moved(bone.rotation, bone.shift_mm).vertices_mm


def bone_solids(
    bone: PlacedBone, level: int, mineral: float, detail: int = 2, stage: int | None = None
) -> tuple[Solid, ...]:
    """Make the solids of a bone in the world: cortex, spongy bone inside, marrow in shafts.

    Parameters
    ----------
    bone : PlacedBone
    level : int
        Index into `CORTEX_LEVELS`.
    mineral : float
        Share of mineralised bone in the spongy bone; in the skull there is
        brain instead.
    detail : int
        0 for coarse surfaces, which are faster, to 2 for fine ones.
    stage : int, optional
        Below `STAGES`: that of a child, whose long bones have growth plates
        and whose carpal bones are small still.
    """
    key = bone.rest.key
    if detail == 0 and bone.rest.name.startswith("rib"):
        # their cortex is too thin to be seen, and there are many
        mixed = replace(_outer(key, detail), filling=spongy(_RIB_MINERAL))
        return (mixed.moved(bone.rotation, bone.shift_mm),)
    inner, marrow = _inner(key, level, detail), _marrow(key, level, detail)
    if inner is not None and key != "skull":
        inner = replace(inner, filling=spongy(mineral))
    if marrow is not None:
        marrow = replace(marrow, displaces=spongy(mineral))
    parts = [one for one in (_outer(key, detail), inner, marrow) if one is not None]
    if stage is not None:
        cartilage, filled = _growth_plates(key, level, detail, stage, bone.towards_trunk)
        parts += cartilage
        parts += (replace(one, displaces=spongy(mineral)) for one in filled)
        if re.match(_LATE, bone.rest.name):
            parts = [resized(one, _GROWN[stage]) for one in parts]
    return tuple(one.moved(bone.rotation, bone.shift_mm) for one in parts)
