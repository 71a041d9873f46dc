"""What lies around a body: casts, bandages, cables, clips, pads, a step wedge."""

import math

import numpy as np
from scipy import ndimage

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery.drawing import enlarge, polygon, uneven
from napari_xnet.simulation.scenery.stage import Stage, rod

_TITANIUM_PER_ALUMINIUM = 0.18
"""Titanium that attenuates as 1 mm of aluminium does at 50 keV (NIST tables: 0.099, 0.546 /mm)."""


def _sleeve(stage: Stage, thickness_mm: float, rng: np.random.Generator) -> FloatArray | None:
    """Length of the rays in a layer around part of the body, as if that were round."""
    if not stage.body.any() or stage.body.all():
        return None
    depth = ndimage.distance_transform_edt(stage.body) - ndimage.distance_transform_edt(~stage.body)
    depth = ndimage.gaussian_filter(depth.astype(np.float32), 1.0) * stage.coarse_mm
    radius = max(float(depth.max()), 5.0)
    from_axis = np.maximum(radius - depth, 0.0)
    layer = 2.0 * (
        np.sqrt(np.maximum((radius + thickness_mm) ** 2 - from_axis**2, 0.0))
        - np.sqrt(np.maximum(radius**2 - from_axis**2, 0.0))
    )
    rows, columns = stage.shape
    fine = enlarge(layer, (rows, columns))
    # it ends somewhere along the limb
    angle = rng.uniform(0.0, 2.0 * np.pi)
    y = (np.arange(rows, dtype=np.float32)[:, None] / rows - 0.5) * math.cos(angle)
    x = (np.arange(columns, dtype=np.float32)[None] / columns - 0.5) * math.sin(angle)
    return np.asarray(np.maximum(fine, 0.0) * (x + y < rng.uniform(0.0, 0.9)))


def cast(stage: Stage, rng: np.random.Generator) -> None:
    """Plaster: uneven and streaky; or the lighter casts of plastic and glass."""
    sleeve = _sleeve(stage, rng.uniform(2.5, 8.0), rng)
    if sleeve is not None:
        streaks = _streaks(stage, rng.uniform(4.0, 12.0), rng)
        blotches = uneven(stage.shape, int(rng.integers(8, 30)), rng)
        texture = np.clip(1.0 + 0.12 * streaks + 0.12 * blotches, 0.3, 2.0)
        material = str(rng.choice(("plaster", "plastic"), p=(0.7, 0.3)))
        stage.layer(material)[:] += sleeve * texture


def bandage(stage: Stage, rng: np.random.Generator) -> None:
    """Wind turns of gauze, each with its edges."""
    sleeve = _sleeve(stage, rng.uniform(0.8, 3.0), rng)
    if sleeve is not None:
        turns = _streaks(stage, rng.uniform(15.0, 45.0), rng) > 0
        stage.layer("plastic")[:] += sleeve * (0.25 + 0.35 * turns)


def _streaks(stage: Stage, period_mm: float, rng: np.random.Generator) -> FloatArray:
    """Parallel bands of deviation near 1, not quite straight."""
    angle = rng.uniform(0.0, np.pi)
    y = np.arange(stage.shape[0], dtype=np.float32)[:, None] * stage.pixel
    x = np.arange(stage.shape[1], dtype=np.float32)[None] * stage.pixel
    along = x * math.cos(angle) + y * math.sin(angle)
    bend = 0.15 * period_mm * uneven(stage.shape, 5, rng)
    bands: FloatArray = 1.4 * np.sin(2.0 * np.pi * (along + bend) / period_mm)
    return bands


def cable(stage: Stage, rng: np.random.Generator) -> None:
    """Lay a cable, with or without electrode, or a tube."""
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.uniform(-0.1, 1.1, (4, 2)) * stage.size
        t = np.linspace(0.0, 1.0, 50)[:, None]
        path = (
            (1 - t) ** 3 * ends[0]
            + 3 * t * (1 - t) ** 2 * ends[1]
            + 3 * t**2 * (1 - t) * ends[2]
            + t**3 * ends[3]
        ) / stage.pixel
        width = rng.uniform(1.5, 5.0)
        sheath = polygon(path, stage.shape, width / stage.pixel)
        stage.layer("plastic")[:] += 0.7 * width * sheath
        if rng.random() < 0.7:
            core = rng.uniform(0.4, 1.0)
            drawn = polygon(path, stage.shape, core / stage.pixel)
            # strands, not solid; a line is at least a pixel wide, so thin it out
            share = min(core / stage.pixel, 1.0)
            stage.layer("steel")[:] += rng.uniform(0.2, 0.7) * core * share * drawn
            if rng.random() < 0.5:
                _button(stage, "steel", path[-1] * stage.pixel, rng.uniform(3.0, 6.0), 0.8)
        else:
            hollow = polygon(path, stage.shape, 0.6 * width / stage.pixel)
            stage.layer("plastic")[:] -= 0.6 * width * np.minimum(hollow, sheath)


def _button(
    stage: Stage, material: str, centre: FloatArray, radius_mm: float, depth_mm: float
) -> None:
    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(depth_mm * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius_mm**2))

    stage.add(material, (centre,), radius_mm + 1.0, chord)


def clips(stage: Stage, rng: np.random.Generator) -> None:
    """Surgical clips, buttons, snap fasteners, safety pins."""
    kind = rng.choice(("clips", "buttons", "pin"))
    for _ in range(int(rng.integers(1, 6))):
        place = stage.place(stage.body, rng)
        if place is None:
            return
        if kind == "buttons":
            material, depth = (("plastic", 3.0), ("steel", 0.5))[rng.integers(2)]
            _button(stage, material, place, rng.uniform(4.0, 9.0), depth)
            continue
        angle = rng.uniform(0.0, np.pi)
        length = rng.uniform(4.0, 8.0) if kind == "clips" else rng.uniform(20.0, 40.0)
        aim = length * np.array([math.cos(angle), math.sin(angle)])
        aside = 0.2 * np.array([-aim[1], aim[0]])
        rod(stage, "steel", place, place + aim, 0.45)
        rod(stage, "steel", place + aside, place + aim, 0.45)


def pad(stage: Stage, rng: np.random.Generator) -> None:
    """Foam wedges, cushions, the edge of a table: straight edges, thin to the rays."""
    far = 2.0 * float(stage.size.max())
    for _ in range(int(rng.integers(1, 3))):
        angle = rng.choice((0.0, np.pi / 2)) + rng.normal(0.0, 0.15) + rng.choice((0.0, np.pi))
        aim = np.array([math.cos(angle), math.sin(angle)])
        aside = np.array([-aim[1], aim[0]])
        edge = rng.uniform(0.1, 0.9, 2) * stage.size
        broad = far if rng.random() < 0.6 else rng.uniform(5.0, 60.0)
        corners = np.array(
            [edge - far * aside, edge + far * aside, edge + far * aside + broad * aim,
             edge - far * aside + broad * aim]
        )  # fmt: skip
        cover = polygon(corners / stage.pixel, stage.shape)
        mm = math.exp(rng.uniform(math.log(0.3), math.log(12.0)))
        if rng.random() < 0.3:  # a wedge
            rows, columns = stage.shape
            y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) * stage.pixel - edge[1]
            x = (np.arange(columns, dtype=np.float32)[None] + 0.5) * stage.pixel - edge[0]
            cover = cover * np.clip((x * aim[0] + y * aim[1]) / (0.5 * far), 0.0, 1.0)
            mm *= 2.0
        stage.layer("plastic")[:] += mm * cover


def step_wedge(stage: Stage, rng: np.random.Generator) -> None:
    """Lay steps of aluminium beside the body, for measuring bone density."""
    place, room = stage.roomiest(rng)
    steps = int(rng.integers(5, 12))
    length = float(np.clip(2.0 * room, 25.0, 90.0))
    wide = 0.2 * length
    rise = rng.uniform(0.5, 2.0) * _TITANIUM_PER_ALUMINIUM
    upright = rng.random() < 0.5

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        t, d = (y - place[1], x - place[0]) if upright else (x - place[0], y - place[1])
        step = np.clip(np.ceil((t / length + 0.5) * steps), 1, steps)
        return np.asarray(rise * step * ((np.abs(t) < length / 2.0) & (np.abs(d) < wide / 2.0)))

    stage.add("titanium", (place,), length, chord)
