"""Measure how soon the labels follow the soft-tissue slider, in a real window.

Usage: python benchmarks/relabel_speed.py [--size-px 1500] [--moves 40]

Segments the simulated hand, enlarged, then moves the slider from end to end: the time from
the new value to the redrawn canvas.
"""

import argparse
import time

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication
from skimage.transform import resize

from napari_xnet.io.samples import sample_path


def main() -> None:
    """Print median and slowest move, without and with a smallest region."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-px", type=int, default=1500)
    parser.add_argument("--moves", type=int, default=40)
    call = parser.parse_args()
    image = resize(tifffile.imread(sample_path("hand")), (call.size_px, call.size_px), order=1)
    viewer = napari.Viewer(show=True)
    viewer.add_image(image.astype(np.float32), name="hand")
    _, dock = viewer.window.add_plugin_dock_widget("napari-xnet", "Segment radiograph")
    dock.run()
    while dock._task.is_running:
        QApplication.processEvents()
        time.sleep(0.01)
    parts = {part.name: part for part in dock._form.remembered.values()}
    parts["use_threshold"].value = True
    for smallest in (0, 60):
        parts["smallest_region"].value = smallest
        seconds = []
        for position in np.linspace(0, parts["purity"].max, call.moves):
            start = time.perf_counter()
            parts["purity"].value = int(position)
            QApplication.processEvents()
            seconds.append(time.perf_counter() - start)
        middle, slowest = 1000 * np.median(seconds), 1000 * max(seconds)
        print(f"smallest region {smallest} px: median {middle:.0f} ms, slowest {slowest:.0f} ms")
    viewer.close()


if __name__ == "__main__":
    main()
