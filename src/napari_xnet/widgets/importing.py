"""*Import labels…*: a mask of another program becomes the painted labels of a radiograph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from napari.qt.threading import thread_worker
from numpy.typing import NDArray
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_xnet.errors import ImageError
from napari_xnet.io import read_labels
from napari_xnet.io.conventions import CONVENTIONS

_TITLES: Final[Mapping[str, str]] = {
    "tissue": "1 open beam, 2 soft tissue, 3 bone",
    "indices": "0 open beam, 1 soft tissue, 2 bone",
    "rgb": "Drawn in white, yellow and blue",
}
_FILTER: Final = "Masks (*.tif *.tiff *.png *.jpg *.jpeg)"


def convention_menu(parent: QWidget, choose: Callable[[str], None]) -> QMenu:
    """Make a menu that asks what the values of a mask mean.

    Parameters
    ----------
    parent : QWidget
    choose : callable
        Called with the name of a convention, see `io.conventions`.
    """
    menu = QMenu(parent)
    for convention in CONVENTIONS:
        menu.addAction(_TITLES[convention], lambda name=convention: choose(name))
    return menu


def ask_for_mask(parent: QWidget, folder: Path) -> Path | None:
    """Let the user choose a file, first in some folder; None if they would rather not."""
    chosen, _ = QFileDialog.getOpenFileName(parent, "Import labels", str(folder), _FILTER)
    return Path(chosen) if chosen else None


@thread_worker
def read_mask(
    path: Path, convention: str, shape: tuple[int, ...], image_name: str
) -> tuple[NDArray[np.uint8] | None, Exception | None]:
    """Read a mask as tissue classes in the shape of a radiograph."""
    try:
        labels = read_labels(path, convention)
        if labels.squeeze().shape != tuple(size for size in shape if size > 1):
            raise ImageError(
                f"{path.name} has {_size(labels.shape)} pixels, but {image_name} has "
                f"{_size(shape)}: choose the mask of this radiograph, or select its row."
            )
        # A copy: the file may be mapped, and is not to be painted on.
        return labels.reshape(shape).copy(), None
    except Exception as error:
        return None, error


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
