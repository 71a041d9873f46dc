"""From probabilities to labels: the published rule, and bone clean-up."""

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_xnet.inference.postprocess import label, remove_bone_islands

BONE = 2
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


def maps(mask, certain=1.0):
    """Probabilities (Y, X, 3) with bone in a mask, soft tissue elsewhere."""
    soft = np.where(mask, 1 - certain, certain)
    return np.stack([np.zeros(mask.shape), soft, 1 - soft], -1).astype(np.float32)


def bone(probabilities):
    return probabilities.argmax(axis=-1) == BONE


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
sizes = st.integers(1, 8)


@given(probabilities=distributions(max_side=20), size_px=sizes)
def test_cleanup_only_takes_bone_away(probabilities, size_px):
    before = np.moveaxis(probabilities, 0, -1)
    copy = before.copy()
    after = remove_bone_islands(before, size_px)
    np.testing.assert_array_equal(before, copy)
    assert not (bone(after) & ~bone(before)).any()
    changed = (after != before).any(axis=-1)
    assert not (changed & ~bone(before)).any()
    assert (after[changed, BONE] == 0).all()
    again = remove_bone_islands(after, size_px)
    np.testing.assert_array_equal(again, after)


@given(probabilities=distributions(max_side=20), size_px=sizes)
def test_what_is_left_is_still_a_distribution(probabilities, size_px):
    after = remove_bone_islands(np.moveaxis(probabilities, 0, -1), size_px)
    assert after.min() >= 0
    np.testing.assert_allclose(after.sum(axis=-1), 1, atol=1e-5)


@given(mask=masks, size_px=sizes, certain=st.sampled_from([0.6, 1.0]))
def test_regions_stay_whole_or_go_whole(mask, size_px, certain):
    after = bone(remove_bone_islands(maps(mask, certain), size_px))
    regions, count = ndimage.label(mask)  # 4-connected
    for region in range(1, count + 1):
        left = after[regions == region]
        assert left.all() or not left.any()


@given(size_px=sizes, extra=st.integers(0, 3), frame=st.integers(0, 3))
def test_a_square_of_the_size_stays(size_px, extra, frame):
    side = size_px + extra
    mask = np.zeros((side + 20, side + 20), bool)
    mask[frame : frame + side, 8 : 8 + side] = True
    np.testing.assert_array_equal(bone(remove_bone_islands(maps(mask, 0.9), size_px)), mask)


@given(size_px=st.integers(2, 8), lacking=st.integers(1, 7))
def test_anything_thinner_goes(size_px, lacking):
    width = max(1, size_px - lacking)
    mask = np.zeros((40, 40), bool)
    mask[5:35, 20 : 20 + width] = True
    assert not bone(remove_bone_islands(maps(mask, 0.9), size_px)).any()


def test_a_thin_part_of_a_big_bone_stays():
    mask = np.zeros((40, 40), bool)
    mask[5:15, 5:15] = True
    mask[10, 15:35] = True
    mask[30, 5:10] = True
    after = bone(remove_bone_islands(maps(mask, 0.9), 5))
    mask[30] = False
    np.testing.assert_array_equal(after, mask)


def test_bone_that_the_frame_cuts_continues_outside():
    mask = np.zeros((40, 40), bool)
    mask[:2, 10:20] = True  # 2 px high, but at the frame
    mask[20:22, 10:20] = True  # the same, inside
    after = bone(remove_bone_islands(maps(mask, 0.9), 6))
    assert after[:2, 10:20].all()
    assert not after[20:22].any()


def test_an_island_becomes_the_likelier_of_the_others():
    probabilities = np.full((20, 20, 3), [0.8, 0.1, 0.1])
    probabilities[5, 5] = [0.1, 0.3, 0.6]
    probabilities[9, 9] = [0.3, 0.1, 0.6]
    after = remove_bone_islands(probabilities, 3)
    np.testing.assert_allclose(after[5, 5], [0.25, 0.75, 0])
    np.testing.assert_allclose(after[9, 9], [0.75, 0.25, 0])
