"""*Preview augmentation*: what training makes of a pair, as layers that vanish."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from napari.utils.events import Event
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_xnet import tissue
from napari_xnet.errors import ImageError, XNetError
from napari_xnet.imaging import working_labels
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.models import Preprocessing
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import WRONG_POLARITY, Example
from napari_xnet.training.orientation import turn
from napari_xnet.training.pairs import Pair, check_pair
from napari_xnet.training.sampling import Sampler
from napari_xnet.widgets import painted
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.task import show_failure
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer

Mosaic = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Nine images and their labels, each side by side."""

_SHOW, _GO_BACK = "Preview augmentation", "Back to the radiograph"
_SIDE = 3
"""Examples in a row, and rows."""
_GAP_PX = 2


@dataclass(frozen=True, eq=False)
class PreviewJob:
    """What to preview.

    Attributes
    ----------
    image : Image
    labels : Labels
        Painted on it.
    index : tuple of int
        Which of their radiographs.
    preprocessing : Preprocessing
    config : TrainingConfig
    """

    image: Image
    labels: Labels
    index: Index
    preprocessing: Preprocessing
    config: TrainingConfig


class Preview:
    """The button *Preview augmentation*, and what it shows.

    Parameters
    ----------
    dock : QWidget
        The dock that the button is in.
    viewer : Viewer
    make_job : callable
        Says what to preview; raises `XNetError` if there is nothing.
    """

    def __init__(self, dock: QWidget, viewer: "Viewer", make_job: Callable[[], PreviewJob]) -> None:
        self.button = PushButton(
            name="preview",
            label=_SHOW,
            tooltip="Show nine random variants of the selected pair, as training will see them. "
            "Press again to go back.",
        )
        self.button.native.setCheckable(True)
        self._life = Lifetime(dock)
        self._viewer = viewer
        self._make_job = make_job
        self._shown = _PreviewLayers(viewer)
        self.button.changed.connect(self._toggle)
        viewer.layers.events.removed.connect(self._on_layer_removed)

    def hide(self) -> None:
        """Show again what was shown before."""
        self.button.value = False
        self._shown.hide()

    def _toggle(self) -> None:
        self.button.text = _GO_BACK if self.button.value else _SHOW
        if not self.button.value:
            self.hide()
            return
        try:
            job = self._make_job()
            image, labels = Radiographs.of(job.image), Radiographs.of(job.labels)
        except XNetError as error:
            self.button.value = False
            show_error(str(error))
            return
        worker = _make_mosaic(job, image, labels)
        worker.returned.connect(lambda outcome: self._show(job.image, *outcome))
        worker.start()

    def _show(self, image: Image, mosaic: Mosaic | None, error: Exception | None) -> None:
        if self._life.ended or not self.button.value:
            return
        if mosaic is not None and image in self._viewer.layers:
            with no_garbage_collection():
                self._shown.show(mosaic, image)
            return
        self.button.value = False
        show_failure(error, "There is not enough memory for a preview of this pair.")

    def _on_layer_removed(self, event: Event) -> None:
        if not self._life.ended and event.value in self._shown:  # by the user
            QTimer.singleShot(0, self.hide)


@thread_worker
def _make_mosaic(
    job: PreviewJob, images: Radiographs, labels: Radiographs
) -> tuple[Mosaic | None, Exception | None]:
    try:
        return _mosaic(job, images, labels), None
    except Exception as error:
        return None, error


def _mosaic(job: PreviewJob, images: Radiographs, labelled: Radiographs) -> Mosaic:
    """Make nine augmented examples, side by side in one image and one label image."""
    image = images.read(job.index, lambda: None)
    painted_labels = labelled.read(job.index, lambda: None)
    painted = check_pair(Pair("The selected pair", image, painted_labels))
    working = job.preprocessing.working_image(image)
    labels = working_labels(painted_labels, working)
    if not (painted and labels.any()):
        raise ImageError(
            "Nothing is painted on this radiograph, so that training would not see it: paint first."
        )
    nothing = np.zeros_like(labels)
    example = Example("", "", working.unpadded, labels, nothing, working.unpadded_shadow)
    if job.preprocessing.polarity == "bone bright":
        example = turn(example)
    config = job.config.for_polarity(job.preprocessing.polarity)
    sampler = Sampler(
        [example],
        config,
        config.patch_px or max(working.content),
        job.preprocessing,
    )
    shown, targets = sampler.batch(epoch=1, step=0, size=_SIDE**2)
    # What is shown the wrong way round has no class to show.
    targets[targets == WRONG_POLARITY] = tissue.UNLABELLED
    return (
        _tile(shown[..., 0], float(shown.min())),
        _tile(targets[..., 0].astype(np.uint8), tissue.UNLABELLED),
    )


def _tile(patches: NDArray[Any], gap: float) -> NDArray[Any]:
    """Put patches, shape (9, P, P), side by side, with a gap of some value between them."""
    padded = [np.pad(one, _GAP_PX, constant_values=gap) for one in patches]
    return np.block([padded[start : start + _SIDE] for start in range(0, _SIDE**2, _SIDE)])


class _PreviewLayers:
    """The two layers of a preview; all others are hidden while they are there.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: "Viewer") -> None:
        self._viewer = viewer
        self._layers: list[Image | Labels] = []
        self._hidden: list[Any] = []
        self._active: Any = None
        self._camera: tuple[Any, float] = ((0, 0, 0), 1.0)

    def __contains__(self, layer: Any) -> bool:
        return layer in self._layers

    def show(self, mosaic: Mosaic, over: Image) -> None:
        """Show a mosaic where an image is, instead of everything else.

        Parameters
        ----------
        mosaic : (ndarray of float32, ndarray of uint8)
        over : Image
            The image that it was made of.
        """
        self.hide()
        layers = self._viewer.layers
        self._active = layers.selection.active
        self._camera = (self._viewer.scene.camera.center, self._viewer.scene.camera.zoom)
        self._hidden = [layer for layer in layers if layer.visible]
        for layer in self._hidden:
            layer.visible = False
        image, labels = mosaic
        place = _placement(over, image.shape)
        low, high = np.percentile(image, (0.5, 99.5))
        self._layers = [
            Image(
                image,
                name="augmented",
                contrast_limits=(float(low), float(max(high, low + 1e-6))),
                colormap=over.colormap if over.colormap.name == "gray_r" else "gray",
                **place,
            ),
            Labels(labels, name="augmented labels", **tissue_appearance(), **place),
        ]
        for layer in self._layers:
            painted.mark_passing(layer)
            layers.append(layer)
        self._viewer.reset_view()

    def hide(self) -> None:
        """Take the layers away and show again what was shown."""
        ours, self._layers = self._layers, []
        if not ours:
            return
        with no_garbage_collection():
            for layer in ours:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []
        self._viewer.scene.camera.center, self._viewer.scene.camera.zoom = self._camera
        if self._active in self._viewer.layers:
            self._viewer.layers.selection.active = self._active


def _placement(image: Image, shape: tuple[int, ...]) -> dict[str, Any]:
    """Scale and units by which a mosaic fills the place of an image."""
    size = max(Radiographs.of(image).shape[-2:])
    return {
        "scale": np.asarray(image.scale)[-2:] * size / max(shape),
        "translate": np.asarray(image.translate)[-2:],
        "units": image.units[-2:],
    }
