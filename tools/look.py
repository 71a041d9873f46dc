"""Take a picture of each dock in both themes and at two sizes, to look at.

Usage: python tools/look.py FOLDER (on Linux without a display: under xvfb-run)
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

SIZES = ((1280, 720), (1920, 1080))
THEMES = ("dark", "light")


def main() -> None:
    """Write FOLDER/DOCK_THEME_WIDTH.png, with nothing open and with a radiograph."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    call = parser.parse_args()
    call.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(scratch, name))
        os.environ["NAPARI_CONFIG"] = str(Path(scratch, "napari.yaml"))
        _take(call.folder)


def _take(folder: Path) -> None:
    import napari
    import npe2
    from napari.settings import get_settings
    from qtpy.QtWidgets import QApplication

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    manifest = npe2.PluginManifest.from_distribution("napari-xnet")
    viewer = napari.Viewer()
    for theme in THEMES:
        get_settings().appearance.theme = theme
        for width, height in SIZES:
            viewer.window.resize(width, height)
            for dock in manifest.contributions.widgets or []:
                name = dock.display_name
                for state in ("empty", "open"):
                    if state == "open":
                        viewer.open_sample("napari-xnet", "hand")
                    viewer.window.add_plugin_dock_widget("napari-xnet", name)
                    wait(1.5)
                    path = folder / f"{name} {theme} {width} {state}.png"
                    viewer.screenshot(str(path), canvas_only=False, flash=False)
                    viewer.window.remove_dock_widget("all")
                    viewer.layers.clear()
    viewer.close()


if __name__ == "__main__":
    main()
