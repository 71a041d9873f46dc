"""Masks of other conventions: each value becomes the class that is meant, or a sentence."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xnet.errors import ImageError
from napari_xnet.io.conventions import CONVENTIONS, TOLERANCE, convert, from_one_hot

shapes = hnp.array_shapes(min_dims=2, max_dims=4, max_side=8)
integers = st.sampled_from([np.uint8, np.int8, np.uint16, np.int64])
COLORS = np.array([[255, 255, 255], [255, 255, 0], [0, 0, 255]], np.uint8)


def masks(last):
    return st.tuples(integers, shapes).flatmap(
        lambda drawn: hnp.arrays(drawn[0], drawn[1], elements=st.integers(0, last))
    )


@given(masks(3))
def test_tissue_labels_stay_as_they_are(mask):
    labels = convert(mask, "tissue")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, mask)


@given(masks(2))
def test_indices_begin_at_one(mask):
    before = mask.copy()
    labels = convert(mask, "indices")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, mask + 1)
    np.testing.assert_array_equal(mask, before)


def test_boolean_masks():
    mask = np.array([[True, False]])
    np.testing.assert_array_equal(convert(mask, "tissue"), [[1, 0]])
    np.testing.assert_array_equal(convert(mask, "indices"), [[2, 1]])


@given(masks(2), st.data())
def test_drawings_within_the_tolerance(indices, data):
    """The colours come back however far each channel is off, up to the tolerance."""
    drawing = COLORS[indices]
    off = data.draw(hnp.arrays(np.int16, drawing.shape, elements=st.integers(0, TOLERANCE)))
    drawing = np.where(drawing == 255, 255 - off, off).astype(np.uint8)
    np.testing.assert_array_equal(convert(drawing, "rgb"), convert(indices, "indices"))


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 2, st.just(3))))
def test_drawings_by_the_definition(drawing):
    labels = convert(drawing, "rgb")
    far = np.abs(drawing[..., None, :].astype(int) - COLORS).max(-1)
    fits = far <= TOLERANCE
    assert (fits.sum(-1) <= 1).all()
    np.testing.assert_array_equal(labels, np.where(fits.any(-1), fits.argmax(-1) + 1, 0))


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("index", range(3))
def test_one_channel_beyond_the_tolerance_is_unlabelled(index, channel):
    color = COLORS[index].astype(int)
    color[channel] += (TOLERANCE + 1) * (1 if color[channel] == 0 else -1)
    assert convert(color.astype(np.uint8).reshape(1, 1, 3), "rgb") == 0


def test_transparent_pixels_are_unlabelled():
    drawing = np.full((1, 2, 4), 255, np.uint8)
    drawing[0, 1, 3] = 100
    np.testing.assert_array_equal(convert(drawing, "rgb"), [[1, 0]])


@given(
    hnp.arrays(
        np.uint8,
        st.tuples(*[st.integers(1, 6)] * 3),
        elements=st.integers(0, 3),
    ),
    st.sampled_from([bool, np.uint8, np.float32, np.float64]),
)
def test_one_hot_round_trip(labels, dtype):
    one_hot = np.eye(4)[labels][..., 1:].astype(dtype)
    result = from_one_hot(one_hot)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, labels)


def test_interpolated_one_hot_labels_have_the_likely_class():
    one_hot = np.array([[0.6, 0.4, 0], [0.5, 0.5, 0], [0.1, 0.1, 0.8]]).reshape(1, 1, 3, 3)
    np.testing.assert_array_equal(from_one_hot(one_hot), [[[1, 0, 3]]])


@pytest.mark.parametrize(
    ("convention", "mask", "text"),
    [
        ("tissue", np.array([[0, 4, 9]]), r"values 4, 9, but the values of labels are 0 unlab"),
        ("tissue", np.array([[-1, 1]]), "value -1, but"),
        ("tissue", np.arange(20).reshape(4, 5), "values 4, 5, 6, 7, 8, …, but"),
        ("indices", np.array([[0, 3]]), 'value 3, but.*bone, choose "tissue"'),
        ("indices", np.array([[0, 255]]), r"value 255, but class indices are 0 open beam.*bone\.$"),
        ("tissue", np.zeros((2, 2)), "whole numbers, but this one is float64"),
        ("indices", np.zeros((2, 2), np.float32), "float32: save"),
        ("tissue", np.zeros(3, int), r"shape \(3,\)"),
        ("indices", np.zeros((0, 3), int), r"shape \(0, 3\)"),
        ("rgb", np.zeros((5, 4), np.uint8), "no colours: save the drawing in colour"),
        ("rgb", np.zeros((5, 4, 2), np.uint8), "no colours"),
        ("rgb", np.zeros((5, 4, 3)), "float64: save the drawing with 8 bits"),
        ("rgb", np.zeros((5, 4, 3), np.uint16), "8 bits"),
        ("guess", np.zeros((5, 4), np.uint8), 'no convention "guess".*tissue, indices, rgb'),
    ],
)
def test_masks_of_another_convention_are_refused(convention, mask, text):
    with pytest.raises(ImageError, match=text):
        convert(mask, convention)


@pytest.mark.parametrize(
    ("one_hot", "text"),
    [
        (np.zeros((2, 4, 4)), "have the shape"),
        (np.zeros((2, 4, 4, 4)), "have the shape"),
        (np.full((1, 2, 2, 3), 255, np.uint8), "from 0 to 1"),
        (np.full((1, 2, 2, 3), np.nan), "from 0 to 1"),
        (np.full((1, 2, 2, 3), -1), "from 0 to 1"),
        (np.ones((1, 2, 2, 3)), "two classes"),
        (np.full((1, 2, 2, 3), "a"), "from 0 to 1"),
    ],
)
def test_other_one_hot_labels_are_refused(one_hot, text):
    with pytest.raises(ImageError, match=text):
        from_one_hot(one_hot)


def test_the_command_line_s_names():
    assert list(CONVENTIONS) == ["tissue", "indices", "rgb"]
