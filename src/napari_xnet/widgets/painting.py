"""Painting: a Labels layer to paint on, and the keys 1, 2 and 3 for the classes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.widgets import layers, painted

if TYPE_CHECKING:
    from napari import Viewer

_BRUSH = 1 / 60
"""Diameter of the brush, of the long side of the radiograph."""
BELOW_PAINT = 0.35
"""Opacity of labels that strokes lie on."""
_HELP = ", ".join(
    [f"use <{one.value}> for {one.name}" for one in tissue.CLASSES]
    + ["<E> to erase", "<4> to fill", "<Ctrl+Z> to undo", "hold <space> to move"]
)


def add_painting(viewer: "Viewer", image: Image, labels: NDArray[np.uint8] | None = None) -> Labels:
    """Add a Labels layer of an image's shape, at its place, in the classes' colours.

    Parameters
    ----------
    viewer : Viewer
    image : Image
        The radiograph, or a stack of them.
    labels : ndarray of uint8, optional
        What is painted already, in the shape of the image; nothing if None.

    Returns
    -------
    Labels

    Raises
    ------
    ImageError
        If the layer has only one axis.
    """
    shape = layers.Radiographs.of(image).shape
    layer = viewer.add_labels(
        np.zeros(shape, np.uint8) if labels is None else labels,
        name=f"{image.name}_labels",
        **tissue_appearance(),
        **layers.placement(image),
    )
    painted.mark_painting(layer, image)
    return layer


def let_show_through(viewer: "Viewer", image: Image, layer: Labels) -> None:
    """Make other labels of an image so faint that strokes on them are seen."""
    for other in painted.lasting(viewer):
        if other != layer and painted.paints(other, image):
            other.opacity = min(other.opacity, BELOW_PAINT)


def start_painting(viewer: "Viewer", layer: Labels) -> None:
    """Select a Labels layer, a class and a brush that suits the size of the radiograph.

    A layer in napari's own colours gets those of the classes, and their names.
    """
    if not painted.is_tissue(layer):
        for name, value in tissue_appearance().items():
            setattr(layer, name, value)
        bind_class_keys(layer)
    viewer.layers.selection.active = layer
    layer.visible = True
    if layer.selected_label not in [one.value for one in tissue.CLASSES]:
        layer.selected_label = tissue.CLASSES[0].value
    layer.n_edit_dimensions = 2
    layer.brush_size = max(1, round(max(layers.Radiographs.of(layer).shape[-2:]) * _BRUSH))
    layer.mode = "paint"
    viewer.help = layer.help  # at once, not with the next move of the mouse


class ClassKeys:
    """Keys 1, 2 and 3 select brush and class in every tissue Labels layer of a viewer.

    They are bound to those layers, not to the viewer: in all other layers
    napari's own keys stay.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: "Viewer") -> None:
        self._viewer = viewer
        for layer in viewer.layers:
            bind_class_keys(layer)
        viewer.layers.events.inserted.connect(self._on_inserted)

    def release(self) -> None:
        """Give the keys back."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        for layer in self._viewer.layers:
            for key, action in list(layer.keymap.items()):
                if action in _SELECT.values():
                    layer.bind_key(key, None)
            if isinstance(layer, Labels):
                layer.events.mode.disconnect(_explain)
                layer.events.selected_label.disconnect(_explain)

    def _on_inserted(self, event: Event) -> None:
        bind_class_keys(event.value)


def bind_class_keys(layer: Layer) -> None:
    """Let keys 1, 2 and 3 select the class, if it is a Labels layer of tissue classes."""
    if painted.is_tissue(layer):
        for value, select in _SELECT.items():
            layer.bind_key(str(value), select, overwrite=True)
        # After napari, whose help names the keys as they are elsewhere.
        layer.events.mode.connect(_explain, position="last")
        layer.events.selected_label.connect(_explain, position="last")
        layer.help = _HELP


def _explain(event: Event) -> None:
    layer = event.source
    known = layer.selected_label in (tissue.UNLABELLED, *(one.value for one in tissue.CLASSES))
    layer.help = _HELP if known else f"{layer.selected_label} is no class of tissue: {_HELP}"


def _selecting(value: int) -> Callable[[Labels], None]:
    def select(layer: Labels) -> None:
        layer.selected_label = value
        # A slip to the key beside must not make the next stroke flood the radiograph.
        if layer.mode != "polygon":
            layer.mode = "paint"

    return select


_SELECT = {one.value: _selecting(one.value) for one in tissue.CLASSES}
