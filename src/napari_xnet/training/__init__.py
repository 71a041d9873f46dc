"""Train a model on radiographs and their painted labels."""

from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.pairs import Pair
from napari_xnet.training.train import train

__all__ = ["Pair", "TrainingConfig", "train"]
