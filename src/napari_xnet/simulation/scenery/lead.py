"""Lead letters, arrows and rulers, and letters in the displayed image."""

import math

import numpy as np

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery.drawing import lettering, paste, polygon
from napari_xnet.simulation.scenery.stage import Stage, rod

_MARKS = (
    *("R", "L", "R", "L", "Re", "Li", "Sin", "Dx", "D", "G", "R\nKM", "L\nJB", "R 3", "L 12"),
    *("AP", "PA", "LAT", "STEHEND", "WB", "PORT", "UPRIGHT", "SUPINE", "12:40", "1", "2", "47"),
)
_LABELS = ("R", "L", "SEITE R", "LINKS", "RIGHT", "L LAT", "R AP", "STANDING", "2 PORT", "kV 60")


def mark(stage: Stage, rng: np.random.Generator) -> None:
    """Lead letters, an arrow or a ruler, mostly beside the body."""
    for _ in range(int(rng.choice((1, 2), p=(0.8, 0.2)))):
        if rng.random() < 0.08:
            _ruler(stage, rng)
            continue
        height = rng.uniform(6.0, 18.0) / stage.pixel
        turn = rng.normal(0.0, 10.0) + 90.0 * rng.choice(4, p=(0.8, 0.08, 0.06, 0.06))
        mirrored = rng.random() < 0.15
        if rng.random() < 0.1:
            patch = _arrow(height, turn)
        else:
            text = _MARKS[rng.integers(len(_MARKS))]
            height *= 1.0 if len(text) < 3 else 0.6
            patch = lettering(text, height, rng.uniform(0.0, 0.09), turn, mirrored)
        place, _ = stage.roomiest(rng)
        if rng.random() < 0.25:  # wherever it was laid, over tissue too
            place = rng.uniform(0.03, 0.97, 2) * stage.size
        holder = rng.choice(("none", "plastic", "lead"), p=(0.7, 0.2, 0.1))
        column, row = place / stage.pixel
        if holder != "none":
            frame = np.ones([side + int(0.4 * height) for side in patch.shape], np.float32)
            if holder == "lead":  # the letter is cut out
                middle = np.zeros_like(frame)
                paste(middle, patch, frame.shape[0] / 2, frame.shape[1] / 2)
                patch = frame - middle
            else:
                paste_mm = rng.uniform(1.0, 4.0)
                paste(stage.layer("plastic"), paste_mm * frame, row, column)
        paste(stage.layer("lead"), rng.choice((0.3, 1.0, 2.0)) * patch, row, column)


def _arrow(height_px: float, turn_deg: float) -> FloatArray:
    side = max(int(1.5 * height_px), 4)
    outline = np.array(
        [
            (0.5, 0.05),
            (0.85, 0.45),
            (0.6, 0.45),
            (0.6, 0.95),
            (0.4, 0.95),
            (0.4, 0.45),
            (0.15, 0.45),
        ]
    )
    angle = math.radians(turn_deg)
    turned = (outline - 0.5) @ np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    return polygon((turned / 1.3 + 0.5) * side, (side, side))


def _ruler(stage: Stage, rng: np.random.Generator) -> None:
    """Lay a scale with a tick each centimetre along a border."""
    vertical = rng.random() < 0.7
    far = rng.uniform(0.03, 0.1) if rng.random() < 0.5 else rng.uniform(0.9, 0.97)
    length = stage.size[1 if vertical else 0]
    across = stage.size[0 if vertical else 1] * far
    numbered = rng.random() < 0.6
    for tick in range(1, min(int(length / 5.0), 200)):
        reach = 4.0 if tick % 2 == 0 else 2.0
        ends = np.array([(across, 5.0 * tick), (across + reach, 5.0 * tick)])
        if not vertical:
            ends = ends[:, ::-1]
        rod(stage, "lead", ends[0], ends[1], 0.35)
        if numbered and tick % 10 == 0:
            column, row = (ends[1] + (3.5, 0.0) if vertical else ends[1] + (0.0, 3.5)) / stage.pixel
            paste(stage.layer("lead"), lettering(f"{tick // 2}", 4.0 / stage.pixel), row, column)


def write(overlay: FloatArray, stage: Stage, rng: np.random.Generator) -> float:
    """Write into the displayed image, return the grey value."""
    height = max(rng.uniform(0.018, 0.06) * max(stage.shape), 5.0)
    patch = lettering(_LABELS[rng.integers(len(_LABELS))], height, rng.uniform(0.0, 0.08))
    row, column = (rng.choice((0.1, 0.9, rng.uniform(0.1, 0.9))) * side for side in stage.shape)
    paste(overlay, patch, row, column)
    if rng.random() < 0.25:  # somebody has drawn a ring or an arrow
        centre = rng.uniform(0.2, 0.8, 2) * stage.shape[::-1]
        angle = np.linspace(0.0, 2.0 * np.pi, 60)
        ring = rng.uniform(0.02, 0.1, 2) * max(stage.shape)
        points = centre + ring * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        np.maximum(overlay, polygon(points, stage.shape, 0.006 * max(stage.shape)), out=overlay)
    return float(rng.choice((1.0, 0.0, 0.8), p=(0.75, 0.1, 0.15)))
