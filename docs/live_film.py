"""Make the film of live segmentation for the documentation, as one picture of six frames.

Usage: python docs/live_film.py (on Linux without a display: under xvfb-run)

Shown are simulated radiographs; strokes are painted where the result is wrong. Needs the extra
`simulation`. Settings are those of a fresh installation, whatever yours are.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PICTURE = Path(__file__).parent / "images" / "live.png"
REGION, SEEDS, SIZE_PX = "wrist", (4, 2), 700
WINDOW = (1180, 760)
WIDTH_PX = 800
"""Of a frame in the picture."""


def main() -> None:
    """Go through a session, and take a picture of each step."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(scratch, name))
        os.environ["NAPARI_CONFIG"] = str(Path(scratch, "napari.yaml"))
        frames = _take(Path(scratch))
    _lay_out(frames)


def _take(scratch: Path) -> list:
    import napari
    import numpy as np
    from qtpy.QtWidgets import QApplication

    from napari_xnet import list_models
    from napari_xnet.simulation import simulate

    sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
    from live_strokes import stroke

    first, second = (simulate(REGION, seed=seed, size_px=SIZE_PX) for seed in SEEDS)
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    frames = []

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 600
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("It did not happen in time.")
            wait(0.05)

    def shoot() -> None:
        wait(1.5)
        frames.append(viewer.screenshot(canvas_only=False, flash=False))

    viewer.add_image(first.image, name="first")
    _, dock = viewer.window.add_plugin_dock_widget("napari-xnet", "Train XNet")
    wait(1)
    live, panel = dock._live, dock._live_panel
    panel.turn(True)
    until(lambda: live.answer is not None and "first_labels" in viewer.layers)
    shoot()

    labels = viewer.layers["first_labels"]
    rng = np.random.default_rng(0)
    for _ in range(3):
        painted = np.zeros_like(first.labels)
        stroke(live.answer.labels != first.labels, first.labels, painted, rng)
        before = live._answer
        where = np.nonzero(painted)
        labels.selected_label = int(painted[where][0])
        labels.data_setitem(where, painted[where])
        until(lambda before=before: live._answer is not before)
    accuracy = float((live.answer.labels == first.labels).mean())
    print(f"accuracy after three strokes {accuracy:.3f}")
    shoot()
    panel.uncertainty.value = True
    until(lambda: "uncertainty" in viewer.layers)
    shoot()
    panel.uncertainty.value = False
    panel.accept()
    shoot()
    dock._settings.name.value = "my wrists"
    dock.train_deeper()
    until(lambda: "my wrists-live" in list_models())
    until(lambda: dock._task.is_running)
    until(lambda: len(dock._run_view.history) > 3)
    shoot()
    until(lambda: not dock._task.is_running)
    viewer.window.remove_dock_widget("all")
    viewer.layers.clear()
    viewer.add_image(second.image, name="second")
    _, segmenting = viewer.window.add_plugin_dock_widget("napari-xnet", "Segment radiograph")
    segmenting._model.value = next(one for one in list_models() if one.endswith("wrists"))
    segmenting.run()
    until(lambda: "second_labels" in viewer.layers)
    shoot()
    viewer.close()
    return frames


def _lay_out(frames: list) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame[..., :3]) for frame in frames]
    height = round(pictures[0].height * WIDTH_PX / pictures[0].width)
    sheet = Image.new("RGB", (2 * WIDTH_PX + 10, 3 * (height + 10) - 10), "white")
    for number, picture in enumerate(pictures):
        place = (number % 2 * (WIDTH_PX + 10), number // 2 * (height + 10))
        sheet.paste(picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS), place)
    sheet.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
