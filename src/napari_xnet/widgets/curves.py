"""Live curves of a training run: loss and Dice, of the training and the validation labels."""

import functools
import importlib
import math
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import qtpy
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_xnet.training.events import EpochEnd
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.warm_up import no_garbage_collection

if TYPE_CHECKING:
    from napari import Viewer

_HEIGHT_PX = 150
_FONT_PT = 8
_TICKS = 4


@functools.cache
def warm_up_curves() -> threading.Thread:
    """Import pyqtgraph, which takes 0.3 s, in a thread; started once.

    Returns
    -------
    Thread
        To wait for.
    """
    thread = threading.Thread(target=_import, daemon=True)
    thread.start()
    return thread


def _import() -> Any:
    # Where several bindings are installed it must be the one that napari uses.
    os.environ.setdefault("PYQTGRAPH_QT_LIB", qtpy.API_NAME)
    with no_garbage_collection():
        return importlib.import_module("pyqtgraph")


class Curves(QWidget):
    """Two small plots side by side, in the colours of napari's theme.

    Parameters
    ----------
    viewer : Viewer
        Whose theme they follow.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__()
        pyqtgraph = _import()
        self._viewer = viewer
        self._history: list[EpochEnd] = []
        self._life = Lifetime(self)
        self._legend = QLabel(objectName="legend")
        self._legend.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._plots = {"loss": _plot(pyqtgraph), "dice": _plot(pyqtgraph)}
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
        text, own, other = (
            QColor(*colour.as_rgb_tuple()[:3]) for colour in (theme.text, theme.text, theme.warning)
        )
        import pyqtgraph

        for name, plot in self._plots.items():
            plot.setBackground(QColor(*theme.background.as_rgb_tuple()[:3]))
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(QColor(*theme.primary.as_rgb_tuple()[:3]))
                axis.setTextPen(text)
            title = "Dice" if name == "dice" else "loss"
            plot.setLabel("left", title, color=text.name(), **{"font-size": f"{_FONT_PT}pt"})
            plot.setLabel("bottom", "epoch", color=text.name(), **{"font-size": f"{_FONT_PT}pt"})
        for field, line in self._lines.items():
            colour = other if field.startswith("val_") else own
            line.setPen(pyqtgraph.mkPen(colour, width=2))
            line.setSymbol("o")
            line.setSymbolSize(4)
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
        self._legend.setText(
            f'<span style="color:{own.name()}">●</span> training &nbsp;&nbsp; '
            f'<span style="color:{other.name()}">●</span> validation'
        )


def _plot(pyqtgraph: Any) -> Any:
    plot = pyqtgraph.PlotWidget()
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setFrameShape(plot.Shape.NoFrame)
    # The wheel is for scrolling the dock.
    plot.viewport().setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    font = QFont()
    font.setPointSize(_FONT_PT)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setStyle(tickFont=font, tickTextOffset=2, tickLength=-3)
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(38)
    plot.setLimits(yMin=-0.08)  # neither loss nor Dice is negative; half a symbol shows
    plot.setMinimumWidth(80)
    return plot
