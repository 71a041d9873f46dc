"""Make the pictures of the documentation from a real napari window.

Usage: python docs/screenshots.py (on Linux without a display: under xvfb-run)

Settings are those of a fresh installation, whatever yours are.
"""

import os
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent / "images"


def main() -> None:
    """Open, segment, and take a picture of each step."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CONFIG_HOME"] = scratch
        os.environ["NAPARI_CONFIG"] = str(Path(scratch, "napari.yaml"))
        os.environ["NAPARI_XNET_MODELS"] = scratch
        _take(FOLDER)


def _take(folder: Path) -> None:
    import napari
    from qtpy.QtCore import QRect
    from qtpy.QtWidgets import QApplication

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
    last = widget["status"].native
    bottom = last.mapTo(widget.native, last.rect().bottomLeft()).y()
    rows = QRect(0, 0, widget.native.width(), bottom)
    widget.native.grab(rows).save(str(folder / "dock.png"))

    widget.run()
    shoot("loading")
    while "hand_labels" not in viewer.layers:
        wait(0.1)
    shoot("segmented")
    viewer.close()


if __name__ == "__main__":
    main()
