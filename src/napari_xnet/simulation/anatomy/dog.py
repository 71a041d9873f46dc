"""A dog: the skeleton and the skin of the dog in the package ``dm_control``.

The meshes come with the package (Apache-2.0; Tunyasuvunakool et al., Software
Impacts 6 (2020) 100022). The dog stands, and cannot be posed. World frame: x
to the head, y to the dog's left, z up. Lungs, heart, diaphragm and gas are not
in the package: they are estimates, as are all thicknesses below.
"""

import functools
import importlib.util
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from napari_xnet.errors import XNetError
from napari_xnet.simulation.anatomy import shapes
from napari_xnet.simulation.anatomy.surfaces import FAR_MM, smooth_depth, solid
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise
from napari_xnet.simulation.scene import AIR, FAT, LEAN, Mixture, Scene, Solid, spongy

_FOLDER = Path("suite") / "dog_assets"
_SCALE = (0.6, 1.6)
"""The model is 0.6 m high at the shoulder: from a small terrier's limbs to a giant breed's."""
_VOXELS, _FINE_VOXELS, _RIB_VOXELS = 34, 100, 160
"""Along a bone, along one with fine parts, and along the rib cage."""
_RIB_MINERAL = 0.45
"""Ribs, on the whole: their cortex is thinner than a voxel."""
_SEEN = 0.85
"""How far from the centre a bone may be seen, of the largest field."""
_SKIN_MM = 1.0
"""No bone comes nearer to the surface."""

_FORE_DISTAL = r"Carpal_.*L|Os_metacarpale_.*_L.*|Phalanx.*_L_?|Radius_L|Ulna_L"
_FORE = _FORE_DISTAL + r"|humerus_L|Scapula_L"
_HIND_DISTAL = (
    r"Phalanges_B_.*L_.|Metatarsi_L_.|Tarsus_(central_)?L.*|Tibial_tarsal_L|Calcaneal_tuber_L"
    r"|Tibia_L|Fibula_L"
)
_HIND = _HIND_DISTAL + r"|Patella_L|Femoris_(fabellae_)?L.*"
_TRUNK = (
    r"Ribcage|C_[4-7]|L_.|Sacrum|Pelvis|Ca_[1-9]|Scapula_.|humerus_.|Radius_.|Ulna_."
    r"|Femoris_.*|Tibia_.|Fibula_.|Patella_."
)
_HEAD = r"MergedSkull|Jaw|C_[1-5]|Lingual_bone_."
_TAIL = r"Ca_\d+|Sacrum|Pelvis|Femoris_[LR]|L_7"
_LONG = (
    r"(Femoris|Tibia|Fibula|Radius|Ulna|humerus)_[LR]|Metatarsi_.*"
    r"|Os_metacarpale_((II|III|IV)_[LR]|V_[LR].001)"
)
_REMADE = r"MergedSkull|Jaw|Ribcage"
"""Too fine, or not closed."""

_Axes: TypeAlias = tuple[tuple[float, float, float], ...]

_SIDEWAYS: _Axes = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
"""Right: head, down: ground, beam: from the right to the left."""
_FROM_FRONT: _Axes = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0))
_ANY_SIDE = ((-15.0, 15.0), (75.0, 105.0), (-105.0, -75.0), (30.0, 60.0), (-60.0, -30.0))
_TWO_SIDES = ((-8.0, 8.0), (-8.0, 8.0), (-8.0, 8.0), (82.0, 98.0), (-98.0, -82.0))
"""More from the side: from above its legs lie in the beam, as it stands."""
_UP, _FORWARD = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class _Part:
    """Bones, and the flesh in a box around them."""

    bones: str
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    spacing_mm: float
    around_mm: float | None = None
    """Flesh farther from the bones is taken for the trunk, and left out."""


@dataclass(frozen=True)
class _Place:
    """Where in a part a radiograph is centred."""

    part: str
    centre_mm: tuple[float, float, float]
    towards_mm: tuple[float, float, float] | None = None
    """The other end, if the centre may lie anywhere along a line."""


@dataclass(frozen=True)
class _Region:
    places: tuple[_Place, ...]
    field_mm: tuple[float, float]
    fat_mm: tuple[float, float]
    kilovolts: tuple[float, float] = (45.0, 65.0)
    axes: _Axes = _FROM_FRONT
    turn_about: tuple[float, float, float] = _UP
    turns_deg: tuple[tuple[float, float], ...] = _ANY_SIDE


_PARTS: Mapping[str, _Part] = {
    "foreleg": _Part(_FORE_DISTAL, (60.0, 5.0, -6.0), (262.0, 112.0, 318.0), 2.1),
    "hindleg": _Part(_HIND_DISTAL, (-620.0, 5.0, -6.0), (-280.0, 116.0, 332.0), 2.3),
    "arm": _Part(_FORE, (40.0, -20.0, -6.0), (300.0, 112.0, 600.0), 3.8, 40.0),
    "thigh": _Part(_HIND, (-620.0, -10.0, -6.0), (-240.0, 116.0, 530.0), 4.0, 42.0),
    "trunk": _Part(_TRUNK, (-560.0, -116.0, 95.0), (310.0, 116.0, 640.0), 6.0),
    "head": _Part(_HEAD, (190.0, -116.0, 480.0), (472.0, 116.0, 812.0), 4.0),
    "tail": _Part(_TAIL, (-742.0, -116.0, 290.0), (-200.0, 116.0, 565.0), 4.2),
}
_REGIONS: Mapping[str, _Region] = {
    "dog paw": _Region(
        (_Place("foreleg", (178.0, 54.0, 38.0)), _Place("hindleg", (-525.0, 78.0, 40.0))),
        (70.0, 170.0), (0.8, 2.5),
    ),
    "dog carpus": _Region((_Place("foreleg", (152.0, 53.0, 82.0)),), (70.0, 190.0), (0.8, 2.5)),
    "dog elbow": _Region((_Place("arm", (142.0, 63.0, 288.0)),), (100.0, 240.0), (1.5, 4.0)),
    "dog shoulder": _Region((_Place("arm", (200.0, 58.0, 420.0)),), (120.0, 260.0), (2.0, 6.0)),
    "dog tarsus": _Region((_Place("hindleg", (-538.0, 73.0, 135.0)),), (80.0, 210.0), (0.8, 2.5)),
    "dog stifle": _Region((_Place("thigh", (-355.0, 78.0, 298.0)),), (110.0, 260.0), (2.0, 5.0)),
    "dog hip": _Region((_Place("trunk", (-330.0, 40.0, 450.0)),), (130.0, 280.0), (2.0, 6.0),
                       (55.0, 80.0), _SIDEWAYS, _FORWARD, _TWO_SIDES),
    "dog pelvis": _Region((_Place("trunk", (-305.0, 0.0, 470.0)),), (180.0, 330.0), (2.0, 6.0),
                          (55.0, 80.0), _SIDEWAYS, _FORWARD, _TWO_SIDES),
    "dog spine": _Region(
        (_Place("trunk", (-220.0, 0.0, 500.0), (0.0, 0.0, 490.0)),), (150.0, 320.0), (2.0, 6.0),
        (60.0, 85.0), _SIDEWAYS, _FORWARD, _TWO_SIDES,
    ),
    "dog chest": _Region((_Place("trunk", (60.0, 0.0, 420.0)),), (230.0, 380.0), (2.0, 6.0),
                         (60.0, 95.0), _SIDEWAYS, _FORWARD, _TWO_SIDES),
    "dog skull": _Region((_Place("head", (360.0, 0.0, 670.0)),), (170.0, 300.0), (1.5, 3.0),
                         (55.0, 80.0), _SIDEWAYS, _FORWARD, (*_TWO_SIDES, (-60.0, 60.0))),
    "dog tail": _Region((_Place("tail", (-390.0, 0.0, 485.0), (-640.0, 0.0, 335.0)),),
                        (90.0, 220.0), (0.8, 2.5), (45.0, 65.0), _SIDEWAYS, _FORWARD, _TWO_SIDES),
}  # fmt: skip

REGIONS: tuple[str, ...] = tuple(_REGIONS)
"""Parts of the dog that there are."""


def dog_scene(region: str, rng: np.random.Generator) -> Scene:
    """Choose a dog, and show part of it.

    Size, side, fat, and the make of the bones are random; the pose is not.

    Parameters
    ----------
    region : str
        One of `REGIONS`.
    rng : numpy.random.Generator

    Raises
    ------
    XNetError
        If there is no such region, or ``dm_control`` or ``trimesh`` is not installed.
    """
    if region not in _REGIONS:
        raise XNetError(f"There is no region {region!r} of the dog; choose {', '.join(REGIONS)}.")
    what = _REGIONS[region]
    folder = _folder()
    place = what.places[int(rng.integers(len(what.places)))]
    scale = float(np.exp(rng.uniform(*np.log(_SCALE))))
    part = _PARTS[place.part]
    centre = np.array(place.centre_mm)
    if place.towards_mm is not None:
        centre += rng.random() * (np.array(place.towards_mm) - centre)
    solids = [
        *_flesh(folder, place.part, rng.uniform(*what.fat_mm) / scale, scale, rng),
        *_bones(_near(folder, part.bones, centre, _SEEN * what.field_mm[1]), scale, rng),
    ]
    mirror = 1 if rng.random() < 0.5 else None
    centre = centre * scale * np.array([1.0, 1.0 if mirror is None else -1.0, 1.0])
    return Scene(
        region=region,
        source="dm-control",
        solids=tuple(shapes.resized(one, scale, mirror) for one in solids),
        axes=np.array(what.axes),
        centre_mm=centre,
        field_mm=(what.field_mm[0] * scale, what.field_mm[1] * scale),
        turn_about=np.array(what.turn_about),
        turns_deg=what.turns_deg,
        kilovolts=what.kilovolts,
    )


def _near(
    folder: Path, names: str, centre_mm: FloatArray, reach_mm: float
) -> list[shapes.BoneShape]:
    """Bones of which something may be seen."""
    bones = [_bone(folder, name) for name in _names(folder) if re.fullmatch(names, name)]
    return [
        bone
        for bone in bones
        if np.linalg.norm(bone.vertices_mm - centre_mm, axis=1).min() < reach_mm
    ]


def _bones(bones: list[shapes.BoneShape], scale: float, rng: np.random.Generator) -> list[Solid]:
    cortex = rng.uniform(0.4, 0.8)
    shaft, mineral = rng.uniform(0.25, 0.45), rng.uniform(0.15, 0.4)
    solids: list[Solid] = []
    for bone in bones:
        if bone.name == "Ribcage":
            filling = spongy(_RIB_MINERAL * rng.uniform(0.7, 1.3))
            solids.append(Solid(bone.name, bone.vertices_mm, bone.faces, filling, LEAN))
            continue
        # Of thin bones a third of the radius is cortex at most.
        own = min(cortex / scale, 0.35 * float(bone.depth_mm.max()))
        solids += shapes.bone_solids(bone, own, shaft, mineral)
    return solids


def _flesh(
    folder: Path, part_name: str, fat_mm: float, scale: float, rng: np.random.Generator
) -> list[Solid]:
    """Fat to the skin, lean tissue inside, and air; all in the model's size."""
    skin, bones, lungs, grid = _body(folder, part_name)
    part = _PARTS[part_name]
    cover = _SKIN_MM / scale
    if part.around_mm is not None:
        reach = part.around_mm * rng.uniform(0.85, 1.15)
        if part_name == "arm":
            # Below the chest there is no more flesh than the skin shows.
            z = grid.axes_mm()[0]
            reach = reach * np.clip(0.45 + (z - 300.0) / 220.0, 0.45, 1.0)
        skin = np.minimum(skin, reach + bones)
    skin = np.maximum(skin, bones + cover)
    lean = np.minimum(np.maximum(skin - fat_mm, bones + cover), skin - 0.5 * cover)
    # What lies deep is muscle and organs with fat between them, in unlike shares.
    deep = rng.uniform(0.0, 0.15)
    meat: Mixture = {"lean": 1.0 - deep, "fat": deep}
    made = [solid("skin", skin, grid, FAT, AIR), solid("lean", lean, grid, meat, FAT)]
    made += [
        solid(name, np.minimum(air, lean), grid, filling, meat)
        for name, air, filling in _air(part_name, bones, lungs, grid, rng)
    ]
    return [one for one in made if one is not None]


def _air(
    part_name: str,
    bones: FloatArray,
    lungs: FloatArray | None,
    grid: Grid,
    rng: np.random.Generator,
) -> list[tuple[str, FloatArray, Mixture]]:
    """Depths in what is filled with air, which no bone reaches into."""
    if part_name == "head":
        nose = shapes.ellipsoid(grid, np.array([400.0, 0.0, 688.0]), np.array([45.0, 15.0, 20.0]))
        throat = _tube(grid, ((330.0, 0.0, 625.0), (290.0, 0.0, 600.0), (220.0, 0.0, 480.0)), 7.0)
        return [
            ("nose", np.minimum(nose, -bones - 0.5), AIR),
            ("throat", np.minimum(throat, -bones - 2.0), AIR),
        ]
    if part_name != "trunk" or lungs is None:
        return []
    airways = _tube(grid, ((240.0, 0.0, 540.0), (200.0, 0.0, 465.0), (100.0, 0.0, 440.0)), 6.0)
    heart = shapes.ellipsoid(
        grid,
        np.array([rng.uniform(75.0, 105.0), rng.uniform(-8.0, 12.0), rng.uniform(375.0, 395.0)]),
        rng.uniform(0.85, 1.15) * np.array([48.0, 36.0, 46.0]),
    )
    z, y, x = grid.axes_mm()
    # The diaphragm: a dome that leans forward, farther back when the dog breathes in.
    dome = (
        rng.uniform(-75.0, -35.0)
        + 0.45 * (500.0 - z)
        + rng.uniform(15.0, 35.0) * (1.0 - (y / 70.0) ** 2)
    )
    # Between the lungs: aorta, gullet and windpipe.
    between = np.abs(y) - (5.0 + 6.0 * (z > 430.0))
    chest = np.minimum(np.minimum(lungs, -heart - 1.0), np.minimum(x - dome, between))
    filled = rng.uniform(0.8, 1.3)
    breath: Mixture = {"lung": min(filled, 1.0), "lean": max(filled - 1.0, 0.0)}
    found: list[tuple[str, FloatArray, Mixture]] = [
        ("lungs", chest, breath),
        ("windpipe", np.minimum(airways, -bones - 2.0), AIR),
    ]
    bubbles = np.full(grid.shape, -FAR_MM, np.float32)
    for _ in range(int(rng.integers(0, 6))):
        place = rng.uniform((-260.0, -45.0, 390.0), (-40.0, 45.0, 460.0))
        bubble = shapes.ellipsoid(grid, place, rng.uniform(5.0, 17.0, 3) * (1.6, 1.0, 1.0))
        np.maximum(bubbles, bubble, out=bubbles)
    # Nothing of the gut lies in the chest or at bones.
    gut = np.minimum(np.minimum(bubbles, -bones - 8.0), -np.minimum(lungs, x - dome) - 3.0)
    found.append(("gas", gut, AIR))
    return found


def _tube(
    grid: Grid, points: tuple[tuple[float, float, float], ...], radius_mm: float
) -> FloatArray:
    """Depth in a tube around a line of points."""
    z, y, x = grid.axes_mm()
    result = np.full(grid.shape, -FAR_MM, np.float32)
    for start, end in itertools.pairwise(points):
        a, b = np.array(start, np.float32), np.array(end, np.float32) - np.array(start, np.float32)
        dx, dy, dz = x - a[0], y - a[1], z - a[2]
        t = np.clip((dx * b[0] + dy * b[1] + dz * b[2]) / float(b @ b), 0.0, 1.0)
        away = np.sqrt((dx - t * b[0]) ** 2 + (dy - t * b[1]) ** 2 + (dz - t * b[2]) ** 2)
        np.maximum(result, radius_mm - away, out=result)
    return result


@functools.lru_cache(maxsize=8)
def _body(folder: Path, part_name: str) -> tuple[FloatArray, FloatArray, FloatArray | None, Grid]:
    """Depth below the skin, in the bones and in the chest of a part, on a grid."""
    part = _PARTS[part_name]
    grid = Grid.around(np.array(part.low_mm), np.array(part.high_mm), part.spacing_mm)
    skin = smooth_depth(voxelise(_read_skin(folder), grid), grid.spacing_mm)
    named = [_bone(folder, name) for name in _names(folder) if re.fullmatch(part.bones, name)]
    inside = np.zeros(grid.shape, bool)
    for bone in named:
        inside |= voxelise(bone.triangles_mm, grid)
    lungs = None
    if part_name == "trunk":
        hull = voxelise(_hull(_bone(folder, "Ribcage").vertices_mm), grid)
        lungs = np.minimum(smooth_depth(hull, grid.spacing_mm) - 5.0,
                           -smooth_depth(inside, grid.spacing_mm) - 2.0)  # fmt: skip
        z, y, _ = grid.axes_mm()
        # Above the bodies of the vertebrae there are muscles.
        lungs = np.minimum(lungs, 508.0 - 0.0015 * y**2 - z).astype(np.float32)
    return skin, smooth_depth(inside, grid.spacing_mm), lungs, grid


def _hull(points: FloatArray) -> FloatArray:
    """Triangles of the convex hull of points, counter-clockwise from outside."""
    hull = ConvexHull(points)
    triangles: FloatArray = np.asarray(points, np.float64)[hull.simplices]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    inward = np.einsum("ij,ij->i", normals, hull.equations[:, :3]) < 0
    triangles[inward] = triangles[inward, ::-1]
    return triangles


@functools.lru_cache(maxsize=256)
def _bone(folder: Path, name: str) -> shapes.BoneShape:
    vertices, faces = _read_stl(folder / f"BONE{name}.stl")
    remade = re.fullmatch(_REMADE, name) is not None
    voxels = _RIB_VOXELS if name == "Ribcage" else _FINE_VOXELS if remade else _VOXELS
    return shapes.bone_shape(
        name,
        vertices,
        faces,
        voxels,
        0.4,
        remade=remade,
        long=re.fullmatch(_LONG, name) is not None,
    )


@functools.lru_cache(maxsize=2)
def _names(folder: Path) -> tuple[str, ...]:
    """Names of the bones."""
    names = sorted(path.stem.removeprefix("BONE") for path in folder.glob("BONE*.stl"))
    return tuple(name for name in names if not name.startswith("eye"))


def is_installed() -> bool:
    """Whether the meshes of ``dm_control`` are there."""
    return _find() is not None


def _folder() -> Path:
    folder = _find()
    if folder is None:
        raise XNetError(
            "Simulating radiographs of dogs needs the meshes of dm-control. Install it with"
            " pip install --no-deps dm-control."
        )
    return folder


def _find() -> Path | None:
    """Find the meshes of ``dm_control``; to import it would need all that it depends on."""
    found = importlib.util.find_spec("dm_control")
    for place in (found.submodule_search_locations or []) if found else []:
        if (Path(place) / _FOLDER / "dog_skin.skn").is_file():
            return Path(place) / _FOLDER
    return None


def _read_skin(folder: Path) -> NDArray[np.float32]:
    """Triangles of a skin in MuJoCo's format, in mm.

    Four int32: the numbers of vertices, texture coordinates, faces and bones;
    then 3 float32 for each vertex, 2 for each texture coordinate, and 3 int32
    for each face (MuJoCo's XML reference, "skin"). What follows moves it.
    """
    path = folder / "dog_skin.skn"
    raw = path.read_bytes()
    vertices, texture, faces, _ = (int(one) for one in np.frombuffer(raw, "<i4", 4))
    places = np.frombuffer(raw, "<f4", 3 * vertices, 16).reshape(-1, 3)
    corners = np.frombuffer(raw, "<i4", 3 * faces, 16 + 12 * vertices + 8 * texture)
    triangles: NDArray[np.float32] = np.float32(1000.0) * places[corners.reshape(-1, 3)]
    return triangles


def _read_stl(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices in mm and faces of a binary STL file."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.fromfile(path, record, offset=84)["corners"].reshape(-1, 3)
    vertices, index = np.unique(corners, axis=0, return_inverse=True)
    return (1000.0 * vertices).astype(np.float32), index.reshape(-1, 3).astype(np.int32)
