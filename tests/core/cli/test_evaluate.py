"""``napari-xnet evaluate`` and what it leaves in the model's card."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xnet.evaluation import evaluate
from napari_xnet.inference import segment
from napari_xnet.io import write_labels
from napari_xnet.models import list_models, load_model, show_model


@pytest.fixture
def data(radiograph):
    """Two radiographs with labels, in folders of their own."""
    labels = np.zeros(radiograph.shape, np.uint8)
    labels[5:-5, 5:-5] = 1 + (np.arange(labels[5:-5, 5:-5].size) % 3).reshape(
        labels[5:-5, 5:-5].shape
    )
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    for name, image in (("one", radiograph), ("two", radiograph[::-1].copy())):
        tifffile.imwrite(f"images/{name}.tif", image, photometric="minisblack")
        write_labels(f"labels/{name}_labels.tif", labels)
    return labels


@pytest.fixture
def mine(small_model, own_models):
    """A small model of the user."""
    small_model.save(own_models / "mine")
    assert "mine" in list_models()
    return "mine"


CALL = ("evaluate", "--images", "images", "--labels", "labels")


def test_the_report_is_that_of_the_segmentations(run, data, mine):
    code, out, err = run(*CALL, "--model", mine, "-o", "report")
    assert code == 0, err
    names = ("report.json", "report.csv", "report.html")
    assert out[-3:] == [str(Path("report") / name) for name in names]
    values = json.loads(Path("report/report.json").read_text())
    model = load_model(mine)
    found = [segment(tifffile.imread(f"images/{name}.tif"), model) for name in ("one", "two")]
    expected = evaluate(
        [one.labels for one in found], [data, data], [one.probabilities for one in found]
    ).values
    del expected["about"]
    assert {key: values[key] for key in expected} == json.loads(json.dumps(expected))
    assert values["about"]["model"] == mine
    assert values["about"]["post-processing"] == "none"
    assert f"{values['accuracy']:.4f}" in " ".join(out)
    assert Path("report/report.html").read_text("utf-8").count("data:image/png") == 2 * 4


def test_post_processing_is_done_and_named(run, data, mine):
    choices = ("--soft-tissue-threshold", "0.4", "--smallest-region", "3", "--no-pictures")
    assert run(*CALL, "--model", mine, "-o", "report", *choices)[0] == 0
    values = json.loads(Path("report/report.json").read_text())
    said = "soft-tissue threshold 0.4, smallest region 3 px"
    assert values["about"]["post-processing"] == said
    image = tifffile.imread("images/one.tif")
    labels = segment(image, load_model(mine), soft_tissue_threshold=0.4, smallest_region=3).labels
    with Path("report/report.csv").open(newline="") as file:
        (first, _) = csv.DictReader(file)
    expected = evaluate(labels, data).values["accuracy"]
    assert float(first["accuracy"]) == pytest.approx(expected)
    assert "data:image" not in Path("report/report.html").read_text("utf-8")


def test_finished_labels_are_evaluated_without_a_model(run, data, mine):
    assert run("segment", "images/*.tif", "-o", "found", "--model", mine)[0] == 0
    code, _, err = run(*CALL, "--predictions", "found", "-o", "finished")
    assert code == 0, err
    assert "TensorFlow" not in err
    assert run(*CALL, "--model", mine, "-o", "fresh")[0] == 0
    values = [json.loads(Path(f"{one}/report.json").read_text()) for one in ("finished", "fresh")]
    assert values[0]["confusion_matrix"] == values[1]["confusion_matrix"]
    assert values[0]["auc"] is None

    # With probabilities beside the labels, the curves are those of the model.
    again = ("segment", "images/*.tif", "-o", "found", "--model", mine, "--probabilities")
    assert run(*again)[0] == 0
    assert run(*CALL, "--predictions", "found", "-o", "finished")[0] == 0
    values[0] = json.loads(Path("finished/report.json").read_text())
    for key in ("auc", "expected_calibration_error"):
        assert values[0][key] == pytest.approx(values[1][key], abs=1e-6)
    shutil.copy("found/one_labels.tif", "found/one_probabilities.tif")
    code, _, err = run(*CALL, "--predictions", "found")
    assert code == 1
    assert "one_probabilities.tif holds no probabilities of 3 classes" in err
    Path("found/one_probabilities.tif").unlink()

    code, _, err = run(*CALL, "--predictions", "labels")
    assert code == 1
    assert "is its own reference" in err

    Path("found/two_labels.tif").unlink()
    code, _, err = run(*CALL, "--predictions", "found", "-o", "finished")
    assert code == 1
    assert "two.tif: found has no prediction for it, such as two_labels.tif" in err
    assert json.loads(Path("finished/report.json").read_text())["n_images"] == 1


def test_a_damaged_image_is_named_and_the_others_are_done(run, data, mine):
    Path("images/one.tif").write_bytes(b"II*\0 broken")
    code, out, err = run(*CALL, "--model", mine)
    assert code == 1
    assert "images/one.tif: " in err.replace("\\", "/")
    assert "1 of 2 images failed" in err
    assert out[0].startswith("1 image,")


@pytest.mark.slow
def test_calibration_goes_into_the_card_and_is_used(run, data, mine):
    use = ("--model", mine, "--soft-tissue-threshold", "calibrated")
    code, _, err = run(*CALL, *use)
    assert (code, "was not calibrated" in err) == (2, True)
    code, out, err = run(*CALL, "--model", mine, "--calibrate", "0.6", "--smallest-region", "2")
    assert code == 0, err
    known = show_model(mine).soft_tissue
    assert (known.false_share, known.smallest_region, known.curve.images) == (0.6, 2, 2)
    assert known.data == "images"
    assert "at most 60.00% is not kept by all that are higher" in out[-1]
    assert "--soft-tissue-threshold calibrated" in err

    call = ("segment", "images/one.tif", "--model", mine)
    assert run(*call, "-o", "a", "--soft-tissue-threshold", "calibrated")[0] == 0
    threshold = str(known.threshold())
    by_hand = ("--soft-tissue-threshold", threshold, "--smallest-region", "2")
    assert run(*call, "-o", "b", *by_hand)[0] == 0
    assert Path("a/one_labels.tif").read_bytes() == Path("b/one_labels.tif").read_bytes()
    code, _, err = run(
        *call, "-o", "c", "--soft-tissue-threshold", "calibrated", "--body-part", "hip"
    )
    assert (code, 'not calibrated for "hip"' in err) == (2, True)


def test_a_calibration_keeps_no_other_steps(run, data, mine):
    for more in (["--bone-cleanup", "4"], ["--smallest-region", "2", "--size-unit", "mm"]):
        code, _, err = run(*CALL, "--model", mine, "--calibrate", "0.5", *more)
        assert code == 2
        assert "keeps no other step than --smallest-region" in err
    assert show_model(mine).soft_tissue is None


@pytest.mark.slow
def test_stacks_are_evaluated_page_by_page(run, data, mine, radiograph):
    Path("images/one.tif").unlink()
    Path("images/two.tif").unlink()
    tifffile.imwrite("images/one.tif", np.stack([radiograph] * 3), photometric="minisblack")
    stack = np.stack([data, np.zeros_like(data), data])
    write_labels("labels/one_labels.tif", stack)
    assert run("segment", "images/one.tif", "-o", "found", "--model", mine)[0] == 0
    for more in (["--model", mine], ["--predictions", "found"]):
        assert run(*CALL, *more, "-o", "report")[0] == 0
        with Path("report/report.csv").open(newline="") as file:
            assert [row["name"] for row in csv.DictReader(file)] == ["one[0]", "one[2]"]
    write_labels("found/one_labels.tif", np.ones_like(stack[:2]))
    code, _, err = run(*CALL, "--predictions", "found")
    assert (code, "has 2 pages, its image has 3" in err) == (1, True)


def test_groups_are_in_the_report(run, data, mine):
    Path("groups.csv").write_text("name,group\none,knee\ntwo,hip\n")
    assert run(*CALL, "--model", mine, "--groups", "groups.csv", "-o", "report")[0] == 0
    with Path("report/report.csv").open(newline="") as file:
        assert [row["group"] for row in csv.DictReader(file)] == ["knee", "hip"]


@pytest.mark.slow
def test_a_learning_curve_is_shown_if_a_run_is_given(run, data, mine):
    config = {"epochs": 1, "sampling": {"steps": 1, "batch": 1}, "patch_px": 32}
    Path("config.json").write_text(json.dumps(config))
    train = ("train", *CALL[1:], "--name", "new", "--base", mine, "--config", "config.json")
    code, _, err = run(*train, "--runs", "runs")
    assert code == 0, err
    (folder,) = Path("runs").iterdir()
    assert run(*CALL, "--model", "new", "--run", folder, "-o", "report")[0] == 0
    assert "How it learned" in Path("report/report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "nothing"], 'There is no model "nothing"'),
        (["--calibrate", "0.01"], 'The model "default" belongs to the package'),
        (["--calibrate", "2"], "2 is not a number from 0 to 1"),
        (["--predictions", "nowhere"], "There is no folder nowhere"),
        (["--predictions", "labels", "--calibrate", "0.1"], "--calibrate needs a model"),
        (["--smallest-region", "-1"], "-1 is not a size"),
        (["--images", "nowhere"], "There is no folder nowhere"),
        (["--run", "nowhere"], "nowhere"),
        (["--predictions", "labels", "--bone-cleanup", "4"], "--bone-cleanup would do nothing"),
        (["--body-part", "hip"], "--body-part belongs to"),
        (["--bone-opening", "9"], "--bone-opening belongs to --bone-dilation"),
        (["--size-unit", "mm"], "--size-unit belongs to a size"),
        (["-o", "images/one.tif"], "report cannot be written to images"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(run, data, more, message):
    code, out, err = run(*CALL, *more)
    assert (code, out) == (2, [])
    assert message in err


def test_labels_without_any_annotation_are_said_to_be_empty(run, data, mine):
    for path in Path("labels").iterdir():
        tifffile.imwrite(path, np.zeros_like(tifffile.imread(path)))
    code, _, err = run(*CALL, "--model", mine, "-o", "report")
    assert code == 1
    assert "Nothing is annotated in the labels in labels" in err
    assert not Path("report/report.json").exists()
