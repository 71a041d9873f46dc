"""Print how late a timer of the window was at most while it trains, in seconds.

Usage: python benchmarks/train_responsiveness.py IMAGE.npy LABELS.npy CONFIG.json FOLDER

Trains on a painted radiograph, with live curves and prediction, from *Start* to the new
model, while a timer of 50 ms ticks in the GUI thread.

Arguments: files of image and labels (.npy), config file, folder for models and runs.
"""

import os
import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_xnet.io.label_layers import tissue_appearance

INTERVAL_MS = 50

image, labels, config, folder = sys.argv[1:]
os.environ["NAPARI_XNET_MODELS"] = str(Path(folder, "models"))
os.environ["NAPARI_XNET_RUNS"] = str(Path(folder, "runs"))


def run_until(condition) -> None:
    """Run the event loop."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            sys.exit("timed out")
        QApplication.processEvents()
        time.sleep(0.001)


viewer = napari.Viewer()
viewer.add_image(np.load(image), name="hand")
viewer.add_labels(np.load(labels), name="hand_labels", **tissue_appearance())
_, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Train XNet")
widget._settings._config_file.value = Path(config)
# What the dock prepares, and counts, when it opens.
start = time.monotonic()
run_until(lambda: time.monotonic() > start + 8)

ticks = [time.perf_counter()]
timer = QTimer()
timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
timer.start(INTERVAL_MS)
widget.start()
shown = []
viewer.layers.events.inserted.connect(lambda event: shown.append(event.value))
run_until(lambda: not widget._task.is_running)
end = time.monotonic()
run_until(lambda: time.monotonic() > end + 0.5)
names = [layer.name for layer in shown]
trained = list(Path(folder, "models").glob("*/card.json"))
viewer.close()
assert "hand (training)" in names, "no live prediction"
assert trained, "no model"
print(np.diff(ticks).max() - INTERVAL_MS / 1000)
