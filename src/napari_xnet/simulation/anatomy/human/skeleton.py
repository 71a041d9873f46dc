"""Skeleton: the bones of the whole body, and their places in a pose.

The bones, joints and muscle paths are those of the MuJoCo model
``myofullbody`` in the package ``myo-sim`` (Apache-2.0), which descends from
OpenSim models of arm, leg and trunk (Saul et al., 2015; Rajagopal et al., IEEE
Trans Biomed Eng 63 (2016) 2068).
"""

import functools
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.simulation._optional import require
from napari_xnet.simulation.grid import FloatArray

MODEL: str = "myofullbody"

SPECIFIC_TENSION_N_PER_CM2: float = 60.0
"""Strength of muscle over its physiological cross-section (Rajagopal et al., 2016)."""

_MIDDLE_MM = -25.0
"""Where along x the model stands."""
_SCRAP_FACES = 50
"""Parts of meshes that have fewer faces are no bones."""
_RIBCAGE = "ribcage"
_ENGRAVED_FACES = 5000
"""The ribcage has one part with more faces, which is no bone."""


@dataclass(frozen=True, eq=False)
class RestBone:
    """One bone in its own frame, whose z runs along it.

    Attributes
    ----------
    name : str
        Name of the mesh without its side, with a number if the mesh has several bones.
    side : str
        ``"r"``, ``"l"`` or ``""`` for those in the middle.
    geom : int
        Of the MuJoCo model.
    triangles_mm : ndarray, shape (T, 3, 3)
        The surface as it is in the model, in the bone's frame.
    rotation : ndarray, shape (3, 3)
        From the bone's frame to that of the geom.
    shift_mm : ndarray, shape (3,)
        The same.
    """

    name: str
    side: str
    geom: int
    triangles_mm: FloatArray
    rotation: FloatArray
    shift_mm: FloatArray

    @property
    def key(self) -> str:
        """Name with the side, as in ``"femur_r"``."""
        return f"{self.name}_{self.side}" if self.side else self.name


@dataclass(frozen=True, eq=False)
class PlacedBone:
    """One bone in the world.

    Attributes
    ----------
    rest : RestBone
    rotation : ndarray, shape (3, 3)
        From the bone's frame to the world.
    shift_mm : ndarray, shape (3,)
        The same.
    root_mm : ndarray, shape (3,)
        The joint towards the trunk.
    """

    rest: RestBone
    rotation: FloatArray
    shift_mm: FloatArray
    root_mm: FloatArray

    @property
    def centre_mm(self) -> FloatArray:
        """Middle of the bone's box, shape (3,)."""
        return self.shift_mm

    @property
    def corners_mm(self) -> FloatArray:
        """Corners of the coarse mesh, shape (N, 3)."""
        points: FloatArray = self.rest.triangles_mm.reshape(-1, 3)
        return points @ self.rotation.T + self.shift_mm

    @property
    def towards_trunk(self) -> int:
        """Which end of its z axis is nearer to the trunk: -1 or 1."""
        half = float(self.rest.triangles_mm[..., 2].max())
        low, high = self.shift_mm + np.outer([-half, half], self.rotation[:, 2])
        return (
            -1 if np.linalg.norm(low - self.root_mm) <= np.linalg.norm(high - self.root_mm) else 1
        )

    def ends_mm(self) -> tuple[FloatArray, FloatArray]:
        """Both ends of the long axis, the one towards the trunk first, each of shape (3,)."""
        half = float(self.rest.triangles_mm[..., 2].max())
        near = self.towards_trunk * half * self.rotation[:, 2]
        return self.shift_mm + near, self.shift_mm - near

    def moved(self, rotation: FloatArray, shift_mm: FloatArray) -> "PlacedBone":
        """Turn it by a matrix, shape (3, 3), then shift it."""
        return PlacedBone(
            self.rest,
            rotation @ self.rotation,
            rotation @ self.shift_mm + shift_mm,
            rotation @ self.root_mm + shift_mm,
        )


@dataclass(frozen=True, eq=False)
class Muscle:
    """Line of action of a muscle.

    Attributes
    ----------
    name : str
        Without the side.
    side : str
    path_mm : ndarray, shape (P, 3)
        From origin to insertion.
    radius_mm : float
        Of its belly.
    """

    name: str
    side: str
    path_mm: FloatArray
    radius_mm: float


@dataclass(frozen=True, eq=False)
class Skeleton:
    """All bones and muscles in a pose.

    Attributes
    ----------
    bones : dict
        From the names of the bones, as ``"femur_r"``, to where they are.
    muscles : tuple of Muscle
    """

    bones: dict[str, PlacedBone]
    muscles: tuple[Muscle, ...]

    def find(self, pattern: str) -> list[PlacedBone]:
        """Bones whose name fully matches a regular expression."""
        return [bone for name, bone in self.bones.items() if re.fullmatch(pattern, name)]

    def moved(self, rotation: FloatArray, shift_mm: FloatArray) -> "Skeleton":
        """Turn it by a matrix, shape (3, 3), then shift it."""
        return Skeleton(
            {name: bone.moved(rotation, shift_mm) for name, bone in self.bones.items()},
            tuple(
                replace(one, path_mm=one.path_mm @ rotation.T + shift_mm) for one in self.muscles
            ),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MuJoCo from warning about saving the model, which nobody does here."""
    mujoco = require("mujoco")
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    logger = logging.getLogger("trimesh")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mujoco.set_mju_user_warning(handler)
        logger.setLevel(level)


@functools.cache
def _model() -> Any:
    """Compile the MuJoCo model, which takes seconds."""
    myo_sim = require("myo_sim")
    with _quiet():
        return myo_sim.load_model(MODEL)


def _plain(name: str) -> tuple[str, str]:
    """Name of a mesh to that of the bone and its side."""
    name = re.sub(r"^\w+_geom_\d+_", "", name)
    name = re.sub(r"_s$", "", name).removeprefix("hat_")
    if match := re.fullmatch(r"([rl])_(\w+)", name):
        return match[2], match[1]
    if match := re.fullmatch(r"(\w+)_([rl])", name):
        return match[1], match[2]
    return name, ""


@functools.cache
def rest_bones() -> tuple[RestBone, ...]:
    """Bones of the model, meshes of several bones split.

    Raises
    ------
    XNetError
        If an optional package is missing.
    """
    mujoco, trimesh = require("mujoco"), require("trimesh")
    model = _model()
    result = []
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
        mesh = model.geom_dataid[geom]
        name, side = _plain(model.mesh(mesh).name)
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        vertices = 1000.0 * np.asarray(model.mesh_vert[first : first + count], dtype=np.float64)
        first, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        faces = model.mesh_face[first : first + count]
        surface = trimesh.Trimesh(vertices, faces, process=True)
        surface.merge_vertices(digits_vertex=3)
        if name in ("skull", "jaw", "tibia", "ulna", "radius", "humerus"):
            # their meshes have holes and scraps
            parts = [max(surface.split(only_watertight=False), key=lambda one: len(one.faces))]
        else:
            parts = [
                part
                for part in surface.split(only_watertight=False)
                if len(part.faces) >= _SCRAP_FACES
                and (part.is_watertight or name not in (_RIBCAGE, "cervical"))
                and (name != _RIBCAGE or len(part.faces) < _ENGRAVED_FACES)
            ]
        for index, part in enumerate(parts):
            label = name if len(parts) == 1 else f"{name}{index}"
            if name == _RIBCAGE:
                label = "sternum" if len(part.faces) > 1000 else f"rib{index}"
            triangles = _smooth_mesh(part.vertices, part.faces)
            if label == "sternum":
                rest = mujoco.MjData(model)
                mujoco.mj_forward(model, rest)
                place = 1000.0 * rest.geom_xpos[geom]
                triangles = (_sternum() - place) @ rest.geom_xmat[geom].reshape(3, 3)
            corners = triangles.reshape(-1, 3)
            axes = np.linalg.svd(corners - corners.mean(axis=0), full_matrices=False)[2][::-1]
            axes[0] *= np.sign(np.linalg.det(axes))
            turned = corners @ axes.T
            middle = (turned.min(axis=0) + turned.max(axis=0)) / 2
            triangles = (turned - middle).reshape(-1, 3, 3)
            result.append(RestBone(label, side, int(geom), triangles, axes.T, axes.T @ middle))
    return tuple(result)


def _sternum() -> FloatArray:
    """Triangles of a sternum where the ribs of the unposed model end.

    The model has it in one piece with the cartilage of the ribs.
    """
    heights = np.linspace(1296.0, 1472.0, 30)
    depths = np.interp(heights, (1296, 1325, 1432, 1472), (104, 107, 143, 165))
    widths = np.interp(
        heights, (1296, 1320, 1345, 1400, 1432, 1455, 1472), (4, 9, 18, 15, 17, 30, 25)
    )
    turns = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    rings = np.stack(
        np.broadcast_arrays(
            _MIDDLE_MM + widths[:, None] * np.cos(turns),
            depths[:, None] + 5.5 * np.sign(np.sin(turns)) * np.abs(np.sin(turns)) ** 0.6,
            heights[:, None],
        ),
        axis=-1,
    )
    rings = np.concatenate([rings[:1], rings, rings[-1:]])
    rings[[0, -1]] = rings[[0, -1]].mean(axis=1, keepdims=True)  # closed ends
    after = np.roll(rings, -1, axis=1)
    first = np.stack([rings[:-1], after[:-1], rings[1:]], axis=2).reshape(-1, 3, 3)
    second = np.stack([after[:-1], after[1:], rings[1:]], axis=2).reshape(-1, 3, 3)
    return np.concatenate([first, second])


def _smooth_mesh(vertices: FloatArray, faces: NDArray[np.intp]) -> FloatArray:
    """Triangles of a surface whose facets do not show: coarse meshes are subdivided.

    The corners are shifted beforehand so that the smooth surface, which runs
    inside the facets, passes through them.
    """
    trimesh = require("trimesh")
    rounds = 0 if len(faces) > 1500 else 1 if len(faces) > 600 else 2
    plain = faces
    wanted, control = np.asarray(vertices, float), np.asarray(vertices, float)
    try:
        for _ in range(3 if rounds else 0):
            smooth, _ = trimesh.remesh.subdivide_loop(control, faces, iterations=rounds)
            control = control + 0.7 * (wanted - smooth[: len(control)])
        if rounds:
            control, faces = trimesh.remesh.subdivide_loop(control, faces, iterations=rounds)
    except ValueError:  # three faces at one edge: the voxels will do
        control, faces = wanted, plain
    if (np.abs(np.ptp(control, axis=0) / np.ptp(wanted, axis=0) - 1.0) > 0.1).any():
        control, faces = wanted, plain  # did not converge
    triangles = np.asarray(control, float)[np.asarray(faces)]
    volume = np.einsum("ij,ij->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2]))
    return triangles if volume >= 0 else triangles[:, ::-1]


def pose(joints_rad: Mapping[str, float]) -> Skeleton:
    """Pose the skeleton; joints that are tied to others follow them.

    Parameters
    ----------
    joints_rad : mapping
        Angles of joints by the names of the model; 0 for all others.

    Returns
    -------
    Skeleton
        In world coordinates, mm: x to the left of the body, y to its back,
        z up, 0 in its middle plane and between the feet.

    Raises
    ------
    XNetError
        If an optional package is missing.
    """
    mujoco = require("mujoco")
    model = _model()
    data = mujoco.MjData(model)
    for name, angle in joints_rad.items():
        joint = model.joint(name).id
        low, high = model.jnt_range[joint]
        data.qpos[model.jnt_qposadr[joint]] = np.clip(angle, low, high)
    for kind, first, second, values in zip(
        model.eq_type, model.eq_obj1id, model.eq_obj2id, model.eq_data, strict=True
    ):
        if kind == mujoco.mjtEq.mjEQ_JOINT and second >= 0:
            driven, driver = model.jnt_qposadr[first], model.jnt_qposadr[second]
            moved = data.qpos[driver] - model.qpos0[driver]
            data.qpos[driven] = model.qpos0[driven] + np.polyval(values[4::-1], moved)
    mujoco.mj_forward(model, data)
    origin = np.array([_MIDDLE_MM, 0.0, 0.0])
    bones = {}
    for bone in rest_bones():
        turn = data.geom_xmat[bone.geom].reshape(3, 3)
        place = 1000.0 * data.geom_xpos[bone.geom] - origin
        root = 1000.0 * data.xpos[model.geom_bodyid[bone.geom]] - origin
        bones[bone.key] = PlacedBone(bone, turn @ bone.rotation, turn @ bone.shift_mm + place, root)
    return Skeleton(bones, _muscles(model, data, origin))


def _muscles(model: Any, data: Any, origin: FloatArray) -> tuple[Muscle, ...]:
    result = []
    for actuator in range(model.nu):
        name = model.actuator(actuator).name
        side = name[-1] if name.endswith(("_r", "_l")) else "r"
        tendon = model.actuator_trnid[actuator, 0]
        first, count = data.ten_wrapadr[tendon], data.ten_wrapnum[tendon]
        path = 1000.0 * np.asarray(data.wrap_xpos).reshape(-1, 3)[first : first + count] - origin
        pcsa_cm2 = model.actuator_gainprm[actuator, 2] / SPECIFIC_TENSION_N_PER_CM2
        # Slanting fibres make the physiological section larger than the anatomical one;
        # 1.6 A^0.65 is a rough fit by eye to usual sizes from sartorius to soleus.
        radius = 10.0 * np.sqrt(1.6 * pcsa_cm2**0.65 / np.pi)
        result.append(Muscle(re.sub(r"_[rl]$", "", name), side, path, float(radius)))
    return tuple(result)
