"""Splits: what trains and what validates never meets, and both show as much as can be."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, label

from napari_xnet.training.config import Split
from napari_xnet.training.splitting import split

EIGHT = np.ones((3, 3), bool)


def kinds(labels, group=None):
    return {int(value) for value in np.unique(labels) if value} | ({group} if group else set())


def strokes(rng, shape=(40, 30), count=8):
    """Short straight strokes of random classes."""
    labels = np.zeros(shape, np.uint8)
    for _ in range(count):
        y, x = rng.integers(0, shape[0] - 8), rng.integers(0, shape[1] - 8)
        length, value = rng.integers(1, 8), rng.integers(1, 4)
        if rng.random() < 0.5:
            labels[y : y + length, x] = value
        else:
            labels[y, x : x + length] = value
    return labels


def mask(rng, shape=(40, 30)):
    """Whole masks with vertical borders."""
    borders = np.sort(rng.integers(0, shape[1], 2))
    return np.broadcast_to(1 + np.searchsorted(borders, np.arange(shape[1])), shape).astype(
        np.uint8
    )


@st.composite
def sets(draw, most=8, make=(strokes, mask)):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, most))
    labels = [draw(st.sampled_from(make))(rng) for _ in range(count)]
    groups = [draw(st.sampled_from(["hand", "knee", ""])) for _ in range(count)]
    return labels, groups


splits = st.builds(
    Split,
    by=st.sampled_from(["auto", "image", "region", "nothing"]),
    validation=st.sampled_from([0.05, 0.2, 0.5, 0.9]),
)


def check_sides(labels, halves):
    """Both sides hold what was painted, and nothing twice."""
    assert len(halves) == len(labels)
    for one, (trains, validates) in zip(labels, halves, strict=True):
        for side in (trains, validates):
            assert side.dtype == np.uint8
            assert side.shape == one.shape
            np.testing.assert_array_equal(side[side > 0], one[side > 0])
        assert not (trains.astype(bool) & validates.astype(bool)).any()


@settings(max_examples=80)
@given(sets(), splits, st.integers(0, 99))
def test_nothing_is_invented_and_nothing_is_on_both_sides(found, config, seed):
    labels, groups = found
    before = [one.copy() for one in labels]
    halves = split(labels, groups, config, seed)
    check_sides(labels, halves)
    for one, kept in zip(labels, before, strict=True):
        np.testing.assert_array_equal(one, kept)
    for (a, b), (c, d) in zip(halves, split(labels, groups, config, seed), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


@settings(max_examples=80)
@given(sets(), st.sampled_from([0.1, 0.3, 0.6]), st.integers(0, 99))
def test_by_region_no_validation_touches_training_and_little_is_lost(found, share, seed):
    labels, groups = found
    halves = split(labels, groups, Split(by="region", validation=share), seed)
    for one, (trains, validates) in zip(labels, halves, strict=True):
        around = binary_dilation(validates > 0, EIGHT)
        assert not (around & (trains > 0)).any()
        # Lost is only what touches the validation.
        lost = (one > 0) & (trains == 0) & (validates == 0)
        assert (around | ~lost).all()


@settings(max_examples=80)
@given(sets(make=(strokes,)), st.sampled_from([0.1, 0.3, 0.6]), st.integers(0, 99))
def test_by_region_a_stroke_stays_whole(found, share, seed):
    labels, groups = found
    halves = split(labels, groups, Split(by="region", validation=share), seed)
    for one, (trains, validates) in zip(labels, halves, strict=True):
        regions, count = label(one > 0, EIGHT)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        for region in range(1, count + 1):
            if sizes[region] <= 0.05 * one.size:  # else it is cut into cells
                inside = regions == region
                assert not (trains[inside].any() and validates[inside].any())
                assert ((trains + validates)[inside] == one[inside]).all()


@settings(max_examples=80)
@given(sets(), st.sampled_from([0.1, 0.3, 0.9]), st.integers(0, 99))
def test_by_image_every_class_and_group_trains_and_validates_where_it_can(found, share, seed):
    labels, groups = found
    halves = split(labels, groups, Split(by="image", validation=share), seed)
    shown = [kinds(one, group) for one, group in zip(labels, groups, strict=True)]
    trains = [
        kinds(one, group) if one.any() else set()
        for (one, _), group in zip(halves, groups, strict=True)
    ]
    validates = [
        kinds(one, group) if one.any() else set()
        for (_, one), group in zip(halves, groups, strict=True)
    ]
    # Whole images are on one side.
    assert all(bool(a) + bool(b) <= 1 for a, b in zip(trains, validates, strict=True))

    def can_be_spared(one):
        return all(sum(other in rest for rest in shown) > 1 for other in one)

    # Then a group may have to give way.
    if not all(one.any() for one in labels) or not any(map(can_be_spared, shown)):
        assert {1, 2, 3} & set().union(*shown) <= set().union(*trains)
        return
    assert set().union(*trains) == set().union(*shown)
    for kind in set().union(*shown):
        owners = [one for one in shown if kind in one]
        # It can validate if one of its images can be spared.
        if not any(map(can_be_spared, owners)):
            assert not any(kind in one for one in validates)


@pytest.mark.parametrize("seed", range(5))
def test_by_image_rare_kinds_are_on_both_sides(seed):
    full = mask(np.random.default_rng(seed), (40, 30))
    full[:, :3] = (1, 2, 3)
    soft = np.where(full == 3, 0, full)
    labels = [soft] * 10 + [full, full]
    groups = ["hand"] * 8 + ["knee", "knee"] + ["hand", "foot"]
    halves = split(labels, groups, Split(by="image", validation=0.2), seed)
    training = [group for (one, _), group in zip(halves, groups, strict=True) if one.any()]
    validating = [group for (_, one), group in zip(halves, groups, strict=True) if one.any()]
    assert set(training) == {"hand", "knee", "foot"}
    # There is one foot: it trains; the other full image shows bone for the validation.
    assert set(validating) == {"hand", "knee"}
    assert any((one == 3).any() for _, one in halves)
    assert any((one == 3).any() for one, _ in halves)


@settings(max_examples=80)
@given(sets(), st.sampled_from([0.1, 0.3, 0.9]), st.integers(0, 99))
def test_by_region_every_class_trains(found, share, seed):
    labels, groups = found
    halves = split(labels, groups, Split(by="region", validation=share), seed)
    painted = set().union(*map(kinds, labels))
    assert set().union(*(kinds(one) for one, _ in halves)) == painted


@pytest.mark.parametrize("where", [np.s_[5, 9:11], np.s_[5, 9], np.s_[8:12, 8:12]])
def test_a_class_on_the_border_of_cells_trains(where):
    labels = np.ones((60, 60), np.uint8)  # in cells of 10 px
    labels[:30] = 2
    labels[where] = 3
    for seed in range(8):
        ((trains, validates),) = split([labels], [""], Split(by="region", validation=0.5), seed)
        assert kinds(trains) == {1, 2, 3}
        assert kinds(validates) >= {1, 2}


def test_by_region_every_class_with_two_strokes_validates():
    labels = np.zeros((40, 40), np.uint8)
    for column, value in enumerate((1, 2, 3)):
        for row in (3, 15, 27):
            labels[row : row + 5, 5 + 12 * column] = value
    for seed in range(5):
        ((trains, validates),) = split([labels], [""], Split(by="region", validation=0.1), seed)
        assert kinds(trains) == kinds(validates) == {1, 2, 3}
        # No more than that: a tenth would be less than one stroke of each.
        assert np.count_nonzero(validates) == 15


def test_a_class_with_one_stroke_trains():
    labels = np.zeros((40, 40), np.uint8)
    labels[5:9, 5] = labels[20:24, 5] = labels[30:33, 5] = 1
    labels[5:9, 15] = labels[20:24, 15] = 2
    labels[5:9, 25] = 3
    ((trains, validates),) = split([labels], [""], Split(by="region", validation=0.4))
    assert kinds(trains) == {1, 2, 3}
    assert kinds(validates) == {1, 2}


def test_a_single_stroke_trains_all():
    labels = np.zeros((40, 40), np.uint8)
    labels[5, 5:20] = 1
    labels[6, 5:20] = 2
    ((trains, validates),) = split([labels], [""], Split())
    np.testing.assert_array_equal(trains, labels)
    assert not validates.any()


def test_nothing_painted_is_no_error():
    nothing = np.zeros((20, 20), np.uint8)
    for by in ("region", "image", "nothing"):
        for trains, validates in split([nothing] * 3, [""] * 3, Split(by=by)):
            assert not trains.any()
            assert not validates.any()


@given(st.integers(0, 99), st.sampled_from([(60, 60), (64, 45), (200, 31)]))
def test_a_full_mask_is_cut_into_cells(seed, shape):
    labels = mask(np.random.default_rng(seed), shape)
    ((trains, validates),) = split([labels], [""], Split(validation=0.2), seed)
    assert trains.any()
    assert 0.05 < np.count_nonzero(validates) / labels.size < 0.4
    assert np.count_nonzero(trains) / labels.size > 0.3
    check_sides([labels], [(trains, validates)])


@given(
    share=st.sampled_from([0.1, 0.2, 0.35, 0.5]),
    count=st.sampled_from([10, 20, 40]),
    seed=st.integers(0, 99),
)
@example(share=0.3, count=10, seed=0)
def test_the_share_is_about_right(share, count, seed):
    labels = [np.full((8, 8), 1 + number % 3, np.uint8) for number in range(count)]
    halves = split(labels, [""] * count, Split(by="image", validation=share), seed)
    validating = sum(one.any() for _, one in halves)
    # Three classes validate in any case.
    assert abs(validating - max(3, share * count)) <= 1


def test_from_four_radiographs_on_whole_ones_validate():
    full = mask(np.random.default_rng(0), (60, 60))
    for count, whole in ((3, False), (4, True)):
        halves = split([full] * count, [""] * count, Split())
        assert any(one.any() for _, one in halves)
        assert all(not (a.any() and b.any()) for a, b in halves) == whole


def test_no_validation_on_request():
    full = mask(np.random.default_rng(0))
    for trains, validates in split([full] * 6, ["a"] * 6, Split(by="nothing")):
        np.testing.assert_array_equal(trains, full)
        assert not validates.any()


@given(sets(most=12), st.integers(2, 5), st.sampled_from(["image", "region"]), st.integers(0, 9))
def test_folds_partition(found, folds, by, seed):
    labels, groups = found
    total = [np.zeros(one.shape, int) for one in labels]
    counts = []
    for fold in range(folds):
        halves = split(labels, groups, Split(by=by, folds=folds, fold=fold), seed)
        check_sides(labels, halves)
        counts.append(sum(validates.any() for _, validates in halves))
        for sums, (_, validates) in zip(total, halves, strict=True):
            sums += validates > 0
    for one, sums in zip(labels, total, strict=True):
        np.testing.assert_array_equal(sums, one > 0)
    painted = sum(one.any() for one in labels)
    if by == "image" and painted == len(labels):
        assert max(counts) - min(counts) <= 1


def test_another_seed_is_another_split():
    full = mask(np.random.default_rng(0))
    chosen = {
        tuple(one.any() for _, one in split([full] * 10, [""] * 10, Split(), seed))
        for seed in range(6)
    }
    assert len(chosen) > 1


@given(st.lists(st.sampled_from(["", "train", "validation"]), min_size=5, max_size=5), splits)
def test_parts_that_are_given_decide(parts, config):
    labels = [strokes(np.random.default_rng(number)) for number in range(5)]
    halves = split(labels, [""] * 5, config, parts=parts)
    check_sides(labels, halves)
    if any(parts):
        for one, part, (trains, validates) in zip(labels, parts, halves, strict=True):
            np.testing.assert_array_equal(validates if part == "validation" else trains, one)
            assert not (trains if part == "validation" else validates).any()
    else:
        for (a, b), (c, d) in zip(halves, split(labels, [""] * 5, config), strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_with_one_radiograph_in_each_group_one_validates_all_the_same():
    labels = [np.tile(np.array([1, 2, 3], np.uint8), (6, 2)) for _ in range(5)]
    halves = split(labels, ["hand", "foot", "hip", "knee", "wrist"], Split())
    assert sum(bool(validates.any()) for _, validates in halves) == 1
