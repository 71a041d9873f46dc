"""``napari-xnet demo``: segment a simulated radiograph and show it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from napari_xnet import tissue
from napari_xnet.io.samples import sample_path

SAMPLE = "hand"

_QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
"""What QtPy can build on."""


def why_no_window() -> str | None:
    """Tell why no window can be opened here.

    Returns
    -------
    str or None
        A sentence without its stop; None if a window can be opened. That is tried out in
        another process: where it fails, Qt ends the process.
    """
    is_mute = os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal")
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if is_mute or (sys.platform == "linux" and not has_screen):
        return "There is no display"
    if not any(map(importlib.util.find_spec, _QT)):
        return "There is no Qt (pip install 'napari[all]' brings it)"
    trial = "from qtpy.QtWidgets import QApplication; QApplication([])"
    try:
        subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=60, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        missing = (
            ", most often for want of libraries of the system (the documentation lists them "
            'in "Install", "Linux without a desktop")'
        )
        return f"Qt cannot open a window{missing if sys.platform == 'linux' else ''}"
    return None


def show() -> None:
    """Open napari with the sample, segment it in the dock, and return when napari is closed."""
    import napari

    viewer = napari.Viewer(title="napari-xnet demo")
    viewer.window.resize(1280, 800)
    viewer.open(sample_path(SAMPLE), plugin="napari-xnet")
    _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", "Segment radiograph")
    widget.run()
    napari.run()


def write(folder: Path) -> list[Path]:
    """Segment the sample without a window.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The TIFF file of the labels, and a PNG picture of them over the
        radiograph.

    Raises
    ------
    ImageError
        If the files cannot be written.
    """
    import numpy as np
    from skimage.color import label2rgb
    from skimage.io import imsave

    from napari_xnet.errors import ImageError
    from napari_xnet.inference.files import segment_file
    from napari_xnet.io import read_image, read_labels
    from napari_xnet.io.atomic import atomic_path
    from napari_xnet.models import load_model

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    written = segment_file(sample_path(SAMPLE), folder, load_model())

    image = np.asarray(read_image(sample_path(SAMPLE)).data, float)
    low, high = np.percentile(image, [0.5, 99.5])
    overlay = label2rgb(
        read_labels(written[0]),
        np.clip((image - low) / (high - low), 0, 1),
        colors=[
            np.frombuffer(bytes.fromhex(one.color[1:]), np.uint8) / 255 for one in tissue.CLASSES
        ],
        alpha=0.4,
    )
    written.append((folder / f"{SAMPLE}.png").absolute())
    with atomic_path(written[-1]) as temporary:
        imsave(temporary, (255 * overlay).astype(np.uint8), check_contrast=False)
    return [path.absolute() for path in written]
