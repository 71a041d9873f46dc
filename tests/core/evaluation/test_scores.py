"""Scores, against scikit-learn and MedPy."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medpy.metric import binary
from scipy import stats
from sklearn import metrics

from napari_xnet.errors import ImageError
from napari_xnet.evaluation import Evaluation, confusion, evaluate, roc
from napari_xnet.evaluation.bootstrap import interval
from napari_xnet.evaluation.reliability import BINS, expected_calibration_error, reliability
from napari_xnet.evaluation.surface import NOTHING, surface_scores
from napari_xnet.tissue import NAMES

CLASSES = [1, 2, 3]


def cases(seed, shape=(30, 40), wrong=0.3):
    """Labels with gaps, and probabilities that are often right."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, shape).astype(np.uint8)
    weights = rng.random((3, *shape)).astype(np.float32) ** 2
    for index, value in enumerate(CLASSES):
        weights[index] += (labels == value) * (rng.random(shape) > wrong)
    return labels, weights / weights.sum(axis=0)


@pytest.fixture(scope="module")
def several():
    """Images of several sizes, their labels and probabilities."""
    return [cases(seed, (20 + 5 * seed, 30)) for seed in range(4)]


@pytest.fixture(scope="module")
def report(several):
    labels, probabilities = zip(*several, strict=True)
    return evaluate([one.argmax(axis=0) + 1 for one in probabilities], labels, probabilities)


@pytest.fixture(scope="module")
def pixels(several):
    """Labelled pixels of all images: truth, prediction, probabilities."""
    truth = np.concatenate([labels[labels > 0] for labels, _ in several])
    said = np.concatenate([p[:, labels > 0].T for labels, p in several])
    return truth, said.argmax(axis=1) + 1, said


def test_counts_agree_with_scikit_learn(report, pixels):
    truth, predicted, _ = pixels
    values = report.values
    expected = metrics.confusion_matrix(truth, predicted, labels=CLASSES)
    np.testing.assert_array_equal(values["confusion_matrix"], expected)
    rows = metrics.confusion_matrix(truth, predicted, labels=CLASSES, normalize="true")
    np.testing.assert_allclose(values["confusion_matrix_of_rows"], rows)
    assert values["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert values["n_pixels"] == len(truth)
    assert values["n_images"] == 4
    for key, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
        ("iou", metrics.jaccard_score),
    ):
        expected = score(truth, predicted, labels=CLASSES, average=None)
        assert list(values[key]) == list(NAMES)
        np.testing.assert_allclose(list(values[key].values()), expected)
    f1 = metrics.f1_score(truth, predicted, labels=CLASSES, average="macro")
    iou = metrics.jaccard_score(truth, predicted, labels=CLASSES, average="macro")
    assert (values["f1_macro"], values["iou_macro"]) == pytest.approx((f1, iou))


def test_soft_tissue_is_told_in_both_senses(report, pixels):
    truth, predicted = (one == 2 for one in pixels[:2])
    values = report.values
    found = metrics.recall_score(truth, predicted)
    assert values["soft_tissue_true_positive_rate"] == pytest.approx(found)
    share = 1 - metrics.precision_score(truth, predicted)
    assert values["soft_tissue_false_share"] == pytest.approx(share)
    (negative, false), _ = metrics.confusion_matrix(truth, predicted)
    rate = false / (negative + false)
    assert values["soft_tissue_false_positive_rate"] == pytest.approx(rate)
    assert abs(share - rate) > 0.01


def test_areas_under_the_curves_agree_with_scikit_learn(report, pixels):
    truth, _, said = pixels
    expected = [metrics.roc_auc_score(truth == n + 1, said[:, n]) for n in range(3)]
    assert list(report.values["auc"].values()) == pytest.approx(expected, abs=2e-5)
    assert report.values["auc_macro"] == pytest.approx(np.mean(expected), abs=2e-5)


def test_the_curve_itself_agrees_with_scikit_learn(several):
    labels, probabilities = several[0]
    histogram = roc.histogram(labels, probabilities)
    known = labels > 0
    for index in range(3):
        ours = roc.curve(histogram, index)
        false, true, _ = metrics.roc_curve(
            labels[known] == index + 1, probabilities[index][known], drop_intermediate=False
        )
        grid = np.linspace(0, 1, 50)
        np.testing.assert_allclose(np.interp(grid, *ours), np.interp(grid, false, true), atol=0.02)


@given(
    labels=hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, 3)),
    steps=hnp.arrays(np.int64, (3, 7, 9), elements=st.integers(0, 5)),
)
def test_ties_count_half(labels, steps):
    probabilities = steps / 5
    found = roc.auc(roc.histogram(labels, probabilities))
    known = labels > 0
    for index, one in enumerate(found):
        truth = labels[known] == index + 1
        if truth.all() or not truth.any():
            assert np.isnan(one)
        else:
            assert one == pytest.approx(metrics.roc_auc_score(truth, probabilities[index][known]))


def test_coarse_histograms_keep_the_area(several):
    histogram = sum(roc.histogram(*one) for one in several)
    coarse = roc.coarse(histogram)
    assert coarse.sum() == histogram.sum()
    assert coarse.shape[-1] < 300
    np.testing.assert_allclose(roc.auc(coarse), roc.auc(histogram), atol=1e-3)


@given(seed=st.integers(0, 99))
def test_calibration_error_by_its_definition(seed):
    labels, probabilities = cases(seed, (9, 8))
    known = labels > 0
    confidence = probabilities.max(axis=0)[known]
    right = (probabilities.argmax(axis=0) + 1 == labels)[known]
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence > low) & (confidence <= low + 1 / BINS)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = expected_calibration_error(reliability(labels, probabilities))
    assert found == pytest.approx(expected, abs=1e-6)


def blobs(shift):
    """A limb that does not touch the frame, and a bone in it."""
    y, x = np.mgrid[:60, :80]
    labels = np.ones((60, 80), np.uint8)
    labels[np.hypot(y - 30 - shift, (x - 40) / 1.4) < 20] = 2
    labels[np.hypot((y - 30 + shift) / 1.5, x - 40) < 8] = 3
    return labels


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_distances_agree_with_medpy(shift):
    true, found = blobs(0), blobs(shift)
    for value in (2, 3):
        one = surface_scores(true, found)[value - 1]
        masks = (found == value, true == value)
        assert one.hausdorff95_px == pytest.approx(binary.hd95(*masks))
        assert one.mean_distance_px == pytest.approx(binary.assd(*masks))
    assert surface_scores(true, true)[2] == (0, 0, 1)


def test_where_nobody_annotated_there_may_be_a_border():
    true = np.full((20, 30), 2, np.uint8)
    true[:, 10:] = 3
    found = np.full_like(true, 2)
    found[:, 13:] = 3
    assert surface_scores(true, found)[2] == (3, 3, 0)
    true[10:, 8:12] = 0  # the lower half of the border may be anywhere in there
    one = surface_scores(true, found)[2]
    assert one.hausdorff95_px == 3
    assert one.mean_distance_px == pytest.approx((10 * 3 + 8 * 3 + 8**0.5 + 5**0.5 + 10 * 2) / 30)
    assert surface_scores(np.zeros_like(true), found) == [NOTHING] * 3


def test_boundary_f1_counts_what_is_within_two_pixels():
    true = np.full((20, 40), 2, np.uint8)
    true[:, 10:] = 3
    found = np.full_like(true, 2)
    found[:5, 12:], found[5:, 13:] = 3, 3  # 2 px off in a quarter, 3 px in the rest
    assert surface_scores(true, found)[2].boundary_f1 == pytest.approx(0.25, abs=0.06)


def test_a_missed_class_has_no_distance_but_a_score():
    found = np.where(blobs(0) == 3, 2, blobs(0)).astype(np.uint8)
    bone = surface_scores(blobs(0), found)[2]
    assert np.isnan(bone.hausdorff95_px)
    assert bone.boundary_f1 == 0


def test_intervals_hold_the_score_and_shrink_with_more_images(several):
    counts = np.stack([confusion.count(labels, p.argmax(axis=0) + 1) for labels, p in several] * 4)

    def accuracy(sums):
        return confusion.accuracy(sums)[:, np.newaxis]

    ((low, high),) = interval(counts, accuracy)
    assert low < confusion.accuracy(counts.sum(axis=0)) < high
    ((lower, higher),) = interval(np.concatenate([counts] * 9), accuracy)
    assert (higher - lower) == pytest.approx((high - low) / 3, rel=0.2)
    np.testing.assert_array_equal(interval(counts, accuracy), [[low, high]])
    assert np.isnan(interval(counts[:1], accuracy)).all()


def test_intervals_of_all_scores_hold_them(report):
    values = report.values
    ends = values["confidence_95"]
    assert {"accuracy", "f1", "precision", "auc", "auc_macro", "soft_tissue_false_share"} <= set(
        ends
    )
    for key, found in ends.items():
        if isinstance(found, dict):
            assert all(low <= values[key][name] <= high for name, (low, high) in found.items())
        else:
            assert found[0] <= values[key] <= found[1]


def test_intervals_agree_with_another_bootstrap(several):
    counts = np.stack([confusion.count(y, p.argmax(axis=0) + 1) for y, p in several])
    hits, sizes = np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2))

    def accuracy(hits, sizes, axis=-1):
        return hits.sum(axis=axis) / sizes.sum(axis=axis)

    expected = stats.bootstrap(
        (hits, sizes), accuracy, paired=True, method="percentile", n_resamples=4000, rng=1
    ).confidence_interval
    (ours,) = interval(counts, lambda sums: confusion.accuracy(sums)[:, np.newaxis])
    np.testing.assert_allclose(ours, expected, atol=0.15 * (expected.high - expected.low))


def test_a_rare_draw_without_a_score_leaves_the_interval():
    counts = np.stack([np.eye(3) * 50 for _ in range(9)])
    counts[:4, 1] = 0
    found = interval(counts, confusion.recall)
    np.testing.assert_array_equal(found, 1)
    counts[:8, 1] = 0
    assert np.isnan(interval(counts, confusion.recall)[1]).all()


def test_images_count_alike_in_the_mean(several):
    labels, probabilities = zip(*several, strict=True)
    predicted = [one.argmax(axis=0) + 1 for one in probabilities]
    whole = evaluate(predicted, labels).values
    alone = [evaluate(one, y).values for one, y in zip(predicted, labels, strict=True)]
    means = whole["mean_over_images"]
    assert means["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in alone]))
    shares = [np.array(one["confusion_matrix"]) / one["n_pixels"] for one in alone]
    whole_shares = np.sum(shares, axis=0)
    expected = 1 - whole_shares[1, 1] / whole_shares[:, 1].sum()
    assert means["soft_tissue_false_share"] == pytest.approx(expected)


def test_classes_that_nobody_painted_are_left_out():
    true = np.array([[1, 1, 2, 2, 0]])
    values = evaluate(np.array([[1, 3, 2, 2, 3]]), true).values
    assert values["f1"] == {"open beam": pytest.approx(2 / 3), "soft tissue": 1, "bone": None}
    assert values["f1_macro"] == pytest.approx(5 / 6)
    assert values["recall"]["bone"] is None
    assert values["precision"]["bone"] == 0
    assert values["auc"] is values["auc_macro"] is None


def test_memory_does_not_grow_with_the_pixels():
    scores = Evaluation()
    labels, probabilities = cases(0, (300, 400))
    one = scores.add(labels, probabilities.argmax(axis=0) + 1, probabilities)
    kept = one.counts.nbytes + one.auc.nbytes + scores._coarse[0].nbytes
    assert kept < 12_000


def test_arrays_stacks_and_sequences_are_taken():
    labels, probabilities = zip(*(cases(seed) for seed in range(3)), strict=True)
    predicted = [one.argmax(axis=0) + 1 for one in probabilities]
    whole = evaluate(predicted, list(labels), probabilities).values
    stacked = evaluate(np.stack(predicted), np.stack(labels), np.stack(probabilities, axis=1))
    assert stacked.values == whole
    assert evaluate(predicted[0], labels[0], probabilities[0]).values["n_images"] == 1


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        (np.ones((3, 4), int), np.ones((4, 3), int), "prediction has 3 x 4 pixels, the reference"),
        (np.ones((3, 4)), np.ones((3, 4), int), "prediction holds float64, but labels are integ"),
        (np.ones((3, 4), int), np.full((3, 4), 255), "reference has values from 255 to 255"),
        (np.ones((3, 4), int), np.zeros((3, 4), int), "nothing is annotated"),
        (np.zeros((3, 4), int), np.ones((3, 4), int), r"no class \(0\) where the reference has"),
        (np.ones((2, 3, 4), int), np.ones((3, 4), int), "2 predictions, 1 references"),
        ([], [], "no image to evaluate"),
        (np.ones(4, int), np.ones(4, int), r"shape \(Y, X\) or"),
    ],
)
def test_what_cannot_be_compared_is_refused(predicted, true, message):
    with pytest.raises(ImageError, match=message):
        evaluate(predicted, true)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full((3, 3, 4), np.nan), "numbers from 0 to 1"),
        (np.full((3, 3, 4), 7.0), "numbers from 0 to 1"),
        (np.ones((2, 3, 4)), r"shape \(2, 3, 4\), not \(3, 3, 4\)"),
        (np.ones((3, 4)), r"shape \(3, Y, X\)"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, message):
    labels = np.ones((3, 4), np.uint64)
    with pytest.raises(ImageError, match=message):
        evaluate(labels, labels, probabilities)


def test_slices_without_labels_are_left_out():
    labels, probabilities = zip(*(cases(seed) for seed in range(4)), strict=True)
    labels = np.stack(labels).reshape(2, 2, 30, 40)
    labels[0, 1] = 0
    said = np.stack(probabilities, axis=1).reshape(3, 2, 2, 30, 40)
    report = evaluate(said.argmax(axis=0) + 1, labels, said, names="abcd", pixel_size_mm=2.0)
    assert [one.name for one in report.scores.images] == ["a", "c", "d"]
    bone = report.values["boundaries"]["bone"]
    assert bone["mean_distance_mm"] == pytest.approx(2 * bone["mean_distance_px"])


def test_missed_borders_are_counted():
    true = blobs(0)
    missed = np.where(true == 3, 2, true).astype(np.uint8)
    bone = evaluate([true, missed], [true, true]).values["boundaries"]["bone"]
    assert (bone["n_images"], bone["n_missed"]) == (2, 1)
    assert (bone["hausdorff95_px"], bone["boundary_f1"]) == (0, 0.5)


def test_what_was_found_where_nobody_annotated_adds_no_distance():
    true = np.full((20, 30), 2, np.uint8)
    true[:, 10:] = 3
    true[:, 15:] = 0
    found = np.full_like(true, 2)
    found[:, 22:] = 3
    assert surface_scores(true, found)[2].mean_distance_px == 12
