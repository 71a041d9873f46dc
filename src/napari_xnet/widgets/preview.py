"""*Preview augmentation*: what training makes of a pair, as layers that vanish."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.imaging import working_labels
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.models import Preprocessing
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import Example
from napari_xnet.training.orientation import turn
from napari_xnet.training.pairs import Pair, check_pair
from napari_xnet.training.sampling import Sampler
from napari_xnet.widgets import painted
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer

_SIDE = 3
"""Examples in a row, and rows."""
_GAP_PX = 2


@dataclass(frozen=True)
class PreviewJob:
    """What to preview.

    Attributes
    ----------
    image, labels : Radiographs
        Those of a pair of layers.
    index : tuple of int
        Which of its radiographs.
    preprocessing : Preprocessing
    config : TrainingConfig
    """

    image: Radiographs
    labels: Radiographs
    index: Index
    preprocessing: Preprocessing
    config: TrainingConfig


Mosaic = tuple[NDArray[np.float32], NDArray[np.uint8]]


@thread_worker
def make_mosaic(job: PreviewJob) -> tuple[Mosaic | None, Exception | None]:
    """Make nine augmented examples, side by side in one image and one label image."""
    try:
        return _mosaic(job), None
    except Exception as error:
        return None, error


def _mosaic(job: PreviewJob) -> Mosaic:
    image = job.image.read(job.index, lambda: None)
    painted_labels = job.labels.read(job.index, lambda: None)
    painted = check_pair(Pair("The selected pair", image, painted_labels))
    working = job.preprocessing.working_image(image)
    labels = working_labels(painted_labels, working)
    if not (painted and labels.any()):
        raise ImageError(
            "Nothing is painted on this radiograph, so that training would not see it: paint first."
        )
    nothing = np.zeros_like(labels)
    example = Example("", "", working.unpadded, labels, nothing, working.unpadded_shadow)
    config = job.config
    if job.preprocessing.polarity == "bone bright":
        example, config = turn(example), config.without_inversion()
    sampler = Sampler(
        [example],
        config,
        config.patch_px or max(working.content),
        job.preprocessing,
    )
    images, targets = sampler.batch(epoch=1, step=0, size=_SIDE**2)
    return (
        _tile(images[..., 0], float(images.min())),
        _tile(targets[..., 0].astype(np.uint8), tissue.UNLABELLED),
    )


def _tile(patches: NDArray[Any], gap: float) -> NDArray[Any]:
    """Put patches, shape (9, P, P), side by side, with a gap of some value between them."""
    padded = [np.pad(one, _GAP_PX, constant_values=gap) for one in patches]
    return np.block([padded[start : start + _SIDE] for start in range(0, _SIDE**2, _SIDE)])


class PreviewLayers:
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
