"""Window tests: a real viewer on a (virtual) display; TensorFlow stays in the engine's process."""

import sys
import time
from collections.abc import Callable, Iterator

import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_xnet.engine import shared_engine, training_engine


@pytest.fixture(autouse=True)
def only_our_plugin(tmp_path, monkeypatch, plugin_settings, npe2pm):
    """No other plugin, and no settings or models but those of the test."""
    npe2pm.register(PluginManifest.from_distribution("napari-xnet"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NAPARI_XNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_XNET_RUNS", str(tmp_path / "runs"))


@pytest.fixture(autouse=True, scope="session")
def no_tensorflow() -> Iterator[None]:
    yield
    shared_engine().stop()
    training_engine().stop()
    assert not {"tensorflow", "keras"} & set(sys.modules)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def notifications() -> Iterator[list[str]]:
    """What napari tells the user."""
    told: list[str] = []

    def note(notification: object) -> None:
        told.append(str(notification.message))

    notification_manager.notification_ready.connect(note)
    yield told
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def wait_until(qtbot) -> Callable[..., None]:
    """Run the event loop until a condition holds."""

    def wait(condition: Callable[[], bool], timeout_s: float = 90) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            qtbot.wait(20)

    return wait


@pytest.fixture
def open_dock(viewer):
    """Open a dock, *Segment radiograph* if none is named, as the menu does."""

    def open_one(name: str = "Segment radiograph") -> "Dock":
        _, widget = viewer.window.add_plugin_dock_widget("napari-xnet", name)
        return Dock(widget)

    return open_one


@pytest.fixture
def dock(open_dock) -> "Dock":
    return open_dock()


class Dock:
    """The widgets of the dock by name, and its buttons as a mouse sees them."""

    def __init__(self, widget) -> None:
        self.widget = widget

    def __getitem__(self, name: str):
        found = [part for part in _parts(self.widget) if part.name == name]
        assert len(found) == 1, name
        return found[0]

    def click(self, name: str) -> None:
        QTest.mouseClick(self[name].native, Qt.MouseButton.LeftButton)

    @property
    def status(self) -> str:
        return self["status"].value

    @property
    def is_running(self) -> bool:
        return self["cancel"].enabled


def _parts(widget):
    """All magicgui widgets in a dock, whether that is one itself or a widget of Qt."""
    native = getattr(widget, "native", widget)
    for child in native.findChildren(QWidget):
        part = getattr(child, "_magic_widget", None)
        if part is not None:
            yield part


@pytest.fixture
def segment(dock, wait_until) -> Callable[[], str]:
    """Click *Segment*, wait for the end, return what the dock says."""

    def run() -> str:
        dock.click("run")
        assert dock.is_running
        wait_until(lambda: not dock.is_running)
        return dock.status

    return run
