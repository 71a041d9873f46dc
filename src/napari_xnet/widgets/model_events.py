"""Tells all docks of the session about new models."""

from psygnal import Signal

from napari_xnet.widgets import memory


class ModelEvents:
    """What happens to the user's models."""

    trained = Signal(str)
    """A model of this name is in the store now."""


model_events = ModelEvents()


def announce(name: str) -> None:
    """Offer a new model in every *Segment radiograph*, open or opened later, as the chosen one.

    Parameters
    ----------
    name : str
        Name of the model.
    """
    memory.store("segment", {"model": name})
    model_events.trained.emit(name)
