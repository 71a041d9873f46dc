"""The window's side of the engine: start it, ask it, survive its end."""

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from napari_xnet.engine.folder import make_folder, remove_abandoned
from napari_xnet.engine.messages import (
    Cancel,
    Channel,
    Done,
    Failed,
    Progress,
    Ready,
    Request,
    Tell,
)
from napari_xnet.errors import Cancelled, EngineError

_POLL_S = 0.05
_CANCEL_S = 0.4
"""How long a cancelled request may take to stop by itself."""
_START_S = 60

Report = Callable[[Progress], None]
"""Called with news of a request, in the thread that waits for it."""


class Engine:
    """One child process that owns Keras, started when it is first needed.

    napari stays fast, small and alive whatever happens in there: TensorFlow
    takes seconds to load and gigabytes to run, and cannot share a process
    with Mesa's software OpenGL.

    Parameters
    ----------
    environment : mapping of str to str, optional
        Environment variables of the child besides those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or {})
        self._child: _Child | None = None
        self._busy = threading.Lock()
        self._changing = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Process number of the child, None if there is none."""
        child = self._child
        return child.process.pid if child and child.process.poll() is None else None

    def start(self) -> None:
        """Start the child, so that it has loaded Keras when the first request comes.

        Returns at once.

        Raises
        ------
        EngineError
            If no process can be started.
        """
        with self._changing:
            if self.pid is None:
                self._replace()

    def stop(self) -> None:
        """End the child; a request that runs fails."""
        with self._changing:
            child, self._child = self._child, None
            if child:
                child.kill()

    def _replace(self) -> "_Child":
        self.stop()  # a dead child leaves its folder
        self._child = _Child(self.environment)
        return self._child

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        report: Report | None = None,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run a function of the core in the child and wait for its result.

        Requests wait for each other. Call this in a thread.

        Parameters
        ----------
        function : callable
            A function at the top level of a module, which takes
            ``progress=`` besides the arguments given here.
        *args, **kwargs
            Its arguments; they are pickled, arrays should be contiguous.
        report : callable, optional
            Called with each `Progress`.
        cancel : threading.Event, optional
            When it is set the request stops within half a second: by itself
            if it can, else with the child.

        Returns
        -------
        object
            What the function returned.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        EngineError
            If the child could not start or died; the next call starts a new one.
        Exception
            What the function raised, if it is an `XNetError`.
        """
        report = report or (lambda news: None)
        cancel = cancel or threading.Event()
        while not self._busy.acquire(timeout=_POLL_S):
            report(Progress("Waiting for the engine…"))
            _stop_if(cancel)
        try:
            with self._changing:
                child = self._child
                if child is None or self.pid is None or child.environment != self.environment:
                    child = self._replace()
            try:
                return child.run(Request(function, args, kwargs), report, cancel)
            except (EOFError, OSError) as error:
                ended = child.describe_end(error)
                child.kill()
                raise EngineError(ended) from error
            except BaseException:
                if not child.settle():
                    child.kill()
                    self.start()  # so that the next request finds it loaded
                raise
        finally:
            self._busy.release()

    def tell(self, value: Any) -> None:
        """Tell the function that runs something; dropped if none runs.

        Parameters
        ----------
        value : object
            It is pickled. The function gets it from ``progress.told()``.
        """
        child = self._child
        if child:
            # If the child is gone, `run` says so.
            with contextlib.suppress(OSError):
                child.tell(value)


class _Child:
    """The process, its connection and its folder of shared files."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._channel: Channel | None = None
        self._ready = False
        self._running = False
        self._killing = threading.Lock()
        self._end = contextlib.ExitStack()
        key = secrets.token_bytes(32)
        try:
            remove_abandoned()
            self.folder = make_folder()
            self._end.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._log = Path(self.folder, "log.txt")
            log = self._end.enter_context(self._log.open("wb"))
            # With the folder, the socket goes too; Windows names its pipes itself.
            address = str(Path(self.folder, "socket")) if os.name == "posix" else None
            self._listener = self._end.enter_context(Listener(address, authkey=key))
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", __package__, self._listener.address, self.folder],
                env=os.environ | self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        except OSError as error:
            self._end.close()
            raise EngineError(
                f"The engine cannot be started: {error}. Is there room in the temporary folder, "
                "and is its path shorter than 80 characters? TMPDIR chooses another."
            ) from error
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # its end is noticed when it does not connect
            self.process.stdin.write(key)
            self.process.stdin.close()
        threading.Thread(target=self._accept, daemon=True).start()

    def run(self, request: Request, report: Report, cancel: threading.Event) -> Any:
        if self._channel is None:
            report(Progress("Starting the engine…"))
        deadline = time.monotonic() + _START_S
        while (channel := self._channel) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EOFError
            cancel.wait(_POLL_S)
            _stop_if(cancel)
        if not self._ready:
            report(Progress("Loading TensorFlow…"))
        while True:
            _stop_if(cancel)
            if self._ready and not self._running:
                channel.send(request)
                self._running = True
            if not channel.poll(_POLL_S):
                continue
            match channel.receive():
                case Ready():
                    self._ready = True
                case Progress() as progress:
                    report(progress)
                case Done(result):
                    self._running = False
                    return result
                case Failed(error):
                    self._running = False
                    if not self._ready:  # it could not start, and is about to end
                        self.kill()
                    raise error

    def tell(self, value: Any) -> None:
        if self._channel and self._running:
            self._channel.send(Tell(value))

    def settle(self) -> bool:
        """Ask the running request to stop; whether it did so soon enough."""
        channel = self._channel
        if channel is None or not self._running:
            return True
        end = time.monotonic() + _CANCEL_S
        try:
            channel.send(Cancel())
            while (left := end - time.monotonic()) > 0:
                if channel.poll(left) and isinstance(channel.receive(), Done | Failed):
                    self._running = False
                    return True
        except (EOFError, OSError):
            pass
        return False

    def kill(self) -> None:
        with self._killing:  # the window and the thread of a request may both come here
            self.process.kill()
            self.process.wait()
            channel, self._channel = self._channel, None
            if channel:
                channel.close()
            with contextlib.suppress(OSError):  # the folder may be gone
                self._end.close()

    def describe_end(self, error: Exception) -> str:
        """One or two sentences on why the process is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        code = self.process.returncode
        if code is None:
            return f"The engine does not answer ({error or 'no connection'}). Run again."
        if code == -9:
            why = "was ended by SIGKILL, perhaps because memory ran out"
        elif code < 0:
            why = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        else:
            why = f"ended with code {code}"
            with contextlib.suppress(OSError):
                lines = self._log.read_text(errors="replace").strip().splitlines()
                why += f" ({lines[-1]})" if lines else ""
        return f"The engine {why}. Your layers are untouched; run again to start a new engine."

    def _accept(self) -> None:
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            self._channel = Channel(self._listener.accept(), self.folder)


def _stop_if(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise Cancelled("Cancelled.")


@functools.cache
def shared_engine() -> Engine:
    """Return the engine of this process, shared by all windows and widgets."""
    return _until_exit(Engine())


@functools.cache
def training_engine() -> Engine:
    """Return the engine that trains: another one, so that segmenting need not wait for it."""
    return _until_exit(Engine())


def _until_exit(engine: Engine) -> Engine:
    atexit.register(engine.stop)
    return engine
