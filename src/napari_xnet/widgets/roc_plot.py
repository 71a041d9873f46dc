"""ROC curves of the classes."""

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xnet import tissue
from napari_xnet.evaluation import Evaluation, roc
from napari_xnet.evaluation.charts import thinned
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.plots import FONT_PT, colour_plot, import_pyqtgraph, make_plot

if TYPE_CHECKING:
    from napari import Viewer

_HEIGHT_PX = 190


class RocPlot(QWidget):
    """True- against false-positive rate of each class, in the colours of the classes.

    Parameters
    ----------
    viewer : Viewer
        Whose theme it follows.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._life = Lifetime(self)
        self._plot = make_plot()
        pen = import_pyqtgraph().mkPen
        self._plot.plot([0, 1], [0, 1], pen=pen("#888888", style=Qt.PenStyle.DashLine))
        self._legend = self._plot.addLegend(offset=(-1, -1), labelTextSize=f"{FONT_PT}pt")
        self.lines = [
            self._plot.plot(pen=pen(one.color, width=2), name=one.name) for one in tissue.CLASSES
        ]
        self._plot.setXRange(0, 1, padding=0.04)  # room for the last number of the axis
        self._plot.setYRange(0, 1, padding=0.04)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self.setFixedHeight(_HEIGHT_PX)
        self._colour()
        viewer.events.theme.connect(self._colour)

    def show_scores(self, scores: Evaluation) -> None:
        """Draw the curves; hide if there were no probabilities."""
        self.setVisible(scores.has_probabilities)
        if scores.has_probabilities:
            for index, line in enumerate(self.lines):
                line.setData(*thinned(*roc.curve(scores.histogram, index)))

    def _colour(self) -> None:
        if not self._life.ended:
            labels = ("false-positive rate", "true-positive rate")
            colour_plot(self._plot, self._viewer.theme, *labels)
            text = get_theme(self._viewer.theme).text.as_hex()
            for _, label in self._legend.items:
                label.setText(label.text, color=text)
