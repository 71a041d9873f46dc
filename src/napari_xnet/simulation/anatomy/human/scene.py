"""Scenes of the human body: a part posed, fleshed out and put before the beam at random."""

import numpy as np

from napari_xnet.errors import XNetError
from napari_xnet.simulation.anatomy.human import bones, flesh, masses, organs, skeleton
from napari_xnet.simulation.anatomy.human.regions import REGIONS, HumanRegion, Ranges
from napari_xnet.simulation.anatomy.human.skeleton import Skeleton
from napari_xnet.simulation.anatomy.shapes import resized
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.scene import Scene

_CHILD, _ADULT = (0.42, 0.9), (0.88, 1.1)
"""Size over that of the model."""
_MARGIN_MM = 60.0
"""Around the largest field."""
_REACH = 0.72
"""How far from the middle a field may show something, of its long side: off centre, turned."""
_DEEPEST_MM = 330.0
"""How far from the middle along the beam there may be something."""
_FINEST_MM = 0.7
"""Voxels of the flesh."""
_MANY = (9, 34)
"""More bones than this are made less fine."""

_BONES = {
    "arm": r"(?:humerus|ulna|radius)_r",
    "hand": r"(?:lunate|scaphoid|pisiform|triquetrum|capitate|trapezium|trapezoid|hamate|\dmc"
    r"|thumbprox|thumbdist|\dproxph|\dmidph|\ddistph|radius|ulna)_r",
    "leg": r"(?:femur|tibia|fibula|patella|talus)_r",
    "foot": r"(?:talus|foot\d+|bofoot\d+)_r",
    "trunk": r"sacrum|lumbar\d|thoracic\d+|rib\d+|sternum|clavicle_.|scapula\d_.|pelvis_."
    r"|femur_.",
    "head": r"skull|jaw|cervical\d|thoracic[1-3]",
}


def human_scene(region: str, rng: np.random.Generator) -> Scene:
    """Make a scene of a part of the human body: pose, build, age and bones at random.

    Parameters
    ----------
    region : str
        Key of `REGIONS`.
    rng : numpy.random.Generator

    Returns
    -------
    Scene
        Same generator state, same scene.

    Raises
    ------
    XNetError
        If the region is unknown or an optional package is missing.
    """
    if region not in REGIONS:
        raise XNetError(f"Unknown region {region!r}. Choose one of: {', '.join(REGIONS)}.")
    spec = REGIONS[region]
    parts = spec.parts.split()
    turns = spec.turns_deg
    if spec.beside and rng.random() < 0.35:
        # what lies beside would lie before it in other views
        parts += spec.beside.split()
        turns = _frontal(turns)
    if spec.frontal:
        frontal = _frontal(turns)
        if rng.random() < len(frontal) / len(turns):
            parts += spec.frontal.split()
            turns = frontal
        else:
            turns = tuple(one for one in turns if one not in frontal)
    joints = {name: rng.uniform(*span) for name, span in spec.joints_rad.items()}
    body = skeleton.pose(joints)
    axes, centre = _frame(spec, body)
    shift = -axes @ centre
    body = body.moved(axes, shift)

    child = rng.random() < 0.3
    scale = rng.uniform(*(_CHILD if child else _ADULT))
    grown = (scale - _CHILD[0]) / (_CHILD[1] - _CHILD[0])
    stage = min(int(bones.STAGES * grown), bones.STAGES - 1) if child else None
    build = masses.Build(
        float(np.exp(rng.uniform(np.log(0.35), np.log(2.3)))), rng.uniform(0.85, 1.15)
    )
    level = int(rng.integers(len(bones.CORTEX_LEVELS) - child))
    mineral = rng.uniform(0.15, 0.40)

    largest = spec.field_mm[1]
    reach = _REACH * largest + _MARGIN_MM
    high = np.array([reach, reach, max(reach, _DEEPEST_MM)])
    names = "|".join(_pattern(part) for part in parts)
    shown = [
        bone
        for bone in body.find(names)
        if (bone.corners_mm.max(axis=0) > -high).all()
        and (bone.corners_mm.min(axis=0) < high).all()
    ]
    detail = 0 if len(shown) > _MANY[1] else 1 if len(shown) > _MANY[0] else 2
    surfaces = {bone.rest.key: bones.surface(bone, detail) for bone in shown}
    layers = _masses(body, parts, build, axes)
    low, top = flesh.extent(body, layers, surfaces, build)
    low, top = np.maximum(low, -high), np.minimum(top, high)
    spacing = max(float((np.prod(top - low) / spec.voxels) ** (1 / 3)), _FINEST_MM)
    grid = Grid.around(low, top, spacing)
    solids = flesh.grow(body, layers, surfaces, grid, build, rng)
    if "trunk" in parts:
        solids += organs.organs(body, axes, shift, surfaces, rng)
    if "head" in parts:
        solids += organs.airway(body, axes)
    for bone in shown:
        own = float(np.clip(mineral * rng.uniform(0.85, 1.15), 0.12, 0.45))
        solids += bones.bone_solids(bone, level, own, detail, stage)
    mirror = spec.paired and rng.random() < 0.5
    return Scene(
        region,
        "myo-sim",
        tuple(resized(one, scale, 0 if mirror else None) for one in solids),
        np.eye(3),
        np.zeros(3),
        (scale * spec.field_mm[0], scale * largest),
        np.array([0.0, 1.0, 0.0]),
        tuple((-high, -low) for low, high in turns) if mirror else turns,
        spec.kilovolts,
    )


def _frontal(turns: Ranges) -> Ranges:
    return tuple(one for one in turns if max(map(abs, one)) < 30.0)


def _pattern(part: str) -> str:
    names = _BONES[part.lower()]
    return names.replace("_r", "_l") if part.isupper() else names


def _frame(spec: HumanRegion, body: Skeleton) -> tuple[FloatArray, FloatArray]:
    """Axes of the standard view, and the point in its middle."""
    down = spec.ends[1](body) - spec.ends[0](body)
    down = down / np.linalg.norm(down)
    right = np.cross(down, spec.beam(body))
    right = right / np.linalg.norm(right)
    return np.stack([right, down, np.cross(right, down)]), spec.centre(body)


def _masses(
    body: Skeleton, parts: list[str], build: masses.Build, axes: FloatArray
) -> list[masses.Mass]:
    up, back = axes[:, 2], axes[:, 1]  # the world's z and y as the view has them
    limbs = {"arm": masses.arm, "hand": masses.hand, "leg": masses.leg, "foot": masses.foot}
    result = []
    for part in dict.fromkeys(parts):
        if part == "trunk":
            result += masses.trunk(body, build, up, back)
        elif part == "head":
            result += masses.head(body, build, back)
        else:
            result += limbs[part.lower()](body, "l" if part.isupper() else "r", build)
    return result
