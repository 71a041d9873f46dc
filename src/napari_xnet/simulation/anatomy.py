"""Anatomy: a region's name to posed bones, muscles and skin in the frame of the beam.

The skeleton and the lines of action of the muscles are those of the MuJoCo
models in the package ``myo-sim`` (Apache-2.0), which descend from the OpenSim
models of the arm (Saul et al., 2015) and leg (Rajagopal et al., IEEE Trans
Biomed Eng 63 (2016) 2068). They have no skin; `softtissue` grows one around
them, with the widths below, which are estimates for an average adult.
"""

import functools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from napari_xnet.errors import XNetError
from napari_xnet.simulation._optional import require
from napari_xnet.simulation.bone import Bone
from napari_xnet.simulation.grid import FloatArray, Grid
from napari_xnet.simulation.projection import magnify, voxelise
from napari_xnet.simulation.regions import REGIONS, Mass, Pulp, Region, Shell
from napari_xnet.simulation.softtissue import (
    FAR_MM,
    Strand,
    close,
    distance_from,
    filled,
    paint,
    strand,
)

SPECIFIC_TENSION_N_PER_CM2: float = 60.0
"""Strength of muscle over its physiological cross-section (Rajagopal et al., 2016)."""

BELLIES: Mapping[str, tuple[float, float]] = {
    "gas": (0.03, 0.52),
    "soleus": (0.05, 0.88),
    "vas": (0.02, 0.70),
    "recfem": (0.05, 0.52),
    "semimem": (0.25, 0.92),
    "semiten": (0.05, 0.62),
    "bflh": (0.15, 0.85),
    "bfsh": (0.05, 0.95),
    "sart": (0.03, 0.85),
    "grac": (0.03, 0.62),
    "tfl": (0.0, 0.3),
}
"""Part of the path that is belly, from origin to insertion, by the beginning of the name.

Estimated from anatomical drawings, not measured.
"""

OTHER_BELLY: tuple[float, float] = (0.05, 0.62)
"""The same for all other muscles."""


REACH_MM: float = 12.0
"""How far from a surface distances are kept: beyond the smoothing of the skin."""


WIDEST_MM: float = 32.0
"""No flesh without muscles lies farther from its bones."""


@dataclass(frozen=True)
class Body:
    """Part of a body in the frame of the beam, ready to be projected.

    Attributes
    ----------
    region : Region
        What it is part of.
    bones : tuple of Bone
        All its bones.
    muscles : tuple of Strand
        Its muscles with their tendons.
    """

    region: Region
    bones: tuple[Bone, ...]
    muscles: tuple[Strand, ...]

    def soft_tissue(self, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Fill the body with flesh.

        Parameters
        ----------
        grid : Grid
            Where the voxels lie.

        Returns
        -------
        skin : ndarray of float32, shape (Z, Y, X)
            Share of each voxel inside the skin, bones included.
        lean : ndarray of float32, shape (Z, Y, X)
            Share of each voxel inside muscle, tendon or the tissue around
            joints; the rest of the skin is fat.
        """
        skin = np.full(grid.shape, FAR_MM, dtype=np.float32)
        lean = np.full(grid.shape, FAR_MM, dtype=np.float32)
        for mass in self.region.masses:
            part_grid, box = self._around(mass, grid)
            flesh = np.full(part_grid.shape, FAR_MM, dtype=np.float32)
            for part in mass.parts:
                self._grow(flesh, part_grid, part)
            if mass.fat_mm is not None:
                muscles = np.full(part_grid.shape, FAR_MM, dtype=np.float32)
                paint(muscles, part_grid, self.muscles, mass.fat_mm + REACH_MM)
                np.minimum(muscles, flesh + mass.fat_mm, out=muscles)
                np.minimum(lean[box], muscles, out=lean[box])
                np.minimum(flesh, muscles - mass.fat_mm, out=flesh)
            np.minimum(skin[box], close(flesh, part_grid, mass.crease_mm), out=skin[box])
        # between the masses, such as toes and sole, only the smallest creases are filled
        skin = close(skin, grid, 1.5 * self.region.smooth_mm)
        np.minimum(lean, skin + self.region.skin_mm, out=lean)
        inside = filled(skin, grid, self.region.smooth_mm)
        return inside, np.minimum(filled(lean, grid, 0.5 * self.region.smooth_mm), inside)

    def _around(self, mass: Mass, grid: Grid) -> tuple[Grid, tuple[slice, slice, slice]]:
        """Crop a grid to what a mass can fill."""
        if mass.fat_mm is not None:
            return grid, (slice(None), slice(None), slice(None))
        names = "|".join(part.bones for part in mass.parts)
        points = np.concatenate(
            [one.vertices_mm for one in self.bones if re.fullmatch(names, one.name)]
        )
        return grid.crop(points.min(axis=0) - WIDEST_MM, points.max(axis=0) + WIDEST_MM)

    def _grow(self, distance_mm: FloatArray, grid: Grid, part: Shell | Pulp) -> None:
        """Lower a map of distances to the surface of a part of the flesh, in place."""
        sole = np.asarray(self.region.sole)
        bones = [bone for bone in self.bones if re.fullmatch(part.bones, bone.name)]
        if isinstance(part, Pulp):
            strands = []
            for bone in bones:
                near, far = bone.axis_mm()
                ends = np.stack([near + f * (far - near) for f in part.part]) + part.sole_mm * sole
                strands.append(strand(ends, np.asarray(part.radii_mm), grid.spacing_mm * 1.5))
            paint(distance_mm, grid, strands, REACH_MM)
            return
        inside = np.zeros(grid.shape, dtype=bool)
        for bone in bones:
            for shift in np.arange(0.0, part.sole_mm + 1e-6, 3.0):
                inside |= voxelise(bone.triangles_mm + shift * sole, grid)
        np.minimum(
            distance_mm,
            distance_from(inside, grid.spacing_mm) - part.thickness_mm,
            out=distance_mm,
        )


@functools.lru_cache(maxsize=2)
def _model(name: str) -> Any:
    """Compile a MuJoCo model, which takes a second."""
    myo_sim, mujoco = require("myo_sim"), require("mujoco")
    # It warns about saving the model, which nobody does here; MuJoCo itself
    # would write the warning to MUJOCO_LOG.TXT in the current folder.
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return myo_sim.load_model(name)
    finally:
        mujoco.set_mju_user_warning(handler)


def _pose(model: Any, joints_rad: Mapping[str, float]) -> Any:
    """Joint angles to a MuJoCo state; joints that are tied to others follow them."""
    mujoco = require("mujoco")
    data = mujoco.MjData(model)
    for name, angle in joints_rad.items():
        data.qpos[model.jnt_qposadr[model.joint(name).id]] = angle
    for kind, first, second, values in zip(
        model.eq_type, model.eq_obj1id, model.eq_obj2id, model.eq_data, strict=True
    ):
        if kind == mujoco.mjtEq.mjEQ_JOINT and second >= 0:
            driven, driver = model.jnt_qposadr[first], model.jnt_qposadr[second]
            moved = data.qpos[driver] - model.qpos0[driver]
            data.qpos[driven] = model.qpos0[driven] + np.polyval(values[4::-1], moved)
    mujoco.mj_forward(model, data)
    return data


def _bones(model: Any, data: Any, meshes: str) -> list[Bone]:
    """Posed bones in world coordinates, mm; meshes of several bones are split."""
    mujoco, trimesh = require("mujoco"), require("trimesh")
    result = []
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
        mesh = model.geom_dataid[geom]
        name = model.mesh(mesh).name
        if not re.fullmatch(meshes, name):
            continue
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        vertices = np.asarray(model.mesh_vert[first : first + count], dtype=np.float64)
        first, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        faces = model.mesh_face[first : first + count]
        vertices = vertices @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        surface = trimesh.Trimesh(1000.0 * vertices, faces, process=True)
        root = 1000.0 * data.xpos[model.geom_bodyid[geom]]
        # stray triangles are no bones
        parts = [part for part in surface.split(only_watertight=False) if len(part.faces) >= 40]
        for index, part in enumerate(parts):
            label = name if len(parts) == 1 else f"{name}_{index}"
            result.append(Bone(label, np.asarray(part.triangles, dtype=np.float64), root))
    return result


def _muscles(model: Any, data: Any, low_mm: FloatArray, high_mm: FloatArray) -> list[Strand]:
    """Muscles of the right side that pass through a box of the world, mm."""
    result = []
    for actuator in range(model.nu):
        name, tendon = model.actuator(actuator).name, model.actuator_trnid[actuator, 0]
        first, count = data.ten_wrapadr[tendon], data.ten_wrapnum[tendon]
        path = 1000.0 * np.asarray(data.wrap_xpos).reshape(-1, 3)[first : first + count]
        if not name.endswith("_r") or not ((path > low_mm) & (path < high_mm)).all(axis=1).any():
            continue
        pcsa_cm2 = model.actuator_gainprm[actuator, 2] / SPECIFIC_TENSION_N_PER_CM2
        # Slanting fibres make the physiological section larger than the anatomical one;
        # 1.6 A^0.65 is a rough fit by eye to usual sizes from sartorius to soleus.
        radius = 10.0 * np.sqrt(1.6 * pcsa_cm2**0.65 / np.pi)
        start, stop = next(
            (span for key, span in BELLIES.items() if name.startswith(key)), OTHER_BELLY
        )
        along = np.linspace(0.0, 1.0, 41)
        belly = np.clip((along - start) / (stop - start), 0.0, 1.0)
        radii = np.maximum(radius * np.sin(np.pi * belly) ** 0.7, 1.0 + 0.12 * radius)
        result.append(strand(path, radii, 3.0))
    return result


def pose(name: str, rng: np.random.Generator, source_mm: float = 1100.0) -> Body:
    """Pose a region at random, within its ranges, in front of the detector.

    Parameters
    ----------
    name : str
        Key of `REGIONS`.
    rng : numpy.random.Generator
        Source of the pose.
    source_mm : float
        Distance from source to detector.

    Returns
    -------
    Body
        In the frame of the beam, central ray through x = y = 0.

    Raises
    ------
    XNetError
        If the region is unknown or an optional package is missing.
    """
    if name not in REGIONS:
        raise XNetError(f"Unknown region {name!r}. Choose one of: {', '.join(REGIONS)}.")
    region = REGIONS[name]
    model = _model(region.model)
    data = _pose(model, {key: rng.uniform(*span) for key, span in region.joints_rad.items()})
    bones = _bones(model, data, region.meshes)
    points = np.concatenate([bone.vertices_mm for bone in bones])
    muscles = _muscles(model, data, points.min(axis=0) - 30.0, points.max(axis=0) + 30.0)

    centres: dict[str, FloatArray] = {bone.name: bone.vertices_mm.mean(axis=0) for bone in bones}
    axes, centre = region.frame(centres)
    tilt = Rotation.from_euler("xyz", rng.normal(0.0, (2.0, 2.0, 3.0)), degrees=True)
    axes = tilt.as_matrix() @ axes
    detector_z = float(((points - centre) @ axes[2]).max()) + 20.0

    def place(point: FloatArray) -> FloatArray:
        return magnify((point - centre) @ axes.T, source_mm, detector_z)

    return Body(
        region,
        tuple(
            Bone(
                bone.name,
                place(bone.vertices_mm).reshape(-1, 3, 3),
                place(bone.root_mm[None])[0],
            )
            for bone in bones
        ),
        tuple(Strand(place(one.centres_mm), one.radii_mm) for one in muscles),
    )
