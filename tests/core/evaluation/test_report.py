"""The report's files."""

import csv
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from napari_xnet.errors import ImageError
from napari_xnet.evaluation import Evaluation, Report, evaluate
from napari_xnet.evaluation.charts import Line, line_chart
from napari_xnet.evaluation.examples import Example, errors, keep_worst
from napari_xnet.evaluation.pictures import paint, radiograph_picture
from napari_xnet.tissue import NAMES

KEYS = {
    *("accuracy", "f1_macro", "f1", "iou", "precision", "recall", "auc", "confusion_matrix"),
    *("soft_tissue_false_positive_rate", "soft_tissue_true_positive_rate", "n_images", "n_pixels"),
}


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    scores = Evaluation()
    for name in ("hand", "<b>knee & co</b>"):
        labels = rng.integers(0, 4, (30, 40))
        weights = rng.random((3, 30, 40))
        probabilities = weights / weights.sum(axis=0)
        predicted = probabilities.argmax(axis=0) + 1
        scores.add(labels, predicted, probabilities, name=name, group="limb", pixel_size_mm=0.5)
    return scores


class Page(HTMLParser):
    """Collects what a page refers to, and its words."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.words, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.words += data.split()


def test_the_three_files_say_the_same(scores, tmp_path):
    report = Report(scores, {"model": "mine"})
    paths = report.write(tmp_path / "out")
    assert [path.name for path in paths] == ["report.json", "report.csv", "report.html"]
    values = json.loads(paths[0].read_text())
    assert values == json.loads(json.dumps(report.values))
    assert set(values) >= KEYS
    assert set(values["f1"]) == set(values["auc"]) == set(NAMES)
    assert values["about"]["model"] == "mine"
    for surface in values["boundaries"].values():
        assert surface["hausdorff95_mm"] == pytest.approx(surface["hausdorff95_px"] / 2)

    with paths[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["hand", "<b>knee & co</b>"]
    mean = np.mean([float(row["accuracy"]) for row in rows])
    assert mean == pytest.approx(values["mean_over_images"]["accuracy"])
    assert sum(int(row["n_pixels"]) for row in rows) == values["n_pixels"]

    page = Page(paths[2].read_text("utf-8"))
    assert f"{values['accuracy']:.3f}" in page.words
    assert not page.sources
    assert "<b>knee" in page.words
    assert page.tags.count("svg") == 2


def test_the_page_holds_its_pictures_and_the_learning_curve(scores, tmp_path):
    image = np.arange(1200.0).reshape(30, 40)
    picture = radiograph_picture(image)
    examples = [Example("hand", 0.5, *[paint(picture, np.full((30, 40), 2))] * 4)]
    curve = [
        {"epoch": n, "loss": 1 / (n + 1), "val_loss": float("nan"), "dice": 0.5, "val_dice": 0.4}
        for n in range(3)
    ]
    page = Page(Report(scores, {}, examples, curve).write(tmp_path)[2].read_text("utf-8"))
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert page.tags.count("svg") == 4


def test_files_hold_no_pixels(scores, tmp_path):
    for path in Report(scores).write(tmp_path):
        assert "data:image" not in path.read_text("utf-8")


def test_a_report_without_probabilities_has_no_curves(tmp_path):
    report = evaluate(np.array([[1, 2, 3]]), np.array([[1, 2, 2]]))
    page = Page(report.write(tmp_path)[2].read_text("utf-8"))
    assert "svg" not in page.tags
    assert json.loads((tmp_path / "report.json").read_text())["auc"] is None


def test_it_says_what_matters(scores):
    text = str(Report(scores))
    assert "2 images" in text
    assert re.search(r"accuracy +0\.\d{4}", text)


def test_one_image_has_neither_a_plural_nor_an_interval(tmp_path):
    labels = np.ones((9, 9), np.uint8)
    labels[2:5, 2:5], labels[3, 3] = 2, 3
    report = Report(evaluate(labels, labels).scores)
    assert str(report).startswith("1 image, 81 labelled pixels")
    page = report.write(tmp_path)[2].read_text("utf-8")
    assert "1 image, 81 labelled pixels." in page
    assert "bootstrap" not in page


def test_a_folder_that_cannot_be_written_is_named(scores, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=r"cannot be written to .*file.*Choose another folder"):
        Report(scores).write(tmp_path / "file")


def test_charts_are_valid_and_leave_gaps():
    x = np.linspace(0, 1, 5)
    chart = line_chart(
        [Line(x, np.array([0, 0.5, np.nan, 0.5, 1]), "a & b", "#000000")], "across <", "up"
    )
    svg = ElementTree.fromstring(chart)[0]
    (line,) = [one for one in svg if one.get("class") == "line"]
    assert re.findall("[ML]", line.get("d")) == ["M", "L", "M", "L"]


def test_long_lines_are_thinned_but_keep_their_corner():
    x = np.linspace(0, 1, 100_000)
    chart = line_chart([Line(x, np.minimum(x * 1000, 1), "", "#000000")], "x", "y")
    assert len(chart) < 12_000
    low, high = (float(one) for one in (52, 380 - 12))
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", chart.split('class="line"')[1])
    corner = min(float(across) for across, up in points if float(up) == 10.0)
    assert corner - low < 0.01 * (high - low)


def test_colours_are_laid_over_where_they_belong():
    grey = np.full((10, 20, 3), 100, np.uint8)
    labels = np.zeros((20, 40), int)
    labels[:10] = 3
    shown = paint(grey, labels)
    assert (shown[5:] == 100).all()
    assert (shown[:5] != 100).any(axis=-1).all()


def test_the_worst_images_are_kept_and_show_what_is_wrong():
    image, labels = np.arange(200.0).reshape(10, 20), np.ones((10, 20), np.uint8)
    predicted = labels.copy()
    predicted[:, :5] = 2
    labels[0] = 0
    np.testing.assert_array_equal(errors(labels, predicted)[0], 0)
    np.testing.assert_array_equal(errors(labels, predicted)[1], [2] * 5 + [0] * 15)
    worst = []
    for accuracy in (0.5, 0.9, 0.2, 0.7, 0.1):
        keep_worst(worst, 3, str(accuracy), accuracy, image, labels, predicted)
    assert [one.accuracy for one in worst] == [0.1, 0.2, 0.5]
    changed = (worst[0].errors != worst[0].radiograph).any(axis=-1)
    np.testing.assert_array_equal(changed, errors(labels, predicted) > 0)
    keep_worst(worst, 0, "none", 0.0, image, labels, predicted)
    assert len(worst) == 3
