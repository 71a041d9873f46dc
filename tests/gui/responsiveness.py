"""Run in a fresh process by `test_process`: prints how late a timer was at most, in seconds.

Opens a radiograph, opens the dock and segments, the first run of the session
included, while a timer of 50 ms ticks in the GUI thread.
"""

import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

INTERVAL_MS = 50

viewer = napari.Viewer()
viewer.add_image(np.load(Path(sys.argv[1])), name="radiograph")


def run_until(condition) -> None:
    """Run the event loop."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            sys.exit("timed out")
        QApplication.processEvents()
        time.sleep(0.001)


start = time.monotonic()
run_until(lambda: time.monotonic() > start + 1)
_, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Segment radiograph")

ticks = [time.perf_counter()]
timer = QTimer()
timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
timer.start(INTERVAL_MS)
widget.run()
run_until(lambda: "radiograph_labels" in viewer.layers)
end = time.monotonic()
run_until(lambda: time.monotonic() > end + 0.5)
viewer.close()
print(np.diff(ticks).max() - INTERVAL_MS / 1000)
