"""Masses of flesh along the bones and muscles: trunk, head, limbs, fingers.

Each is a union of balls along muscles and bones and of a layer around the
bones. Sizes are estimates for an average adult.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_xnet.simulation.anatomy.human.skeleton import PlacedBone, Skeleton
from napari_xnet.simulation.grid import FloatArray

BELLIES = {
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
    "DELT": (0.0, 0.95),
    "TRI": (0.05, 0.8),
    "BRA": (0.05, 0.9),
}
"""Part of the path that is belly, from origin to insertion, by the beginning of the name.

Estimated from anatomical drawings, not measured.
"""
OTHER_BELLY = (0.05, 0.65)

_ARM = (
    "DELT",
    "TRI",
    "BIC",
    "BRA",
    "BRD",
    "ANC",
    "SUP",
    "PT",
    "PQ",
    "ECR",
    "ECU",
    "FCR",
    "FCU",
    "PL",
    "FDS",
    "FDP",
    "EDC",
    "EDM",
    "EIP",
    "EPL",
    "EPB",
    "FPL",
    "APL",
    "CORB",
)
_SHOULDER = ["DELT", "SUPSP", "INFSP", "SUBSC", "TMIN", "TMAJ", "PECM", "LAT", "CORB"]
_LEG = (
    "add",
    "bf",
    "edl",
    "ehl",
    "fdl",
    "fhl",
    "gas",
    "gl",
    "grac",
    "iliacus",
    "per",
    "piri",
    "psoas",
    "recfem",
    "sart",
    "semi",
    "soleus",
    "tfl",
    "tib",
    "vas",
)
_HIP = ["gl", "iliacus", "psoas", "piri", "IL_", "LTp", "QL_", "MF_"]


@dataclass(frozen=True)
class Build:
    """Build of a body.

    Attributes
    ----------
    fat : float
        Thickness of the fat over that of an average adult.
    muscle : float
        Width of the muscles over that of an average adult.
    """

    fat: float = 1.0
    muscle: float = 1.0


@dataclass(frozen=True)
class Mass:
    """Flesh that is grown together.

    Attributes
    ----------
    bones : str
        Regular expression for the bones that a layer surrounds.
    shell_mm : float
        Thickness of that layer.
    fat_mm : float
        Thickness of the fat and skin of an average adult.
    crease_mm : float
        Radius of the narrowest crease that stays open.
    balls : tuple of (ndarray, ndarray)
        Centres, shape (N, 3), and radii, shape (N,).
    full_mm : float or None
        Depth below the closed surface from which on all is lean, as organs
        are; None where there is fat between the muscles.
    """

    bones: str
    shell_mm: float
    fat_mm: float
    crease_mm: float
    balls: tuple[tuple[FloatArray, FloatArray], ...] = ()
    full_mm: float | None = None


def strand(
    points_mm: FloatArray, radii_mm: Sequence[float] | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Balls along a polyline, dense enough to be one body.

    Parameters
    ----------
    points_mm : ndarray, shape (P, 3)
    radii_mm : sequence of float
        At equal fractions of its length.

    Returns
    -------
    centres_mm : ndarray, shape (N, 3)
    radii_mm : ndarray, shape (N,)
    """
    legs = np.linalg.norm(np.diff(points_mm, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(legs)])
    radii = np.asarray(radii_mm, float)
    step = max(0.5 * float(radii.mean()), 1.0)
    samples = np.linspace(0.0, at[-1], max(int(np.ceil(at[-1] / step)), 1) + 1)
    centres = np.stack([np.interp(samples, at, points_mm[:, i]) for i in range(3)], axis=1)
    fractions = samples / max(at[-1], 1e-9)
    return centres, np.interp(fractions, np.linspace(0.0, 1.0, len(radii)), radii)


def _muscles(
    body: Skeleton, side: str, beginnings: Iterable[str], wider: float
) -> list[tuple[FloatArray, FloatArray]]:
    result = []
    for one in body.muscles:
        if (side and one.side != side) or not one.name.startswith(tuple(beginnings)):
            continue
        start, stop = next(
            (span for key, span in BELLIES.items() if one.name.startswith(key)), OTHER_BELLY
        )
        radius = wider * one.radius_mm
        belly = np.clip((np.linspace(0.0, 1.0, 31) - start) / (stop - start), 0.0, 1.0)
        radii = np.maximum(radius * np.sin(np.pi * belly) ** 0.7, 1.0 + 0.12 * radius)
        result.append(strand(one.path_mm, radii))
    return result


def _along(
    bone: PlacedBone,
    radii: Sequence[float] | FloatArray,
    part: tuple[float, float],
    shift: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Balls along a bone; the first radius is at its end towards the trunk."""
    near, far = bone.ends_mm()
    return strand(np.stack([near + f * (far - near) for f in part]) + shift, radii)


def arm(body: Skeleton, side: str, build: Build) -> list[Mass]:
    """Upper arm and forearm."""
    muscles = _muscles(body, side, _ARM, build.muscle)
    humerus, ulna, radius = (body.bones[f"{one}_{side}"] for one in ("humerus", "ulna", "radius"))
    none = np.zeros(3)
    wide = build.muscle
    muscles += [
        _along(humerus, np.array((34.0, 33.0, 31.0, 22.0)) * wide, (0.1, 0.9), none),
        _along(ulna, np.array((23.0, 25.0, 20.0, 11.0, 9.0)) * wide, (0.1, 1.0), none),
        _along(radius, np.array((23.0, 25.0, 20.0, 11.0, 9.0)) * wide, (0.1, 1.0), none),
    ]
    return [Mass(f"(?:humerus|ulna|radius)_{side}", 3.5, 4.0, 40.0, tuple(muscles))]


def hand(body: Skeleton, side: str, build: Build) -> list[Mass]:
    """Hand with its fingers."""
    lateral = body.bones[f"2mc_{side}"].centre_mm - body.bones[f"5mc_{side}"].centre_mm
    distal = body.bones[f"3mc_{side}"].centre_mm - body.bones[f"lunate_{side}"].centre_mm
    palm = np.cross(distal, lateral) * (1.0 if side == "r" else -1.0)
    thumb = body.bones[f"thumbprox_{side}"].centre_mm - body.bones[f"2mc_{side}"].centre_mm
    palm = palm / np.linalg.norm(palm)
    palm = palm * np.sign(palm @ thumb or 1.0)
    none = np.zeros(3)
    balls = [_along(body.bones[f"{n}mc_{side}"], (11.5, 11.0), (0, 1), 2 * palm) for n in "2345"]
    balls += [
        _along(body.bones[f"{n}proxph_{side}"], (10.5, 9.8), (0.0, 0.35), 2 * palm) for n in "2345"
    ]
    balls += [
        _along(body.bones[f"1mc_{side}"], (14.0, 11.5), (0, 1), 3 * palm),
        _along(body.bones[f"thumbprox_{side}"], (11.0, 10.0), (0.0, 0.3), none),
        _along(body.bones[f"radius_{side}"], (13.0, 13.0), (0.85, 1.0), none),
        _along(body.bones[f"ulna_{side}"], (12.0, 11.0), (0.85, 1.0), none),
    ]
    carpals = "lunate|scaphoid|triquetrum|capitate|trapezium|trapezoid|hamate|pisiform"
    result = [Mass(f"(?:{carpals}|[1-5]mc)_{side}", 6.5, 2.2, 20.0, tuple(balls))]
    for number, scale in zip("2345", (1.0, 1.03, 0.96, 0.85), strict=True):
        parts = ((9.6, 9.2), (8.9, 8.2), (7.8, 6.4))
        chain = [
            _along(
                body.bones[f"{number}{name}_{side}"],
                np.array(radii) * scale,
                (0.0, 0.9 if name == "distph" else 1.0),
                1.2 * palm,
            )
            for name, radii in zip(("proxph", "midph", "distph"), parts, strict=True)
        ]
        result.append(Mass(f"{number}(?:prox|mid|dist)ph_{side}", 2.6, 1.0, 7.0, tuple(chain)))
    thumbs = [
        _along(body.bones[f"thumbprox_{side}"], (11.0, 9.6), (0, 1), none),
        _along(body.bones[f"thumbdist_{side}"], (9.6, 7.8), (0, 0.9), none),
    ]
    result.append(Mass(f"thumb(?:prox|dist)_{side}", 2.6, 1.0, 7.0, tuple(thumbs)))
    return result


def leg(body: Skeleton, side: str, build: Build) -> list[Mass]:
    """Thigh and lower leg."""
    balls = _muscles(body, side, _LEG, 1.1 * build.muscle)
    none = np.zeros(3)
    wide = build.muscle
    femur, tibia = body.bones[f"femur_{side}"], body.bones[f"tibia_{side}"]
    balls += [
        _along(femur, np.array((62.0, 62.0, 56.0, 40.0)) * wide, (0.12, 0.88), none),
        _along(tibia, np.array((34.0, 36.0, 26.0, 20.0)) * wide, (0.1, 0.95), none),
    ]
    return [
        Mass(f"(?:femur|tibia|fibula|patella|talus)_{side}", 7.0, 9.0, 60.0, tuple(balls)),
    ]


_RAYS = ((9, 0), (10, 5, 1), (11, 6, 2), (12, 7, 3), (13, 8, 4))
"""Bones of each toe in the mesh ``bofoot``, from the first toe, towards the tip."""


def foot(body: Skeleton, side: str, build: Build) -> list[Mass]:
    """Foot with its toes."""
    ankle = body.bones[f"talus_{side}"].centre_mm
    heel = body.bones[f"foot10_{side}"].centre_mm
    first, fifth = (body.bones[f"foot{n}_{side}"].centre_mm for n in (0, 4))
    forward = (first + fifth) / 2 - heel
    sole = np.cross(forward, fifth - first)
    sole = sole / np.linalg.norm(sole)
    sole = sole * np.sign(sole @ (heel - ankle) or 1.0)
    balls = [
        _along(body.bones[f"foot{n}_{side}"], (15.0, 11.5), (0, 1), 5.0 * sole) for n in range(5)
    ]
    balls += [
        _along(body.bones[f"foot10_{side}"], (24.0, 24.0), (0.1, 0.9), 8.0 * sole),
        _along(body.bones[f"tibia_{side}"], (20.0, 23.0), (0.8, 1.0), np.zeros(3)),
    ]
    result = [
        Mass(f"(?:foot\\d+|talus)_{side}", 6.5, 3.0, 35.0, tuple(balls)),
    ]
    for ray, scale in zip(_RAYS, (1.5, 1.0, 0.98, 0.95, 0.95), strict=True):
        balls = [
            _along(
                body.bones[f"bofoot{n}_{side}"],
                np.array((9.6, 8.6 if n != ray[-1] else 7.0)) * scale,
                (0.0, 1.0 if n != ray[-1] else 0.85),
                1.5 * sole,
            )
            for n in ray
        ]
        names = "|".join(map(str, ray))
        result.append(Mass(f"bofoot(?:{names})_{side}", 3.0, 1.0, 7.0, tuple(balls)))
    return result


def trunk(body: Skeleton, build: Build, up: FloatArray, back: FloatArray) -> list[Mass]:
    """Chest, belly and pelvis, with the flesh around shoulders and hips."""
    balls = []
    for side in "rl":
        balls += _muscles(body, side, (*_SHOULDER, *_HIP), 1.1 * build.muscle)
        upper = body.bones[f"humerus_{side}"]
        balls.append(_along(upper, (33.0, 33.0), (0.08, 0.25), np.zeros(3)))
    left = np.cross(up, back) * -1.0
    low, high = body.bones["sacrum"].centre_mm, body.bones["thoracic11"].centre_mm
    high = high + (low - high) @ back * back  # the belly is upright, the spine is not
    for sideways, depth, radius in ((-58, -58, 66), (0, -66, 72), (58, -58, 66), (0, -20, 70)):
        path = np.stack([low, high]) + sideways * left + depth * back
        balls.append(strand(path, (radius, radius, radius)))
    names = r"sacrum|lumbar\d|thoracic\d+|rib\d+|sternum|clavicle_.|scapula\d_.|pelvis_."
    return [Mass(names, 9.0, 14.0, 110.0, tuple(balls), 8.0)]


def head(body: Skeleton, build: Build, back: FloatArray) -> list[Mass]:
    """Head and neck."""
    spine = np.stack([body.bones[one].centre_mm for one in ("thoracic1", "cervical2")])
    wide = build.muscle
    neck = strand(spine - 26.0 * back, np.array((56.0, 50.0, 50.0)) * wide)
    return [
        Mass(r"skull|jaw|cervical\d", 6.0, 4.0, 30.0, (neck,), 6.0),
    ]
