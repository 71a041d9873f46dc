"""The part of *Segment radiograph* that segments a folder of images."""

from pathlib import Path
from typing import Any

from magicgui.widgets import FileEdit, PushButton
from psygnal import Signal

from napari_xnet.engine.batch import FolderJob
from napari_xnet.errors import ImageError
from napari_xnet.inference import Options
from napari_xnet.widgets.parts import Fold, row

_LABELS = "labels"
"""Name of the folder that is proposed, within that of the images."""


class BatchForm:
    """Folded: two folders and a button.

    Attributes
    ----------
    widgets : list of widget
        In the order in which they go into a dock.
    pressed : Signal
        Emitted when the folder is to be segmented.
    """

    pressed = Signal()

    def __init__(self) -> None:
        self._images = FileEdit(
            name="batch_images",
            label="Images in",
            mode="d",
            tooltip="A folder of TIFF, DICOM, PNG or JPEG files; its sub-folders do not count.",
        )
        self._labels = FileEdit(
            name="batch_labels",
            label="Labels to",
            mode="d",
            tooltip="X_labels.tif is written here for each image X. What is there already is kept "
            "if it was made with these settings, so you can go on after a break.",
        )
        self._button = PushButton(
            name="batch_run",
            label="Segment folder",
            tooltip="Segment all images of the folder with the model and settings above, without "
            "opening them.",
        )
        folded = [self._images, self._labels, row(self._button)]
        self._fold = Fold(
            "batch",
            "A folder of images",
            folded,
            tooltip="Segment many files without opening them.",
        )
        self.widgets: list[Any] = [self._fold, *folded]
        for one in (self._images, self._labels):
            one.line_edit.value = ""
        self._images.changed.connect(self._propose)
        self._button.changed.connect(self._press)

    def enable(self, on: bool) -> None:
        """Let the button be pressed, or not."""
        self._button.enabled = on

    def job(self, model: Path, options: Options, probabilities: bool) -> FolderJob:
        """Return what is to be done.

        Raises
        ------
        ImageError
            If a folder is not chosen, or not there.
        """
        images, labels = (self._folder(one) for one in (self._images, self._labels))
        if images is None or not images.is_dir():
            what = f"There is no folder {images}" if images else "No folder is chosen"
            raise ImageError(f"{what}: choose one at Images in.")
        if labels is None:
            raise ImageError("No folder is chosen for the labels: choose one at Labels to.")
        return FolderJob(images, labels, model, options, probabilities)

    @staticmethod
    def _folder(edit: FileEdit) -> Path | None:
        text = edit.line_edit.value.strip()
        return Path(text).expanduser() if text else None

    def _propose(self) -> None:
        images, labels = self._folder(self._images), self._folder(self._labels)
        if images is not None and (labels is None or labels.name == _LABELS):
            self._labels.value = images / _LABELS

    def _press(self) -> None:
        self.pressed.emit()
