"""Live segmentation in *Train XNet*, in a real window with the real engine."""

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_xnet import list_models
from napari_xnet.io import read_labels
from napari_xnet.io.samples import sample_path


@pytest.fixture(scope="module")
def hand() -> np.ndarray:
    """The simulated hand at a third of its size."""
    return np.ascontiguousarray(tifffile.imread(sample_path("hand"))[::3, ::3])


@pytest.fixture
def file(tmp_path, hand):
    """The hand as a file, beside which labels can be saved."""
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "hand.tif", hand)
    return tmp_path / "images" / "hand.tif"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "data" / name)


@pytest.fixture
def dock(open_dock, wait_until):
    dock = open_dock("Train XNet")
    yield dock
    live = dock.widget._live
    live.turn(False)
    wait_until(lambda: not live._asking, 20)


@pytest.fixture
def live(viewer, dock, file, wait_until):
    """Live segmentation of the hand, turned on with the mouse; returns what waits for answers."""
    viewer.open(file, plugin="napari-xnet")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("live")
    live = dock.widget._live

    def settle():
        wait_until(lambda: not live._asking and not live._again and live.answer is not None)
        return live.answer

    settle()
    wait_until(lambda: viewer.layers.selection.active is not viewer.layers["hand"], 10)
    return settle


def rub_out_bone(labels, settle, wait_until, dock):
    """Call the middle of the largest bone soft tissue; return what was there, and the answer."""
    before = dock.widget._live.answer.labels.copy()
    bone = np.argwhere(before == 3)
    labels.selected_label = 2
    labels.brush_size = 5
    first = dock.widget._live._answer
    for place in bone[:: len(bone) // 40]:
        labels.paint(tuple(place), 2)
    wait_until(lambda: dock.widget._live._answer is not first, 30)
    return before, settle()


def test_labels_follow_the_brush_and_undo(viewer, dock, live, wait_until):
    labels = viewer.layers.selection.active
    assert labels.name == "hand_labels"
    assert labels.mode == "paint"
    shown = viewer.layers["hand (live)"]
    assert not shown.editable
    assert viewer.layers.index(shown) < viewer.layers.index(labels)
    assert not labels.data.any()
    np.testing.assert_array_equal(shown.data, dock.widget._live.answer.labels)

    before, answer = rub_out_bone(labels, live, wait_until, dock)
    np.testing.assert_array_equal(shown.data, answer.labels)
    assert (shown.data[labels.data > 0] == 2).all()
    assert (shown.data[before == 3] == 2).mean() > 0.5
    assert (shown.data[before == 1] == 1).mean() > 0.97
    assert set(np.unique(labels.data)) == {0, 2}  # nobody else painted

    last = dock.widget._live._answer
    while labels._undo_history:
        labels.undo()
    wait_until(lambda: dock.widget._live._answer is not last, 30)
    live()
    np.testing.assert_array_equal(shown.data, before)

    dock.click("live")
    assert "hand (live)" not in viewer.layers
    assert dock["live_status"].value.startswith("Press Live")


@pytest.mark.slow
def test_keys_do_what_buttons_do(viewer, dock, live, wait_until, file):
    labels = viewer.layers.selection.active
    canvas = viewer.window._qt_viewer.canvas.native
    expected = dock.widget._live.answer.labels.copy()
    centre = viewer.scene.camera.center
    QTest.keyClick(canvas, Qt.Key.Key_N)
    assert viewer.scene.camera.center != centre
    places = dock.widget._live.answer.next_places
    assert viewer.scene.camera.center[-2:] == pytest.approx(places[0])
    QTest.keyClick(canvas, Qt.Key.Key_N)
    assert viewer.scene.camera.center[-2:] == pytest.approx(places[1])

    QTest.keyClick(canvas, Qt.Key.Key_A)
    np.testing.assert_array_equal(labels.data, expected)
    assert "1 of 1 accepted" in dock["live_status"].value
    saved = file.with_name("hand_labels.tif")
    wait_until(saved.exists, 20)
    wait_until(lambda: "Saved hand_labels.tif" in dock["live_status"].value, 20)
    np.testing.assert_array_equal(read_labels(saved), expected)
    assert not viewer.layers["hand (live)"].visible
    wait_until(lambda: dock.widget._table.item(0, 1).text().startswith("✓"), 5)
    labels.undo()
    assert not labels.data.any()
    wait_until(lambda: "0 of 1 accepted" in dock["live_status"].value, 5)
    wait_until(lambda: not read_labels(saved).any(), 20)

    QTest.keyClick(canvas, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert not dock["live"].value
    assert "hand (live)" not in viewer.layers


@pytest.mark.slow
def test_labels_that_are_there_already_are_not_overwritten(viewer, dock, live, wait_until, file):
    other = file.with_name("hand_labels.tif")
    other.write_bytes(b"of somebody else")
    live()
    dock.click("accept")
    wait_until(lambda: "Saved hand_labels_2.tif" in dock["live_status"].value, 20)
    assert other.read_bytes() == b"of somebody else"


def test_the_last_stroke_is_saved_when_the_dock_is_closed(viewer, dock, live, file, wait_until):
    labels = viewer.layers.selection.active
    labels.paint((50, 50), 1)
    saved = file.with_name("hand_labels.tif")
    assert not saved.exists()
    viewer.window.remove_dock_widget("all")
    wait_until(saved.exists, 10)
    np.testing.assert_array_equal(read_labels(saved), labels.data)


@pytest.mark.slow
def test_accept_keeps_what_was_painted_since_the_answer(viewer, dock, live, wait_until):
    labels = viewer.layers.selection.active
    beam = tuple(np.argwhere(dock.widget._live.answer.labels == 1)[500])
    labels.data_setitem(tuple(np.array([one]) for one in beam), 3)
    labels.data[0, :5] = 77  # of another program
    dock.click("accept")  # before the stroke is answered
    assert labels.data[beam] == 3
    assert (labels.data[0, :5] == 77).all()
    assert (labels.data > 0).all()
    live()


@pytest.mark.slow
def test_strokes_of_deleted_labels_do_not_count_any_more(viewer, dock, live, wait_until):
    before = dock.widget._live.answer.labels.copy()
    labels = viewer.layers.selection.active
    rub_out_bone(labels, live, wait_until, dock)
    viewer.layers.remove(labels)
    wait_until(lambda: dock.widget._live.answer and not dock.widget._live.answer.painted, 30)
    np.testing.assert_array_equal(dock.widget._live.answer.labels, before)


@pytest.mark.slow
def test_labels_that_nobody_paints_are_not_saved(viewer, dock, wait_until, tmp_path, qtbot):
    viewer.open_sample("napari-xnet", "hand")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("live")
    live = dock.widget._live
    wait_until(lambda: not live._asking and live.answer is not None)
    reference = viewer.layers["hand reference"]
    reference.visible = False
    reference.visible = True
    qtbot.wait(2500)
    assert not list((tmp_path / "data").rglob("*.tif"))
    reference.paint((300, 300), 1)
    wait_until(lambda: list((tmp_path / "data").rglob("*.tif")), 20)


def test_a_copy_of_the_labels_does_not_overwrite_their_file(viewer, dock, live, file, wait_until):
    labels = viewer.layers.selection.active
    labels.paint((50, 50), 1)
    saved = file.with_name("hand_labels.tif")
    wait_until(saved.exists, 20)
    wait_until(lambda: "Saved" in dock["live_status"].value, 20)
    before = saved.read_bytes()
    viewer.layers.extend([type(labels).create(*labels.as_layer_data_tuple())])
    copy = viewer.layers[-1]
    dock.widget._table.choose(viewer.layers["hand"], copy)
    copy.paint((90, 90), 2)
    wait_until(file.with_name("hand_labels_2.tif").exists, 20)
    assert saved.read_bytes() == before


@pytest.mark.slow
def test_what_is_opened_is_not_written_before_it_is_painted(viewer, dock, file, hand, wait_until):
    values = np.zeros(hand.shape, np.uint16)
    values[5:9] = 255
    other = file.with_name("hand_labels.tif")
    tifffile.imwrite(other, values, description="of another program")
    before = other.read_bytes()
    viewer.open([file], plugin="napari-xnet")
    viewer.open([other], plugin="napari-xnet")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    labels = viewer.layers["hand_labels"]
    wait_until(lambda: dock.widget._table.labels_of(viewer.layers["hand"]) == labels, 10)
    dock.click("live")
    live = dock.widget._live
    wait_until(lambda: live.answer is not None)
    wait_until(lambda: not dock.widget._live_panel._to_save, 20)
    wait_until(lambda: not dock.widget._live_panel._saving, 20)
    assert other.read_bytes() == before
    labels.paint((50, 50), 1)
    wait_until(lambda: other.read_bytes() != before, 20)


@pytest.mark.slow
def test_a_radiograph_that_is_chosen_is_shown_alone_and_can_be_painted(
    viewer, dock, live, hand, wait_until
):
    table = dock.widget._table
    first = viewer.layers["hand"]
    viewer.layers.selection.active.selected_label = 3
    second = viewer.add_image(hand[:, ::-1], name="mirrored")
    third = viewer.add_image(hand[::-1], name="upside down", visible=False)
    wait_until(lambda: len(table.images()) == 3, 10)
    viewer.layers.selection.active = second
    wait_until(lambda: second.visible and not first.visible, 10)
    wait_until(lambda: "mirrored (live)" in viewer.layers, 30)
    table.selectRow(table.images().index(third))
    assert third.visible
    assert not second.visible
    assert viewer.layers.selection.active is viewer.layers["upside down_labels"]
    assert viewer.layers.selection.active.mode == "paint"
    viewer.layers.selection.active.selected_label = 3
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_PageUp)
    assert viewer.layers.selection.active.selected_label == 3


@pytest.mark.slow
def test_another_base_model_answers_at_once(viewer, dock, live, wait_until):
    labels = viewer.layers.selection.active
    rub_out_bone(labels, live, wait_until, dock)
    dock["model_name"].value = "no bone"
    wait_until(lambda: dock["keep"].enabled, 5)
    dock.click("keep")
    wait_until(lambda: "no bone" in dock["base"].choices, 20)
    while labels._undo_history:
        labels.undo()
    wait_until(lambda: not dock.widget._live.answer.painted, 30)
    live()
    before = dock.widget._live.answer.labels.copy()
    dock["base"].value = "no bone"
    wait_until(lambda: (dock.widget._live.answer.labels != before).mean() > 0.01, 30)


@pytest.mark.slow
def test_strokes_on_one_slice_count_on_the_next(viewer, dock, hand, wait_until):
    stack = viewer.add_image(np.stack([hand, hand[:, ::-1]]), name="two")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    viewer.dims.set_point(0, 0)
    dock.click("live")
    live = dock.widget._live
    wait_until(lambda: not live._asking and live.answer is not None)
    wait_until(lambda: "two_labels" in viewer.layers, 10)
    labels = viewer.layers["two_labels"]
    bone = np.argwhere(live.answer.labels == 3)
    labels.brush_size = 5
    first = live._answer
    for place in bone[:: len(bone) // 40]:
        labels.paint((0, *place), 2)
    wait_until(lambda: live._answer is not first, 30)
    wait_until(lambda: not live._asking and not live._again)

    canvas = viewer.window._qt_viewer.canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_PageDown)
    assert viewer.dims.current_step[0] == 1
    wait_until(lambda: live.answer is not None and not live._asking)
    assert live.answer.painted
    assert not labels.data[1].any()
    was_bone = np.zeros(hand.shape, bool)
    was_bone[tuple(bone.T)] = True
    assert (live.answer.labels[was_bone[:, ::-1]] == 2).mean() > 0.4
    assert "0 of 2 accepted" in dock["live_status"].value
    QTest.keyClick(canvas, Qt.Key.Key_PageUp)
    assert viewer.dims.current_step[0] == 0
    assert stack in viewer.layers


@pytest.mark.slow
def test_paint_on_slices_that_were_not_shown_counts(viewer, dock, hand, wait_until):
    viewer.add_image(np.stack([hand, hand[:, ::-1], hand]), name="three")
    strokes = np.zeros((3, *hand.shape), np.uint8)
    strokes[2, 10:20, 10:20] = 3
    viewer.add_labels(strokes, name="three_labels")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    viewer.dims.set_point(0, 0)
    dock.click("live")
    live = dock.widget._live
    wait_until(lambda: live.answer is not None)
    assert not live.answer.painted
    wait_until(lambda: live.answer.painted, 30)
    assert viewer.layers["three_labels"].data.sum() == strokes.sum()


@pytest.mark.slow
def test_a_brush_over_a_prediction_is_a_correction(viewer, dock, open_dock, hand, wait_until):
    viewer.add_image(hand, name="hand")
    segmenting = open_dock("Segment radiograph")
    segmenting.click("run")
    wait_until(lambda: not segmenting.is_running)
    labels = viewer.layers["hand_labels"]
    predicted = labels.data.copy()
    bone = np.argwhere(predicted == 3)
    labels.brush_size = 5
    for place in bone[:: len(bone) // 40]:
        labels.paint(tuple(place), 2)
    wait_until(lambda: dock.widget._table.labels_of(viewer.layers["hand"]) == labels, 10)
    dock.click("live")
    live = dock.widget._live
    wait_until(lambda: not live._asking and live.answer is not None)
    assert live.answer.painted
    # What the network wrote there is nobody's paint: bone that was not brushed over follows.
    left = (predicted == 3) & (labels.data == 3)
    assert (live.answer.labels[left] == 2).mean() > 0.5
    # The prediction would hide what is below it.
    outlines = viewer.layers["hand (live)"]
    assert viewer.layers.index(outlines) == viewer.layers.index(labels) + 1
    assert outlines.contour > 0
    assert viewer.layers.selection.active == labels


def test_what_was_learned_is_kept_as_a_model(viewer, dock, open_dock, live, wait_until):
    assert not dock["keep"].enabled
    labels = viewer.layers.selection.active
    _, answer = rub_out_bone(labels, live, wait_until, dock)
    dock["model_name"].value = "no bone"
    wait_until(lambda: dock["keep"].enabled, 5)
    dock.click("keep")
    wait_until(lambda: "no bone" in list_models(), 20)
    segmenting = open_dock("Segment radiograph")
    assert "no bone" in segmenting["model"].choices
    segmenting["model"].value = "no bone"
    segmenting["image"].value = viewer.layers["hand"]
    segmenting.click("run")
    wait_until(lambda: not segmenting.is_running)
    found = viewer.layers.selection.active.data
    assert (found == answer.labels).mean() > 0.97


@pytest.mark.slow
def test_train_deeper_keeps_the_live_model_and_trains_from_it(viewer, dock, live, wait_until):
    labels = viewer.layers.selection.active
    rub_out_bone(labels, live, wait_until, dock)
    dock["model_name"].value = "mine"
    wait_until(lambda: dock["deeper"].enabled, 5)
    dock.click("deeper")
    wait_until(lambda: "mine-live" in list_models(), 20)
    task = dock.widget._task
    wait_until(lambda: task.is_running, 10)
    assert not dock["live"].value
    wait_until(lambda: dock.widget._run is not None, 60)
    assert dock.widget._run.record.name == "mine"
    assert dock.widget._run.record.base == "mine-live"
    task.cancel()
    wait_until(lambda: not task.is_running, 30)


@pytest.mark.slow
def test_uncertainty_is_a_layer_that_comes_and_goes(viewer, dock, live, wait_until):
    active = viewer.layers.selection.active
    dock["uncertainty"].value = True
    wait_until(lambda: "uncertainty" in viewer.layers, 20)
    layer = viewer.layers["uncertainty"]
    assert layer.data.max() > 100
    assert viewer.layers.selection.active is active
    dock["uncertainty"].value = False
    assert "uncertainty" not in viewer.layers


@pytest.mark.slow
def test_uncertainty_of_another_stack_is_not_shown(viewer, dock, wait_until, hand):
    dock["uncertainty"].value = True
    for name in ("first", "second"):
        viewer.add_image(np.stack([hand, hand[:, ::-1]]), name=name)
        viewer.dims.set_point(0, 0)
        if name == "first":
            wait_until(lambda: dock["new_labels"].enabled, 5)
            dock.click("live")
        wait_until(
            lambda name=name: f"{name} (live)" in viewer.layers and "uncertainty" in viewer.layers
        )
        unsure = viewer.layers["uncertainty"].data
        wait_until(lambda unsure=unsure: unsure[0].any(), 30)
        if name == "first":
            viewer.dims.set_point(0, 1)
            wait_until(lambda unsure=unsure: unsure[1].any(), 30)
    wait_until(lambda: not unsure[1].any(), 30)


@pytest.mark.slow
def test_deleting_its_layer_turns_it_off(viewer, dock, live):
    viewer.layers.remove("hand (live)")
    assert not dock["live"].value
    assert dock["live"].enabled


@pytest.mark.slow
def test_the_image_may_go_while_an_answer_is_awaited(viewer, dock, live, wait_until, hand):
    labels = viewer.layers.selection.active
    labels.paint((50, 50), 1)
    viewer.layers.clear()
    wait_until(lambda: not dock.widget._live._asking, 30)
    assert len(viewer.layers) == 0
    assert not dock["live"].value  # its layer was deleted, too
    viewer.add_image(hand[:100, :80], name="other")
    wait_until(lambda: dock["new_labels"].enabled, 5)
    dock.click("live")
    wait_until(lambda: dock.widget._live.answer is not None, 30)
    assert viewer.layers["other (live)"].data.shape == (100, 80)
