"""How good a segmentation is: scores, curves, calibration, and a report of them."""

from napari_xnet.evaluation.evaluate import evaluate
from napari_xnet.evaluation.report import Report
from napari_xnet.evaluation.scores import Evaluation

__all__ = ["Evaluation", "Report", "evaluate"]
