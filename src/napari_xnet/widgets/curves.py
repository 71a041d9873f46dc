"""Live curves of a training run: loss and Dice, of the training and the validation labels."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_xnet.training.events import EpochEnd
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.plots import colour_plot, import_pyqtgraph, make_plot

if TYPE_CHECKING:
    from napari import Viewer

_HEIGHT_PX = 150
_TICKS = 4


class Curves(QWidget):
    """Two small plots side by side, in the colours of napari's theme.

    Parameters
    ----------
    viewer : Viewer
        Whose theme they follow.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._history: list[EpochEnd] = []
        self._life = Lifetime(self)
        self._legend = QLabel(objectName="legend")
        self._legend.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._plots = {"loss": make_plot(), "dice": make_plot()}
        for plot in self._plots.values():
            plot.setLimits(yMin=-0.08)  # neither is negative; half a symbol shows
        self._lines = {
            field: self._plots[field.removeprefix("val_")].plot()
            for field in ("loss", "val_loss", "dice", "val_dice")
        }
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._legend, 0, 0, 1, 2)
        for column, plot in enumerate(self._plots.values()):
            layout.addWidget(plot, 1, column)
            layout.setColumnStretch(column, 1)
        self.setFixedHeight(_HEIGHT_PX + self._legend.sizeHint().height())
        self._colour()
        viewer.events.theme.connect(self._colour)

    @property
    def history(self) -> Sequence[EpochEnd]:
        """The epochs that are shown."""
        return self._history

    def set_history(self, history: Sequence[EpochEnd]) -> None:
        """Show the epochs of a run, and no others."""
        self._history = list(history)
        self._draw()

    def add(self, epoch: EpochEnd) -> None:
        """Add an epoch; one that was repeated replaces its older self."""
        self._history = [one for one in self._history if one.epoch < epoch.epoch] + [epoch]
        self._draw()

    def values(self, field: str) -> tuple[list[int], list[float]]:
        """Return epochs and values of a curve.

        Parameters
        ----------
        field : {"loss", "val_loss", "dice", "val_dice"}
        """
        shown = [
            (one.epoch, getattr(one, field))
            for one in self._history
            if math.isfinite(getattr(one, field))
        ]
        return [epoch for epoch, _ in shown], [value for _, value in shown]

    def _draw(self) -> None:
        for field, line in self._lines.items():
            line.setData(*self.values(field))
        scores = [value for field in ("dice", "val_dice") for value in self.values(field)[1]]
        low = min([0.9, *(math.floor(10 * score) / 10 for score in scores)])
        self._plots["dice"].setYRange(low, 1, padding=0.08)
        last = max([1, *(one.epoch for one in self._history)])
        for plot in self._plots.values():
            plot.setXRange(0, last)
            # Whole epochs, and not so many that the numbers touch.
            spacing = math.ceil(last / _TICKS)
            plot.getAxis("bottom").setTickSpacing(major=spacing, minor=spacing)

    def _colour(self) -> None:
        if self._life.ended:
            return
        theme = get_theme(self._viewer.theme)
        own, other = (QColor(*colour.as_rgb_tuple()[:3]) for colour in (theme.text, theme.warning))
        for name, plot in self._plots.items():
            colour_plot(plot, self._viewer.theme, "epoch", "Dice" if name == "dice" else "loss")
        for field, line in self._lines.items():
            colour = other if field.startswith("val_") else own
            line.setPen(import_pyqtgraph().mkPen(colour, width=2))
            line.setSymbol("o")
            line.setSymbolSize(4)
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
        self._legend.setText(
            f'<span style="color:{own.name()}">●</span> training &nbsp;&nbsp; '
            f'<span style="color:{other.name()}">●</span> validation'
        )
