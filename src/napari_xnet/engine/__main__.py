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

from napari_xnet.engine.messages import Cancel, Channel, Done, Failed, Ready, Request, Tell
from napari_xnet.engine.reporter import Reporter
from napari_xnet.errors import EngineError, XNetError


def main(address: str, folder: str) -> Never:
    """Serve requests until the other side closes the connection."""
    try:
        key = sys.stdin.buffer.read(32)
        channel = Channel(Client(address, authkey=key), folder)
    except (EOFError, OSError, AuthenticationError):
        _leave(folder)
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    reporter = Reporter(channel)

    def listen() -> None:
        try:
            while True:
                match channel.receive():
                    case Cancel():
                        reporter.cancel()
                    case Tell(value):
                        reporter.tell(value)
                    case Request() as request:
                        reporter.reset()
                        requests.put(request)
        except (EOFError, OSError):
            _leave(folder)

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
            channel.send(Done(request.function(*request.args, progress=reporter, **request.kwargs)))
        except XNetError as error:
            channel.send(Failed(error))
        except MemoryError:
            channel.send(Failed(EngineError("There is not enough memory for this.")))
        except Exception as error:
            traceback.print_exc()
            channel.send(Failed(EngineError(f"The engine failed: {type(error).__name__}: {error}")))


def _leave(folder: str) -> Never:
    """End at once, whatever the other threads do: the window is gone, perhaps killed."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
