"""The scribbles that the benchmarks train on."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label, zoom

ROOT = Path(__file__).parents[2]
SPECIFICATION = importlib.util.spec_from_file_location("strokes", ROOT / "benchmarks/strokes.py")
strokes = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(strokes)

WIDEST_DAB = 30
"""More pixels than one dab of the brush has in the images below."""


@st.composite
def references(draw):
    """Blobs of classes and of nothing, like a radiograph's regions or wilder."""
    seed = draw(st.integers(0, 2**32 - 1))
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    coarse = np.random.default_rng(seed).integers(0, 4, (draw(st.integers(1, 6)), 5), np.uint8)
    return zoom(coarse, (height / coarse.shape[0], width / coarse.shape[1]), order=0)


def limb(size=600):
    """Open beam beside soft tissue around a bone, with an unsure band between the two."""
    x = np.abs(np.arange(size) - size / 2)[np.newaxis] / size
    row = np.select([x < 0.1, x < 0.12, x < 0.3], [3, 0, 2], 1)
    return np.repeat(row, size, axis=0).astype(np.uint8)


@given(references(), st.floats(0.001, 0.2), st.integers(0, 2**32 - 1))
def test_strokes_never_paint_a_wrong_label(reference, share, seed):
    labels = strokes.scribbles(reference, share, seed)
    assert labels.shape == reference.shape
    assert labels.dtype == np.uint8
    painted = labels > 0
    np.testing.assert_array_equal(labels[painted], reference[painted])


@given(references(), st.floats(0.001, 0.2), st.integers(0, 2**32 - 1))
def test_strokes_do_not_exceed_their_share(reference, share, seed):
    labels = strokes.scribbles(reference, share, seed)
    assert np.count_nonzero(labels) <= share * reference.size + 3 * WIDEST_DAB


@given(references(), st.integers(0, 2**32 - 1))
def test_same_seed_same_strokes(reference, seed):
    first, again = (strokes.scribbles(reference, 0.02, seed) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@given(references(), st.floats(0.001, 0.2), st.integers(0, 2**32 - 1))
def test_every_class_with_room_for_a_stroke_has_one(reference, share, seed):
    labels = strokes.scribbles(reference, share, seed)
    drawing = strokes._Drawing(reference)
    for value, places in drawing.places.items():
        assert (labels == value).any() == (places.size > 0)


@given(st.floats(0.005, 0.1), st.integers(0, 2**32 - 1))
def test_share_is_reached_and_split_evenly(share, seed):
    labels = strokes.scribbles(limb(), share, seed)
    each = [np.count_nonzero(labels == value) for value in (1, 2, 3)]
    assert sum(each) >= share * labels.size
    assert max(each) - min(each) <= WIDEST_DAB


@pytest.mark.parametrize("value", [1, 2, 3])
def test_a_class_has_several_strokes(value):
    apart = [label(strokes.scribbles(limb(), seed=seed) == value)[1] for seed in range(5)]
    assert np.mean(apart) > 2


def test_strokes_keep_away_from_borders():
    reference = limb()
    labels = strokes.scribbles(reference, 0.2)
    width = strokes.WIDTH * max(reference.shape)
    beyond = np.roll(reference, int(width / 2), axis=1), np.roll(reference, -int(width / 2), axis=1)
    inside = np.s_[:, 10:-10]
    painted = labels[inside] > 0
    for one in beyond:
        np.testing.assert_array_equal(one[inside][painted], labels[inside][painted])


def test_what_other_classes_have_no_room_for_goes_to_the_rest():
    reference = np.full((300, 300), 1, np.uint8)
    reference[140:160, 140:160] = 3
    labels = strokes.scribbles(reference, 0.05)
    assert np.count_nonzero(labels) >= 0.05 * labels.size
    assert (labels == 3).any()


def test_nothing_known_nothing_painted():
    assert not strokes.scribbles(np.zeros((50, 40), np.uint8)).any()
