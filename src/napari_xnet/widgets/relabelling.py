"""Labels made anew from the probabilities of the last run, without asking the network."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_xnet.inference import PostProcessing
from napari_xnet.inference.postprocess import postprocess
from napari_xnet.widgets import layers
from napari_xnet.widgets.layers import Index
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.segment_job import SegmentJob, SegmentResult

if TYPE_CHECKING:
    from napari import Viewer
    from qtpy.QtWidgets import QWidget

PIXEL_BYTES = 12
"""Of the probabilities of a pixel."""


class Relabelling:
    """Keeps probabilities, and labels radiographs anew when the post-processing changes.

    Parameters
    ----------
    viewer : Viewer
    widget : QWidget
        With which it ends.
    """

    def __init__(self, viewer: "Viewer", widget: "QWidget") -> None:
        self._viewer = viewer
        self._life = Lifetime(widget)
        self._layer: Labels | None = None
        self._probabilities: dict[Index, NDArray[np.float32]] = {}
        self._job: SegmentJob | None = None
        self._scale = 1.0
        self._waiting: list[Index] = []

    def keep(self, layer: Labels, job: SegmentJob, result: SegmentResult) -> None:
        """Keep the probabilities of a run instead of those of an earlier one."""
        self._layer, self._job = layer, job
        self._probabilities, self._scale = result.probabilities, result.working_scale
        self._waiting = []

    def relabel(self, steps: PostProcessing, shown: Index) -> NDArray[np.uint8] | None:
        """Label the radiograph that is displayed at once, others of the stack soon.

        Parameters
        ----------
        steps : PostProcessing
        shown : tuple of int
            Which one is displayed.

        Returns
        -------
        ndarray of uint8, shape (Y, X)
            The displayed labels; None if they are not kept, were edited since, or their layer
            is gone.
        """
        if not self._may_change(shown):
            return None
        labels = self._write(shown, steps)
        if len(self._probabilities) > 1:
            begun = bool(self._waiting)
            self._waiting = [index for index in self._probabilities if index != shown]
            self._steps = steps
            if not begun:
                self._later()
        return labels

    def _later(self) -> None:
        QTimer.singleShot(0, self._write_next)

    def _write_next(self) -> None:
        if self._life.ended or not self._waiting:
            return
        index = self._waiting.pop(0)
        if self._may_change(index):
            self._write(index, self._steps)
        self._later()

    def _may_change(self, index: Index) -> bool:
        return (
            self._layer is not None
            and self._layer in self._viewer.layers
            and index in self._probabilities
            and layers.is_untouched(self._layer, index)
        )

    def _write(self, index: Index, steps: PostProcessing) -> NDArray[np.uint8]:
        assert self._layer is not None
        assert self._job is not None
        px = steps.px_per_unit(self._scale, self._job.pixel_size_mm)
        labels = postprocess(self._probabilities[index], steps, px)
        layers.write_labels(self._layer, {index: labels}, {})
        return labels


def fitting(
    indices: Iterable[Index], shown: Index, page_px: int, memory_mb: int
) -> frozenset[Index]:
    """Choose whose probabilities fit into memory, those near the displayed one first."""

    def distance(index: Index) -> int:
        return sum(abs(one - other) for one, other in zip(index, shown, strict=True))

    most = memory_mb * 2**20 // (PIXEL_BYTES * page_px)
    return frozenset(sorted(indices, key=distance)[:most])
