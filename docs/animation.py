"""Make the moving picture of the README: open, segment, three strokes, corrected.

Usage: python docs/animation.py (on Linux without a display: under xvfb-run)

Shown is a simulated radiograph, with strokes where the result is wrong. Needs the extra
`simulation`. Settings are those of a fresh installation, whatever yours are.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PICTURE = Path(__file__).parent / "images" / "napari-xnet.gif"
REGION, SEED, SIZE_PX = "foot", 6, 400
WINDOW = (1200, 660)
WIDTH_PX = 960
STROKES, STEPS = 3, 4
SHORT_MS, LONG_MS = 160, 1600


def main() -> None:
    """Go through a session, and take a picture of each step."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(scratch, name))
        os.environ["NAPARI_CONFIG"] = str(Path(scratch, "napari.yaml"))
        frames = _take()
    _save(frames)


def _take() -> list:
    import napari
    import numpy as np
    from qtpy.QtWidgets import QApplication

    from napari_xnet.simulation import simulate

    sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
    from live_strokes import stroke

    made = simulate(REGION, seed=SEED, size_px=SIZE_PX)
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    frames = []

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("It did not happen in time.")
            wait(0.05)

    def shoot(milliseconds: int) -> None:
        wait(0.4)
        frames.append((viewer.screenshot(canvas_only=False, flash=False), milliseconds))

    _, dock = viewer.window.add_plugin_dock_widget("napari-xnet", "Train XNet")
    wait(1)
    viewer.add_image(made.image, name=REGION)
    wait(1)
    shoot(LONG_MS)
    live, panel = dock._live, dock._live_panel
    panel.turn(True)
    until(lambda: live.answer is not None and f"{REGION}_labels" in viewer.layers)
    wait(1)
    shoot(LONG_MS)
    labels = viewer.layers[f"{REGION}_labels"]
    rng = np.random.default_rng(SEED)
    for _ in range(STROKES):
        painted = np.zeros_like(made.labels)
        stroke(live.answer.labels != made.labels, made.labels, painted, rng)
        before = live._answer
        where = np.argwhere(painted)
        labels.selected_label = int(painted[tuple(where[0])])
        # A hand draws it along its longer side.
        along = where[:, np.argmax(np.ptp(where, axis=0))]
        for part in np.array_split(where[np.argsort(along, kind="stable")], STEPS):
            labels.data_setitem(tuple(part.T), painted[tuple(part.T)])
            shoot(SHORT_MS)
        until(lambda before=before: live._answer is not before and not live._asking)
        shoot(LONG_MS)
    accuracy = float((live.answer.labels == made.labels).mean())
    print(f"accuracy after {STROKES} strokes {accuracy:.3f}")
    panel.accept()
    wait(1)
    shoot(2 * LONG_MS)
    viewer.close()
    return frames


def _save(frames: list) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame[..., :3]) for frame, _ in frames]
    size = WIDTH_PX, round(pictures[0].height * WIDTH_PX / pictures[0].width)
    small = [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]
    # One palette for all: what does not move must not flicker.
    all_of_them = Image.new("RGB", (size[0], size[1] * len(small)))
    for number, picture in enumerate(small):
        all_of_them.paste(picture, (0, size[1] * number))
    palette = all_of_them.quantize(256, dither=Image.Dither.NONE)
    flat = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in small]
    flat[0].save(
        PICTURE,
        save_all=True,
        append_images=flat[1:],
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
        optimize=False,
    )


if __name__ == "__main__":
    main()
