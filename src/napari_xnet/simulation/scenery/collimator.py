"""The light field of the collimator."""

import math

import numpy as np

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery.stage import Stage


def light(stage: Stage, rng: np.random.Generator) -> FloatArray:
    """Light field: none of its edges in sight, or a rectangle, circle, octagon, several fields."""
    kind = rng.choice(
        ("open", "rectangle", "tilted", "some sides", "round", "octagon", "several"),
        p=(0.55, 0.12, 0.06, 0.17, 0.03, 0.03, 0.04),
    )
    if kind == "open":
        return np.ones(stage.shape, np.float32)
    width, height = stage.size
    y = (np.arange(stage.shape[0], dtype=np.float32)[:, None] + 0.5) * stage.pixel - height / 2
    x = (np.arange(stage.shape[1], dtype=np.float32)[None] + 0.5) * stage.pixel - width / 2
    degrees = {"tilted": rng.uniform(-15.0, 15.0), "octagon": rng.uniform(-25.0, 25.0)}
    angle = math.radians(degrees.get(kind, rng.normal(0.0, 0.7)))
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    inset = rng.choice((0.03, 0.08, 0.2), p=(0.45, 0.4, 0.15)) * rng.uniform(0.3, 1.5, 4)
    if kind == "some sides":
        inset = np.where(rng.random(4) < 0.5, inset, -1.0)
    left, right = (-0.5 + inset[0]) * width, (0.5 - inset[1]) * width
    top, bottom = (-0.5 + inset[2]) * height, (0.5 - inset[3]) * height
    level: FloatArray | float = 1.0
    if kind == "round":
        beyond = np.hypot(u, v) - rng.uniform(0.42, 0.62) * min(width, height)
    else:
        beyond = np.maximum(np.maximum(left - u, u - right), np.maximum(top - v, v - bottom))
    if kind == "octagon":
        corner = rng.uniform(0.75, 0.95) * (right + bottom) / math.sqrt(2.0)
        beyond = np.maximum(beyond, (np.abs(u) + np.abs(v)) / math.sqrt(2.0) - corner)
    if kind == "several":
        across, extent = (u, width) if width > height else (v, height)
        for cut in _cuts(rng):
            middle = cut * extent
            beyond = np.maximum(beyond, rng.uniform(0.5, 5.0) - np.abs(across - middle))
            level = level * np.where(across > middle, rng.uniform(0.75, 1.0), 1.0)
    penumbra = math.exp(rng.uniform(math.log(0.1), math.log(2.5)))
    leak = rng.choice((0.0, rng.uniform(0.0, 0.05)))
    light = level * (leak + (1.0 - leak) / (1.0 + np.exp(np.clip(beyond / penumbra, -30.0, 30.0))))
    return np.asarray(light, np.float32)


def _cuts(rng: np.random.Generator) -> tuple[float, ...]:
    """Where fields on one plate are separated: two fields, or three."""
    return (rng.uniform(-0.1, 0.1),) if rng.random() < 0.8 else (-0.17, 0.17)
