"""Messages between the window's process and the engine's, and how they travel."""

import mmap
import os
import pickle
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_SHARED_BYTES = 2**16
"""Buffers from this size on travel through shared memory."""


@dataclass(frozen=True)
class Request:
    """Run ``function(*args, progress=..., **kwargs)`` in the engine."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tell:
    """Something for the function that runs; what it means is up to the two of them."""

    value: Any


@dataclass(frozen=True)
class Stop:
    """Told to a function: come to an end, and return what there is."""


@dataclass(frozen=True)
class Cancel:
    """Stop the request that is running."""


@dataclass(frozen=True)
class Ready:
    """The engine has loaded Keras."""


@dataclass(frozen=True)
class Progress:
    """How far a request is: `done` of `total`, which is 0 if that cannot be told.

    `detail` is what else the function has to say.
    """

    message: str
    done: float = 0
    total: int = 0
    detail: Any = None


@dataclass(frozen=True)
class Done:
    """A request ended with a result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """A request ended with an error."""

    error: Exception


class Channel:
    """Typed messages over a connection; large arrays through shared memory.

    The buffers of contiguous arrays are written to memory-mapped files in a
    folder that both processes know, and mapped by the receiver without a
    copy. Files, unlike POSIX shared memory, are not limited to the 64 MB that
    containers grant, and are gone with their folder after a crash.

    Parameters
    ----------
    connection : Connection
    folder : path
        Folder for the shared files.
    """

    def __init__(self, connection: Connection, folder: str | Path) -> None:
        self._connection = connection
        self._folder = folder
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message; may be called by several threads.

        Raises
        ------
        OSError
            If the other side is gone, or the folder is full.
        """
        paths: list[str] = []

        def share(buffer: pickle.PickleBuffer) -> bool:
            with buffer.raw() as view:
                if view.nbytes < _SHARED_BYTES:
                    return True
                number, path = tempfile.mkstemp(dir=self._folder)
                paths.append(path)
                with open(number, "wb") as file:
                    file.write(view)
                return False

        try:
            data = pickle.dumps(message, protocol=5, buffer_callback=share)
            with self._lock:
                self._connection.send((data, paths))
        except BaseException:
            for path in paths:
                os.unlink(path)
            raise

    def receive(self) -> Any:
        """Wait for the next message and return it.

        Raises
        ------
        EOFError, OSError
            If the other side is gone.
        """
        data, paths = self._connection.recv()
        return pickle.loads(data, buffers=[_map(path) for path in paths])

    def poll(self, timeout_s: float) -> bool:
        """Whether a message, or the end, comes within a time."""
        return self._connection.poll(timeout_s)

    def close(self) -> None:
        """Close the connection: the other side sees its end."""
        self._connection.close()


def _map(path: str) -> mmap.mmap | bytearray:
    with open(path, "r+b") as file:
        # Windows does not delete mapped files: a copy is better than a full disk.
        memory = mmap.mmap(file.fileno(), 0) if os.name == "posix" else bytearray(file.read())
    os.unlink(path)
    return memory
