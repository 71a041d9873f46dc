"""Parts of the human body: how each is posed and viewed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from napari_xnet.simulation.anatomy.human.skeleton import Skeleton, pose
from napari_xnet.simulation.grid import FloatArray

Ranges = tuple[tuple[float, float], ...]

_AP: Ranges = ((-12.0, 12.0), (-12.0, 12.0))
_OBLIQUE: Ranges = ((25.0, 60.0), (-60.0, -25.0))
_LATERAL: Ranges = ((78.0, 102.0), (-102.0, -78.0))
_ALL = _AP + _OBLIQUE + _LATERAL


def _at(bone: str, part: float = 0.5) -> Callable[[Skeleton], FloatArray]:
    """Point along a bone, 0 at its end towards the trunk."""

    def find(body: Skeleton) -> FloatArray:
        near, far = body.bones[bone].ends_mm()
        return near + part * (far - near)

    return find


def _middle(bones: str) -> Callable[[Skeleton], FloatArray]:
    """Mean of the middles of bones, by a regular expression."""
    return lambda body: np.mean([one.centre_mm for one in body.find(bones)], axis=0)


def _back(body: Skeleton) -> FloatArray:
    """From front to back of the body."""
    return np.array([0.0, 1.0, 0.0])


def _palm(body: Skeleton) -> FloatArray:
    """From the back of the right hand to its palm."""
    across = body.bones["2mc_r"].centre_mm - body.bones["5mc_r"].centre_mm
    along = body.bones["3mc_r"].centre_mm - body.bones["capitate_r"].centre_mm
    palm: FloatArray = np.cross(across, along)
    return palm


def _sole(body: Skeleton) -> FloatArray:
    """From the back of the right foot to its sole."""
    across = body.bones["foot0_r"].centre_mm - body.bones["foot4_r"].centre_mm
    along = _middle("foot[0-4]_r")(body) - body.bones["foot10_r"].centre_mm
    sole: FloatArray = np.cross(across, along)
    return sole * np.sign(sole @ (_at("tibia_r", 1.0)(body) - _at("tibia_r", 0.0)(body)))


def _across_foot(body: Skeleton) -> FloatArray:
    """From the inside of the right foot to its outside."""
    return body.bones["foot4_r"].centre_mm - body.bones["foot0_r"].centre_mm


def _along_patella(body: Skeleton) -> FloatArray:
    """Upwards along the right patella, between it and the femur."""
    straight = pose({}).bones["patella_r"].rotation
    upwards: FloatArray = body.bones["patella_r"].rotation @ straight.T[:, 2]
    return upwards


@dataclass(frozen=True)
class HumanRegion:
    """How a part of the right half of the body, or of its middle, is posed and viewed.

    Attributes
    ----------
    parts : str
        Masses of flesh that are there: arm, hand, leg, foot (in capitals
        those of the other side), trunk, head.
    centre : callable
        From the posed skeleton to the point in the middle.
    ends : tuple of callable
        Two points: the image's down is from the first to the second.
    field_mm : tuple of float
        Smallest and largest long side of what is shown, in an adult.
    turns_deg : tuple of (float, float)
        See `Scene`.
    kilovolts : tuple of float
    joints_rad : mapping
        Range of each joint that is not left in its neutral position.
    beam : callable
        From the posed skeleton to the rough direction of the beam.
    paired : bool
        Whether there is one on each side of the body.
    beside : str
        Masses that are there now and then in frontal views.
    frontal : str
        Masses that are there in all frontal views, and in no other: arms,
        which would lie along the beam.
    voxels : int
        How many the flesh is made of: more where it has gaps as narrow as
        those between fingers.
    """

    parts: str
    centre: Callable[[Skeleton], FloatArray]
    ends: tuple[Callable[[Skeleton], FloatArray], Callable[[Skeleton], FloatArray]]
    field_mm: tuple[float, float]
    turns_deg: Ranges = _ALL
    kilovolts: tuple[float, float] = (45.0, 75.0)
    joints_rad: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    beam: Callable[[Skeleton], FloatArray] = _back
    paired: bool = True
    beside: str = ""
    frontal: str = ""
    voxels: int = 180_000


_SIDES = {"arm": "hand", "leg": "foot"}

_HAND: Mapping[str, tuple[float, float]] = {
    "shoulder_elv_r": (1.2, 1.6),
    "elbow_flexion_r": (0.0, 0.4),
    "pro_sup_r": (-0.4, 0.4),
    "deviation_r": (-0.12, 0.25),
    "flexion_r": (-0.3, 0.3),
    "cmc_flexion": (-0.3, 0.5),
    "cmc_abduction": (-0.45, 0.3),
    "mp_flexion_r": (-0.4, 0.2),
    "ip_flexion_r": (-0.5, 0.2),
    "mcp2_abduction_r": (-0.03, 0.3),
    "mcp3_abduction_r": (-0.06, 0.06),
    "mcp4_abduction_r": (-0.26, 0.0),
    "mcp5_abduction_r": (-0.48, -0.05),
    **dict.fromkeys(
        (
            *(f"mcp{n}_flexion_r" for n in "2345"),
            *(f"pm{n}_flexion_r" for n in "235"),
            *(f"md{n}_flexion_r" for n in "245"),
            "pm4_flexion",
            "md3_flexion",
        ),
        (0.0, 0.25),
    ),
}
_ARM: Mapping[str, tuple[float, float]] = {
    **_HAND,
    "shoulder_elv_r": (0.7, 1.6),
    "elbow_flexion_r": (0.0, 0.5),
    "pro_sup_r": (-1.4, 1.4),
    "shoulder_rot_r": (-0.7, 0.7),
}
_AWAY = {f"shoulder_elv_{side}": (0.9, 1.3) for side in "rl"}
_SPINE = {
    "flex_extension": (-0.25, 0.25),
    "lat_bending": (-0.15, 0.15),
    "axial_rotation": (-0.1, 0.1),
}
_STANDING: Mapping[str, tuple[float, float]] = {
    **_AWAY,
    "hip_flexion_r": (-0.1, 0.2),
    "hip_adduction_r": (-0.25, 0.0),
    "hip_rotation_r": (-0.3, 0.4),
    "hip_flexion_l": (-0.1, 0.2),
    "hip_adduction_l": (-0.25, 0.0),
    "hip_rotation_l": (-0.3, 0.4),
    "knee_angle_r": (0.0, 0.25),
    "ankle_angle_r": (-0.6, 0.25),
    "subtalar_angle_r": (-0.2, 0.2),
    "mtp_angle_r": (-0.3, 0.3),
}
_FROG = {
    **_STANDING,
    **{f"hip_flexion_{side}": (0.7, 1.1) for side in "rl"},
    **{f"hip_adduction_{side}": (-0.8, -0.6) for side in "rl"},
    **{f"hip_rotation_{side}": (-0.7, -0.5) for side in "rl"},
    **{f"knee_angle_{side}": (0.8, 1.4) for side in "rl"},
}
_UP = (_at("humerus_r", 0.0), _at("humerus_r", 1.0))
_TOES = (_at("foot10_r", 0.5), _middle(r"foot[0-4]_r"))
_BODY = (_at("thoracic4"), _at("sacrum"))
_HEAD = (_at("skull"), _middle("cervical[01]"))

REGIONS: Mapping[str, HumanRegion] = MappingProxyType(
    {
        "finger": HumanRegion(
            "hand",
            _at("3midph_r"),
            (_at("3distph_r"), _at("3mc_r")),
            (55, 130),
            _ALL,
            (42, 58),
            _HAND,
            _palm,
            voxels=600_000,
        ),
        "thumb": HumanRegion(
            "hand",
            _at("thumbprox_r"),
            (_at("thumbdist_r"), _at("1mc_r")),
            (55, 130),
            ((-180.0, 180.0),),
            (42, 58),
            _HAND,
            _palm,
            voxels=600_000,
        ),
        "hand": HumanRegion(
            "hand arm",
            _at("3mc_r", 0.0),
            (_at("3proxph_r"), _at("capitate_r")),
            (120, 230),
            _AP + _OBLIQUE + ((-100.0, -80.0),),
            (42, 60),
            _HAND,
            _palm,
            voxels=1_000_000,
        ),
        "wrist": HumanRegion(
            "hand arm",
            _middle("(?:lunate|capitate)_r"),
            (_at("3mc_r"), _at("radius_r")),
            (70, 210),
            _ALL,
            (45, 62),
            _HAND,
            _palm,
            voxels=600_000,
        ),
        "forearm": HumanRegion(
            "hand arm",
            _at("radius_r"),
            (_at("radius_r", 1.0), _at("radius_r", 0.0)),
            (150, 380),
            _ALL,
            (45, 65),
            _ARM,
        ),
        "elbow": HumanRegion(
            "arm hand",
            _at("ulna_r", 0.07),
            (_at("humerus_r"), _at("humerus_r", 1.0)),
            (90, 260),
            _ALL,
            (50, 68),
            {**_ARM, "elbow_flexion_r": (0.0, 1.75)},
        ),
        "upper arm": HumanRegion(
            "arm",
            _at("humerus_r"),
            _UP,
            (170, 380),
            _ALL,
            (50, 70),
            _ARM,
            beside="trunk",
        ),
        "shoulder": HumanRegion(
            "trunk arm",
            _at("humerus_r", 0.03),
            _BODY,
            (130, 320),
            ((-15.0, 15.0), (20.0, 45.0), (-45.0, -20.0)),
            (60, 80),
            {**_ARM, "shoulder_elv_r": (0.2, 1.5)},
        ),
        "clavicle": HumanRegion(
            "trunk arm head",
            _at("clavicle_r"),
            _BODY,
            (120, 260),
            ((-20.0, 20.0),),
            (60, 78),
            {**_ARM, "shoulder_elv_r": (0.1, 0.8)},
        ),
        "toes": HumanRegion(
            "foot",
            _middle(r"bofoot\d+_r"),
            _TOES[::-1],
            (60, 150),
            _AP + _OBLIQUE,
            (45, 60),
            _STANDING,
            _sole,
        ),
        "foot": HumanRegion(
            "foot",
            _middle(r"foot\d_r"),
            _TOES[::-1],
            (130, 320),
            _AP + _OBLIQUE,
            (48, 65),
            _STANDING,
            _sole,
        ),
        "foot from the side": HumanRegion(
            "foot leg",
            _middle(r"foot\d_r"),
            _TOES[::-1],
            (130, 320),
            _AP,
            (48, 65),
            _STANDING,
            _across_foot,
        ),
        "ankle": HumanRegion(
            "foot leg",
            _at("talus_r"),
            (_at("tibia_r", 0.0), _at("tibia_r", 1.0)),
            (90, 250),
            _ALL,
            (50, 66),
            _STANDING,
            beside="LEG",
        ),
        "lower leg": HumanRegion(
            "leg foot",
            _at("tibia_r"),
            (_at("tibia_r", 0.0), _at("tibia_r", 1.0)),
            (200, 440),
            _ALL,
            (52, 72),
            _STANDING,
            beside="LEG",
        ),
        "knee": HumanRegion(
            "leg",
            _at("tibia_r", 0.0),
            (_at("femur_r"), _at("tibia_r")),
            (110, 320),
            _ALL,
            (55, 75),
            {**_STANDING, "knee_angle_r": (0.0, 0.7)},
            beside="LEG",
        ),
        "patella": HumanRegion(
            "leg",
            _at("patella_r"),
            (_at("patella_r"), _at("femur_r", 1.0)),
            (80, 200),
            ((-8.0, 8.0),),
            (55, 75),
            {**_STANDING, "knee_angle_r": (0.9, 1.7), "hip_flexion_r": (0.3, 1.2)},
            _along_patella,
        ),
        "thigh": HumanRegion(
            "leg trunk",
            _at("femur_r"),
            (_at("femur_r", 0.0), _at("femur_r", 1.0)),
            (220, 430),
            _ALL,
            (60, 80),
            _STANDING,
            beside="LEG",
        ),
        "hip": HumanRegion(
            "leg trunk",
            _at("femur_r", 0.06),
            _BODY,
            (130, 330),
            ((-12.0, 12.0), (-12.0, 12.0), (20.0, 45.0)),
            (65, 85),
            _STANDING,
            beside="LEG",
        ),
        "pelvis": HumanRegion(
            "leg LEG trunk",
            _middle("pelvis_."),
            _BODY,
            (240, 430),
            _AP,
            (65, 90),
            _STANDING,
            paired=False,
        ),
        "frog-leg pelvis": HumanRegion(
            "leg LEG trunk",
            _middle("femur_.|pelvis_."),
            _BODY,
            (220, 420),
            _AP,
            (60, 85),
            _FROG,
            paired=False,
        ),
        "sacrum": HumanRegion(
            "trunk",
            _at("sacrum"),
            _BODY,
            (130, 300),
            _AP + _LATERAL,
            (70, 95),
            {**_STANDING, **_SPINE},
            paired=False,
        ),
        "lumbar spine": HumanRegion(
            "trunk",
            _at("lumbar3"),
            _BODY,
            (180, 400),
            _ALL,
            (70, 95),
            {**_AWAY, **_SPINE},
            paired=False,
            frontal="arm ARM",
        ),
        "thoracic spine": HumanRegion(
            "trunk",
            _at("thoracic7"),
            _BODY,
            (200, 400),
            _AP + _LATERAL,
            (65, 90),
            _AWAY,
            paired=False,
            frontal="arm ARM",
        ),
        "chest": HumanRegion(
            "trunk head",
            _at("thoracic6"),
            _BODY,
            (300, 450),
            _AP + _LATERAL,
            (70, 120),
            {"shoulder_elv_r": (0.2, 1.0), "shoulder_elv_l": (0.2, 1.0)},
            paired=False,
            frontal="arm ARM",
        ),
        "ribs": HumanRegion(
            "trunk arm",
            _middle(r"rib(?:0|1|2|3|11|13)"),
            _BODY,
            (180, 320),
            (*_AP, (30.0, 50.0), (-50.0, -30.0)),
            (60, 80),
            {"shoulder_elv_r": (0.6, 1.5)},
        ),
        "cervical spine": HumanRegion(
            "head trunk",
            _middle(r"cervical\d"),
            (_middle("skull"), _at("thoracic2")),
            (140, 260),
            _ALL,
            (60, 80),
            paired=False,
        ),
        "skull": HumanRegion(
            "head",
            _at("skull"),
            _HEAD,
            (190, 300),
            _AP + _LATERAL + _OBLIQUE,
            (65, 85),
            paired=False,
        ),
        "jaw": HumanRegion(
            "head",
            _at("jaw"),
            _HEAD,
            (110, 210),
            _LATERAL + _OBLIQUE,
            (60, 75),
            paired=False,
        ),
    }
)
"""Parts of the human body, by name."""
