"""Measure live segmentation in a real window: how soon it answers, and what it withstands.

Usage: python benchmarks/live_window.py latency [--size-px 1500] [--strokes 20]
       python benchmarks/live_window.py next [--size-px 1500] [--images 12]
       python benchmarks/live_window.py stress [--strokes 2000] [--images 4]

latency: drags the mouse over the simulated hand, enlarged; prints the time from the end of a
stroke to the redrawn labels, and how long the window took for each move of the brush while an
answer was on its way.

next: goes through a stack with the key Page Down, staying 5 s on each image (10 s on the first), in
which one stroke is painted; prints the time from the key to the redrawn labels of the next image.

stress: strokes at random on several radiographs, faster than they can be answered, with images
switched, undone strokes, and layers deleted and made anew; checks at the end that nobody wrote
into a layer that was not painted, and prints the memory of both processes as it goes.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
import psutil
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage.transform import resize

from napari_xnet.io.samples import sample_path

EVERY = 200
"""Strokes between two lines of the stress test."""


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("latency", "next", "stress"))
    parser.add_argument("--size-px", type=int)
    parser.add_argument("--strokes", type=int)
    parser.add_argument("--images", type=int)
    call = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Nothing of the user's is touched.
        for name in ("CACHE", "DATA", "CONFIG"):
            os.environ[f"XDG_{name}_HOME"] = os.path.join(folder, name)
        {"latency": latency, "next": next_image, "stress": stress}[call.what](call)


def latency(call: argparse.Namespace) -> None:
    """Print how soon strokes are answered, and moves of the brush drawn."""
    side = call.size_px or 1500
    viewer, live = window([hand(side)])
    canvas = viewer.window._qt_viewer.canvas
    rng = np.random.default_rng(0)
    answers, moves = [], []
    for number in range(call.strokes or 20):
        labels = viewer.layers.selection.active
        labels.selected_label = 1 + number % 3
        start = rng.uniform(0.15, 0.75, 2) * side
        points = [QPoint(*at(canvas, viewer, start + k * 0.01 * side)) for k in range(10)]
        QTest.mousePress(canvas.native, Qt.MouseButton.LeftButton, pos=points[0])
        for point in points:
            began = time.perf_counter()
            QTest.mouseMove(canvas.native, point)
            QApplication.processEvents()
            moves.append(time.perf_counter() - began)
        before = live._answer
        QTest.mouseRelease(canvas.native, Qt.MouseButton.LeftButton, pos=points[-1])
        began = time.perf_counter()
        until(lambda before=before: live._answer is not before)
        QApplication.processEvents()
        answers.append(time.perf_counter() - began)
        # The next stroke begins while the radiographs beside are looked at, or not.
        wait(0.2 if number % 2 else 1.0)
    say("end of a stroke to redrawn labels", answers)
    say("brush move", moves)
    viewer.close()


def say(name: str, seconds: list[float]) -> None:
    """Print median and 95th percentile."""
    ms = 1000 * np.array(seconds)
    text = "{}: median {:.0f} ms, 95th percentile {:.0f} ms, slowest {:.0f} ms"
    print(text.format(name, np.median(ms), np.percentile(ms, 95), ms.max()))


def next_image(call: argparse.Namespace) -> None:
    """Print how soon the next image of a stack is segmented."""
    side, count = call.size_px or 1500, call.images or 12
    stack = np.stack([np.roll(hand(side), 61 * number, axis=1) for number in range(count)])
    viewer, live = window([stack])
    viewer.dims.set_point(0, 0)
    wait(10)
    canvas = viewer.window._qt_viewer.canvas.native
    labels = viewer.layers.selection.active
    rng = np.random.default_rng(0)
    seconds = []
    for number in range(count - 1):
        labels.selected_label = 1 + number % 3
        labels.paint((number, *rng.integers(50, side - 50, 2)), labels.selected_label)
        wait(5)
        until(lambda: not live._asking and not live._again)
        began = time.perf_counter()
        QTest.keyClick(canvas, Qt.Key.Key_PageDown)
        until(lambda number=number: viewer.dims.current_step[0] == number + 1)
        until(lambda: live.answer is not None)
        QApplication.processEvents()
        seconds.append(time.perf_counter() - began)
    say("next image", seconds)
    viewer.close()


def stress(call: argparse.Namespace) -> None:
    """Print memory, and what went wrong."""
    side = call.size_px or 400
    images = [np.roll(hand(side), 37 * number, axis=1) for number in range(call.images or 4)]
    viewer, live = window(images)
    panel = live.panel
    rng = np.random.default_rng(0)
    process = psutil.Process()
    expected: dict[Any, np.ndarray] = {}
    for number in range(call.strokes or 2000):
        deed = rng.random()
        labels = viewer.layers.selection.active
        if deed < 0.04:
            panel.step(int(rng.choice([-1, 1])))
        elif deed < 0.05 and labels in expected:
            viewer.layers.remove(labels)
            expected.pop(labels)
            panel._start_painting()
        elif deed < 0.06:
            panel.turn(False)
            panel.turn(True)
        elif deed < 0.1 and labels in expected:
            labels.undo()
            expected[labels] = labels.data.copy()
        labels = viewer.layers.selection.active
        if hasattr(labels, "paint"):
            labels.paint(tuple(rng.integers(5, side - 5, 2)), int(rng.integers(1, 4)))
            expected[labels] = labels.data.copy()
        wait(float(rng.choice([0.0, 0.01, 0.05, 0.3])))
        if (number + 1) % EVERY == 0:
            engine = psutil.Process(live._engine.pid).memory_info().rss
            mb = (process.memory_info().rss / 2**20, engine / 2**20)
            print(f"{number + 1} strokes: window {mb[0]:.0f} MB, engine {mb[1]:.0f} MB", flush=True)
    until(lambda: not live._asking and not live._again)
    for labels, data in expected.items():
        assert np.array_equal(labels.data, data), f"{labels.name} was written"
    print(f"{len(expected)} painted layers are as they were painted.")
    viewer.close()


def window(images: list[np.ndarray]) -> tuple[napari.Viewer, Any]:
    """Open images, turn live segmentation on, wait for its first answer."""
    viewer = napari.Viewer()
    for number, image in enumerate(images):
        viewer.add_image(image, name=f"hand {number}")
    _, dock = viewer.window.add_plugin_dock_widget("napari-xnet", "Train XNet")
    wait(1)
    live = dock._live
    live.panel = dock._live_panel
    dock._live_panel.turn(True)
    until(lambda: live.answer is not None and hasattr(viewer.layers.selection.active, "paint"))
    wait(1)
    return viewer, live


def hand(side: int) -> np.ndarray:
    """Return the simulated hand, as large as that."""
    image = tifffile.imread(sample_path("hand"))
    scaled = resize(image, (side, side), order=1, preserve_range=True)
    return np.asarray(scaled, np.uint16)


def at(canvas: Any, viewer: napari.Viewer, place: np.ndarray) -> tuple[int, int]:
    """Where a pixel of an image lies on the canvas."""
    height, width = canvas.native.height(), canvas.native.width()
    camera = viewer.scene.camera
    offset = (place - np.array(camera.center[-2:])) * camera.zoom
    return round(width / 2 + offset[1]), round(height / 2 + offset[0])


def wait(seconds: float) -> None:
    """Let the window work."""
    end = time.monotonic() + seconds
    QApplication.processEvents()
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    """Let the window work until something is so."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("It did not happen in time.")
        QApplication.processEvents()
        time.sleep(0.005)  # an event loop that waits takes no processor from the engine


if __name__ == "__main__":
    main()
