"""Calibration of the soft-tissue threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xnet.errors import ImageError, ModelError
from napari_xnet.evaluation import confusion
from napari_xnet.evaluation.purity import FEWEST, THRESHOLDS, Calibration
from napari_xnet.inference import PostProcessing
from napari_xnet.inference.postprocess import clean, duels, label
from napari_xnet.models import Purity, PurityCurve, SoftTissue

SOFT = 2


def case(seed, shape=(24, 30)):
    """Labels in blocks, and probabilities that are often right."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 4, (shape[0] // 6, shape[1] // 6)), np.ones((6, 6)))
    logits = rng.normal(0, 2, (3, *shape))
    for index in range(3):
        logits[index] += 4 * (labels == index + 1)
    weights = np.exp(logits)
    return labels.astype(np.uint8), weights / weights.sum(axis=0)


@pytest.mark.parametrize("steps", [PostProcessing(), PostProcessing(smallest_region=2)])
def test_the_curve_is_what_the_thresholds_give(steps):
    calibration = Calibration(steps.smallest_region)
    cases = [case(0), case(1, (12, 12))]
    for labels, probabilities in cases:
        calibration.add(labels, probabilities)
    points = calibration.curve().points
    assert [one.threshold for one in points] == list(THRESHOLDS)
    for point in points[::7]:
        # Each image weighs the same, however large it is.
        shares = []
        for labels, probabilities in cases:
            found = label(probabilities, point.threshold)
            counts = confusion.count(labels, clean(found, duels(probabilities), steps))
            shares.append(counts / counts.sum())
        whole = np.sum(shares, axis=0)
        taken, wrong = whole[:, 1].sum(), whole[[0, 2], 1].sum()
        assert point.false_share == pytest.approx(wrong / taken if taken else 0, abs=1e-6)
        assert point.false_positive_rate == pytest.approx(wrong / whole[[0, 2]].sum(), abs=1e-6)
        found_share = whole[1, 1] / whole[1].sum()
        assert point.true_positive_rate == pytest.approx(found_share, abs=1e-6)


def test_the_chosen_threshold_keeps_what_it_promises():
    calibration = Calibration()
    cases = [case(seed) for seed in range(4)]
    for labels, probabilities in cases:
        calibration.add(labels, probabilities)
    for wanted in (0.2, 0.05, 0.01):
        threshold = calibration.result(wanted).threshold()
        counts = sum(confusion.count(y, label(p, threshold)) for y, p in cases)
        assert 1 - confusion.precision(counts)[1] <= wanted
        lower = THRESHOLDS[THRESHOLDS.index(threshold) - 1]
        counts = sum(confusion.count(y, label(p, lower)) for y, p in cases)
        assert 1 - confusion.precision(counts)[1] > wanted


def test_groups_have_curves_of_their_own_if_there_are_enough():
    calibration = Calibration()
    for seed in range(FEWEST + 1):
        calibration.add(*case(seed), group="knee")
    calibration.add(*case(9), group="hand")
    result = calibration.result(0.02, data="somewhere")
    assert list(result.groups) == ["knee"]
    assert result.groups["knee"].images == FEWEST + 1
    assert result.curve.images == FEWEST + 2
    assert result.threshold("knee") == result.groups["knee"].purest(0.02).threshold
    with pytest.raises(ModelError, match='not calibrated for "hand", but for: knee'):
        result.threshold("hand")
    assert SoftTissue.model_validate_json(result.model_dump_json()) == result


def test_cross_validation_takes_the_threshold_from_other_groups():
    calibration = Calibration()
    easy, hard = case(0), case(1)
    hard = (hard[0], np.roll(hard[1], 2, axis=1))
    calibration.add(*easy, group="easy")
    with pytest.raises(ImageError, match="All images are of one group"):
        calibration.cross_validated(0.05)
    calibration.add(*hard, group="hard")
    found = calibration.cross_validated(0.05)
    thresholds = [calibration.curve([other]).nearest(0.05).threshold for other in ("hard", "easy")]
    assert thresholds[0] > thresholds[1]
    shares = []
    for (labels, probabilities), threshold in zip((easy, hard), thresholds, strict=True):
        counts = confusion.count(labels, label(probabilities, threshold))
        shares.append(counts / counts.sum())
    whole = np.sum(shares, axis=0)
    assert found.true_positive_rate == pytest.approx(whole[1, 1] / whole[1].sum(), abs=1e-6)
    assert found.false_share == pytest.approx(1 - whole[1, 1] / whole[:, 1].sum(), abs=1e-6)
    assert found.threshold == pytest.approx(np.mean(thresholds))


def curve(*false):
    points = tuple(
        Purity(threshold=0.1 * n, false_share=one, false_positive_rate=one / 2,
               true_positive_rate=1 - 0.1 * n)
        for n, one in enumerate(false)
    )  # fmt: skip
    return PurityCurve(images=1, points=points)


def test_the_purest_threshold_is_safe_from_there_on():
    uneven = curve(0.2, 0.01, 0.1, 0.01, 0.0)
    assert uneven.purest(0.02).threshold == pytest.approx(0.3)
    assert uneven.purest(0.5).threshold == 0
    assert curve(0.2, 0.1).purest(0.05) is None
    impossible = SoftTissue(false_share=0.05, curve=curve(0.2, 0.1, 0.3))
    assert impossible.threshold() == pytest.approx(0.1)


def test_finding_nothing_is_not_pure():
    points = (
        Purity(threshold=0.1, false_share=0.3, false_positive_rate=0.1, true_positive_rate=0.9),
        Purity(threshold=0.5, false_share=0.1, false_positive_rate=0.1, true_positive_rate=0.1),
        Purity(threshold=0.9, false_share=0.0, false_positive_rate=0.0, true_positive_rate=0.0),
    )
    known = PurityCurve(images=1, points=points)
    assert known.purest(0.05) is None
    assert known.nearest(0.05).threshold == 0.5
    assert known.purest(0.2).threshold == 0.5
    assert known.purest(0.1, "false_positive_rate").threshold == 0.1
    assert known.purest(0.05, "false_positive_rate") is None


@given(threshold=st.floats(0, 1))
def test_between_the_thresholds_rates_are_interpolated(threshold):
    known = curve(0.4, 0.2, 0.1, 0.0)
    found = known.at(threshold)
    x = [0, 0.1, 0.2, 0.3]
    assert found.false_share == pytest.approx(np.interp(threshold, x, [0.4, 0.2, 0.1, 0.0]))
    assert found.true_positive_rate == pytest.approx(np.interp(threshold, x, [1, 0.9, 0.8, 0.7]))


def test_nothing_to_calibrate_with_is_refused():
    with pytest.raises(ImageError, match="No image has soft tissue"):
        Calibration().curve()
    labels, probabilities = case(0)
    calibration = Calibration()
    calibration.add(np.where(labels == SOFT, 1, labels), probabilities)
    with pytest.raises(ImageError, match="No image has soft tissue"):
        calibration.curve()
    with pytest.raises(ImageError, match="Nothing is annotated"):
        calibration.add(np.zeros_like(labels), probabilities)
