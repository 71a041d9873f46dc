"""*Evaluate segmentation* in a real window."""

import json
import re

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_xnet.evaluation import evaluate
from napari_xnet.io.label_layers import tissue_appearance
from napari_xnet.io.samples import sample_path


@pytest.fixture(scope="module")
def hand() -> tuple[np.ndarray, np.ndarray]:
    """The simulated hand at a third of its size, and its labels."""
    names = (sample_path("hand"), sample_path("hand").with_name("hand_labels.tif"))
    return tuple(tifffile.imread(name)[::3, ::3] for name in names)


@pytest.fixture
def dock(open_dock):
    return open_dock("Evaluate segmentation")


def add_labels(viewer, data, name):
    return viewer.add_labels(data, name=name, **tissue_appearance())


def finish(dock, wait_until) -> None:
    dock.click("run")
    wait_until(lambda: not dock.is_running, 120)


def table(dock) -> str:
    text = re.sub("<[^>]*>", " ", dock.widget.findChild(QLabel, "table").text())
    return " ".join(text.split())


def test_without_a_reference_the_dock_says_what_to_do(viewer, dock):
    assert dock.status.startswith("No reference: paint labels")
    assert not dock["run"].enabled
    layer = add_labels(viewer, np.ones((9, 9), np.uint8), "mine")
    assert dock.status == ""
    assert dock["references"].value == [layer]
    viewer.layers.clear()
    assert not dock["run"].enabled

    # As by napari's own reader, which knows no classes.
    viewer.add_labels(np.ones((9, 9), int), name="hand_labels")
    assert dock.status.startswith('In "hand_labels" 1, 2 and 3 are not known to be open beam')
    assert not dock["run"].enabled


def test_a_model_is_compared_with_painted_labels(viewer, dock, hand, wait_until, tmp_path,
                                                 monkeypatch):  # fmt: skip
    image, labels = hand
    viewer.add_image(image, name="hand", scale=(0.5, 0.5), units=("mm", "mm"))
    painted = labels.copy()
    painted[:, ::2] = 0
    reference = add_labels(viewer, painted, "hand_labels")
    assert dock["prediction"].value == "default"
    finish(dock, wait_until)
    assert "default compared with hand_labels: Accuracy 0.9" in table(dock)
    assert "AUC" in table(dock)
    assert "no borders" not in table(dock)
    assert dock.widget._plot.isVisible()
    wrong = viewer.layers["hand_labels errors"]
    assert not wrong.data[:, ::2].any()
    assert 0 < (wrong.data > 0).mean() < 0.1
    assert not ((wrong.data == reference.data) & (wrong.data > 0)).any()
    assert "false bone" in list(wrong.features["class"])
    # It is neither a reference nor a prediction.
    assert dock["references"].choices == (reference,)

    chosen = tmp_path / "out.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(chosen), ""))
    dock.click("save")
    values = json.loads((tmp_path / "out.json").read_text())
    assert f"Accuracy {values['accuracy']:.3f}" in table(dock)
    assert values["about"]["model"] == "default"
    assert values["boundaries"]["bone"]["hausdorff95_mm"] == pytest.approx(
        0.5 * values["boundaries"]["bone"]["hausdorff95_px"]
    )
    assert chosen.read_text("utf-8").count("data:image/png") == 4
    assert (tmp_path / "out.csv").exists()
    assert values["about"]["radiographs"] == "hand"
    finish(dock, wait_until)
    errors = [layer for layer in viewer.layers if layer.name.endswith("errors")]
    assert errors == [wrong]
    # A layer of the user that has the name by chance is left alone.
    viewer.layers.remove(wrong)
    own = viewer.add_labels(np.ones((3, 3), np.uint8), name=wrong.name)
    finish(dock, wait_until)
    np.testing.assert_array_equal(own.data, 1)


@pytest.mark.slow
def test_labels_of_another_radiograph_are_not_taken(viewer, dock, hand, notifications):
    image, labels = hand
    viewer.add_image(image, name="img_1")
    viewer.add_image(image, name="img_2")
    add_labels(viewer, labels, "img_10_labels")
    dock.click("run")
    assert 'The radiograph of "img_10_labels" is not open' in notifications[-1]


@pytest.mark.slow
def test_nothing_is_overwritten_that_was_not_asked_about(
    viewer, dock, hand, wait_until, tmp_path, monkeypatch, notifications
):
    _, labels = hand
    add_labels(viewer, labels, "true")
    dock["prediction"].value = add_labels(viewer, labels, "found")
    dock["references"].value = [viewer.layers["true"]]
    finish(dock, wait_until)
    (tmp_path / "knee v1.2.csv").write_text("mine")
    for name in ("knee v1.2", "knee v1.2.html"):
        monkeypatch.setattr(
            QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), "")
        )
        dock.click("save")
        assert "knee v1.2.csv is there already" in notifications[-1]
    assert (tmp_path / "knee v1.2.csv").read_text() == "mine"
    assert len(list(tmp_path.glob("knee*"))) == 1


def test_layers_are_compared_without_the_network(viewer, dock, hand, wait_until):
    _, labels = hand
    reference = add_labels(viewer, labels, "true")
    other = add_labels(viewer, np.roll(labels, 4, axis=0), "found")
    dock["prediction"].value = other
    dock["references"].value = [reference]
    finish(dock, wait_until)
    expected = evaluate(other.data, labels).values
    assert f"Accuracy {expected['accuracy']:.3f}" in table(dock)
    assert not dock.widget._plot.isVisible()
    np.testing.assert_array_equal(
        viewer.layers["true errors"].data, np.where(labels == other.data, 0, other.data)
    )


@pytest.mark.slow
def test_a_stack_of_which_some_slices_are_painted(viewer, dock, hand, wait_until):
    image, labels = hand
    viewer.add_image(np.stack([image] * 3), name="stack")
    painted = np.zeros((3, *labels.shape), np.uint8)
    painted[1] = labels
    add_labels(viewer, painted, "stack_labels")
    finish(dock, wait_until)
    assert "1 radiograph," in table(dock)
    found = viewer.layers["stack_labels errors"].data
    assert [bool(page.any()) for page in found] == [False, True, False]


@pytest.mark.parametrize("wrong", ["itself", "size", "no image", "empty", "several"])
def test_what_cannot_be_compared_is_told(viewer, dock, notifications, wait_until, wrong):
    one = add_labels(viewer, np.ones((9, 9), np.uint8), "one")
    two = add_labels(viewer, np.ones((9, 8) if wrong == "size" else (9, 9), np.uint8), "two")
    dock["references"].value = [one]
    dock["prediction"].value = two
    if wrong == "itself":
        dock["prediction"].value = one
    elif wrong == "no image":
        dock["prediction"].value = "default"
    elif wrong == "empty":
        one.data[:] = 0
    elif wrong == "several":
        dock["references"].value = [one, two]
    before = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    finish(dock, wait_until)
    message = {
        "itself": "compared with itself",
        "size": r'"two" and "one" differ in size',
        "no image": 'The radiograph of "one" is not open',
        "empty": "The reference is empty",
        "several": 'two" is compared with one reference',
    }[wrong]
    assert re.search(message, notifications[-1])
    assert [layer for layer in viewer.layers if isinstance(layer, Labels)] == before


@pytest.mark.slow
def test_cancel_changes_nothing(viewer, dock, hand, wait_until):
    image, labels = hand
    viewer.add_image(image, name="hand")
    add_labels(viewer, labels, "hand_labels")
    dock.click("run")
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 20)
    assert dock.status == "Cancelled."
    assert len(viewer.layers) == 2
