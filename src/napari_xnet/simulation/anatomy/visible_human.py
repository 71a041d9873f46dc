"""The Visible Humans: bones and skin of the lower body of a man and a woman.

Reads the GLB files of reference organs made of the Visible Human data sets:
``VH_F_Skin.glb``, ``VH_F_Pelvis.glb``, ``VH_F_Knee_L.glb``, the same with
``M``. They state metres. World frame: x to the left side of the body, y to
the head, z to the front.

They are part of the HuBMAP CCF 3D reference object library, CC BY 4.0,
K. Browne et al., https://doi.org/10.48539/HBM592.CTHB.237.
"""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet.errors import ImageError, XNetError
from napari_xnet.simulation._optional import require
from napari_xnet.simulation.anatomy import shapes
from napari_xnet.simulation.anatomy.surfaces import smooth_depth, solid
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import voxelise
from napari_xnet.simulation.scene import AIR, BONE, FAT, LEAN, Mixture, Scene, Solid

_FILES = ("Skin", "Pelvis", "Knee_L")
_LEG_BONES = ("femur", "tibia", "fibula", "patella")
_SKIN_MM = 1.5
_HIP_VOXEL_MM = 2.2
_VOXELS: Mapping[str, int] = {"femur_L": 125, "tibia_L": 90, "fibula_L": 90, "patella_L": 24}
"""Along each bone of the leg."""
_SCALE = (0.9, 1.1)

_FROM_FRONT = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
_LEG_TURNS = ((-12.0, 12.0), (-12.0, 12.0), (80.0, 100.0), (-100.0, -80.0), (30.0, 50.0))
_ANY_TURN = ((-25.0, 25.0), (60.0, 120.0), (-120.0, -60.0))


@dataclass(frozen=True)
class _Region:
    """Where a radiograph is centred, by the bones; x and y only matter in the standard view."""

    bones: str
    spacing_mm: float
    field_mm: tuple[float, float]
    fat_mm: tuple[float, float]
    kilovolts: tuple[float, float]
    turns_deg: tuple[tuple[float, float], ...]
    both_sides: bool = False


_REGIONS: Mapping[str, _Region] = {
    "knee": _Region("femur|tibia|fibula|patella", 5.0, (150.0, 320.0), (3.0, 14.0), (50.0, 70.0),
                    _LEG_TURNS),
    "thigh": _Region("femur|tibia|fibula|patella|hip_bone", 5.5, (220.0, 420.0), (5.0, 25.0),
                     (55.0, 80.0), _LEG_TURNS),
    "lower leg": _Region("femur|tibia|fibula|patella", 5.0, (180.0, 420.0), (2.0, 10.0),
                         (48.0, 66.0), _LEG_TURNS),
    "hip": _Region("femur|hip_bone|sacrum|coccyx", 8.0, (180.0, 320.0), (8.0, 40.0), (65.0, 90.0),
                   ((-15.0, 15.0), (-15.0, 15.0), (25.0, 50.0)), both_sides=True),
    "pelvis": _Region("femur|hip_bone|sacrum|coccyx", 8.0, (300.0, 420.0), (8.0, 40.0),
                      (65.0, 90.0), ((-12.0, 12.0), (-12.0, 12.0), (-35.0, 35.0)),
                      both_sides=True),
}  # fmt: skip

REGIONS: tuple[str, ...] = tuple(_REGIONS)
"""Parts of the body that there are."""


def sexes(folder: str | os.PathLike[str]) -> list[str]:
    """Find out whose files a folder holds: those of the woman, ``"F"``, or of the man, ``"M"``.

    Raises
    ------
    ImageError
        If it holds no full set.
    """
    folder = Path(folder)
    whole = [one for one in "FM" if all(_file(folder, one, part).is_file() for part in _FILES)]
    if not whole:
        raise ImageError(
            f"{folder} holds no Visible Human; it needs the files "
            + ", ".join(_file(folder, "F", part).name for part in _FILES)
            + ", or those of the man."
        )
    return whole


def visible_human_scene(
    folder: str | os.PathLike[str], region: str, rng: np.random.Generator
) -> Scene:
    """Choose one of the Visible Humans, and show part of the body.

    Which one, size, side, fat, and the make of the bones are random; the pose is not.

    Parameters
    ----------
    folder : path-like
        Where the GLB files are; those of the man or of the woman will do.
    region : str
        One of `REGIONS`.
    rng : numpy.random.Generator

    Raises
    ------
    XNetError
        If there is no such region, or trimesh is not installed.
    ImageError
        If the folder holds no full set of files, or one cannot be read.
    """
    if region not in _REGIONS:
        raise XNetError(
            f"There is no region {region!r} of the Visible Humans; choose {', '.join(REGIONS)}."
        )
    what = _REGIONS[region]
    folder = Path(folder).resolve()
    whole = sexes(folder)
    sex = whole[int(rng.integers(len(whole)))]
    scale = float(rng.uniform(*_SCALE))
    bones = _bones(folder, sex)
    solids = _flesh(folder, sex, region, rng.uniform(*what.fat_mm) / scale, rng)
    cortex, mineral = rng.uniform(0.8, 1.6), rng.uniform(0.12, 0.35)
    shaft = rng.uniform(0.3, 0.5)
    for name, bone in bones.items():
        if re.fullmatch(what.bones, name.removesuffix("_R").removesuffix("_L")) and (
            what.both_sides or not name.endswith("_R")
        ):
            own = min(cortex / scale, 0.4 * float(bone.depth_mm.max()))
            solids += shapes.bone_solids(bone, own, shaft, mineral)
    mirror = 0 if rng.random() < 0.5 else None
    centre = _centre(region, bones) * scale
    if mirror is not None:
        centre[mirror] *= -1.0
    return Scene(
        region=region,
        source=f"Visible Human {'female' if sex == 'F' else 'male'}",
        solids=tuple(shapes.resized(one, scale, mirror) for one in solids),
        axes=_FROM_FRONT,
        centre_mm=centre,
        field_mm=what.field_mm,
        turn_about=np.array([0.0, 1.0, 0.0]),
        turns_deg=what.turns_deg,
        kilovolts=what.kilovolts,
    )


def _centre(region: str, bones: Mapping[str, shapes.BoneShape]) -> FloatArray:
    """Middle of the standard view."""
    femur, tibia = bones["femur_L"].vertices_mm, bones["tibia_L"].vertices_mm
    if region == "thigh":
        return np.asarray(femur.mean(axis=0), np.float64)
    if region == "lower leg":
        return np.asarray(tibia.mean(axis=0), np.float64)
    if region == "knee":
        return np.asarray(femur[femur[:, 1] < femur[:, 1].min() + 30.0].mean(axis=0), np.float64)
    head = femur[femur[:, 1] > femur[:, 1].max() - 40.0].mean(axis=0).astype(np.float64)
    if region == "hip":
        return np.asarray(head)
    hips = np.concatenate([one.vertices_mm for name, one in bones.items() if "hip_bone" in name])
    return np.asarray(0.5 * (hips.min(axis=0) + hips.max(axis=0)), np.float64)


def _flesh(
    folder: Path, sex: str, region: str, fat_mm: float, rng: np.random.Generator
) -> list[Solid]:
    """Fat to the skin, and lean tissue inside, in the size of the files."""
    skin, bones, grid = _body(folder, sex, region)
    skin = np.maximum(skin, bones + _SKIN_MM)
    lean = np.minimum(np.maximum(skin - fat_mm, bones + _SKIN_MM), skin - 0.5 * _SKIN_MM)
    # Between the muscles there is fat.
    between = rng.uniform(0.0, 0.2)
    meat: Mixture = {"lean": 1.0 - between, "fat": between}
    made = [solid("skin", skin, grid, FAT, AIR), solid("lean", lean, grid, meat, FAT)]
    return [one for one in made if one is not None]


@functools.lru_cache(maxsize=10)
def _body(folder: Path, sex: str, region: str) -> tuple[FloatArray, FloatArray, Grid]:
    """Depth below the skin and in the bones, on a grid around the region."""
    what = _REGIONS[region]
    bones = {
        name: one
        for name, one in _bones(folder, sex).items()
        if re.fullmatch(what.bones, name.removesuffix("_R").removesuffix("_L"))
        and (what.both_sides or not name.endswith("_R"))
    }
    points = np.concatenate([one.vertices_mm for one in bones.values()])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    low, high = low - np.array([90.0, 0.0, 190.0]), high + np.array([90.0, 60.0, 190.0])
    if not what.both_sides:
        # The other leg lies elsewhere when one is radiographed.
        low[0] = max(low[0], 3.0)
    else:
        # From half way down the thighs.
        low[1] = _centre("thigh", _bones(folder, sex))[1] - 80.0
        high[1] += 90.0
    if region in ("knee", "lower leg"):
        high[1] = _centre("knee", _bones(folder, sex))[1] + 300.0
    if region == "knee":
        low[1] = _centre("knee", _bones(folder, sex))[1] - 300.0
    grid = Grid.around(low, high, what.spacing_mm)
    inside = _largest(voxelise(_triangles(_meshes(_file(folder, sex, "Skin"))), grid))
    hard = np.zeros(grid.shape, bool)
    for bone in bones.values():
        hard |= voxelise(bone.triangles_mm, grid)
    return (
        smooth_depth(inside, grid.spacing_mm),
        smooth_depth(hard, grid.spacing_mm),
        grid,
    )


def _largest(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out the hands, which hang beside the hips."""
    pieces, count = ndimage.label(inside)
    if count < 2:
        return inside
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept: NDArray[np.bool_] = pieces == sizes.argmax()
    return kept


@functools.lru_cache(maxsize=2)
def _bones(folder: Path, sex: str) -> Mapping[str, shapes.BoneShape]:
    """Bones by name: those of the left leg also mirrored to the right."""
    bones: dict[str, shapes.BoneShape] = {}
    knee = {
        name.removeprefix(f"VH_{sex}_"): mesh
        for name, mesh in _meshes(_file(folder, sex, "Knee_L")).items()
    }
    for name, (vertices, faces) in knee.items():
        if name.removesuffix("_L") not in _LEG_BONES:
            continue
        if name == "femur_L":
            vertices, faces = _joined([knee[one] for one in knee if _of_femur(one)])
        bones[name] = shapes.bone_shape(
            name, vertices, faces, _VOXELS[name], 0.8, remade=True, long=name != "patella_L"
        )
    missing = [one for one in _LEG_BONES if f"{one}_L" not in bones]
    if missing:
        raise ImageError(
            f"{_file(folder, sex, 'Knee_L').name} lacks the meshes {', '.join(missing)}; "
            "get it again."
        )
    for name in tuple(bones):
        bones[name.removesuffix("_L") + "_R"] = _mirrored(bones[name])
    pelvis = _meshes(_file(folder, sex, "Pelvis"))
    for side in "LR":
        parts = [mesh for name, mesh in pelvis.items() if re.search(f"_bone_{side}$", name)]
        if parts:
            bones[f"hip_bone_{side}"] = _hip_bone(f"hip_bone_{side}", parts)
    for name, (vertices, faces) in pelvis.items():
        short = name.removeprefix(f"VH_{sex}_")
        if short in ("sacrum", "coccyx"):
            bones[short] = shapes.bone_shape(short, vertices, faces, 50, 0.8, remade=True)
    return bones


def _of_femur(name: str) -> bool:
    """Whether a mesh is part of the femur's surface, which is in pieces at the knee."""
    others = ("tibia_L", "fibula_L", "patella_L")
    return name not in others and not name.startswith(("meniscus", "articular_cartilage"))


def _joined(
    meshes: list[tuple[NDArray[np.float32], NDArray[np.int32]]],
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """One mesh of several."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate(
            [faces + start for (_, faces), start in zip(meshes, starts, strict=False)]
        ).astype(np.int32),
    )


def _hip_bone(
    name: str, parts: list[tuple[NDArray[np.float32], NDArray[np.int32]]]
) -> shapes.BoneShape:
    """One bone of ilium, ischium and pubis, each of which has a compact and a spongy part.

    The compact part is a thin sheet, open where it meets its neighbours: what
    is in either part, and what they enclose, is bone.
    """
    points = np.concatenate([vertices for vertices, _ in parts])
    grid = Grid.around(points.min(axis=0) - 6.0, points.max(axis=0) + 6.0, _HIP_VOXEL_MM)
    inside = np.zeros(grid.shape, bool)
    for vertices, faces in parts:
        inside |= voxelise(vertices[faces], grid)
    inside = ndimage.binary_closing(inside, iterations=2)
    inside = ndimage.binary_fill_holes(inside)
    below = smooth_depth(inside, grid.spacing_mm)
    made = solid(name, below, grid, BONE, LEAN)
    if made is None:
        raise ImageError(f"The meshes of the {name} enclose nothing; get the files again.")
    return shapes.BoneShape(name, made.vertices_mm, made.faces, below, grid, long=False)


def _mirrored(bone: shapes.BoneShape) -> shapes.BoneShape:
    """Mirror a bone of the left side to the right."""
    spacing, (x, y, z) = bone.grid.spacing_mm, bone.grid.origin_mm
    last = x + spacing * (bone.grid.shape[2] - 1)
    return shapes.BoneShape(
        bone.name.removesuffix("_L") + "_R",
        (bone.vertices_mm * (-1.0, 1.0, 1.0)).astype(np.float32),
        np.ascontiguousarray(bone.faces[:, ::-1]),
        np.ascontiguousarray(bone.depth_mm[:, :, ::-1]),
        Grid((-last, y, z), spacing, bone.grid.shape),
        bone.long,
    )


def _file(folder: Path, sex: str, part: str) -> Path:
    return folder / f"VH_{sex}_{part}.glb"


def _triangles(
    meshes: Mapping[str, tuple[NDArray[np.float32], NDArray[np.int32]]],
) -> NDArray[np.float32]:
    return np.concatenate([vertices[faces] for vertices, faces in meshes.values()])


def _meshes(path: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Vertices in mm and faces of all meshes of a GLB file, by name."""
    trimesh = require("trimesh")
    try:
        scene = trimesh.load_scene(path)
        found = {}
        for node in scene.graph.nodes_geometry:
            transform, name = scene.graph[node]
            mesh = scene.geometry[name]
            vertices = np.asarray(mesh.vertices) @ transform[:3, :3].T + transform[:3, 3]
            found[str(name)] = (
                (1000.0 * vertices).astype(np.float32),
                np.asarray(mesh.faces, np.int32),
            )
    # trimesh raises nearly every kind of error on damaged files.
    except Exception as error:
        raise ImageError(f"{path.name} is no GLB file, or it is damaged; get it again.") from error
    if not found:
        raise ImageError(f"{path.name} holds no mesh; get it again.")
    return found
