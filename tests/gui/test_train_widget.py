"""*Train XNet* in a real window, with the real engine on a tiny config."""

import json
import os

import numpy as np
import PIL.Image
import psutil
import pytest
import tifffile
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QFileDialog

from napari_xnet import list_models
from napari_xnet.engine import training_engine
from napari_xnet.io.conventions import CONVENTIONS
from napari_xnet.io.samples import sample_path
from napari_xnet.training.run import runs_folder, unfinished_runs
from napari_xnet.widgets import layers
from napari_xnet.widgets.painted import is_tissue
from napari_xnet.widgets.pairs_table import NO_IMAGE, NO_PAINT
from napari_xnet.widgets.run_view import RunView

TINY = {"patch_px": 64, "sampling": {"batch": 1, "steps": 1}, "epochs": 2}


@pytest.fixture(scope="module")
def hand() -> np.ndarray:
    """The simulated hand at a third of its size."""
    return tifffile.imread(sample_path("hand"))[::3, ::3]


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """Its labels."""
    return tifffile.imread(sample_path("hand_labels"))[::3, ::3]


@pytest.fixture
def dock(open_dock, wait_until):
    dock = open_dock("Train XNet")
    yield dock
    # The dock may be gone, but no training may go on in the next test.
    task = dock.widget._task
    if task.is_running:
        task.cancel()
        wait_until(lambda: not task.is_running or task.dock_ended, 20)


@pytest.fixture
def configure(dock, tmp_path):
    """Choose a config file: the tiny one, with some keys changed."""

    def choose(**changes) -> None:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(TINY | changes))
        dock["config_file"].value = path

    choose()
    return choose


@pytest.fixture
def pair(viewer, dock, configure, wait_until, hand, reference):
    """A painted pair, counted."""
    image = viewer.add_image(hand, name="hand")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.widget.new_labels()
    wait_until(lambda: "hand_labels" in viewer.layers)
    labels = viewer.layers["hand_labels"]
    labels.data[::5] = reference[::5]
    labels.refresh()
    wait_until(lambda: dock["advice"].value == "", 10)
    return image, labels


def drag(viewer, start, end) -> None:
    """Drag the mouse over the canvas, from and to data coordinates of a layer in pixels."""
    canvas = viewer.window._qt_viewer.canvas
    points = []
    for where in np.linspace(start, end, 6):
        x, y = canvas.view.camera.transform.map([where[1], where[0], 0, 1])[:2]
        points.append(QPoint(int(x), int(y)))
    native = canvas.native
    QTest.mouseMove(native, points[0])
    QApplication.processEvents()
    QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        move = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(point),
            QPointF(native.mapToGlobal(point)),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(native, move)
        QApplication.processEvents()
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=points[-1])


def press(viewer, key: str) -> None:
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key)


def has_epoch(dock) -> bool:
    return len(dock.widget.findChild(RunView).history) > 1


def finish(dock, wait_until) -> str:
    dock.click("start")
    assert dock.is_running
    wait_until(lambda: not dock.is_running, 120)
    return dock.status


def test_empty_dock_says_what_to_do(viewer, dock, notifications, wait_until):
    assert dock["advice"].value == NO_IMAGE
    assert not dock["new_labels"].enabled
    dock.click("start")
    assert notifications == [NO_IMAGE]
    viewer.add_image(np.zeros((40, 40)), name="empty")
    wait_until(lambda: dock["advice"].value == NO_PAINT, 5)
    dock.click("start")
    assert notifications[-1] == NO_PAINT
    dock.click("preview")
    assert "There is no pair to preview" in notifications[-1]


def test_new_labels_layer_is_ready_to_paint(viewer, dock, wait_until, hand):
    image = viewer.add_image(hand, name="hand", scale=(0.2, 0.3), translate=(3, 4))
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("new_labels")
    wait_until(lambda: "hand_labels" in viewer.layers)
    labels = viewer.layers.selection.active
    assert (labels.data.shape, labels.data.dtype) == (hand.shape, np.uint8)
    assert (labels.mode, labels.selected_label) == ("paint", 1)
    assert labels.brush_size == round(max(hand.shape) / 60)
    np.testing.assert_allclose(labels.data_to_world((5, 6)), image.data_to_world((5, 6)))

    labels.mode, labels.selected_label = "pan_zoom", 3
    viewer.layers.selection.active = image
    dock.click("new_labels")
    assert viewer.layers.selection.active is labels
    assert (labels.mode, labels.selected_label) == ("paint", 3)
    assert len(viewer.layers) == 2


def test_layer_in_other_colours_gets_those_of_the_classes(viewer, dock, wait_until, hand):
    viewer.add_image(hand, name="hand")
    labels = viewer.add_labels(np.zeros(hand.shape, np.uint8), name="hand_labels")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("new_labels")
    wait_until(lambda: labels.mode == "paint")
    assert len(viewer.layers) == 2
    assert is_tissue(labels)
    press(viewer, "3")
    assert labels.selected_label == 3


@pytest.mark.parametrize("convention", ["tissue", "indices", "rgb"])
def test_import_labels_of_another_program(
    viewer, dock, wait_until, hand, reference, tmp_path, monkeypatch, notifications, convention
):
    colours = np.array([(9, 9, 9), (255, 255, 255), (250, 250, 20), (20, 20, 250)], np.uint8)
    mask = {"tissue": reference, "indices": reference - 1, "rgb": colours[reference]}[convention]
    path = tmp_path / "drawn.png"
    PIL.Image.fromarray(mask).save(path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (str(path), ""))
    viewer.add_image(hand, name="hand", scale=(0.2, 0.2))
    viewer.add_image(np.zeros((9, 9)), name="other")

    wait_until(lambda: getattr(dock.widget._table.current_image(), "name", "") == "other", 5)

    def choose(name: str) -> None:
        viewer.layers.selection.active = viewer.layers[name]
        wait_until(lambda: getattr(dock.widget._table.current_image(), "name", "") == name, 5)
        dock.click("import_labels")
        menu = QApplication.activePopupWidget()
        number = list(CONVENTIONS).index(convention)
        QTest.mouseClick(
            menu,
            Qt.MouseButton.LeftButton,
            pos=menu.actionGeometry(menu.actions()[number]).center(),
        )

    choose("hand")
    wait_until(lambda: "hand_labels" in viewer.layers, 10)
    labels = viewer.layers["hand_labels"]
    np.testing.assert_array_equal(labels.data, reference)
    np.testing.assert_array_equal(labels.scale, (0.2, 0.2))
    wait_until(lambda: dock["advice"].value == "", 10)
    assert [row.labels for row in dock.widget._table.pairs()] == [labels]

    choose("other")
    wait_until(lambda: bool(notifications), 10)
    assert "drawn.png has" in notifications[0]
    assert "but other has 9 × 9" in notifications[0]
    assert len(viewer.layers) == 3


def test_keys_choose_the_class_and_strokes_are_counted(viewer, dock, wait_until, hand):
    image = viewer.add_image(hand, name="hand")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("new_labels")
    wait_until(lambda: "hand_labels" in viewer.layers)
    labels = viewer.layers["hand_labels"]
    wait_until(lambda: labels.mode == "paint", 5)
    assert "<3> for bone" in viewer.help
    rows = (0.2, 0.5, 0.8)
    for key, at in zip("123", rows, strict=True):
        press(viewer, key)
        assert labels.selected_label == int(key)
        y = at * hand.shape[0]
        drag(viewer, (y, 0.2 * hand.shape[1]), (y, 0.8 * hand.shape[1]))
    assert [int((labels.data == value).sum()) > 100 for value in (1, 2, 3)] == [True] * 3
    wait_until(lambda: dock["advice"].value == "", 10)

    for mode in ("erase", "fill"):
        labels.mode = mode
        press(viewer, "2")
        assert (labels.mode, labels.selected_label) == ("paint", 2)
        assert "<3> for bone" in labels.help
    press(viewer, "e")
    assert labels.mode == "erase"
    labels.mode = "polygon"
    press(viewer, "1")
    assert (labels.mode, labels.selected_label) == ("polygon", 1)

    # In other layers, and when the dock is closed, napari's own keys are there.
    image.mode = "transform"
    viewer.layers.selection.active = image
    press(viewer, "1")
    assert image.mode == "pan_zoom"
    viewer.layers.selection.active = labels
    viewer.window.remove_dock_widget("all")
    labels.selected_label = 3
    press(viewer, "1")
    assert (labels.mode, labels.selected_label) == ("erase", 3)


def test_a_label_that_is_no_class_is_said(viewer, dock, wait_until, hand):
    viewer.add_image(hand, name="hand")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("new_labels")
    wait_until(lambda: viewer.help.startswith("use <1>"), 5)
    for _ in range(3):
        press(viewer, "=")  # napari's key for the next label
    assert viewer.layers["hand_labels"].selected_label == 4
    assert viewer.layers["hand_labels"].help.startswith("4 is no class of tissue: use <1>")
    press(viewer, "3")
    assert viewer.layers["hand_labels"].help.startswith("use <1>")


def test_one_paints_on_what_one_sees(viewer, dock, open_dock, wait_until, hand):
    images = [viewer.add_image(hand[::step], name=f"hand {step}") for step in (1, -1, 1)]
    table = dock.widget._table
    wait_until(lambda: table.rowCount() == 3, 5)
    first = table.visualRect(table.model().index(0, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=first)
    assert viewer.layers.selection.active is images[0]
    assert [image.visible for image in images] == [True, False, False]

    viewer.layers.selection.active = images[1]  # in napari's own list: nothing is hidden
    wait_until(lambda: table.current_image() is images[1], 5)
    assert images[0].visible
    dock.click("new_labels")
    wait_until(lambda: len(viewer.layers) == 4)
    labels = viewer.layers.selection.active
    assert labels.name == "hand -1_labels"
    assert [image.visible for image in images] == [False, True, False]
    segment = open_dock()
    viewer.layers.selection.active = images[2]
    assert segment["image"].value is images[2]
    viewer.layers.selection.active = labels
    assert segment["image"].value is images[1]

    wait_until(lambda: table.labels_of(images[1]) is labels, 5)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=first)
    assert not labels.visible
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert labels.visible
    assert viewer.layers.selection.active is labels
    viewer.canvas.grid.enabled = True
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert [image.visible for image in images] == [False, True, True]


def test_names_are_told_apart_and_the_whole_radiograph_is_shown(viewer, dock, wait_until):
    shapes = {"normal-elbow-lateral": (400, 100), "normal-wrist-lateral": (400, 100)}
    shapes["normal-elbow-ap"] = (90, 700)
    for name, shape in shapes.items():
        viewer.add_image(np.zeros(shape), name=name)
    table = dock.widget._table
    wait_until(lambda: table.rowCount() == 3, 5)
    shown = [table.item(row, 0).text() for row in range(3)]
    assert shown == ["…elbow-lateral", "…wrist-lateral", "…elbow-ap"]
    assert table.item(0, 0).toolTip() == "normal-elbow-lateral"
    camera = viewer.scene.camera
    table.setCurrentCell(0, 0)
    tall = (camera.zoom, camera.center)
    camera.zoom *= 2
    table.setCurrentCell(1, 0)
    assert camera.zoom == 2 * tall[0]
    table.setCurrentCell(2, 0)
    assert camera.zoom < 2 * tall[0]
    assert camera.center[-1] == pytest.approx(349.5)


def test_docks_that_do_not_fit_lie_behind_tabs(viewer, dock, open_dock, wait_until):
    viewer.window.resize(1280, 700)
    other = open_dock()
    window = viewer.window._qt_window
    wait_until(lambda: bool(window.tabifiedDockWidgets(docked(dock.widget))), 5)
    assert window.tabifiedDockWidgets(docked(dock.widget)) == [docked(other.widget)]
    # The one that was opened last is in front.
    wait_until(lambda: not other.widget.visibleRegion().isEmpty(), 5)
    assert dock.widget.visibleRegion().isEmpty()


def docked(widget):
    while not isinstance(widget, QDockWidget):
        widget = widget.parent()
    return widget


@pytest.mark.slow
def test_what_training_says_stays_in_the_dock(viewer, dock, configure, wait_until, hand):
    viewer.add_image(hand, name="hand")
    labels = viewer.add_labels(np.zeros(hand.shape, np.uint8), name="hand_labels")
    labels.data[:20], labels.data[40:60] = 1, 2
    labels.refresh()
    wait_until(lambda: "No bone is painted" in dock["advice"].value, 10)
    status = finish(dock, wait_until)
    assert "No bone is painted anywhere: the model learns nothing about it." in status


def test_train_then_segment_has_the_model_selected(
    viewer, dock, open_dock, pair, wait_until, notifications
):
    segment = open_dock()
    assert segment["model"].value == "default"
    assert dock["model_name"].value == "my model"
    painted = pair[1].data.copy()

    status = finish(dock, wait_until)

    assert list_models() == ["default", "my model"]
    assert segment["model"].value == "my model"
    assert status.startswith("my model: accuracy 0.")
    assert "(before: 0." in status
    assert str(runs_folder() / "my model") in status
    assert '"my model" is ready in Segment radiograph.' in notifications
    assert [layer.name for layer in viewer.layers] == ["hand", "hand_labels"]
    np.testing.assert_array_equal(pair[1].data, painted)
    assert dock["model_name"].value == "my model-2"
    assert "my model" in dock["base"].choices
    epochs, losses = dock.widget.findChild(RunView).curve("loss")
    assert epochs == [1, 2]
    assert len(losses) == 2
    assert not dock["resume"].enabled

    # What is refused wipes no curves, and why stands where it stays.
    dock["model_name"].value = "my model"
    dock.click("start")
    wait_until(lambda: not dock.is_running)
    assert 'There is a model "my model" already' in notifications[-1]
    assert dock.status == f"Not trained: {notifications[-1]}"
    assert dock.widget.findChild(RunView).curve("loss")[0] == [1, 2]

    viewer.window.remove_dock_widget(segment.widget)
    assert open_dock()["model"].value == "my model"


@pytest.mark.slow
def test_live_prediction_lies_below_the_paint_and_can_be_deleted(
    viewer, dock, configure, pair, wait_until
):
    image, labels = pair
    configure(epochs=2000)
    before = (labels.mode, labels.brush_size)
    dock.click("start")
    wait_until(lambda: "hand (training)" in viewer.layers)
    live = viewer.layers["hand (training)"]
    wait_until(lambda: live.data.any())
    assert [layer.name for layer in viewer.layers] == ["hand", "hand (training)", "hand_labels"]
    assert viewer.layers.selection.active is labels
    assert (labels.mode, labels.brush_size) == before
    assert live.opacity < labels.opacity

    # The displayed image changes: so does what is predicted.
    other = viewer.add_image(image.data[::-1], name="other")
    viewer.layers.selection.active = other
    wait_until(lambda: "other (training)" in viewer.layers)
    assert [layer.name for layer in viewer.layers] == [
        "hand",
        "hand_labels",
        "other",
        "other (training)",
    ]
    assert viewer.layers.selection.active is other

    viewer.layers.remove("other (training)")
    epochs = len(dock.widget.findChild(RunView).history)
    wait_until(lambda: len(dock.widget.findChild(RunView).history) > epochs + 3)
    assert not any("(training)" in layer.name for layer in viewer.layers)


@pytest.mark.slow
def test_stop_and_keep_saves_the_best_so_far(viewer, dock, configure, pair, wait_until):
    configure(epochs=2000)
    dock.click("start")
    wait_until(lambda: has_epoch(dock))
    assert "my model: epoch" in dock.status
    assert "CPU" in dock.status
    assert dock["stop"].enabled
    dock.click("stop")
    assert not dock["stop"].enabled
    wait_until(lambda: not dock.is_running, 30)
    assert "my model" in list_models()


@pytest.mark.slow
def test_cancel_then_resume(viewer, dock, configure, pair, wait_until):
    configure(epochs=6, sampling={"batch": 1, "steps": 6})
    dock.click("start")
    wait_until(lambda: has_epoch(dock))
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 2)
    assert dock.status == "Cancelled. Resume… goes on from the last epoch."
    assert list_models() == ["default"]
    done = len(dock.widget.findChild(RunView).history)

    wait_until(lambda: dock["resume"].enabled, 5)
    dock.click("resume")
    wait_until(lambda: dock.widget.findChild(RunView).history, 60)
    assert len(dock.widget.findChild(RunView).history) >= done
    wait_until(lambda: not dock.is_running, 120)
    assert list_models() == ["default", "my model"]
    assert unfinished_runs() == []
    assert dock.widget.findChild(RunView).curve("loss")[0] == [1, 2, 3, 4, 5, 6]
    wait_until(lambda: not dock["resume"].enabled, 5)


def test_cancel_while_the_pairs_are_prepared(viewer, dock, pair, wait_until):
    dock.click("start")
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 2)
    assert dock.status.startswith("Cancelled.")


@pytest.mark.slow
def test_layers_may_change_go_and_come_while_it_trains(
    viewer, dock, configure, pair, wait_until, notifications
):
    image, labels = pair
    configure(epochs=10)
    started = labels.data.copy()
    dock.click("start")
    wait_until(lambda: has_epoch(dock))
    labels.paint((10, 10), 3)
    labels.name = "renamed"
    viewer.layers.remove(image)
    wait_until(lambda: dock["advice"].value == NO_IMAGE, 5)
    viewer.add_image(np.zeros((30, 30)), name="new")
    wait_until(lambda: dock["advice"].value == NO_PAINT, 5)
    labels.paint((20, 20), 2)
    viewer.layers.remove(labels)
    wait_until(lambda: not dock.is_running, 120)
    assert "my model" in list_models()
    (saved,) = (runs_folder() / "my model" / "labels").glob("*.tif")
    np.testing.assert_array_equal(tifffile.imread(saved), started)
    assert notifications[-1] == '"my model" is ready in Segment radiograph.'


def test_stack_trains_on_the_slices_that_are_painted(
    viewer, dock, configure, wait_until, hand, reference
):
    viewer.add_image(np.stack([hand] * 4), name="stack")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    viewer.dims.set_current_step(0, 2)
    dock.click("new_labels")
    wait_until(lambda: "stack_labels" in viewer.layers)
    labels = viewer.layers["stack_labels"]
    assert labels.data.shape == (4, *hand.shape)
    labels.data[2, ::5] = reference[::5]
    labels.refresh()
    wait_until(lambda: dock["advice"].value == "", 10)
    finish(dock, wait_until)
    saved = list((runs_folder() / "my model" / "labels").glob("*.tif"))
    assert len(saved) == 1
    np.testing.assert_array_equal(tifffile.imread(saved[0]), labels.data[2])


def test_one_class_only_is_refused(viewer, dock, configure, wait_until, hand, notifications):
    viewer.add_image(hand, name="hand")
    labels = viewer.add_labels(np.ones(hand.shape, np.uint8), name="hand_labels")
    wait_until(lambda: "Only open beam" in dock["advice"].value, 10)
    finish(dock, wait_until)
    assert len(notifications) == 1
    assert notifications[0].startswith("Only open beam is painted")
    assert dock.status == f"Not trained: {notifications[0]}"
    assert labels in viewer.layers
    labels.paint((30, 30), 2)
    labels.paint((50, 50), 3)
    wait_until(lambda: dock["advice"].value == "", 10)
    assert dock.status == ""


@pytest.mark.parametrize("rate", ["fast", "-3", "0", "nan", "7", ""])
def test_a_learning_rate_that_is_none(dock, pair, notifications, rate):
    dock["learning_rate"].value = rate
    dock.click("start")
    assert not dock.is_running
    assert notifications == [
        f'Learning rate must be a number above 0, at most 1 (5e-5, for example), not "{rate}".'
    ]
    assert dock.status == f"Not trained: {notifications[0]}"


def test_start_folds_the_advanced_settings(dock, pair, wait_until):
    dock.click("fold")
    assert dock["epochs"].visible
    dock.click("start")
    assert dock.is_running
    assert not dock["fold"].value
    assert not dock["epochs"].visible
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 20)


def test_predictions_do_not_hide_what_one_paints(viewer, dock, wait_until, hand):
    images = [viewer.add_image(hand, name=name) for name in ("first", "second")]
    predicted = [
        layers.add_labels(
            viewer,
            str(image.unique_id),
            image.name,
            "default",
            hand.shape,
            layers.placement(image),
        )
        for image in images
    ]
    for layer in predicted:
        layers.write_labels(layer, {(): np.ones(hand.shape, np.uint8)}, {})
    table = dock.widget._table
    wait_until(lambda: table.rowCount() == 2, 5)
    wait_until(lambda: [table.item(row, 1).text() for row in range(2)] == ["none"] * 2, 10)
    table.setCurrentCell(0, 0)
    table.setCurrentCell(1, 0)
    assert [layer.visible for layer in (*images, *predicted)] == [False, True, False, True]
    before = predicted[1].opacity
    dock.click("new_labels")
    wait_until(lambda: len(viewer.layers) == 5)
    painted = viewer.layers.selection.active
    assert painted.name == "second_labels [1]"
    assert predicted[1].visible
    assert predicted[1].opacity < before <= painted.opacity
    assert not predicted[0].visible
    table.setCurrentCell(0, 0)
    assert [layer.visible for layer in (*images, painted)] == [True, False, False]
    assert not predicted[1].visible


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epoch": 3}', 'There is no setting "epoch"'),
        ("not json", "is no JSON"),
        (None, "cannot be read"),
    ],
)
def test_bad_config_file(dock, pair, notifications, tmp_path, text, message):
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_text(text)
    dock["config_file"].value = path
    dock.click("start")
    assert not dock.is_running
    assert len(notifications) == 1
    assert message in notifications[0]


def test_settings_that_differ_from_the_preset_are_passed_on(dock, tmp_path):
    settings = dock.widget._settings
    assert settings.differences() == {}
    dock["epochs"].value = 7
    dock["learning_rate"].value = "1e-5"
    dock["freeze"].value = "encoder"
    dock["validation"].value = 0.5
    assert settings.differences() == {
        "epochs": 7,
        "optimiser": {"learning_rate": 1e-5},
        "fine_tuning": {"freeze": "encoder"},
        "split": {"validation": 0.5},
    }
    assert dock["fold"].text.endswith("Advanced settings (changed)")
    assert settings.config().epochs == 7

    dock["preset"].value = "paper"
    assert settings.differences() == {}
    assert dock["base"].value == "none"
    assert not dock["freeze"].enabled
    dock["preset"].value = "quick"
    assert dock["base"].value == "default"
    dock["preset"].value = "paper"
    dock["preset"].value = "full"
    assert dock["base"].value == "default"
    dock["base"].value = "none"
    dock["preset"].value = "quick"
    assert dock["base"].value == "none"
    assert dock["epochs"].value == settings.config().epochs

    assert not dock["epochs"].native.isVisible()
    dock.click("fold")
    assert dock["epochs"].native.isVisible()


def test_a_layer_without_paint_is_an_error(
    viewer, dock, configure, notifications, wait_until, hand
):
    viewer.add_image(hand, name="hand")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.widget.new_labels()
    wait_until(lambda: "hand_labels" in viewer.layers)
    finish(dock, wait_until)
    assert notifications == [
        "Nothing is painted in the ticked pairs: paint some strokes of each class first, or "
        "correct what was predicted."
    ]


@pytest.mark.parametrize("end", ["button", "start", "closing", "deleting"])
def test_preview_vanishes(viewer, dock, pair, wait_until, end):
    image, labels = pair
    extra = viewer.add_image(np.zeros((9, 9)), name="hidden", visible=False)
    viewer.layers.selection.active = labels
    zoom = viewer.scene.camera.zoom
    dock.click("preview")
    wait_until(lambda: "augmented labels" in viewer.layers, 20)
    mosaic = viewer.layers["augmented"].data
    assert viewer.layers["augmented labels"].data.shape == mosaic.shape
    assert mosaic.shape == (3 * (64 + 4), 3 * (64 + 4))
    assert not image.visible
    assert not labels.visible

    if end == "closing":
        viewer.window.remove_dock_widget("all")
    elif end == "deleting":
        viewer.layers.remove("augmented labels")
        wait_until(lambda: len(viewer.layers) == 3, 5)
        assert not dock["preview"].value
    else:
        dock.click("preview" if end == "button" else "start")
    assert list(viewer.layers) == [image, labels, extra]
    assert (image.visible, labels.visible, extra.visible) == (True, True, False)
    assert viewer.layers.selection.active is labels
    assert viewer.scene.camera.zoom == zoom


@pytest.mark.slow
@pytest.mark.parametrize("what", ["dock", "window"])
def test_closing_cancels_and_leaves_a_run_to_resume(
    viewer, dock, configure, pair, wait_until, what
):
    configure(epochs=2000)
    dock.click("start")
    wait_until(lambda: has_epoch(dock))
    task = dock.widget._task
    pid = training_engine().pid
    if what == "dock":
        viewer.window.remove_dock_widget("all")
        wait_until(lambda: not dock.is_running, 2)
        assert [layer.name for layer in viewer.layers] == ["hand", "hand_labels"]
    else:
        viewer.close()
        wait_until(lambda: task.is_cancelling or not task.is_running, 5)
    wait_until(lambda: not training_engine()._busy.locked(), 2)
    (run,) = unfinished_runs()
    assert run.history()
    training_engine().stop()
    assert training_engine().pid is None
    assert not psutil.pid_exists(pid) or psutil.Process(pid).ppid() != os.getpid()


@pytest.mark.slow
def test_killed_engine_gives_one_message_and_the_run_can_be_resumed(
    viewer, dock, configure, pair, wait_until, notifications
):
    configure(epochs=2000)
    dock.click("start")
    wait_until(lambda: has_epoch(dock))
    psutil.Process(training_engine().pid).kill()
    wait_until(lambda: not dock.is_running, 20)
    assert len(notifications) == 1
    assert "The engine" in notifications[0]
    assert dock.status.startswith("Not trained: The engine")
    assert dock.status.endswith(" Resume… goes on from the last epoch.")
    wait_until(lambda: dock["resume"].enabled, 5)
