"""Metal in the body: screws, plates, wires, nails, prostheses, staples."""

import math
from collections.abc import Callable

import numpy as np

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery.stage import Stage, ball, disc, rod


def _screw(
    stage: Stage, material: str, head: FloatArray, tip: FloatArray, radius_mm: float
) -> None:
    pitch = 0.8 * radius_mm if stage.pixel < 0.3 * radius_mm else 0.0
    rod(stage, material, head, tip, radius_mm, pitch_mm=pitch, implanted=True)
    along = (tip - head) / max(float(np.hypot(*(tip - head))), 1e-6)
    rod(stage, material, head, head + along * radius_mm, 1.8 * radius_mm, implanted=True)


def implant(stage: Stage, rng: np.random.Generator) -> None:
    """Put one kind of metal into a bone, if there is one."""
    found = stage.shaft(rng)
    if found is None:
        return
    centre, along, half = found
    tilt = math.radians(rng.normal(0.0, 4.0))
    cos, sin = math.cos(tilt), math.sin(tilt)
    along = np.array([along[0] * cos - along[1] * sin, along[0] * sin + along[1] * cos])
    across = np.array([-along[1], along[0]])
    material = str(rng.choice(("steel", "titanium")))
    kind = rng.choice(
        ("screws", "plate", "wires", "nail", "hip", "knee", "staples", "cerclage"),
        p=(0.2, 0.24, 0.16, 0.14, 0.08, 0.06, 0.06, 0.06),
    )
    _IMPLANTS[kind](stage, material, centre, along, across, half, rng)


def _screws(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    radius = rng.uniform(0.15, 0.3) * float(np.clip(half, 4.0, 12.0))
    for number in range(int(rng.integers(1, 4))):
        middle = centre + along * (number * rng.uniform(3.0, 9.0) * radius)
        lean = across + rng.normal(0.0, 0.35) * along
        lean = lean / np.hypot(*lean)
        reach = max(half, 5.0) * rng.uniform(0.8, 1.3)
        _screw(stage, material, middle - reach * lean, middle + reach * lean, radius)


def _plate(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    """Add a plate, from the face with the screws end-on or from the side with their shafts."""
    half = float(np.clip(half, 3.0, 16.0))
    apart = half * rng.uniform(0.9, 1.4)
    holes = int(rng.integers(3, 10))
    hole = 0.22 * apart
    ends = [centre + along * sign * apart * holes / 2.0 for sign in (-1.0, 1.0)]
    edge_on = rng.random() < 0.5
    wide = 0.12 * half if edge_on else rng.uniform(0.35, 0.55) * half
    deep = rng.uniform(0.6, 1.0) * half if edge_on else rng.uniform(0.15, 0.3) * half
    aside = across * half * (rng.choice((-1.0, 1.0)) if edge_on else rng.uniform(-0.3, 0.3))
    start, end = (one + aside for one in ends)
    places = [start + along * apart * (number + 0.5) for number in range(holes)]
    length = apart * holes

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        t = (x - start[0]) * along[0] + (y - start[1]) * along[1]
        d = (x - start[0]) * across[0] + (y - start[1]) * across[1]
        metal = (np.abs(d) < wide) & (t > 0.0) & (t < length)
        if not edge_on:
            for one in places:
                metal &= (x - one[0]) ** 2 + (y - one[1]) ** 2 > hole**2
        return np.asarray(deep * metal)

    stage.add(material, (start, end), wide + 1.0, chord, implanted=True)
    for one in places:
        if rng.random() < 0.25:
            continue  # empty hole
        if edge_on:
            inward = -aside / np.hypot(*aside)
            _screw(stage, material, one, one + inward * half * rng.uniform(1.2, 2.2), 0.8 * hole)
        else:
            disc(stage, material, one, hole * rng.uniform(0.7, 1.0), rng.uniform(1.0, 2.0) * half)


def _wires(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    radius = rng.uniform(0.4, 1.1)
    for _ in range(int(rng.integers(1, 4))):
        lean = along + rng.normal(0.0, 0.4) * across
        lean = lean / np.hypot(*lean)
        middle = centre + rng.normal(0.0, 0.4, 2) * half
        reach = max(rng.uniform(2.0, 5.0) * half, 12.0)
        rod(
            stage,
            material,
            middle - reach * lean,
            middle + rng.uniform(0.6, 1.2) * reach * lean,
            radius,
            implanted=True,
        )


def _nail(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    radius = float(np.clip(rng.uniform(0.3, 0.45) * half, 1.0, 6.5))
    reach = radius * rng.uniform(12.0, 30.0)
    ends = [centre + sign * reach * along for sign in (-1.0, 1.0)]
    bore = radius * rng.choice((0.0, 0.45))
    rod(stage, material, ends[0], ends[1], radius, bore_mm=bore, implanted=True)
    for end, inward in zip(ends, (along, -along), strict=True):
        for number in range(int(rng.integers(0, 3))):
            middle = end + inward * radius * (3.0 + 4.0 * number)
            lean = across * half * rng.uniform(0.9, 1.5)
            _screw(stage, material, middle - lean, middle + lean, 0.45 * radius)


def _hip(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    """Add a stem in the shaft, a neck, a ball, mostly with a cup around it."""
    half = float(np.clip(half, 3.0, 18.0))
    stem = centre - along * half * rng.uniform(3.0, 6.0)
    shoulder = centre + along * half
    rod(stage, material, shoulder, stem, 0.65 * half, last_mm=0.3 * half, implanted=True)
    side = rng.choice((-1.0, 1.0))
    head = shoulder + (0.7 * along + side * across) * half * rng.uniform(1.2, 2.0)
    rod(stage, material, shoulder, head, 0.35 * half, implanted=True)
    ball(stage, material, head, rng.uniform(0.8, 1.1) * half, rng.choice((0.0, 0.7)))
    if rng.random() < 0.6:
        ball(stage, "titanium", head, 1.5 * half, 0.88)


def _knee(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    """Add a tray with a keel, and a curved cap opposite to it."""
    half = float(np.clip(half, 4.0, 32.0))
    rod(
        stage,
        "titanium",
        centre - half * across,
        centre + half * across,
        0.08 * half + 0.6,
        implanted=True,
    )
    keel = centre + along * half * rng.uniform(0.8, 2.0)
    rod(stage, "titanium", centre, keel, 0.22 * half, last_mm=0.1 * half, implanted=True)
    top = centre - along * 0.25 * half
    reach, deep = 0.95 * half, rng.uniform(0.3, 1.2) * half

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        t = -(x - top[0]) * along[0] - (y - top[1]) * along[1]
        d = (x - top[0]) * across[0] + (y - top[1]) * across[1]
        outer = ((t - 0.6 * half) / (0.6 * half)) ** 2 + (d / reach) ** 2
        inner = ((t - 0.75 * half) / (0.5 * half)) ** 2 + (d / (0.75 * reach)) ** 2
        return np.asarray(deep * ((outer < 1.0) & (inner > 1.0) & (t < 0.7 * half)))

    stage.add(material, (top,), 1.5 * half, chord, implanted=True)


def _staples(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    wide, radius = rng.uniform(4.0, 8.0), rng.uniform(0.25, 0.7)
    apart = rng.uniform(5.0, 10.0)
    for number in range(int(rng.integers(1, 12))):
        middle = centre + along * apart * (number - 4) + rng.normal(0.0, 0.6, 2)
        legs = [middle + sign * across * wide / 2.0 for sign in (-1.0, 1.0)]
        rod(stage, material, legs[0], legs[1], radius, implanted=True)
        for leg in legs:
            rod(stage, material, leg, leg + along * wide * 0.5, radius, implanted=True)


def _cerclage(
    stage: Stage,
    material: str,
    centre: FloatArray,
    along: FloatArray,
    across: FloatArray,
    half: float,
    rng: np.random.Generator,
) -> None:
    """Wires around a shaft, and their twisted ends."""
    half = max(half, 3.0)
    radius = rng.uniform(0.4, 0.8)
    for number in range(int(rng.integers(1, 5))):
        middle = centre + along * half * (number - 1.5)
        lean = (across + rng.normal(0.0, 0.15) * along) * half * 1.05
        rod(stage, material, middle - lean, middle + lean, radius, implanted=True)
        end = middle + lean + along * rng.uniform(2.0, 5.0)
        rod(stage, material, middle + lean, end, 1.5 * radius, implanted=True)


_IMPLANTS: dict[str, Callable[..., None]] = {
    "screws": _screws,
    "plate": _plate,
    "wires": _wires,
    "nail": _nail,
    "hip": _hip,
    "knee": _knee,
    "staples": _staples,
    "cerclage": _cerclage,
}
