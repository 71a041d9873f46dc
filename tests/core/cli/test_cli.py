"""The command line: what it writes, says and returns."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

from napari_xnet import __version__, demo
from napari_xnet.backend import keras
from napari_xnet.inference import segment
from napari_xnet.io import write_labels
from napari_xnet.models import list_models, show_model
from napari_xnet.training.claim import claimed
from napari_xnet.training.run import Run, unfinished_runs
from napari_xnet.training.trainer import Trainer


def write(path, image):
    tifffile.imwrite(path, image, photometric="minisblack")


# ------------------------------------------------------------------ segment


def test_segment_writes_labels(run, small, small_model, radiograph):
    write("one.tif", radiograph)
    code, out, err = run("segment", "one.tif", "-o", "out/deep", "--model", small)
    assert code == 0
    assert out == [os.path.join("out", "deep", "one_labels.tif")]
    assert "one.tif" in err
    assert os.listdir("out/deep") == ["one_labels.tif"]
    with tifffile.TiffFile(out[0]) as tif:
        assert len(tif.pages) == 1
        labels = tif.asarray()
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, segment(radiograph, small_model).labels)


def test_segment_uses_the_default_model(run, default_model, radiograph):
    write("one.tif", radiograph)
    code, out, _ = run("segment", "one.tif", "-o", "out")
    assert code == 0
    labels = tifffile.imread(out[0])
    np.testing.assert_array_equal(labels, segment(radiograph, default_model).labels)


def test_segment_writes_probabilities_class_axis_first(run, small, small_model, radiograph):
    stack = np.stack([radiograph, radiograph[::-1]])
    write("one.tif", radiograph)
    write("two.tiff", stack)
    code, out, _ = run(
        "segment", "one.tif", "two.tiff", "-o", "out", "--model", small, "--probabilities"
    )
    assert code == 0
    names = [
        f"{stem}_{kind}.tif" for stem in ("one", "two") for kind in ("labels", "probabilities")
    ]
    assert out == [os.path.join("out", name) for name in names]
    for stem, image in (("one", radiograph), ("two", stack)):
        labels = tifffile.imread(f"out/{stem}_labels.tif")
        assert labels.shape == image.shape
        assert set(np.unique(labels)) <= {1, 2, 3}
        probabilities = tifffile.imread(f"out/{stem}_probabilities.tif")
        assert probabilities.shape == (3, *image.shape)
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(labels, probabilities.argmax(axis=0) + 1)
        np.testing.assert_array_equal(probabilities, segment(image, small_model).probabilities)
    with tifffile.TiffFile("out/two_labels.tif") as tif:
        assert len(tif.pages) == 2


def test_segment_takes_a_threshold(run, small, small_model, radiograph):
    write("one.tif", radiograph)
    options = ("--model", small, "--soft-tissue-threshold", "0.34")
    code, out, _ = run("segment", "one.tif", "-o", "out", *options)
    assert code == 0
    expected = segment(radiograph, small_model, soft_tissue_threshold=0.34).labels
    np.testing.assert_array_equal(tifffile.imread(out[0]), expected)


def test_segment_takes_a_polarity(run, small, make_model, radiograph):
    model = make_model(polarity="bone bright")
    model.save(small)
    write("one.tif", radiograph)
    labels = {}
    for polarity in ("bone bright", "bone dark"):
        option = polarity.replace(" ", "-")
        code, out, _ = run(
            "segment", "one.tif", "-o", option, "--model", small, "--polarity", option
        )
        assert code == 0
        labels[polarity] = tifffile.imread(out[0])
        expected = segment(radiograph, model, polarity=polarity).labels
        np.testing.assert_array_equal(labels[polarity], expected)
    assert (labels["bone bright"] != labels["bone dark"]).any()


def test_segment_segments_colour_pictures_with_a_note(run, small, radiograph):
    colour = np.repeat((radiograph // 64).astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    tifffile.imwrite("one.tif", colour, photometric="rgb")
    code, out, err = run("segment", "one.tif", "-o", "out", "--model", small)
    assert code == 0
    assert "in colour" in err
    assert tifffile.imread(out[0]).shape == radiograph.shape


def test_a_broken_file_does_not_stop_the_others(run, small, radiograph):
    write("good.tif", radiograph)
    write("fine.tif", radiograph)
    Path("text.tif").write_text("no TIFF file")
    Path("short.tif").write_bytes(Path("good.tif").read_bytes()[:1000])
    Path("empty.png").touch()
    Path("notes.txt").write_text("text")
    Path("folder.tif").mkdir()
    write("hollow.tif", np.full((20, 20), np.nan, np.float32))
    bad = ["text.tif", "short.tif", "empty.png", "notes.txt", "folder.tif", "hollow.tif", "no.tif"]
    code, out, err = run("segment", "good.tif", *bad, "fine.tif", "-o", "out", "--model", small)
    assert code == 1
    assert out == [os.path.join("out", f"{stem}_labels.tif") for stem in ("good", "fine")]
    assert sorted(os.listdir("out")) == ["failures.csv", "fine_labels.tif", "good_labels.tif"]
    errors = [line for line in err.splitlines() if line.startswith("napari-xnet: ")]
    assert errors[-1] == "napari-xnet: 2 of 9 images segmented, 7 failed."
    assert sorted(line.split(": ")[1] for line in errors[:-1]) == sorted(bad)
    with open("out/failures.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert sorted(row["image"] for row in table) == sorted(bad)
    assert all(row["reason"] for row in table)


def test_patterns_are_expanded(run, small, radiograph):
    Path("in").mkdir()
    for name in ("b", "a"):
        write(f"in/{name}.tif", radiograph)
    Path("in/a.txt").touch()
    code, out, _ = run("segment", "in/*.tif", "-o", "out", "--model", small)
    assert code == 0
    assert out == [os.path.join("out", f"{stem}_labels.tif") for stem in "ab"]


def test_a_name_that_looks_like_a_pattern_is_a_name(run, small, radiograph):
    write("a[1].tif", radiograph)
    code, out, _ = run("segment", "a[1].tif", "-o", "out", "--model", small)
    assert code == 0
    assert out == [os.path.join("out", "a[1]_labels.tif")]


def test_a_pattern_that_nothing_fits_is_a_failed_input(run, small):
    code, out, err = run("segment", "*.tif", "-o", "out", "--model", small)
    assert code == 1
    assert out == []
    assert "*.tif" in err


def test_one_name_twice_is_refused_before_anything_is_done(run, radiograph):
    for folder in ("a", "b"):
        Path(folder).mkdir()
    write("a/one.tif", radiograph)
    write("b/ONE.tiff", radiograph)
    code, out, err = run("segment", "a/one.tif", "b/ONE.tiff", "-o", "out")
    assert code == 2
    assert out == []
    assert os.path.join("a", "one.tif") in err
    assert os.path.join("b", "ONE.tiff") in err
    assert not Path("out").exists()


def test_the_same_file_twice_is_one_file(run, small, radiograph):
    write("one.tif", radiograph)
    code, out, _ = run("segment", "one.tif", "*.tif", "-o", "out", "--model", small)
    assert code == 0
    assert len(out) == 1


def test_labels_of_a_person_are_not_overwritten(run, small, radiograph):
    write("one.tif", radiograph)
    write("two.tif", radiograph)
    write_labels("one_labels.tif", np.ones(radiograph.shape, np.uint8))
    before = Path("one_labels.tif").read_bytes()
    for _ in range(2):
        code, out, err = run("segment", "*.tif", "-o", ".", "--model", small)
        assert code == 1
        assert out == ["two_labels.tif"]  # made by the command, so replaced in the second round
        assert "one_labels.tif is there already and may hold corrections" in err
        assert "one_labels.tif: skipped" in err
        assert Path("one_labels.tif").read_bytes() == before


def test_a_hyperstack_keeps_its_pages(run, small, radiograph):
    stack = np.broadcast_to(radiograph, (2, 3, *radiograph.shape))
    tifffile.imwrite("one.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    code, out, _ = run("segment", "one.tif", "-o", "out", "--model", small, "--probabilities")
    assert code == 0
    with tifffile.TiffFile(out[0]) as tif:
        assert len(tif.pages) == 6
        labels = tif.asarray()
    assert labels.shape == stack.shape
    assert (labels == labels[0, 0]).all()


def test_images_that_are_not_used_are_mentioned(run, small, radiograph):
    with tifffile.TiffWriter("one.tif") as tif:
        tif.write(radiograph, photometric="minisblack")
        tif.write(radiograph[:20], photometric="minisblack")
    code, out, err = run("segment", "one.tif", "-o", "out", "--model", small)
    assert code == 0
    assert tifffile.imread(out[0]).shape == radiograph.shape
    assert "holds more images" in err


def test_results_of_an_earlier_run_are_replaced(run, small, radiograph):
    write("one.tif", radiograph)
    Path("out").mkdir()
    Path("out/one_labels.tif").write_text("old")
    assert run("segment", "one.tif", "-o", "out", "--model", small)[0] == 0
    assert tifffile.imread("out/one_labels.tif").shape == radiograph.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["segment"], "IMAGE"),
        (["segment", "one.tif"], "-o"),
        (["nonsense"], "nonsense"),
        (["segment", "one.tif", "-o", "out", "--nonsense"], "--nonsense"),
        (["segment", "one.tif", "-o", "out", "--model", "nobody"], 'There is no model "nobody"'),
        (["segment", "one.tif", "-o", "one.tif"], "The folder one.tif cannot be made"),
        (["segment", "one.tif", "-o", "one.tif/out"], "cannot be made"),
        (
            ["segment", "one.tif", "-o", "out", "--soft-tissue-threshold", "1.5"],
            "1.5 is not a number from 0 to 1",
        ),
        (
            ["segment", "one.tif", "-o", "out", "--soft-tissue-threshold", "nan"],
            "nan is not a number from 0 to 1",
        ),
        (
            ["segment", "one.tif", "-o", "out", "--soft-tissue-threshold", "much"],
            "much is not a number from 0 to 1",
        ),
        (["models"], "ACTION"),
        (["models", "show", "nobody"], 'There is no model "nobody"'),
        (["models", "remove", "nobody"], 'There is no model "nobody"'),
        (["models", "remove", "default"], "cannot be removed"),
        (["models", "export", "nobody", "x.zip"], 'There is no model "nobody"'),
        (["models", "import", "nobody.zip"], "nobody.zip"),
        (["models", "import", "one.tif"], "is not an exported model"),
    ],
)
def test_a_wrong_call_is_explained(run, radiograph, arguments, message):
    write("one.tif", radiograph)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == []
    assert message in err
    assert sorted(os.listdir()) in (["one.tif"], ["one.tif", "out"])


def test_a_damaged_model_is_explained(run, small, radiograph):
    write("one.tif", radiograph)
    Path(small, "weights.safetensors").write_bytes(b"damaged")
    code, out, err = run("segment", "one.tif", "-o", "out", "--model", small)
    assert (code, out) == (2, [])
    assert "SHA-256 differs" in err


def test_version_and_help(run):
    assert run("--version")[:2] == (0, [f"napari-xnet {__version__}"])
    code, out, _ = run("segment", "--help")
    assert code == 0
    assert "--soft-tissue-threshold" in "\n".join(out)


# ------------------------------------------------------------------ train

TINY = {
    "architecture": {"name": "unet", "filters": [4, 4, 4, 4]},
    "preprocessing": {"size_px": 64},
    "patch_px": 32,
    "epochs": 2,
    "patience": None,
    "sampling": {"batch": 1, "steps": 1},
}


@pytest.fixture
def material(radiograph):
    """A folder of images, one of labels, and a config that is fast; the arguments for them."""
    for folder in ("in/hand", "in/knee", "painted/hand", "painted/knee"):
        Path(folder).mkdir(parents=True)
    labels = np.zeros(radiograph.shape, np.uint8)
    for row in (20, 110):
        labels[row : row + 15, 3:6], labels[row : row + 15, 30:33] = 1, 2
        labels[row : row + 15, 54:57] = 3
    for name, turn in (("hand/one", 1), ("knee/two", -1)):
        write(f"in/{name}.tif", radiograph[::turn])
        write_labels(f"painted/{name}_labels.tif", labels[::turn])
    write("in/three.tif", radiograph)
    Path("tiny.json").write_text(json.dumps(TINY))
    return ["--images", "in", "--labels", "painted", "--config", "tiny.json", "--base", "none"]


def test_train_trains_a_model(run, material, own_models, own_runs, radiograph):
    code, out, err = run("train", *material, "--name", "my own")
    assert code == 0
    assert out == [str(own_models / "my own")]
    lines = err.splitlines()
    assert any("three" in line for line in lines)  # it has no labels
    assert f"The run is kept in {own_runs / 'my own'}." in lines
    assert any(line.startswith("Radiographs with labels that train: 2,") for line in lines)
    assert "Groups: hand (1), knee (1)." in lines
    assert [line[:8] for line in lines if line.startswith("epoch ")] == ["epoch 1:", "epoch 2:"]
    assert any("val_accuracy 0." in line for line in lines)
    assert any("--model 'my own'" in line for line in lines)
    card = show_model("my own")
    assert card.architecture.name == "unet"
    assert card.training["groups"] == 2
    assert card.training["preset"] == "quick"
    write("one.tif", radiograph)
    assert run("segment", "one.tif", "-o", "out", "--model", "my own")[0] == 0

    code, out, err = run("train", *material, "--name", "my own")
    assert (code, out) == (2, [])
    assert 'There is a model "my own" already' in err


@pytest.fixture
def eager(monkeypatch):
    """Steps are not compiled, which takes longer than these runs."""
    compile_ = keras.Model.compile
    monkeypatch.setattr(
        keras.Model, "compile", lambda *args, **more: compile_(*args, **more, run_eagerly=True)
    )


def interrupt(monkeypatch, error):
    """Let the second epoch end with an error."""
    learn, done = Trainer.learn, []

    def failing(self, batch):
        done.append(1)
        if len(done) == 2:
            raise error
        return learn(self, batch)

    monkeypatch.setattr(Trainer, "learn", failing)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_with_resume(run, material, monkeypatch, eager):
    with monkeypatch.context() as patch:
        interrupt(patch, KeyboardInterrupt)
        code, out, err = run("train", *material, "--name", "mine", "--runs", "kept")
    assert (code, out) == (130, [])
    assert "napari-xnet train --name mine --runs kept --resume" in err
    assert list_models() == ["default"]
    (begun,) = unfinished_runs(Path("kept"))

    code, out, err = run("train", "--name", "mine", "--resume", "--runs", "kept")
    assert code == 0
    assert f"Going on with {begun.folder}." in err
    assert [line[:8] for line in err.splitlines() if line.startswith("epoch ")] == ["epoch 2:"]
    assert [row.epoch for row in Run.open(begun.folder).history()] == [1, 2]
    assert "no effect" not in err
    assert list_models() == ["default", "mine"]

    # As often as you like: nothing is left to do.
    code, again, err = run("train", "--name", "mine", "--resume", "--runs", "kept")
    assert (code, again) == (0, out)
    assert "kept/mine is finished" in err


def test_resume_of_a_run_that_is_being_trained_begins_no_second_one(
    run, material, monkeypatch, eager, own_runs
):
    with monkeypatch.context() as patch:
        interrupt(patch, KeyboardInterrupt)
        run("train", *material, "--name", "mine")
    with claimed(own_runs / "mine"):
        code, _, err = run("train", *material, "--name", "mine", "--resume")
    assert code == 1
    assert "is being trained by another process" in err
    assert [path.name for path in own_runs.iterdir()] == ["mine"]


@pytest.mark.slow
def test_resume_says_that_other_settings_have_no_effect(run, material, monkeypatch, eager):
    with monkeypatch.context() as patch:
        interrupt(patch, KeyboardInterrupt)
        run("train", *material, "--name", "mine")
    code, _, err = run("train", *material, "--name", "mine", "--resume")
    assert code == 0
    assert "other images and settings have no effect" in err


@pytest.mark.slow
def test_resume_begins_what_was_not_begun(run, material, monkeypatch, eager):
    interrupt(monkeypatch, KeyboardInterrupt)
    assert run("train", *material, "--name", "mine", "--resume")[0] == 130
    assert len(unfinished_runs()) == 1
    # Without it, a new one begins, and the old one is mentioned.
    code, _, err = run("train", *material, "--name", "mine")
    assert code == 0
    assert "mine was interrupted; with --resume it would go on." in err


def test_training_that_fails_says_why(run, material, monkeypatch, eager):
    interrupt(monkeypatch, MemoryError())
    code, out, err = run("train", *material, "--name", "mine")
    assert (code, out) == (1, [])
    assert "napari-xnet: There is not enough memory to train" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "--name"),
        (["train", "--name", "x"], "Give --images DIR and --labels DIR, or --published FILE."),
        (["train", "--name", "x", "--images", "in"], "Give --images DIR and --labels DIR"),
        (["train", "--name", "../x", "--published", "no.h5"], "cannot be the name of a model"),
        (["train", "--name", "default", "--images", "in"], 'There is a model "default" already'),
        (["train", "--name", "x", "--preset", "slow"], "slow"),
        (["train", "--name", "x", "--convention", "french"], "french"),
        (["train", "--name", "x", "--config", "no.json"], "The config no.json cannot be read"),
        (["train", "--name", "x", "--config", "bad.json"], 'bad.json: There is no setting "epoch"'),
        (["train", "--name", "x", "--published", "no.h5"], "no.h5"),
        (["train", "--name", "x", "--images", "in", "--labels", "nowhere"], "nowhere"),
        (
            ["train", "--name", "x", "--images", "in", "--labels", "painted", "--base", "nobody"],
            'There is no model "nobody"',
        ),
        (
            ["train", "--name", "x", "--images", "in", "--labels", "painted", "--groups", "no.csv"],
            "no.csv cannot be opened",
        ),
    ],
)
def test_a_wrong_call_of_train_is_explained(run, material, own_runs, arguments, message):
    Path("bad.json").write_text('{"epoch": 3}')
    code, out, err = run(*arguments)
    assert (code, out) == (2, [])
    assert message in err
    assert not own_runs.exists()
    assert list_models() == ["default"]


# ------------------------------------------------------------------ models and demo


def test_models_travel_by_the_command_line(run, small, own_models):
    assert run("models", "list")[:2] == (0, ["default"])
    code, out, _ = run("models", "export", small, "mine")
    assert (code, out) == (0, ["mine.zip"])
    assert run("models", "import", "mine.zip")[:2] == (0, ["mine"])
    assert run("models", "list")[:2] == (0, ["default", "mine"])
    code, out, _ = run("models", "show", "mine")
    assert code == 0
    card = json.loads("\n".join(out))
    assert card == json.loads((own_models / "mine" / "card.json").read_text())
    code, _, err = run("models", "import", "mine.zip")
    assert code == 2
    assert "already" in err
    assert run("models", "remove", "mine")[:2] == (0, [])
    assert list_models() == ["default"]


@pytest.mark.parametrize("display", ["none", "offscreen"])
def test_the_demo_without_a_display_writes_files_and_says_where(run, monkeypatch, display):
    if display == "none":
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.setattr(sys, "platform", "linux")
    else:
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    code, out, err = run("demo")
    assert code == 0
    assert "no display" in err
    written = sorted(Path("napari-xnet-demo").absolute().iterdir())
    assert sorted(map(Path, out)) == written
    assert [path.name for path in written] == ["hand.png", "hand_labels.tif"]
    from skimage.io import imread

    labels, picture = tifffile.imread(written[1]), imread(written[0])
    assert set(np.unique(labels)) == {1, 2, 3}
    assert picture.shape == (*labels.shape, 3)
    # The colours of the classes show: green beam, orange soft tissue, blue bone.
    red, green, blue = (picture[labels == value].mean(axis=0).argmax() for value in (2, 1, 3))
    assert (red, green, blue) == (0, 1, 2)


def test_a_broken_qt_is_told_from_none(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "there is no such platform")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")
    assert demo.why_no_window().startswith("Qt cannot open a window, most often for want of")
    monkeypatch.setattr(demo, "_QT", ("a_qt_that_is_not_installed",))
    assert "pip install 'napari[all]'" in demo.why_no_window()


def test_the_demo_says_why_it_cannot_write(run, monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    Path("napari-xnet-demo").touch()
    code, out, err = run("demo")
    assert (code, out) == (2, [])
    assert "napari-xnet-demo cannot be made" in err


def test_the_package_is_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "napari_xnet", "segment", "none.tif", "-o", "out", "--model", "x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith('napari-xnet: There is no model "x".')
    assert done.stderr.count("\n") == 1


def test_a_broken_framework_is_explained(tmp_path, radiograph):
    write("one.tif", radiograph)
    done = subprocess.run(
        [sys.executable, "-m", "napari_xnet", "segment", "one.tif", "-o", "out"],
        env=os.environ | {"KERAS_BACKEND": "nonsense"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "Traceback" not in done.stderr
    assert "Keras could not be loaded on nonsense" in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


# ------------------------------------------------------------------ simulate


def test_simulate_writes_pairs_and_a_manifest(run):
    call = ["simulate", "-o", "made", "--count", "2", "--region", "dog tail", "--size-px", "64"]
    code, out, _ = run(*call, "--workers", "1")
    assert (code, out) == (0, [str(Path("made/manifest.csv"))])
    names = sorted(path.name for path in Path("made").iterdir())
    assert names == [
        "000000_dog-tail.tif",
        "000000_dog-tail_labels.tif",
        "000001_dog-tail.tif",
        "000001_dog-tail_labels.tif",
        "manifest.csv",
    ]
    before = [(Path("made") / name).read_bytes() for name in names]
    assert run(*call, "--workers", "1")[0] == 0
    assert [(Path("made") / name).read_bytes() for name in names] == before


def test_simulate_projects_a_ct(run):
    _, y, x = np.mgrid[:40, :40, :40] - 19.5
    hu = np.where(np.hypot(y, x) < 15, 40, -1000)
    hu[np.hypot(y, x) < 5] = 1200
    tifffile.imwrite("arm.tif", hu.astype(np.int16), imagej=False, metadata={"spacing": 2.0})
    code, _, err = run("simulate", "-o", "made", "--count", "1", "--ct", "arm.tif")
    assert code == 2
    assert "arm.tif" in err

    nibabel.save(nibabel.Nifti1Image(hu.T.astype(np.int16), np.diag([2, 2, 2, 1])), "arm.nii.gz")
    call = ["simulate", "-o", "made", "--count", "3", "--size-px", "96", "--workers", "1"]
    assert run(*call, "--ct", "arm.nii.gz")[0] == 0
    labels = [tifffile.imread(path) for path in sorted(Path("made").glob("*_labels.tif"))]
    assert len(labels) == 3
    assert {2, 3} <= set(np.unique(np.concatenate([one.ravel() for one in labels])))


@pytest.fixture
def odd_volumes(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    shape, still = (8, 9, 10), np.eye(4)
    colours = np.zeros(shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, still), "colours.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.complex64), still), "complex.nii")
    tifffile.imwrite("stack.tif", np.full(shape, -1000, np.int16))


def test_simulate_takes_a_stack_of_few_slices_with_its_spacing(run):
    hu = np.full((3, 40, 40), -1000, np.int16)
    hu[:, 10:30, 10:30], hu[:, 17:23, 17:23] = 40, 1200
    tifffile.imwrite("arm.tif", hu)
    call = ["simulate", "-o", "made", "--count", "1", "--size-px", "64", "--workers", "1"]
    assert run(*call, "--ct", "arm.tif", "--spacing-mm", "5", "2", "2")[0] == 0
    assert {2, 3} <= set(np.unique(tifffile.imread("made/000000_arm_labels.tif")))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--region", "wing"], 'no region "wing"'),
        (["--count", "0"], "count must be at least 1"),
        (["--size-px", "3"], "between 16 and 4000 px"),
        (["--seed", "-1"], "seed must be at least 0"),
        (["--ct", "nothing.nii"], "nothing.nii"),
        (["--ct", "x.nii", "--region", "hand"], "either --ct or --region"),
        (["--spacing-mm", "1", "1", "1"], "--spacing-mm belongs to --ct"),
        (["--ct", "colours.nii"], "colours or complex numbers"),
        (["--ct", "complex.nii"], "colours or complex numbers"),
        (["--ct", "stack.tif"], "--spacing-mm"),
        (["--ct", "stack.tif", "--spacing-mm", "0", "1", "1"], "all above 0"),
        (["--ct", "."], "here holds no CT slices"),
    ],
)
@pytest.mark.usefixtures("odd_volumes")
def test_simulate_says_what_is_wrong(run, more, message):
    code, out, err = run("simulate", "-o", "made", "--count", "1", *more)
    assert (code, out) == (2, [])
    assert message in err
