"""Optimisers by name, with their learning rate over time."""

from napari_xnet.backend import keras
from napari_xnet.training.config import Optimiser

_NOT_DECAYED = ["bias", "gamma", "beta"]


def make_optimiser(config: Optimiser, steps: int) -> "keras.optimizers.Optimizer":
    """Make an optimiser.

    Parameters
    ----------
    config : Optimiser
    steps : int
        Steps to the last epoch, for the cosine schedule.

    Returns
    -------
    keras.optimizers.Optimizer
        Weight decay leaves out biases and batch normalisation.
    """
    schedules = keras.optimizers.schedules
    rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    match config.schedule:
        case "cosine":
            rate = schedules.CosineDecay(config.learning_rate, steps)
        case "inverse time":
            rate = schedules.InverseTimeDecay(config.learning_rate, 1, config.decay)
    if config.name == "rmsprop":
        return keras.optimizers.RMSprop(rate)
    optimiser = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    optimiser.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimiser
