import dask.array
import numpy as np
import psutil
import pytest
import tifffile
from napari.layers import Labels
from napari.settings import get_plugin_settings

from napari_xnet import tissue
from napari_xnet.engine import shared_engine
from napari_xnet.engine.tasks import segment_image
from napari_xnet.inference import Options, PostProcessing
from napari_xnet.io.samples import sample_path
from napari_xnet.models import (
    Purity,
    PurityCurve,
    SoftTissue,
    find_model,
    show_model,
    write_card,
)
from napari_xnet.widgets import segment as segment_dock
from napari_xnet.widgets.postprocessing_form import threshold_at
from napari_xnet.widgets.relabelling import fitting


@pytest.fixture(scope="module")
def hand() -> np.ndarray:
    """The simulated hand at a third of its size, and small enough to be fast."""
    return tifffile.imread(sample_path("hand"))[::3, ::3]


def labels_of(viewer) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_without_an_image_the_dock_says_what_to_do(viewer, dock):
    assert dock.status == "No image open: File > Open, or File > Open Sample > XNet."
    assert not dock["run"].enabled

    viewer.add_image(np.zeros((20, 20)))
    assert dock.status == ""
    assert dock["run"].enabled

    viewer.layers.clear()
    assert dock.status.startswith("No image open")
    assert not dock["run"].enabled


def test_sample_is_segmented_into_a_labels_layer(viewer, segment):
    image, reference = viewer.open_sample("napari-xnet", "hand")

    status = segment()

    labels = viewer.layers["hand_labels"]
    assert labels.data.dtype == np.uint8
    assert (labels.data == reference.data).mean() > 0.9
    assert labels.colormap.color_dict[3] == pytest.approx(
        [*(value / 255 for value in bytes.fromhex(tissue.BONE.color[1:])), 1]
    )
    assert list(labels.features["class"]) == ["unlabelled", "open beam", "soft tissue", "bone"]
    assert "bone" in status
    assert tuple(labels.scale) == tuple(image.scale)
    assert labels.units == image.units
    assert str(labels.units[0]) == "millimeter"


def test_labels_lie_on_the_image_to_the_pixel(viewer, segment, hand):
    image = viewer.add_image(
        hand,
        scale=(0.2, 0.3),
        translate=(7, -3),
        rotate=30,
        shear=[0.1],
        affine=[[0, 1, 5], [1, 0, 2], [0, 0, 1]],
        units=("mm", "mm"),
    )
    segment()
    (labels,) = labels_of(viewer)
    for corner in ((0, 0), (0, hand.shape[1] - 1), (hand.shape[0] - 1, 0)):
        np.testing.assert_allclose(labels.data_to_world(corner), image.data_to_world(corner))
    assert labels.units == image.units


@pytest.mark.slow
def test_stack_this_slice_then_all(viewer, dock, segment, hand):
    stack = np.stack([hand, hand[:, ::-1], hand[::-1]])
    viewer.add_image(stack, name="stack", scale=(4, 1, 1), translate=(10, 0, 0))
    viewer.dims.set_current_step(0, 1)

    segment()
    (labels,) = labels_of(viewer)
    assert labels.data.shape == stack.shape
    assert [bool(page.any()) for page in labels.data] == [False, True, False]

    dock["slices"].value = "All slices"
    segment()
    assert labels_of(viewer) == [labels]
    assert labels.data.min() == 1
    assert (labels.data[0] == labels.data[1][:, ::-1]).mean() > 0.95


@pytest.mark.parametrize("kind", ["rgb", "multiscale", "dask", "float with nan", "4D"])
def test_kinds_of_image(viewer, segment, notifications, hand, kind):
    if kind == "rgb":
        rgb = np.stack([(hand / hand.max() * 255).astype(np.uint8)] * 3, axis=-1)
        viewer.add_image(rgb, rgb=True)
    elif kind == "multiscale":
        viewer.add_image([hand, hand[::2, ::2]], multiscale=True)
    elif kind == "dask":
        viewer.add_image(dask.array.from_array(hand, chunks=64))
    elif kind == "float with nan":
        data = hand.astype(np.float32)
        data[5:9, 5:9] = np.nan
        viewer.add_image(data)
    else:
        viewer.add_image(hand[np.newaxis, np.newaxis])

    segment()

    (labels,) = labels_of(viewer)
    assert labels.data.shape[-2:] == hand.shape
    assert set(np.unique(labels.data)) == {1, 2, 3}
    if kind == "rgb":
        assert any("luminance" in text for text in notifications)
    if kind == "float with nan":
        assert any("16 pixels are not finite" in text for text in notifications)


@pytest.mark.slow
def test_second_run_updates_the_layer_unless_it_was_edited(viewer, dock, segment, hand):
    viewer.add_image(hand, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    before = labels.data.copy()

    dock["use_threshold"].value = True
    dock["purity"].value = dock["purity"].max
    segment()
    assert labels_of(viewer) == [labels]
    assert (labels.data == 2).sum() < (before == 2).sum()

    labels.paint((10, 10), tissue.BONE.value)
    painted = labels.data.copy()
    segment()
    old, new = labels_of(viewer)
    assert old is labels
    np.testing.assert_array_equal(old.data, painted)
    assert new.data[10, 10] != tissue.BONE.value


@pytest.mark.slow
def test_edit_of_one_slice_leaves_the_others_to_be_updated(viewer, dock, segment, hand):
    viewer.add_image(np.stack([hand, hand]), name="stack")
    dock["slices"].value = "All slices"
    segment()
    (labels,) = labels_of(viewer)
    viewer.dims.set_current_step(0, 1)
    labels.paint((1, 10, 10), tissue.BONE.value)

    viewer.dims.set_current_step(0, 0)
    before = labels.data[0].copy()
    dock["slices"].value = "This slice"
    dock["use_threshold"].value = True
    dock["purity"].value = dock["purity"].max
    segment()
    assert labels_of(viewer) == [labels]
    soft = tissue.SOFT_TISSUE.value
    assert (labels.data[0] == soft).sum() < (before == soft).sum()
    assert labels.data[1, 10, 10] == tissue.BONE.value


def test_bone_cleanup_and_probabilities(viewer, dock, segment, hand):
    viewer.add_image(hand, name="hand", scale=(2, 2))
    dock["probabilities"].value = True
    dock["bone_cleanup"].value = 100
    segment()
    (labels,) = labels_of(viewer)
    assert not (labels.data == tissue.BONE.value).any()
    layers = [viewer.layers[f"P({one.name}) hand"] for one in tissue.CLASSES]
    total = sum(layer.data for layer in layers)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert all(tuple(layer.scale) == (2, 2) for layer in layers)

    dock["bone_cleanup"].value = 0
    segment()
    assert (labels.data == tissue.BONE.value).any()
    assert len(viewer.layers) == 5


def _edit(viewer, labels, how):
    if how == "brush":
        labels.paint((10, 10), tissue.BONE.value)
    elif how == "assigned":
        labels.data = np.where(np.indices(labels.data.shape)[0] == 10, 3, labels.data)
    elif how == "in place":
        labels.data[10, 10] = 0
    else:
        viewer.layers.selection = {labels}
        duplicate = Labels(labels.data.copy(), metadata=labels.metadata, name="copy")
        duplicate.data[10, 10] = 0
        viewer.add_layer(duplicate)
        return duplicate
    return labels


@pytest.mark.slow
@pytest.mark.parametrize("how", ["brush", "assigned", "in place", "of a copy"])
def test_no_edit_is_overwritten(viewer, segment, hand, how):
    viewer.add_image(hand, name="hand")
    segment()
    edited = _edit(viewer, labels_of(viewer)[0], how)
    kept = edited.data.copy()
    segment()
    np.testing.assert_array_equal(edited.data, kept)


@pytest.mark.slow
def test_second_run_moves_the_labels_to_where_the_image_is(viewer, segment, hand):
    image = viewer.add_image(hand, name="hand")
    segment()
    image.scale, image.translate = (0.2, 0.2), (5, 5)
    segment()
    (labels,) = labels_of(viewer)
    np.testing.assert_allclose(labels.data_to_world((3, 4)), image.data_to_world((3, 4)))


def test_edited_labels_are_hidden_with_a_word_when_new_ones_come(
    viewer, segment, notifications, hand
):
    viewer.add_image(hand, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    labels.paint((10, 10), tissue.BONE.value)
    segment()
    assert [layer.visible for layer in labels_of(viewer)] == [False, True]
    assert notifications == [
        'Your edits are kept in "hand_labels", hidden below "hand_default_labels".'
    ]


def test_image_follows_the_selected_layer_but_never_probabilities(viewer, dock, segment, hand):
    first = viewer.add_image(hand, name="first")
    second = viewer.add_image(hand, name="second")
    assert dock["image"].value is second
    viewer.layers.selection.active = first
    assert dock["image"].value is first
    dock["probabilities"].value = True
    segment()
    viewer.layers.selection.active = viewer.layers["P(bone) first"]
    assert dock["image"].choices == (first, second)
    assert dock["image"].value is first


def test_save_button_writes_the_labels(viewer, dock, segment, notifications, monkeypatch, tmp_path):
    dock.click("save")
    assert notifications == ["There is no Labels layer to save: press Segment first."]

    viewer.open_sample("napari-xnet", "hand")
    segment()
    asked = []

    def choose(parent, title, name, kinds):
        asked.append(name)
        return str(tmp_path / "mine"), kinds

    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", choose)
    viewer.layers.selection.active = viewer.layers["hand"]
    dock.click("save")
    assert asked == ["hand_labels.tif"]
    assert dock.status == f"Saved {tmp_path / 'mine.tif'}."
    before = (tmp_path / "mine.tif").read_bytes()
    dock.click("save")
    assert notifications[-1].startswith("mine.tif is there already: choose another name")
    assert (tmp_path / "mine.tif").read_bytes() == before
    with tifffile.TiffFile(tmp_path / "mine.tif") as tif:
        np.testing.assert_array_equal(tif.asarray(), viewer.layers["hand_labels"].data)
        assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.PALETTE


@pytest.mark.slow
def test_the_model_finds_the_polarity_unless_the_user_says_it(viewer, dock, segment, hand):
    viewer.add_image(hand, name="hand")
    found = {}
    for polarity in ("bone dark", "bone bright", "auto"):  # the sample is bone dark
        dock["polarity"].value = polarity
        segment()
        found[polarity] = np.array(labels_of(viewer)[-1].data)
    beam = tissue.OPEN_BEAM.value
    assert (found["bone dark"][:20] == beam).mean() > 0.9
    assert (found["bone bright"] != found["bone dark"]).mean() > 0.1
    np.testing.assert_array_equal(found["auto"], found["bone dark"])


@pytest.mark.slow
def test_detail_and_preference_set_the_working_size(viewer, dock, segment):
    image = tifffile.imread(sample_path("hand"))
    viewer.add_image(image, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    standard = labels.data.copy()

    get_plugin_settings("napari-xnet").segmentation.working_size_px = 64
    segment()
    coarse = labels.data.copy()
    assert (coarse != standard).mean() > 0.02

    dock["detail"].value = "Fine"
    segment()
    assert (labels.data != coarse).any()

    get_plugin_settings("napari-xnet").segmentation.working_size_px = 1
    dock["detail"].value = "Fast"
    assert "bone" in segment()  # 8 px, the smallest


def test_models_of_the_preferred_folder_are_offered(viewer, dock, open_dock, segment, tmp_path):
    folder = tmp_path / "chosen"
    settings = get_plugin_settings("napari-xnet").segmentation
    copy = folder / "mine"
    copy.mkdir(parents=True)
    for file in find_model("default").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    settings.models_folder = str(folder)
    assert dock["model"].choices == ("default", "mine")

    dock["model"].value = "mine"
    viewer.add_image(np.random.default_rng(0).random((40, 40)))
    segment()
    assert open_dock()["model"].value == "mine"


def test_settings_are_remembered(viewer, dock, open_dock, segment, hand):
    viewer.add_image(hand)
    dock["purity"].value = 61
    dock["use_threshold"].value = True
    dock["bone_cleanup"].value = 7
    dock["detail"].value = "Fast"
    segment()

    again = open_dock()
    assert again["purity"].value == 61
    assert again["use_threshold"].value is True
    assert again["purity"].enabled
    assert again["bone_cleanup"].value == 7
    assert again["detail"].value == "Fast"

    again["bone_cleanup"].value = 9  # also what is chosen after the last run
    assert open_dock()["bone_cleanup"].value == 9


def test_the_slider_changes_the_labels_at_once_without_the_network(viewer, dock, segment, hand):
    viewer.add_image(hand, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    likeliest = labels.data.copy()
    shared_engine().stop()  # whoever asks the network now would have to start it anew

    dock["use_threshold"].value = True
    dock["smallest_region"].value = 0  # the default model's calibration asks for another one
    seen = []
    for position in (0, 40, 60):
        dock["purity"].value = position
        seen.append((labels.data == tissue.SOFT_TISSUE.value).sum())
        assert f"Threshold {threshold_at(position):.4g}." in dock["expected"].value
    assert seen[0] > seen[1] > seen[2]
    assert "soft tissue" in dock.status
    assert shared_engine().pid is None

    dock["smallest_region"].value = 200
    assert not (labels.data == tissue.SOFT_TISSUE.value).any()
    dock["smallest_region"].value = 0
    dock["use_threshold"].value = False
    np.testing.assert_array_equal(labels.data, likeliest)

    labels.paint((10, 10), tissue.BONE.value)
    painted = labels.data.copy()
    dock["use_threshold"].value = True
    np.testing.assert_array_equal(labels.data, painted)


@pytest.mark.slow
def test_the_slider_changes_the_other_slices_soon(viewer, dock, segment, wait_until, hand):
    viewer.add_image(np.stack([hand[:150], hand[150:]]), name="stack")
    dock["slices"].value = "All slices"
    segment()
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    dock["smallest_region"].value = 300
    assert not (labels.data[labels_shown(viewer)] == tissue.SOFT_TISSUE.value).any()
    assert (before == tissue.SOFT_TISSUE.value).any()
    wait_until(lambda: not (labels.data == tissue.SOFT_TISSUE.value).any(), 5)


def labels_shown(viewer):
    return viewer.dims.current_step[0]


@pytest.fixture
def calibrated(tmp_path) -> str:
    """A model of the user, the default one with a made-up calibration."""
    curve = PurityCurve(
        images=4,
        points=(
            Purity(threshold=0.2, false_share=0.1, false_positive_rate=0.1, true_positive_rate=0.9),
            Purity(threshold=0.9, false_share=0.0, false_positive_rate=0.0, true_positive_rate=0.5),
        ),
    )
    hip = PurityCurve(images=3, points=(curve.points[0].model_copy(update={"threshold": 0.5}),))
    known = SoftTissue(
        data="four images", false_share=0.005, smallest_region=5, curve=curve, groups={"hip": hip}
    )
    card = show_model("default").model_copy(update={"soft_tissue": known})
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    for file in find_model("default").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_card("mine", card)
    return "mine"


def test_the_rates_to_expect_are_those_of_the_card(viewer, calibrated, dock):
    dock["model"].value = calibrated
    assert dock["smallest_region"].value == 0
    dock["use_threshold"].value = True
    assert threshold_at(dock["purity"].value) == pytest.approx(0.9, abs=0.01)
    assert "50\N{NO-BREAK SPACE}% of the soft tissue is found" in dock["expected"].value
    assert "of what is labelled so, 0.0\N{NO-BREAK SPACE}% is none" in dock["expected"].value
    assert dock["expected"].tooltip == "Measured on four images."
    assert threshold_at(dock["purity"].max) == pytest.approx(0.9, abs=0.01)  # none is purer
    # What the calibration was made with is done, is seen, and can be left out.
    assert dock["smallest_region"].value == 5
    assert "other settings" not in dock["expected"].value
    dock["smallest_region"].value = 0
    assert "other settings" in dock["expected"].value
    dock["smallest_region"].value = 5
    dock["detail"].value = "Fine"
    assert "other settings" in dock["expected"].value
    dock["use_threshold"].value = False
    assert dock["smallest_region"].value == 0

    dock["use_threshold"].value = True
    dock["group"].value = "hip"
    assert threshold_at(dock["purity"].value) == pytest.approx(0.5, abs=0.03)
    assert "90\N{NO-BREAK SPACE}% of the soft tissue is found" in dock["expected"].value


@pytest.mark.slow
def test_the_body_part_stays_when_layers_come(viewer, calibrated, dock, segment, hand):
    dock["model"].value = calibrated
    dock["use_threshold"].value = True
    dock["group"].value = "hip"
    position = dock["purity"].value
    viewer.add_image(hand, name="hand")
    segment()
    assert (dock["group"].value, dock["purity"].value) == ("hip", position)
    (labels,) = labels_of(viewer)
    steps = PostProcessing(soft_tissue_threshold=threshold_at(position), smallest_region=5)
    expected = segment_array(hand, steps)
    np.testing.assert_array_equal(labels.data, expected)


def segment_array(image, steps):
    """Labels by the engine, without the dock."""
    options = Options(**{name: getattr(steps, name) for name in vars(steps)})
    return shared_engine().run(segment_image, image, find_model("default"), False, options, False)[
        0
    ]


@pytest.mark.slow
def test_a_remembered_model_comes_with_its_calibration(viewer, calibrated, dock, segment, open_dock,
                                                       hand):  # fmt: skip
    dock["model"].value = calibrated
    dock["use_threshold"].value = True
    viewer.add_image(hand)
    segment()
    again = open_dock()
    assert again["model"].value == calibrated
    assert "found" in again["expected"].value
    assert again["group"].choices == ("any", "hip")


@pytest.mark.slow
def test_another_model_or_image_leaves_labels_alone(viewer, calibrated, dock, segment, hand):
    image = viewer.add_image(hand, name="hand")
    other = viewer.add_image(hand[::-1], name="other")
    viewer.layers.selection.active = image
    segment()
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    dock["use_threshold"].value = True
    dock["use_threshold"].value = False
    np.testing.assert_array_equal(labels.data, before)
    dock["model"].value = calibrated
    dock["use_threshold"].value = True
    assert dock.status == "Press Segment to apply this."
    np.testing.assert_array_equal(labels.data, before)
    dock["model"].value = "default"
    dock["use_threshold"].value = False
    viewer.layers.selection.active = other
    assert dock["image"].value is other
    dock["use_threshold"].value = True
    dock["purity"].value = dock["purity"].max
    np.testing.assert_array_equal(labels.data, before)
    viewer.layers.remove(labels)
    dock["purity"].value = 0


@pytest.mark.slow
def test_slices_that_cannot_follow_are_told(viewer, dock, segment, hand, monkeypatch):
    monkeypatch.setattr(segment_dock, "fitting", lambda indices, shown, *_: frozenset({shown}))
    viewer.add_image(np.stack([hand[:150], hand[150:]]), name="stack")
    dock["slices"].value = "All slices"
    segment()
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    dock["smallest_region"].value = 300
    shown = labels_shown(viewer)
    assert not (labels.data[shown] == tissue.SOFT_TISSUE.value).any()
    np.testing.assert_array_equal(labels.data[1 - shown], before[1 - shown])
    assert "1 of 2 slices do not follow" in dock.status


def test_slices_near_the_displayed_one_are_kept_first():
    indices = [(number,) for number in range(10)]
    page_px = 2**20 // 12
    assert fitting(indices, (7,), page_px, 3) == {(6,), (7,), (8,)}
    assert fitting(indices, (7,), page_px, 100) == set(indices)
    assert fitting([()], (), page_px * 12 * 20, 10) == frozenset()


@pytest.mark.slow
def test_cancel_leaves_the_layers_alone(viewer, dock, segment, wait_until, hand):
    viewer.add_image(hand, name="small")
    segment()
    viewer.layers.clear()

    viewer.add_image(np.concatenate([hand[np.newaxis]] * 200), name="stack")
    dock["slices"].value = "All slices"
    dock.click("run")
    wait_until(lambda: dock["progress"].value > 0)
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 1.5)

    assert dock.status == "Cancelled: no layer was changed."
    assert [layer.name for layer in viewer.layers] == ["stack"]
    dock["slices"].value = "This slice"
    assert "bone" in segment()


@pytest.mark.slow
def test_killed_engine_gives_one_message_and_the_next_run_works(
    viewer, dock, segment, wait_until, notifications, hand
):
    viewer.add_image(hand, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    labels.paint((5, 5), tissue.BONE.value)
    painted = labels.data.copy()
    stack = viewer.add_image(np.concatenate([hand[np.newaxis]] * 200), name="stack")
    dock["image"].value = stack
    dock["slices"].value = "All slices"

    dock.click("run")
    wait_until(lambda: dock["progress"].value > 0)
    killed = shared_engine().pid
    psutil.Process(killed).kill()
    wait_until(lambda: not dock.is_running)

    assert len(notifications) == 1
    assert "The engine" in notifications[0]
    assert "run again" in notifications[0]
    assert dock.status == "Not segmented."
    assert labels_of(viewer) == [labels]
    np.testing.assert_array_equal(labels.data, painted)

    dock["slices"].value = "This slice"
    assert "bone" in segment()
    assert shared_engine().pid != killed
    assert "stack_labels" in viewer.layers


def test_image_without_numbers_gives_one_sentence(viewer, segment, notifications):
    viewer.add_image(np.full((30, 30), np.nan), contrast_limits=(0, 1))
    assert segment() == "Not segmented."
    assert notifications == ["The image holds no finite number: there is nothing to segment."]
    assert not labels_of(viewer)


def test_image_removed_while_it_is_segmented(viewer, dock, wait_until, hand):
    viewer.add_image(hand, name="hand", scale=(3, 3))
    dock.click("run")
    viewer.layers.clear()
    wait_until(lambda: not dock.is_running)
    (labels,) = labels_of(viewer)
    assert tuple(labels.scale) == (3, 3)
    assert labels.data.min() == 1


@pytest.mark.slow
def test_labels_edited_while_they_are_segmented_again(viewer, dock, segment, wait_until, hand):
    viewer.add_image(hand, name="hand")
    segment()
    (labels,) = labels_of(viewer)
    dock.click("run")
    labels.paint((5, 5), tissue.BONE.value)
    painted = labels.data.copy()
    wait_until(lambda: not dock.is_running)
    assert len(labels_of(viewer)) == 2
    np.testing.assert_array_equal(labels.data, painted)


def test_closing_the_window_during_a_run_cancels_it(viewer, dock, wait_until, hand):
    viewer.add_image(np.concatenate([hand[np.newaxis]] * 200), name="stack")
    dock["slices"].value = "All slices"
    dock.click("run")
    task = dock.widget._task
    viewer.close()
    wait_until(lambda: task.is_cancelling or not task.is_running, 5)


@pytest.mark.slow
def test_closing_the_dock_during_a_run_lets_it_finish(viewer, dock, wait_until, hand):
    viewer.add_image(hand, name="hand")
    dock.click("run")
    viewer.window.remove_dock_widget("all")
    wait_until(lambda: "hand_labels" in viewer.layers)


def test_saved_labels_reopen_without_loss(viewer, segment, tmp_path):
    viewer.open_sample("napari-xnet", "foot")
    segment()
    labels = viewer.layers["foot_labels"]
    path = tmp_path / "foot_labels.tif"
    assert viewer.layers.selection.active is labels
    viewer.layers.save(str(path), selected=True, plugin="napari-xnet")

    (again,) = viewer.open(path, plugin="napari-xnet")
    assert isinstance(again, Labels)
    np.testing.assert_array_equal(again.data, labels.data)
    np.testing.assert_allclose(again.scale, labels.scale)
    assert again.units == labels.units
    assert again.colormap.color_dict.keys() == labels.colormap.color_dict.keys()
    assert list(again.features["class"]) == list(labels.features["class"])


def test_a_dock_begins_with_the_selected_image(viewer, open_dock, hand):
    chosen, _ = (viewer.add_image(hand, name=name) for name in ("first", "second"))
    viewer.layers.selection.active = chosen
    assert open_dock()["image"].value is chosen
