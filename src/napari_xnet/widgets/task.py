"""What a dock does in a thread of its own: one piece of work at a time, which can be cancelled."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from magicgui.widgets import ProgressBar
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QThreadPool, Signal
from qtpy.QtWidgets import QWidget

from napari_xnet.engine import Progress
from napari_xnet.errors import Cancelled, XNetError
from napari_xnet.widgets.parts import Lifetime
from napari_xnet.widgets.warm_up import warm_up_labels

Work = Callable[[Callable[[Any], None], threading.Event], Any]
"""``work(report, cancel)``: runs in the thread, reports news, and stops soon after `cancel`."""


class Task:
    """Run the work of a dock; nothing reaches the dock once Qt has deleted it.

    Parameters
    ----------
    widget : QWidget
        The dock; its end cancels the work.
    on_news : callable
        Gets what the work reports, in the window's thread.
    """

    def __init__(self, widget: QWidget, on_news: Callable[[Any], None]) -> None:
        self._cancel: threading.Event | None = None
        self._life = Lifetime(widget, self.cancel)
        self._on_news = on_news
        self._news = _News()
        self._news.arrived.connect(self._pass_on)

    @property
    def is_running(self) -> bool:
        """Whether there is work that has not finished."""
        return self._cancel is not None

    @property
    def is_cancelling(self) -> bool:
        """Whether there is work that was asked to stop."""
        return self._cancel is not None and self._cancel.is_set()

    @property
    def dock_ended(self) -> bool:
        """Whether Qt has deleted the dock."""
        return self._life.ended

    def start(self, work: Work, finish: Callable[[Any, Exception | None], None]) -> None:
        """Begin.

        Parameters
        ----------
        work : callable
        finish : callable
            ``finish(result, error)`` in the window's thread; one of the two is
            None.
        """

        def returned(outcome: tuple[Any, Exception | None]) -> None:
            self._cancel = None
            if not self._life.ended:
                finish(*outcome)

        self._cancel = threading.Event()
        worker = _run(work, self._news.arrived.emit, self._cancel)
        worker.returned.connect(returned)
        worker.start()

    def cancel(self) -> None:
        """Ask the work to stop."""
        if self._cancel:
            self._cancel.set()

    def _pass_on(self, news: Any) -> None:
        if self.is_running and not self._life.ended:
            self._on_news(news)


def show_failure(error: Exception | None, if_too_large: str) -> None:
    """Notify the user that work failed.

    Parameters
    ----------
    error : Exception
        One that is no mistake of the user is raised; `Cancelled` is none at all.
    if_too_large : str
        What to say if there was not enough memory.
    """
    match error:
        case Cancelled():
            pass
        case XNetError():
            show_error(str(error))
        case MemoryError():
            show_error(if_too_large)
        case Exception():
            raise error


def show_share(bar: ProgressBar, news: Progress) -> None:
    """Let a progress bar show how much is done."""
    # A bar without a maximum says "busy".
    bar.max = 1000 if news.total else 0
    bar.value = int(1000 * news.done / news.total) if news.total else 0


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Leave this worker's place to another one, while it waits for another process.

    Qt runs no more workers at a time than there are processors: on a small machine a training
    would keep everything else from being counted and saved.
    """
    pool = QThreadPool.globalInstance()
    pool.releaseThread()
    try:
        yield
    finally:
        pool.reserveThread()


class _News(QObject):
    """Carries news from a worker's thread to the window's."""

    arrived = Signal(object)


@thread_worker
def _run(
    work: Work, report: Callable[[Any], None], cancel: threading.Event
) -> tuple[Any, Exception | None]:
    # Errors are returned: thread_worker swallows some kinds of exceptions.
    try:
        # Its result becomes Labels layers, which would be slow before that.
        while (warming := warm_up_labels()).is_alive() and not cancel.is_set():
            warming.join(0.05)
        with elsewhere():
            return work(report, cancel), None
    except Exception as error:
        return None, error
