"""A Labels layer for what the network says at the moment: it comes and goes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.widgets import layers, painted
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.widgets.painting import BELOW_PAINT
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer


_LINE = 1 / 400
"""Width of outlines, of the long side of the radiograph."""


class PassingLabels:
    """Shows predictions of one image after the other, below what is painted on it.

    Parameters
    ----------
    viewer : Viewer
    purpose : str
        For the name of the layer.
    """

    def __init__(self, viewer: "Viewer", purpose: str) -> None:
        self._viewer = viewer
        self._purpose = purpose
        self.layer: Labels | None = None
        self.image_id = ""

    def prepare(self, image: Image) -> Labels:
        """Return the layer for predictions of an image, made if need be.

        Raises
        ------
        ImageError
            If the image has only one axis.
        """
        if self.layer is not None and self.image_id == str(image.unique_id):
            return self.layer
        empty = np.zeros(Radiographs.of(image).shape, np.uint8)
        self.image_id = str(image.unique_id)
        if self.layer is None or self.layer.ndim != empty.ndim:
            self.remove()
            self.layer = self._insert(empty, image)
        else:
            # Removing a layer halts the window for longer: napari then collects garbage.
            self.layer.data = empty
            for name, value in layers.placement(image).items():
                setattr(self.layer, name, value)
        self.layer.name = f"{image.name} ({self._purpose})"
        self.layer.editable = False  # new data make it editable
        self._move_above(image)
        return self.layer

    def show(
        self,
        image: Image,
        index: Index,
        labels: NDArray[np.uint8],
        outlined_over: Labels | None = None,
    ) -> None:
        """Show a prediction, if it has the size of the image.

        Parameters
        ----------
        image : Image
        index : tuple of int
            Which of its radiographs.
        labels : ndarray of uint8, shape (Y, X)
        outlined_over : Labels, optional
            A layer that hides what is below it: over that, only the borders
            of the classes are shown.

        Raises
        ------
        ImageError
            See `prepare`.
        """
        with no_garbage_collection():
            layer = self.prepare(image)
            self._move_above(outlined_over or image)
            layer.contour = 0 if outlined_over is None else max(1, round(max(labels.shape) * _LINE))
            layer.opacity = BELOW_PAINT if outlined_over is None else 1.0
            if layer.data[index].shape == labels.shape:
                layer.data[index] = labels
                layer.refresh()

    def remove(self) -> None:
        """Take the layer away."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            with no_garbage_collection():
                self._viewer.layers.remove(layer)

    def _insert(self, data: NDArray[np.uint8], image: Image) -> Labels:
        look: dict[str, Any] = tissue_appearance() | {"opacity": BELOW_PAINT}
        layer = Labels(data, **look, **layers.placement(image))
        painted.mark_passing(layer)
        # Inserting selects: that would take the brush out of the user's hand.
        selected, active = set(self._viewer.layers.selection), self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        self._viewer.layers.selection = selected
        self._viewer.layers.selection.active = active
        layer.editable = False
        return layer

    def _move_above(self, other: Image | Labels) -> None:
        """Put the layer above another; above its image it is below what is painted on that."""
        all_layers = self._viewer.layers
        where, target = all_layers.index(self.layer), all_layers.index(other) + 1
        if where != target:
            all_layers.move(where, target)
