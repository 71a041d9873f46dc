"""Work beside the window."""

import threading

import pytest
from napari.qt.threading import thread_worker
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QWidget

from napari_xnet.widgets.task import Task


@pytest.fixture
def one_processor():
    """As Qt sees a machine with a single one."""
    pool = QThreadPool.globalInstance()
    before = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    yield
    pool.setMaxThreadCount(before)


def test_work_that_waits_lets_others_work_on_a_small_machine(qtbot, wait_until, one_processor):
    dock = QWidget()
    qtbot.addWidget(dock)
    saved, finished = threading.Event(), []

    def train(report, cancel):
        return saved.wait(10)

    Task(dock, print).start(train, lambda *outcome: finished.append(outcome))
    thread_worker(saved.set)().start()
    wait_until(lambda: bool(finished), 20)
    assert finished == [(True, None)]
