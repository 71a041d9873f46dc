"""The engine's process: loads Keras, then runs one request after the other.

Started by `client.Engine`; ends when its connection does.
"""

import os
import queue
import shutil
import sys
import threading
import traceback
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import Never

from napari_xnet.engine.messages import Cancel, Channel, Done, Failed, Progress, Ready, Request
from napari_xnet.errors import Cancelled, EngineError, XNetError


def main(address: str, folder: str) -> Never:
    """Serve requests until the other side closes the connection."""
    try:
        key = sys.stdin.buffer.read(32)
        channel = Channel(Client(address, authkey=key), folder)
    except (EOFError, OSError, AuthenticationError):
        _leave(folder)
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    cancelled = threading.Event()

    def listen() -> None:
        try:
            while True:
                message = channel.receive()
                if isinstance(message, Cancel):
                    cancelled.set()
                else:
                    cancelled.clear()
                    requests.put(message)
        except (EOFError, OSError):
            _leave(folder)

    def report(done: float, total: int) -> None:
        if cancelled.is_set():
            raise Cancelled("Cancelled.")
        channel.send(Progress("Segmenting…", done, total))

    threading.Thread(target=listen, daemon=True).start()
    try:
        from napari_xnet.engine import tasks

        tasks.warm_up()
    except XNetError as error:
        channel.send(Failed(error))
        sys.exit(1)
    channel.send(Ready())

    while True:
        request = requests.get()
        try:
            channel.send(Done(request.function(*request.args, progress=report, **request.kwargs)))
        except XNetError as error:
            channel.send(Failed(error))
        except MemoryError:
            channel.send(Failed(EngineError("There is not enough memory for this image.")))
        except Exception as error:
            traceback.print_exc()
            channel.send(Failed(EngineError(f"The engine failed: {type(error).__name__}: {error}")))


def _leave(folder: str) -> Never:
    """End at once, whatever the other threads do: the window is gone, perhaps killed."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
