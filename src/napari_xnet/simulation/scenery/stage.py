"""The image while things are put into the beam, and the simple shapes that they are made of."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery.drawing import enlarge
from napari_xnet.simulation.view import Thickness

BODY_MM = 1.0
"""From this thickness on there is body."""
_BONE_MM = 0.5
_METAL_MM = 0.15
"""Metal of this thickness is seen in any tissue."""
_COARSE = 128
"""Long side of the masks by which places are chosen, in pixels."""


class Stage:
    """The image while things are put in: coordinates are (x, y) in mm from its corner."""

    def __init__(self, inside: Thickness, pixel_size_mm: float) -> None:
        rows, columns = inside.spongy_mm.shape
        self.shape = (rows, columns)
        self.pixel = pixel_size_mm
        self.size = np.array([columns, rows]) * pixel_size_mm
        self.total_mm = np.zeros(self.shape, np.float32)
        for part in inside.mm.values():
            self.total_mm += part
        self.metal = np.zeros(self.shape, bool)
        self.mm: dict[str, FloatArray] = {}
        self._step = max(max(self.shape) // _COARSE, 1)
        self.coarse_mm = self._step * pixel_size_mm
        self.body = self.total_mm[:: self._step, :: self._step] >= BODY_MM
        bone = inside.mm.get("bone", inside.spongy_mm)
        self.bone = bone[:: self._step, :: self._step] >= _BONE_MM

    def layer(self, material: str) -> FloatArray:
        """Thickness of a material so far, to be added to."""
        if material not in self.mm:
            self.mm[material] = np.zeros(self.shape, np.float32)
        return self.mm[material]

    def add(
        self,
        material: str,
        corners: Sequence[FloatArray],
        reach_mm: float,
        chord: Callable[[FloatArray, FloatArray], FloatArray],
        implanted: bool = False,
    ) -> None:
        """Add a thickness that `chord` gives for x and y, near some points."""
        low = np.floor((np.min(corners, axis=0) - reach_mm) / self.pixel).astype(int)
        high = np.ceil((np.max(corners, axis=0) + reach_mm) / self.pixel).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, self.shape[::-1])
        if (low >= high).any():
            return
        part = (slice(low[1], high[1]), slice(low[0], high[0]))
        x = (np.arange(low[0], high[0], dtype=np.float32)[None] + 0.5) * self.pixel
        y = (np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5) * self.pixel
        # thin wires are as wide as a pixel: average within the pixels
        apart = 0.25 * self.pixel
        more = sum(chord(x + dx, y + dy) for dx in (-apart, apart) for dy in (-apart, apart)) / 4.0
        self.layer(material)[part] += np.asarray(more, np.float32)
        if implanted:
            self.metal[part] |= more > _METAL_MM

    def place(self, mask: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray | None:
        """Any point of a coarse mask."""
        found = np.flatnonzero(mask)
        if not len(found):
            return None
        row, column = np.unravel_index(int(rng.choice(found)), mask.shape)
        return self._point(int(row), int(column))

    def roomiest(self, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """Find a point with much room beside the body, and how much, in mm."""
        free = np.pad(~self.body, 1)
        room = ndimage.distance_transform_edt(free)[1:-1, 1:-1]
        room *= 1.0 + 0.3 * enlarge(rng.standard_normal((3, 3)), room.shape)
        row, column = np.unravel_index(int(room.argmax()), room.shape)
        return self._point(int(row), int(column)), float(room.max()) * self.coarse_mm

    def shaft(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, float] | None:
        """Find a point in the middle of a bone, its direction there, and half its width in mm."""
        depth = ndimage.distance_transform_edt(self.bone)
        found = np.flatnonzero(depth > 0.5 * depth.max()) if self.bone.any() else np.array([])
        if not len(found):
            return None
        row, column = np.unravel_index(int(rng.choice(found)), depth.shape)
        radius = 3.0 * float(depth[row, column]) + 2.0
        at = np.argwhere(self.bone) - (row, column)
        near = at[(at**2).sum(axis=1) < radius**2].astype(float)
        direction = np.array([0.0, 1.0])
        if len(near) > 2:
            _, vectors = np.linalg.eigh(np.cov(near.T))
            direction = vectors[::-1, -1]
        half_mm = float(depth[row, column]) * self.coarse_mm
        return self._point(int(row), int(column)), direction, half_mm

    def _point(self, row: int, column: int) -> FloatArray:
        return np.asarray((np.array([column, row]) + 0.5) * self.coarse_mm)


def rod(
    stage: Stage,
    material: str,
    start: FloatArray,
    end: FloatArray,
    radius_mm: float,
    *,
    last_mm: float | None = None,
    bore_mm: float = 0.0,
    pitch_mm: float = 0.0,
    implanted: bool = False,
) -> None:
    """Add a round rod; it may be tapered to a radius at its end, hollow or threaded."""
    along = np.asarray(end) - start
    length = max(float(np.hypot(*along)), 1e-6)
    along = along / length
    last = radius_mm if last_mm is None else last_mm

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        t = (x - start[0]) * along[0] + (y - start[1]) * along[1]
        d = (x - start[0]) * along[1] - (y - start[1]) * along[0]
        # blunt ends: beyond the end the radius falls off within half of itself
        past = np.maximum(np.maximum(-t, t - length), 0.0)
        radius = radius_mm + (last - radius_mm) * np.clip(t / length, 0.0, 1.0)
        if pitch_mm:
            radius = radius * (0.9 + 0.15 * np.sin(2.0 * np.pi * t / pitch_mm))
        radius = np.sqrt(np.maximum(radius**2 - 4.0 * past**2, 0.0))
        solid = np.sqrt(np.maximum(radius**2 - d**2, 0.0))
        return np.asarray(
            2.0 * (solid - np.sqrt(np.maximum(bore_mm**2 - d**2, 0.0)).clip(max=solid))
        )

    stage.add(material, (start, np.asarray(end)), max(radius_mm, last) + 1.0, chord, implanted)


def ball(stage: Stage, material: str, centre: FloatArray, radius_mm: float, shell: float) -> None:
    """Add a ball, or a hollow one whose wall is a share of its radius."""

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        square = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
        outer = np.sqrt(np.maximum(radius_mm**2 - square, 0.0))
        inner = np.sqrt(np.maximum((radius_mm * shell) ** 2 - square, 0.0))
        return np.asarray(2.0 * (outer - inner))

    stage.add(material, (centre,), radius_mm + 1.0, chord, implanted=True)


def disc(
    stage: Stage, material: str, centre: FloatArray, radius_mm: float, depth_mm: float
) -> None:
    """Add what is seen end-on: a screw, a snap fastener."""

    def chord(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(depth_mm * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius_mm**2))

    stage.add(material, (centre,), radius_mm + 1.0, chord, implanted=True)
