"""The table of pairs, in a real window."""

import time

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLineEdit

from napari_xnet import tissue
from napari_xnet.io import write_labels
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.widgets import layers, painted
from napari_xnet.widgets.pairs_table import NO_IMAGE, NO_PAINT, PairsTable


@pytest.fixture
def table(viewer, qtbot) -> PairsTable:
    table = PairsTable(viewer)
    viewer.window.add_dock_widget(table, name="pairs")
    return table


def texts(table):
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def first(table):
    return (texts(table) or [[""] * table.columnCount()])[0]


def click(table, row, column, x=20):
    rect = table.visualRect(table.model().index(row, column))
    QTest.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=rect.topLeft() + QPoint(x, 10)
    )


def add(viewer, name, shape=(20, 20), value=0):
    return viewer.add_labels(np.full(shape, value, np.uint8), name=name, **tissue_appearance())


def test_file_of_predictions_is_not_paint_until_it_is_corrected(
    viewer, table, wait_until, tmp_path
):
    viewer.add_image(np.zeros((20, 20)), name="hand")
    predicted = np.full((20, 20), 2, np.uint8)
    write_labels(tmp_path / "hand_labels.tif", predicted, predicted=True)
    write_labels(tmp_path / "other_labels.tif", predicted)
    viewer.open(tmp_path / "hand_labels.tif", plugin="napari-xnet")
    wait_until(lambda: not table._stale and not table._counting, 5)
    assert first(table)[:2] == ["hand", "none"]

    viewer.layers["hand_labels"].data[3, 3] = 3
    viewer.layers["hand_labels"].refresh()
    wait_until(lambda: first(table)[1:] == ["labels", "", "–", "100", "0.2"], 5)
    viewer.layers.remove("hand_labels")
    viewer.open(tmp_path / "other_labels.tif", plugin="napari-xnet")
    wait_until(lambda: first(table)[1:] == ["other_labels", "", "–", "100", "–"], 5)


def test_table_follows_the_layers(viewer, table, wait_until):
    assert table.advice() == NO_IMAGE
    image = viewer.add_image(np.zeros((20, 20)), name="hand")
    wait_until(lambda: texts(table) == [["hand", "none", "", "", "", ""]], 5)
    assert table.advice() == NO_PAINT
    assert table.pairs() == []

    labels = add(viewer, "hand_labels")
    wait_until(lambda: texts(table) == [["hand", "labels", "", "–", "–", "–"]], 5)
    assert [(pair.image, pair.labels) for pair in table.pairs()] == [(image, labels)]

    image.name = "foot"
    wait_until(lambda: first(table)[:2] == ["foot", "hand_labels"], 5)
    viewer.layers.remove(labels)
    wait_until(lambda: first(table)[1] == "none", 5)
    viewer.layers.clear()
    wait_until(lambda: table.rowCount() == 0, 5)
    assert table.advice() == NO_IMAGE


def test_counts_follow_strokes_and_undo(viewer, table, wait_until):
    viewer.add_image(np.zeros((20, 20)), name="hand")
    labels = add(viewer, "hand_labels")
    labels.brush_size = 1
    labels.paint((5, 5), 1)
    wait_until(lambda: texts(table) == [["hand", "labels", "", "0.2", "–", "–"]], 5)
    assert table.advice() == (
        "Only open beam is painted: paint soft tissue (key 2) and bone (key 3) too."
    )
    labels.paint((5, 6), 2)
    wait_until(lambda: first(table)[4] == "0.2", 5)
    assert table.advice() == (
        "No bone is painted in any pair: paint some (key 3), or the model will not know it."
    )
    labels.paint((5, 7), 3)
    wait_until(lambda: first(table)[3:] == ["0.2", "0.2", "0.2"], 5)
    assert table.advice() == ""
    labels.undo()
    wait_until(lambda: first(table)[3:] == ["0.2", "0.2", "–"], 5)
    assert "No bone is painted" in table.advice()


def test_user_chooses_pairs_labels_and_groups(viewer, table, wait_until):
    image = viewer.add_image(np.zeros((20, 20)), name="hand")
    labels = add(viewer, "hand_labels", value=1)
    other = add(viewer, "other", value=2)
    add(viewer, "small", (4, 4))
    wait_until(lambda: first(table)[3] == "100", 5)

    click(table, 0, 0, x=9)
    assert table.pairs() == []
    assert table.advice() == "No pair is ticked: tick those to train on."
    click(table, 0, 0, x=9)
    assert len(table.pairs()) == 1

    click(table, 0, 2)
    editor = table.viewport().findChild(QLineEdit)
    QTest.keyClicks(editor, "hand")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait_until(lambda: painted.group(labels) == "hand", 5)
    assert table.pairs()[0].group == "hand"

    click(table, 0, 1)
    combo = table.viewport().findChild(QComboBox)
    assert [combo.itemText(row) for row in range(combo.count())] == ["none", "hand_labels", "other"]
    wait_until(lambda: combo.view().isVisible(), 5)
    QTest.keyClick(combo.view(), Qt.Key.Key_End)
    QTest.keyClick(combo.view(), Qt.Key.Key_Return)
    wait_until(lambda: first(table)[1:] == ["other", "", "–", "100", "–"], 5)
    assert table.pairs()[0].labels is other

    viewer.layers.remove(other)
    wait_until(lambda: table.labels_of(image) is labels, 5)
    assert first(table)[2] == "hand"


def test_prediction_is_proposed_once_it_is_edited(viewer, table, wait_until):
    image = viewer.add_image(np.zeros((20, 20)), name="hand")
    place = layers.placement(image)
    labels = layers.add_labels(viewer, str(image.unique_id), "hand", "default", (20, 20), place)
    layers.write_labels(labels, {(): np.full((20, 20), 3, np.uint8)}, place)
    wait_until(lambda: texts(table) == [["hand", "none", "", "", "", ""]], 5)

    labels.paint((5, 5), tissue.OPEN_BEAM.value)
    wait_until(lambda: first(table)[1] == "labels", 5)
    assert table.pairs()[0].labels is labels


def test_values_that_are_no_class_are_named(viewer, table, wait_until):
    viewer.add_image(np.zeros((20, 20)), name="hand")
    labels = add(viewer, "hand_labels")
    labels.data[:4] = np.array([1, 2, 3, 9])[:, np.newaxis]
    labels.refresh()
    wait_until(lambda: '"hand_labels" has values' in table.advice(), 5)


def test_passing_layers_and_probabilities_are_no_pairs(viewer, table, wait_until):
    viewer.add_image(np.zeros((20, 20)), name="hand")
    labels = add(viewer, "hand_labels")
    painted.mark_passing(labels)
    extra = viewer.add_image(np.zeros((20, 20)), name="augmented")
    painted.mark_passing(extra)
    table._refill()
    assert texts(table) == [["hand", "none", "", "", "", ""]]


def test_row_follows_the_selected_layer(viewer, table, wait_until):
    first = viewer.add_image(np.zeros((20, 20)), name="first")
    second = viewer.add_image(np.zeros((30, 20)), name="second")
    labels = add(viewer, "first_labels")
    wait_until(lambda: table.labels_of(first) is labels, 5)
    for layer, image in ((second, second), (labels, first), (first, first)):
        viewer.layers.selection.active = layer
        assert table.current_image() is image


def test_fifty_images_are_listed_fast(qtbot, wait_until):
    viewer = ViewerModel()  # of which nothing is drawn: that takes longer
    table = PairsTable(viewer)
    qtbot.addWidget(table)
    for number in range(50):
        viewer.add_image(np.zeros((8, 8 + number)), name=f"image {number}")
        add(viewer, f"image {number}_labels", (8, 8 + number), value=1)
    wait_until(lambda: table.rowCount() == 50 and texts(table)[49][3] == "100", 30)
    start = time.thread_time()
    table._refill()
    assert time.thread_time() - start < 0.1
