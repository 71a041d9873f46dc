"""Run in a fresh process by `test_shared_process`: TensorFlow and OpenGL side by side.

What napari's console does: a window is open, then `napari_xnet.segment` is
called in the same process, then the window draws again.
"""

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

import napari_xnet

viewer = napari.Viewer()
image = viewer.add_image(np.random.default_rng(0).random((64, 64)))


def draw() -> np.ndarray:
    """Draw with OpenGL."""
    for _ in range(10):
        QApplication.processEvents()
    return viewer.screenshot(canvas_only=False, flash=False)


draw()
labels = napari_xnet.segment(image.data).labels
viewer.add_labels(labels)
assert draw().any()
viewer.close()
print(labels.shape)
