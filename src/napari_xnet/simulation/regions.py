"""The regions of the body that can be simulated: pose, flesh and view of each.

Widths of flesh are estimates for an average adult.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.physics import WITH_GRID, WITHOUT_GRID


@dataclass(frozen=True)
class Shell:
    """Flesh of one thickness around bones.

    Attributes
    ----------
    bones : str
        Regular expression for the names of the bones.
    thickness_mm : float
        Thickness of the layer.
    sole_mm : float
        Additional thickness on the side of palm or sole.
    """

    bones: str
    thickness_mm: float
    sole_mm: float = 0.0


@dataclass(frozen=True)
class Pulp:
    """Flesh of round cross-section along the axis of bones.

    Attributes
    ----------
    bones : str
        Regular expression for the names of the bones.
    radii_mm : tuple of float
        Radius along the part, from the end towards the trunk to the other.
    part : tuple of float
        Part of the length of the bone, 0 at the end towards the trunk.
    sole_mm : float
        Shift of the axis towards palm or sole.
    """

    bones: str
    radii_mm: tuple[float, ...]
    part: tuple[float, float] = (0.0, 1.0)
    sole_mm: float = 0.0


@dataclass(frozen=True)
class Mass:
    """Flesh that is grown together; creases between its parts are filled.

    Attributes
    ----------
    parts : tuple of Shell or Pulp
        What it is made of.
    crease_mm : float
        Radius of the narrowest crease that stays open.
    fat_mm : float or None
        Where given, the muscles belong to the mass, under so much fat.
    """

    parts: tuple[Shell | Pulp, ...]
    crease_mm: float
    fat_mm: float | None = None


Frame = tuple[FloatArray, FloatArray]
"""Rows of the rotation from world to beam, shape (3, 3), and the point (3,) in the middle."""


@dataclass(frozen=True)
class Region:
    """How a part of the body is posed, covered and viewed.

    Attributes
    ----------
    model : str
        Model of myo-sim.
    meshes : str
        Regular expression for the names of its bone meshes.
    joints_rad : mapping
        Range of each joint that is not left in its neutral position.
    frame : callable
        From the bones' centres by name, in mm, to the frame of the beam.
    sole : tuple of float
        Direction of palm or sole in the frame of the beam.
    field_mm : tuple of float
        Width and height of the picture, at the detector.
    masses : tuple of Mass
        The flesh.
    skin_mm : float
        Fat and skin over flesh that is lean otherwise.
    smooth_mm : float
        Standard deviation of the smoothing of the skin.
    depth_mm : float
        How far flesh may reach beyond the bones along the beam.
    scatter_per_mm : float
        Scattered over primary signal at the detector, per mm of tissue.
    kilovolts : float
        Tube voltage commonly used.
    """

    model: str
    meshes: str
    joints_rad: Mapping[str, tuple[float, float]]
    frame: Callable[[Mapping[str, FloatArray]], Frame]
    sole: tuple[float, float, float]
    field_mm: tuple[float, float]
    masses: tuple[Mass, ...]
    skin_mm: float
    smooth_mm: float
    depth_mm: float
    scatter_per_mm: float
    kilovolts: float


def _unit(vector: FloatArray) -> FloatArray:
    result: FloatArray = vector / np.linalg.norm(vector)
    return result


def _axes(right: FloatArray, up: FloatArray) -> FloatArray:
    """Rows x, y and z of a frame in which `up` points up and `right` roughly to the right."""
    down = -_unit(up)
    right = _unit(right - (right @ down) * down)
    return np.stack([right, down, np.cross(right, down)])


def _hand_frame(at: Mapping[str, FloatArray]) -> Frame:
    """Turn the back of the right hand towards the source, fingers up."""
    up = at["3midph_r"] - at["capitate_r"]
    return _axes(at["5mc_r"] - at["2mc_r"], up), at["3mc_r"] + 0.16 * up


def _knee_frame(at: Mapping[str, FloatArray]) -> Frame:
    """Turn the front of the right knee towards the source."""
    axes = _axes(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    return axes, at["r_patella"] + np.array([0.0, 0.0, -25.0])


def _foot_frame(at: Mapping[str, FloatArray]) -> Frame:
    """Turn the inside of the right foot towards the source, toes to the left."""
    axes = _axes(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    return axes, at["r_talus"] + np.array([0.0, -66.0, 10.0])


def _finger(number: int, scale: float) -> Mass:
    radii = [(10.2, 9.8), (9.6, 8.9), (8.8, 7.6)]
    names = ["proxph", "midph", "distph"]
    ends = [(0.2, 1.0), (0.0, 1.0), (0.0, 0.8)]
    return Mass(
        tuple(
            Pulp(f"{number}{name}_r", (scale * near, scale * far), part, 1.5)
            for name, (near, far), part in zip(names, radii, ends, strict=True)
        ),
        crease_mm=8.0,
    )


REGIONS: Mapping[str, Region] = {
    "hand": Region(
        model="myohand_r",
        meshes=r"(?:ulna|radius|lunate|scaphoid|pisiform|triquetrum|capitate|trapezium|trapezoid"
        r"|hamate|\dmc|thumbprox|thumbdist|\dproxph|\dmidph|\ddistph)_r",
        joints_rad={
            "cmc_abduction_r": (-0.5, -0.35),
            "cmc_flexion_r": (0.35, 0.6),
            "mp_flexion_r": (-0.25, 0.0),
            "ip_flexion_r": (-0.15, 0.1),
            "deviation_r": (-0.08, 0.12),
            "mcp2_abduction_r": (0.05, 0.16),
            "mcp3_abduction_r": (-0.02, 0.05),
            "mcp4_abduction_r": (-0.12, -0.04),
            "mcp5_abduction_r": (-0.25, -0.12),
            **{
                f"{joint}{n}_flexion_r": (0.0, 0.1) for joint in ("mcp", "pm", "md") for n in "2345"
            },
        },
        frame=_hand_frame,
        sole=(0.0, 0.0, 1.0),
        field_mm=(188.0, 250.0),
        masses=(
            Mass(
                (
                    Pulp(r"[2-5]mc_r", (12.5, 12.0), sole_mm=2.0),
                    Pulp(r"[2-5]proxph_r", (11.0, 10.4), (0.0, 0.38), 2.0),
                    Pulp(r"1mc_r", (15.0, 12.5), sole_mm=3.0),
                    Shell(r"(?:lunate|scaphoid|triquetrum|capitate|trapez.*|hamate)_r", 10.0, 4.0),
                    Shell(r"(?:ulna|radius)_r", 6.0, 3.0),
                    Pulp(r"(?:ulna|radius)_r", (30.0, 15.0)),
                ),
                crease_mm=20.0,
            ),
            Mass(
                (
                    Pulp(r"thumbprox_r", (12.0, 11.0), sole_mm=1.0),
                    Pulp(r"thumbdist_r", (11.0, 8.8), (0.0, 0.8), 1.0),
                ),
                crease_mm=8.0,
            ),
            _finger(2, 1.0),
            _finger(3, 1.03),
            _finger(4, 0.97),
            _finger(5, 0.87),
        ),
        skin_mm=2.0,
        smooth_mm=1.8,
        depth_mm=25.0,
        scatter_per_mm=WITHOUT_GRID,
        kilovolts=52.0,
    ),
    "knee": Region(
        model="myolegs",
        meshes=r"r_(?:femur|tibia|fibula|patella)",
        joints_rad={"knee_angle_r": (0.03, 0.12)},
        frame=_knee_frame,
        sole=(0.0, 0.0, 1.0),
        field_mm=(190.0, 250.0),
        masses=(Mass((Shell(r"r_.*", 15.0),), crease_mm=60.0, fat_mm=8.0),),
        skin_mm=40.0,
        smooth_mm=7.0,
        depth_mm=70.0,
        scatter_per_mm=WITH_GRID,
        kilovolts=66.0,
    ),
    "foot": Region(
        model="myolegs",
        meshes=r"r_(?:tibia|fibula|talus|foot|bofoot)",
        joints_rad={"ankle_angle_r": (-0.15, 0.1), "mtp_angle_r": (-0.05, 0.1)},
        frame=_foot_frame,
        sole=(0.0, 1.0, 0.0),
        field_mm=(298.0, 192.0),
        masses=(
            Mass(
                (
                    Shell(r"r_(?:tibia|fibula|talus).*", 7.0),
                    Shell(r"r_foot.*", 7.0, 9.0),
                    Shell(r"r_bofoot.*", 5.0, 6.0),
                ),
                crease_mm=40.0,
                fat_mm=5.0,
            ),
        ),
        skin_mm=4.0,
        smooth_mm=3.5,
        depth_mm=40.0,
        scatter_per_mm=WITHOUT_GRID,
        kilovolts=58.0,
    ),
}
"""The regions that can be simulated, by name."""
