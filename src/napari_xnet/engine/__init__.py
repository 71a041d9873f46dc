"""A child process that owns Keras and runs functions of the core for the window."""

from napari_xnet.engine.client import Engine, shared_engine, training_engine
from napari_xnet.engine.messages import Progress, Stop

__all__ = ["Engine", "Progress", "Stop", "shared_engine", "training_engine"]
