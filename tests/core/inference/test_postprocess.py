"""From probabilities to labels: the published rule, and what is made of regions."""

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_xnet.inference.postprocess import PostProcessing, clean, duels, label

BEAM, SOFT, BONE = 1, 2, 3
thresholds = st.floats(0, 1)


@st.composite
def distributions(draw, max_side=12):
    """Probabilities of shape (3, Y, X), with ties and certainties."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=max_side))
    weights = draw(hnp.arrays(np.float32, (3, *shape), elements=st.integers(0, 4)))
    weights[:, weights.sum(axis=0) == 0] = 1
    return weights / weights.sum(axis=0)


@given(probabilities=distributions())
def test_without_a_threshold_the_likeliest_class_wins(probabilities):
    labels = label(probabilities)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=0) + 1)


@given(probabilities=distributions(), threshold=thresholds)
def test_the_threshold_follows_the_published_rule(probabilities, threshold):
    labels = label(probabilities, threshold)
    assert labels.dtype == np.uint8
    for index in np.ndindex(labels.shape):
        beam, soft, bone = (probability[index] for probability in probabilities)
        if soft > threshold:
            expected = 2
        elif bone > beam:
            expected = 3
        else:
            expected = 1
        assert labels[index] == expected


@given(probabilities=distributions(), one=thresholds, other=thresholds)
def test_a_higher_threshold_never_adds_soft_tissue(probabilities, one, other):
    low, high = sorted((one, other))
    more, less = label(probabilities, low), label(probabilities, high)
    assert not ((less == 2) & (more != 2)).any()
    hard = (less != 2) & (more != 2)
    np.testing.assert_array_equal(more[hard], less[hard])


def test_the_ends_of_the_threshold():
    probabilities = np.array([[0.1, 0.0, 0.6], [0.8, 1.0, 0.0], [0.1, 0.0, 0.4]])
    np.testing.assert_array_equal(label(probabilities, 1), [1, 1, 1])
    np.testing.assert_array_equal(label(probabilities, 0), [2, 2, 1])


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
sides = st.integers(1, 8)


def cleaned(probabilities, threshold=None, px_per_unit=1.0, **steps):
    """Labels after a step."""
    before = label(probabilities, threshold)
    copy = before.copy()
    after = clean(before, duels(probabilities), PostProcessing(**steps), px_per_unit)
    assert after.dtype == np.uint8
    np.testing.assert_array_equal(before, copy)
    return after


def among(mask, inside, outside):
    """Probabilities of one class in a mask, of another elsewhere; nothing is certain."""
    labels = np.where(mask, inside, outside)
    return np.stack([0.1 + 0.7 * (labels == one) for one in (BEAM, SOFT, BONE)])


def runner_up(probabilities, without):
    """The likeliest class but one; the first if they are equal."""
    others = probabilities.copy()
    others[without - 1] = -1
    return others.argmax(axis=0) + 1


@given(probabilities=distributions(max_side=20), side=sides, threshold=st.none() | thresholds)
def test_cleanup_only_takes_bone_away(probabilities, side, threshold):
    before = label(probabilities, threshold)
    after = cleaned(probabilities, threshold, bone_cleanup=side)
    changed = after != before
    assert (before[changed] == BONE).all()
    np.testing.assert_array_equal(after[changed], runner_up(probabilities, BONE)[changed])


@given(mask=masks, side=sides)
def test_regions_of_bone_stay_whole_or_go_whole(mask, side):
    after = cleaned(among(mask, BONE, SOFT), bone_cleanup=side) == BONE
    regions, count = ndimage.label(mask)  # 4-connected
    for region in range(1, count + 1):
        left = after[regions == region]
        assert left.all() or not left.any()


@given(side=sides, extra=st.integers(0, 3), frame=st.integers(0, 3), factor=st.integers(1, 3))
def test_a_square_of_the_size_stays(side, extra, frame, factor):
    width = factor * side + extra
    mask = np.zeros((width + 20, width + 20), bool)
    mask[frame : frame + width, 8 : 8 + width] = True
    after = cleaned(among(mask, BONE, SOFT), bone_cleanup=side, px_per_unit=factor)
    np.testing.assert_array_equal(after == BONE, mask)


@given(side=st.integers(2, 8), lacking=st.integers(1, 7))
def test_anything_thinner_goes(side, lacking):
    width = max(1, side - lacking)
    mask = np.zeros((40, 40), bool)
    mask[5:35, 20 : 20 + width] = True
    assert not (cleaned(among(mask, BONE, SOFT), bone_cleanup=side) == BONE).any()


def test_a_thin_part_of_a_big_bone_stays():
    mask = np.zeros((40, 40), bool)
    mask[5:15, 5:15] = True
    mask[10, 15:35] = True
    mask[30, 5:10] = True
    after = cleaned(among(mask, BONE, SOFT), bone_cleanup=5) == BONE
    mask[30] = False
    np.testing.assert_array_equal(after, mask)


def test_bone_that_the_frame_cuts_continues_outside():
    mask = np.zeros((40, 40), bool)
    mask[:2, 10:20] = True  # 2 px high, but at the frame
    mask[20:22, 10:20] = True  # the same, inside
    after = cleaned(among(mask, BONE, SOFT), bone_cleanup=6) == BONE
    assert after[:2, 10:20].all()
    assert not after[20:22].any()


@given(mask=masks, side=st.floats(0.5, 6), inside=st.sampled_from([BEAM, BONE]))
def test_small_regions_of_soft_tissue_go(mask, side, inside):
    probabilities = among(mask, SOFT, inside)
    after = cleaned(probabilities, smallest_region=side)
    regions, count = ndimage.label(mask)
    for region in range(1, count + 1):
        where = regions == region
        stays = where.sum() >= side**2
        assert (after[where] == (SOFT if stays else runner_up(probabilities, SOFT)[where])).all()
    assert (after[~mask] == inside).all()


def test_holes_are_filled_but_not_what_the_frame_cuts():
    bone = np.zeros((40, 40), bool)
    bone[10:30, 10:30] = True
    bone[12:15, 12:15] = False  # 3 x 3
    bone[18:24, 18:24] = False  # 6 x 6
    after = cleaned(among(bone, BONE, SOFT), largest_hole=4)
    assert (after[12:15, 12:15] == BONE).all()
    assert (after[18:24, 18:24] == SOFT).all()

    body = np.ones((40, 40), bool)
    body[5:8, 5:8] = False
    body[:3, 20:23] = False
    after = cleaned(among(body, SOFT, BEAM), largest_hole=4)
    assert (after[5:8, 5:8] == SOFT).all()
    assert (after[:3, 20:23] == BEAM).all()


@given(
    probabilities=distributions(max_side=40),
    threshold=thresholds,
    side=st.integers(1, 12),
    opening=st.integers(1, 10),
)
def test_dilation_is_the_published_procedure(probabilities, threshold, side, opening):
    """With SciPy's morphology, step by step as published."""
    probabilities = np.kron(probabilities, np.ones((1, 4, 4)))
    before = label(probabilities, threshold)
    mask = ndimage.binary_opening(before == BONE, np.ones((opening, opening)))
    mask = ndimage.binary_dilation(mask, np.ones((side, side)))
    expected = np.where(mask & (before == SOFT), BONE, before)
    expected[before == BEAM] = BEAM
    after = cleaned(probabilities, threshold, bone_dilation=side, bone_opening=opening)
    np.testing.assert_array_equal(after, expected)


def test_sizes_beyond_the_image_take_no_more_memory():
    dot = np.zeros((20, 20), bool)
    dot[9, 9] = True
    assert (cleaned(among(dot, BONE, SOFT), bone_dilation=1e9) == BONE).all()
    assert not (cleaned(among(dot, BONE, SOFT), bone_cleanup=1e9) == BONE).any()


def test_nothing_is_done_unless_asked():
    steps = PostProcessing(soft_tissue_threshold=0.4)
    assert not steps.looks_at_regions
    probabilities = among(np.eye(20, dtype=bool), BONE, SOFT)
    np.testing.assert_array_equal(cleaned(probabilities), label(probabilities))
