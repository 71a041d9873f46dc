"""Make the pictures of the documentation from a real napari window.

Usage: python docs/screenshots.py (on Linux without a display: under xvfb-run)

Settings are those of a fresh installation, whatever yours are.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent.absolute() / "images"
STROKES = 3
"""Of the correction that is shown."""
EPOCHS = 3
"""Of the training that is shown."""


def main() -> None:
    """Open, segment, and take a picture of each step."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CONFIG_HOME"] = scratch
        os.environ["NAPARI_CONFIG"] = str(Path(scratch, "napari.yaml"))
        os.environ["NAPARI_XNET_MODELS"] = str(Path(scratch, "models"))
        os.environ["NAPARI_XNET_RUNS"] = str(Path(scratch, "runs"))
        # Paths that can be seen in a picture should be those of a user.
        Path(scratch, "radiographs").mkdir()
        os.chdir(scratch)
        _take(FOLDER)


def _take(folder: Path) -> None:
    import napari
    import numpy as np
    from qtpy.QtCore import QRect
    from qtpy.QtWidgets import QApplication, QFileDialog

    from napari_xnet import tissue
    from napari_xnet.widgets.run_view import RunView

    sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
    from live_strokes import stroke
    from strokes import scribbles

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)

    def wait(seconds: float = 1.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def shoot(name: str) -> None:
        wait()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    image, _ = viewer.open_sample("napari-xnet", "hand")
    viewer.layers.selection.active = image
    shoot("opened")

    _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Segment radiograph")
    wait()
    last = widget._batch.widgets[0].native
    bottom = last.mapTo(widget, last.rect().bottomLeft()).y() + 4
    rows = QRect(0, 0, widget.width(), bottom)
    widget.grab(rows).save(str(folder / "dock.png"))

    widget.run()
    shoot("loading")
    while "hand_labels" not in viewer.layers:
        wait(0.1)
    shoot("segmented")

    labels = viewer.layers["hand_labels"]
    labels.mode = "paint"
    reference = viewer.layers["hand reference"].data
    painted = np.zeros_like(reference)
    rng = np.random.default_rng(0)
    for _ in range(STROKES):
        stroke(np.asarray(labels.data) != reference, reference, painted, rng)
        where = painted.nonzero()
        labels.selected_label = int(painted[where][-1])
        labels.data_setitem(where, painted[where])
    shoot("corrected")
    QFileDialog.getSaveFileName = lambda *_, **__: ("radiographs/hand_labels.tif", "")
    widget.save()
    wait(3)
    shoot("saved")
    viewer.layers.remove("hand_labels")
    viewer.window.remove_dock_widget("all")

    _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Evaluate segmentation")
    wait()
    widget.run()
    while "hand reference errors" not in viewer.layers:
        wait(0.1)
    shoot("evaluated")
    viewer.layers.remove("hand reference errors")
    viewer.window.remove_dock_widget("all")

    # With the exact labels open, those would be what is trained on.
    viewer.layers.remove("hand reference")
    _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Train XNet")
    wait(3)
    widget.new_labels()
    while "hand_labels" not in viewer.layers:
        wait(0.1)
    painted = viewer.layers["hand_labels"]
    painted.data = scribbles(reference)
    painted.selected_label = tissue.BONE.value
    shoot("painted")
    widget.start()
    run = widget.findChild(RunView)
    while len(run.history) < EPOCHS:
        wait(0.1)
    shoot("training")
    widget.cancel()
    wait(2)
    viewer.close()


if __name__ == "__main__":
    main()
