"""Run folders: what is checked, what is saved first, and what is found again."""

import contextlib
import errno
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xnet.errors import Cancelled, ConfigError, ImageError, ModelError, TrainingError
from napari_xnet.models import show_model
from napari_xnet.training.claim import claimed, is_claimed
from napari_xnet.training.config import TrainingConfig, preset
from napari_xnet.training.events import EpochEnd
from napari_xnet.training.examples import Example, read_examples, write_examples
from napari_xnet.training.execution import execute
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import NONE, Run, create_run, runs_folder, unfinished_runs

CONFIG = TrainingConfig()
SHAPE = (60, 50)


def strokes(shape=SHAPE):
    labels = np.zeros(shape, np.uint8)
    for value in (1, 2, 3):
        labels[10 * value, 5:20] = labels[10 * value + 4, 25:40] = value
    return labels


def pair(name="hand", image=None, labels=None, **more):
    if image is None:
        image = np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)
    return Pair(name, image, strokes() if labels is None else labels, **more)


def create(*pairs, name="mine", config=CONFIG, **options):
    return create_run(name, pairs or [pair()], config, **options)


# ------------------------------------------------------------------ what a run is


def test_runs_live_where_the_environment_says(own_runs, monkeypatch):
    assert runs_folder() == own_runs
    assert create().folder.parent == own_runs
    monkeypatch.delenv("NAPARI_XNET_RUNS")
    assert runs_folder().parts[-2:] == ("napari-xnet", "runs")


def test_labels_are_saved_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(60, 50), (900, 700), (33, 57)]
    pairs = [
        pair(f"{number} Hand/ä:x", rng.random(shape), rng.integers(0, 4, shape).astype(dtype))
        for number, (shape, dtype) in enumerate(zip(shapes, ("u1", "i8", "u2"), strict=True))
    ]
    run = create(*pairs)
    files = sorted((run.folder / "labels").iterdir())
    assert [path.suffix for path in files] == [".tif"] * 3
    assert all(path.name.isascii() for path in files)
    for path, one in zip(files, pairs, strict=True):
        saved = tifffile.imread(path)
        assert saved.dtype == np.uint8
        np.testing.assert_array_equal(saved, one.labels)


def test_labels_are_saved_before_anything_else():
    seen = []

    def progress(done, total):
        (folder,) = runs_folder().iterdir()
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
        seen.append((done, total, files))

    create(pair("a"), pair("b"), progress=progress)
    files = ["labels/0001_a_labels.tif", "labels/0002_b_labels.tif"]
    assert [one for one in seen if one[2] == files] == [(0, 2, files), (1, 2, files)]


def test_a_run_is_found_again():
    config = TrainingConfig(seed=5, epochs=3)
    pairs = [pair("a", group="hand"), pair("b", group="knee"), pair("c", group="hand")]
    run = create(*pairs, config=config, preset="quick")
    again = Run.open(str(run.folder))
    assert again.record == run.record
    record = again.record
    assert (record.name, record.base, record.preset) == ("mine", "default", "quick")
    assert record.base_sha256 == show_model("default").weights_sha256
    assert record.architecture == show_model("default").architecture
    assert record.config == config
    assert record.groups == 2
    assert record.painted_px == {"open beam": 90, "soft tissue": 90, "bone": 90}
    assert not record.finished
    assert again.history() == []
    examples = again.examples()
    assert [(one.name, one.group) for one in examples] == [
        ("a", "hand"),
        ("b", "knee"),
        ("c", "hand"),
    ]
    for one in examples:
        # The labels of both sides, at the size of the working image, without padding.
        assert one.image.shape == SHAPE
        assert one.image.dtype == np.float32
        np.testing.assert_array_equal(np.maximum(one.labels, one.validation), strokes())
    assert sum(one.validation.any() for one in examples) > 0


def test_examples_are_working_images():
    big = np.random.default_rng(0).random((900, 620))
    labels = strokes((900, 620))
    (example,) = create(pair(image=big, labels=labels)).examples()
    working = show_model("default").preprocessing.working_image(big)
    np.testing.assert_array_equal(
        example.image, working.data[: working.content[0], : working.content[1]]
    )
    assert {1, 2, 3} == set(np.unique(example.labels + example.validation)) - {0}


def test_colour_images_train():
    colour = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    run = create(pair("photo", colour))
    assert run.examples()[0].image.shape == SHAPE
    assert "photo: The image is in colour: its luminance was used." in run.record.notes


def test_pairs_without_paint_are_left_out():
    run = create(pair("a"), pair("b", labels=np.zeros(SHAPE, np.uint8)))
    assert [one.name for one in run.examples()] == ["a"]
    assert len(list((run.folder / "labels").iterdir())) == 1


def test_a_base_of_the_user_by_name_and_by_path(small_model, own_models, tmp_path, monkeypatch):
    small_model.save(own_models / "own")
    small_model.save(tmp_path / "elsewhere" / "other")
    monkeypatch.chdir(tmp_path)
    assert create(base="own").record.base == "own"
    # A path is kept whole: the run may go on from another folder.
    other = create(base="elsewhere/other").record
    assert other.base == str((tmp_path / "elsewhere" / "other").resolve())
    assert other.architecture == small_model.card.architecture
    assert other.preprocessing == small_model.card.preprocessing


def test_from_scratch_the_config_says_what_is_built():
    record = create(base=NONE).record
    assert (record.base, record.base_sha256) == ("none", "")
    assert (record.architecture.name, record.architecture.filters) == ("xnet", (64, 128, 256, 512))
    config = preset("paper")
    record = create(base=NONE, config=config).record
    assert record.architecture == config.architecture
    assert record.preprocessing == config.preprocessing


def test_the_config_may_change_l2_and_preprocessing_of_the_base(small_model, own_models):
    small_model.save(own_models / "own")
    values = {
        "architecture": small_model.card.architecture.model_dump() | {"l2": 0.001},
        "preprocessing": {"size_px": 32},
    }
    record = create(base="own", config=TrainingConfig.parse(values)).record
    assert record.architecture.l2 == 0.001
    assert record.preprocessing.size_px == 32
    assert create(base="own").examples()[0].image.shape == (60, 50)
    assert create(base="own", config=TrainingConfig.parse(values)).examples()[0].image.shape == (
        32,
        27,
    )


def test_runs_of_one_name_do_not_meet():
    folders = [create().folder.name for _ in range(3)]
    assert folders == ["mine", "mine-2", "mine-3"]


# ------------------------------------------------------------------ bad input


def refused(error, message, *pairs, left=(), **options):
    """Nothing is made, and one or two sentences say why."""
    with pytest.raises(error, match=message) as raised:
        create(*pairs, **options)
    assert "\n" not in str(raised.value)
    folder = options.get("folder") or runs_folder()
    assert [path.name for path in folder.glob("*")] == list(left)
    return str(raised.value)


@pytest.mark.parametrize("shape", [(50, 60), (60, 51), (60, 50, 1), (2, 60, 50), (60,)])
def test_labels_of_another_shape(shape):
    text = refused(
        ImageError, "must have the same height and width", pair("knee", labels=np.ones(shape, "u1"))
    )
    assert "knee: the image is 60 × 50 px" in text
    assert " × ".join(map(str, shape)) in text


def test_no_pair():
    with pytest.raises(TrainingError, match="There is no pair of image and labels"):
        create_run("mine", [], CONFIG)
    assert not runs_folder().exists()


def test_empty_labels():
    nothing = np.zeros(SHAPE, np.uint8)
    refused(TrainingError, "Nothing is painted", pair(labels=nothing), pair(labels=nothing))


@pytest.mark.parametrize(
    ("value", "name", "others"),
    [
        (1, "open beam", "soft tissue and bone"),
        (2, "soft tissue", "open beam and bone"),
        (3, "bone", "open beam and soft tissue"),
    ],
)
def test_one_class_only(value, name, others):
    labels = np.where(strokes() == value, value, 0).astype(np.uint8)
    refused(TrainingError, f"Only {name} is painted: paint some {others} too", pair(labels=labels))


def test_a_class_may_be_missing_with_a_note():
    labels = np.where(strokes() == 3, 0, strokes())
    run = create(pair(labels=labels))
    assert run.record.notes == ("No bone is painted anywhere: the model learns nothing about it.",)
    # It need not be on the same radiograph.
    assert create(pair(labels=labels), pair()).record.notes == ()


@pytest.mark.parametrize(
    ("value", "dtype"), [(4, "u1"), (255, "u1"), (-1, "i2"), (-1, "i8"), (1000, "u2")]
)
def test_values_that_are_no_class(value, dtype):
    labels = strokes().astype(dtype)
    labels[0, 0] = value
    text = refused(ImageError, f"the labels hold the value {value}", pair("knee", labels=labels))
    assert text.startswith("knee: ")
    assert "0 (unlabelled), 1 (open beam), 2 (soft tissue), 3 (bone)" in text


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
def test_labels_that_are_no_whole_numbers(dtype):
    labels = strokes().astype(dtype)
    refused(ImageError, "knee: labels are whole numbers", pair("knee", labels=labels))


def test_an_image_without_a_number_is_named():
    hollow = np.full(SHAPE, np.nan)
    refused(ImageError, "^foot: .*no finite number", pair("hand"), pair("foot", hollow))


def test_some_missing_pixels_are_noted():
    image = np.random.default_rng(0).random(SHAPE)
    image[3, :5] = np.nan, np.nan, np.inf, -np.inf, np.nan
    run = create(pair("foot", image))
    assert run.record.notes == ("foot: 5 pixels are not finite numbers and were filled in.",)
    assert np.isfinite(run.examples()[0].image).all()


def test_what_is_no_radiograph_is_named():
    refused(ImageError, r"^foot: A radiograph has the shape", pair("foot", np.zeros((60, 50, 7))))


def test_a_name_that_exists(small_model, own_models):
    small_model.save(own_models / "mine")
    refused(ModelError, 'There is a model "mine" already: choose another name')
    refused(ModelError, 'There is a model "default" already', name="default")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "ümlaut", "x" * 65, "none"])
def test_a_name_that_cannot_be_one(name):
    refused(ModelError, "another name|cannot be the name of a model", name=name)


def test_a_base_that_is_not_there():
    refused(ModelError, 'There is no model "nobody"', base="nobody")


@pytest.mark.parametrize(
    "architecture", [{"name": "unet"}, {"name": "xnet"}, {"name": "xnet", "kernel_size": 5}]
)
def test_an_architecture_that_does_not_fit_the_base(architecture, small_model, own_models):
    small_model.save(own_models / "own")
    if "kernel_size" in architecture:
        architecture["filters"] = small_model.card.architecture.filters
    config = TrainingConfig.parse({"architecture": architecture})
    refused(ConfigError, "start from scratch", base="own", config=config)


def test_only_validation():
    pairs = [pair("a", part="validation"), pair("b", part="validation")]
    refused(TrainingError, "too little is left to train on", *pairs)


def test_classes_that_only_validate_are_named():
    def only(*classes, part):
        labels = strokes()
        return pair(part, labels=np.where(np.isin(labels, classes), labels, 0), part=part)

    everything = only(1, 2, 3, part="validation")
    refused(
        TrainingError,
        "All soft tissue and bone is for validation",
        everything,
        only(1, part="train"),
    )
    run = create(everything, only(1, 3, part="train"))
    assert "All soft tissue is for validation: the model learns nothing about it." in (
        run.record.notes
    )


def test_quick_from_scratch_is_advised_against():
    notes = create(base="none", preset="quick").record.notes
    assert any("Choose the preset full" in note for note in notes)
    assert not any("preset full" in note for note in create(name="b", preset="quick").record.notes)


def test_parts_of_pairs_are_kept():
    run = create(pair("a", part="train"), pair("b", part="validation"), pair("c", part="train"))
    sides = [(one.labels.any(), one.validation.any()) for one in run.examples()]
    assert sides == [(True, False), (False, True), (True, False)]


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_folder_of_runs_that_cannot_be_made(tmp_path, below):
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "file" / below
    with pytest.raises(TrainingError, match="cannot be made") as raised:
        create(folder=folder)
    assert str(folder) in str(raised.value)
    assert "NAPARI_XNET_RUNS" in str(raised.value)
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EROFS, "Read-only file system"), (errno.EACCES, "Permission denied")],
)
def test_a_folder_of_runs_that_is_read_only(monkeypatch, number, message):
    """Root may write everywhere: the system call itself says no."""
    mkdir = os.mkdir

    def read_only(path, *args, **kwargs):
        if Path(path).name == "mine":
            raise OSError(number, os.strerror(number), str(path))
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", read_only)
    refused(TrainingError, f"mine, cannot be made: {message}")


@pytest.mark.parametrize("full_at", ["labels.tif", "examples.npz", "run.json"])
def test_a_full_disk_is_explained_and_leaves_nothing(monkeypatch, full_at):
    replace = Path.replace

    def full(self, target):
        if str(target).endswith(full_at):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    text = refused(ImageError, "The disk is full")
    assert full_at in text


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_an_interruption_leaves_nothing(error):
    first = create()

    def progress(done, total):
        if done:
            raise error

    refused(error, "^$", pair("a"), pair("b"), progress=progress, left=[first.folder.name])


# ------------------------------------------------------------------ finding runs


def test_unfinished_runs_are_listed_the_newest_first(tmp_path):
    assert unfinished_runs() == []
    runs = [create(name=name) for name in ("b", "c", "a")]
    assert [one.record.name for one in unfinished_runs()] == ["a", "c", "b"]
    runs[1].update(model="c")
    assert [one.record.name for one in unfinished_runs()] == ["a", "b"]
    elsewhere = create(name="d", folder=tmp_path / "other")
    assert [one.folder for one in unfinished_runs(tmp_path / "other")] == [elsewhere.folder]
    assert "d" not in [one.record.name for one in unfinished_runs()]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b'{"format": 2}'])
def test_a_damaged_run_is_named_and_not_listed(data):
    run, other = create(), create()
    (run.folder / "run.json").write_bytes(data)
    with pytest.raises(TrainingError, match=r"run\.json is damaged, or of another version"):
        Run.open(run.folder)
    assert [one.folder for one in unfinished_runs()] == [other.folder]


def test_what_is_no_run_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(TrainingError, match="is no training run") as raised:
            Run.open(path)
        assert str(path) in str(raised.value)
    (tmp_path / "runs" / "stray").mkdir(parents=True)
    assert unfinished_runs() == []


@pytest.mark.parametrize("kept", [0, 30, 0.5, 0.999])
def test_damaged_examples_are_named(kept):
    run = create()
    path = run.folder / "examples.npz"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(TrainingError, match=r"examples\.npz of the run cannot be read"):
        run.examples()


def test_missing_examples_are_named():
    run = create()
    (run.folder / "examples.npz").unlink()
    with pytest.raises(TrainingError, match=r"examples\.npz of the run cannot be read"):
        run.examples()


def row(epoch, best=False, **values):
    numbers = dict.fromkeys(
        [one for one in EpochEnd.__dataclass_fields__ if one not in ("epoch", "best")], 1 / 3
    )
    return EpochEnd(epoch=epoch, best=best, **numbers | values)


def test_the_log_comes_back():
    run = create()
    history = [row(1, True), row(2, loss=1e-17, learning_rate=0.0), row(3, True)]
    run.write_log(history)
    assert Run.open(run.folder).history() == history
    run.write_log([row(0, loss=math.nan)])
    (first,) = run.history()
    assert first.epoch == 0
    assert math.isnan(first.loss)
    header = (run.folder / "log.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,loss,dice,accuracy,val_loss,")


@pytest.mark.parametrize("text", ["", "nonsense", "epoch,loss\n1,2\n", "epoch,best\nx,True,3,4\n"])
def test_a_damaged_log_is_no_history(text):
    run = create()
    run.write_log([row(1)])
    (run.folder / "log.csv").write_text(text)
    assert run.history() == []


# ------------------------------------------------------------------ beliefs


def test_beliefs_go_only_where_nobody_painted_and_the_base_is_sure():
    labels = np.array([[1, 0, 0, 0]], np.uint8)
    validation = np.array([[0, 2, 0, 0]], np.uint8)
    sure = np.array([[[0, 0, 1], [0, 0, 1], [0, 0.05, 0.95], [0.2, 0.5, 0.3]]], np.float32)
    example = Example("a", "", np.zeros((1, 4), np.float32), labels, validation)
    believing = example.believe(sure, 0.9)
    np.testing.assert_array_equal(believing.labels, [[1, 0, 6, 0]])
    np.testing.assert_array_equal(believing.validation, validation)
    np.testing.assert_array_equal(example.labels, [[1, 0, 0, 0]])
    np.testing.assert_array_equal(example.believe(sure, 0.4).labels, [[1, 0, 6, 5]])


@pytest.mark.parametrize("shadow", [None, np.array([[True, False]])])
def test_examples_are_read_as_they_were_written(tmp_path, shadow):
    labels = np.array([[1, 0]], np.uint8)
    image = np.array([[0.5, -1]], np.float32)
    written = [Example(name, "hand", image, labels, labels[:, ::-1], shadow) for name in "ab"]
    write_examples(tmp_path / "examples.npz", written)
    for one, other in zip(written, read_examples(tmp_path / "examples.npz"), strict=True):
        assert (other.name, other.group) == (one.name, one.group)
        for key in ("image", "labels", "validation", "shadow"):
            np.testing.assert_array_equal(getattr(other, key), getattr(one, key))
            assert type(getattr(other, key)) is type(getattr(one, key))


# ------------------------------------------------------------------ one process at a time


CLAIM = """
import sys
from pathlib import Path
from napari_xnet.training.claim import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    input()
"""


def test_a_run_that_another_process_trains_is_left_alone(tmp_path):
    run = create(folder=tmp_path)
    assert not is_claimed(run.folder)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"claimed\n"
        assert is_claimed(run.folder)
        assert unfinished_runs(tmp_path) == []
        assert len(unfinished_runs(tmp_path, claimed=True)) == 1
        with pytest.raises(TrainingError, match="another process"), claimed(run.folder):
            pass
        other.kill()
    assert not is_claimed(run.folder)
    with claimed(run.folder):
        assert is_claimed(run.folder)
    assert not is_claimed(run.folder)


def test_of_many_at_once_one_gets_the_run(tmp_path):
    held = []

    def claim(_):
        with contextlib.suppress(TrainingError), claimed(tmp_path):
            held.append(1)
            assert len(held) == 1
            time.sleep(0.2)
            held.pop()
            return 1
        return 0

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, range(8))) >= 1


def test_a_run_that_went_astray_is_not_offered_again(tmp_path):
    run = create(folder=tmp_path)
    run.update(failed="Training went astray.")
    assert unfinished_runs(tmp_path) == []
    with pytest.raises(TrainingError, match=r"cannot go on\. Training went astray\."):
        execute(run)
