"""Labels made anew from the probabilities of the last run, without asking the network."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_xnet.inference import PostProcessing
from napari_xnet.inference.postprocess import postprocess
from napari_xnet.widgets import layers
from napari_xnet.widgets.layers import Index
from napari_xnet.widgets.segment_job import SegmentJob

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
        self._layer: Labels | None = None
        self._job: SegmentJob | None = None
        self._probabilities: dict[Index, NDArray[np.float32]] = {}
        self._scale = 1.0
        self._steps = PostProcessing()
        self._waiting: list[Index] = []
        self._timer = QTimer(widget)
        self._timer.timeout.connect(self._write_next)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def job(self) -> SegmentJob | None:
        """What was segmented; None if its labels are gone."""
        return self._job

    def keep(
        self,
        layer: Labels,
        job: SegmentJob,
        probabilities: dict[Index, NDArray[np.float32]],
        working_scale: float,
    ) -> None:
        """Keep the probabilities of a run instead of those of an earlier one."""
        self._forget()
        self._layer, self._job = layer, job
        self._probabilities, self._scale = probabilities, working_scale

    def relabel(self, steps: PostProcessing, shown: Index) -> NDArray[np.uint8] | None:
        """Label the radiograph that is displayed at once, the others that are kept soon.

        Parameters
        ----------
        steps : PostProcessing
        shown : tuple of int
            Which one is displayed.

        Returns
        -------
        ndarray of uint8, shape (Y, X)
            The displayed labels; None if they are not kept, or were edited since.

        Raises
        ------
        ImageError
            See `PostProcessing.px_per_unit`.
        """
        self._steps = steps
        labels = self._write(shown)
        self._waiting = [index for index in self._probabilities if index != shown]
        if self._waiting:
            self._timer.start()
        return labels

    def left_behind(self) -> int:
        """How many radiographs of the run do not follow."""
        return len(self._job.indices) - len(self._probabilities) if self._job else 0

    def _write_next(self) -> None:
        if self._waiting:
            self._write(self._waiting.pop(0))
        else:
            self._timer.stop()

    def _write(self, index: Index) -> NDArray[np.uint8] | None:
        if self._layer is None or self._job is None or index not in self._probabilities:
            return None
        px = self._steps.px_per_unit(self._scale, self._job.pixel_size_mm)
        if not layers.is_untouched(self._layer, index):
            return None
        labels = postprocess(self._probabilities[index], self._steps, px)
        layers.write_labels(self._layer, {index: labels}, {})
        return labels

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._forget()

    def _forget(self) -> None:
        self._timer.stop()
        self._layer = self._job = None
        self._probabilities, self._waiting = {}, []


def fitting(
    indices: Iterable[Index], shown: Index, page_px: int, memory_mb: int
) -> frozenset[Index]:
    """Choose whose probabilities fit into memory, those near the displayed one first."""

    def distance(index: Index) -> int:
        return sum(abs(one - other) for one, other in zip(index, shown, strict=True))

    most = memory_mb * 2**20 // (PIXEL_BYTES * page_px)
    return frozenset(sorted(indices, key=distance)[:most])
