"""Small plots in the colours of napari's theme."""

import functools
import importlib
import os
import threading
from typing import Any

import qtpy
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont

from napari_xnet.widgets.warm_up import no_garbage_collection

FONT_PT = 8


@functools.cache
def warm_up_plots() -> threading.Thread:
    """Import pyqtgraph, which takes 0.3 s, in a thread; started once.

    Returns
    -------
    Thread
        To wait for.
    """
    thread = threading.Thread(target=import_pyqtgraph, daemon=True)
    thread.start()
    return thread


def import_pyqtgraph() -> Any:
    """Import pyqtgraph for the Qt binding that napari uses."""
    # Where several bindings are installed it must be the one that napari uses.
    os.environ.setdefault("PYQTGRAPH_QT_LIB", qtpy.API_NAME)
    with no_garbage_collection():
        return importlib.import_module("pyqtgraph")


def make_plot() -> Any:
    """Make a plot that neither zooms nor takes the wheel from the dock."""
    plot = import_pyqtgraph().PlotWidget()
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setFrameShape(plot.Shape.NoFrame)
    # The wheel is for scrolling the dock.
    plot.viewport().setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    font = QFont()
    font.setPointSize(FONT_PT)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setStyle(tickFont=font, tickTextOffset=2, tickLength=-3)
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(38)
    plot.setMinimumWidth(80)
    return plot


def colour_plot(plot: Any, theme_name: str, x_label: str, y_label: str) -> None:
    """Give a plot the colours of a theme, and its axes their labels."""
    theme = get_theme(theme_name)
    text = QColor(*theme.text.as_rgb_tuple()[:3])
    plot.setBackground(QColor(*theme.background.as_rgb_tuple()[:3]))
    for side, label in (("left", y_label), ("bottom", x_label)):
        axis = plot.getAxis(side)
        axis.setPen(QColor(*theme.primary.as_rgb_tuple()[:3]))
        axis.setTextPen(text)
        plot.setLabel(side, label, color=text.name(), **{"font-size": f"{FONT_PT}pt"})
