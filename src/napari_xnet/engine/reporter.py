"""How a function that runs in the engine talks with the window."""

import queue
import threading
from typing import Any

from napari_xnet.engine.messages import Channel, Progress
from napari_xnet.errors import Cancelled


class Reporter:
    """Given to functions as ``progress=``: call it with news, ask it for what was told.

    Parameters
    ----------
    channel : Channel
        To the window.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._cancelled = threading.Event()
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(
        self, done: float, total: int, message: str = "Working…", detail: Any = None
    ) -> None:
        """Report how far the work is.

        Parameters
        ----------
        done : float
        total : int
            0 if it cannot be told.
        message : str
        detail : object, optional
            What else there is to say; it is pickled.

        Raises
        ------
        Cancelled
            If the user cancelled the work.
        """
        if self._cancelled.is_set():
            raise Cancelled("Cancelled.")
        self._channel.send(Progress(message, done, total, detail))

    def told(self) -> list[Any]:
        """Return what the window told since this was last called."""
        values = []
        while not self._told.empty():
            values.append(self._told.get())
        return values

    def cancel(self) -> None:
        """Make the next call raise."""
        self._cancelled.set()

    def tell(self, value: Any) -> None:
        """Keep something for the function to ask for."""
        self._told.put(value)

    def reset(self) -> None:
        """Forget what was for the request before."""
        self.told()
        self._cancelled.clear()
