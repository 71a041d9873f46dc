"""Radiographs become working images, and probabilities come back, whatever the array."""

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_xnet import imaging
from napari_xnet.errors import ImageError, XNetError
from napari_xnet.imaging import EdgeAwareUpsampling, working_image, working_labels

DTYPES = "? u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8 >u2 >i4 >f4 >f8".split()  # noqa: SIM905
WHOLE = (0, 100)
"""Percentiles that clip nothing."""

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
wide_shapes = st.tuples(st.integers(1, 300), st.integers(1, 300))


@st.composite
def images(draw, dtypes=DTYPES, shapes=shapes):
    """Arrays of any type and shape, with NaN and infinity where the type has them."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(shapes)
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) > draw(st.floats(0, 1))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low = draw(st.integers(info.min, info.max))
        high = draw(st.integers(low, info.max))
        return rng.integers(low, high, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    offset = draw(st.floats(-1e3, 1e3))
    spread = draw(st.sampled_from([0, 1e-3, 1, 1e3]))
    image = (offset + spread * rng.normal(size=shape)).astype(dtype)
    for value in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=3)):
        image[rng.random(shape) < draw(st.sampled_from([0.02, 0.5, 1]))] = value
    return image


def content(working):
    """The working image without its padding."""
    height, width = working.content
    return working.data[:height, :width]


def upsampled(probabilities, working, image):
    """All strips of the upsampled probabilities, shape (classes, Y, X)."""
    strips = list(EdgeAwareUpsampling(probabilities, working).strips(image))
    assert [rows.start for rows, _ in strips] == [0] + [rows.stop for rows, _ in strips[:-1]]
    return np.concatenate([strip for _, strip in strips], axis=1)


def distributions(working, seed=0):
    """Random probabilities of the size of a working image."""
    values = np.random.default_rng(seed).random((*working.data.shape, 3)).astype(np.float32)
    return values / values.sum(axis=-1, keepdims=True)


# ------------------------------------------------------------------ to the working image


@settings(max_examples=150)
@given(image=images(), size_px=st.sampled_from([8, 13, 32, 448]))
def test_any_image_becomes_a_finite_working_image(image, size_px):
    if not np.isfinite(image).any():
        with pytest.raises(ImageError, match="no finite number"):
            working_image(image, size_px)
        return
    working = working_image(image, size_px)
    assert working.shape == image.shape
    assert working.scale == min(1, size_px / max(image.shape))
    for side, reduced in zip(image.shape, working.content, strict=True):
        assert reduced - 1 < side * working.scale + 1e-6
        assert side * working.scale <= reduced + 1e-6
    assert max(working.content) <= size_px
    assert working.data.dtype == np.float32
    assert all(side % 8 == 0 for side in working.data.shape)
    assert all(0 <= a - b < 8 for a, b in zip(working.data.shape, working.content, strict=True))
    assert np.isfinite(working.data).all()
    np.testing.assert_array_equal(
        working.data,
        np.pad(content(working), [(0, -n % 8) for n in working.content], mode="edge"),
    )


@settings(max_examples=100)
@given(image=images(shapes=wide_shapes), size_px=st.sampled_from([16, 64, 448]))
def test_working_image_has_zero_mean_and_unit_variance(image, size_px):
    assume(np.isfinite(image).all())
    working = working_image(image, size_px)
    values = content(working).astype(float)
    # Where the contrast is in the last digits of the type, so is the mean.
    contrast = working.standardise.std / max(1e-30, abs(working.standardise.mean))
    assume(any("constant" in note for note in working.notes) or contrast > 1e-5)
    assert abs(values.mean()) < 1e-3
    if not any("constant" in note for note in working.notes):
        assert abs(values.std() - 1) < 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(20, 30), (500, 313)])
@pytest.mark.parametrize("value", [0, 1, 100, "largest"])
def test_a_constant_image_is_said_to_be_constant(dtype, shape, value):
    dtype = np.dtype(dtype)
    if value == "largest":
        value = {"b": True, "f": 6e4}.get(dtype.kind) or np.iinfo(dtype).max
    working = working_image(np.full(shape, value, dtype), 112)
    assert working.notes == ("The image is constant: the result means nothing.",)
    np.testing.assert_allclose(working.data, 0, atol=1e-2)


@pytest.mark.parametrize("value", [1e6 / 3, 1234567.891, -1e-7, 1e20, 0.1])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_constant_image_of_any_number_is_constant(value, dtype):
    working = working_image(np.full((1003, 701), value, dtype), 112)
    assert working.notes == ("The image is constant: the result means nothing.",)
    np.testing.assert_allclose(working.data, 0, atol=1e-2)


@settings(max_examples=50)
@given(
    image=images(dtypes=["u1", "u2", "i2", "f4", "f8"], shapes=wide_shapes),
    gain=st.floats(0.01, 100),
    offset=st.floats(-1000, 1000),
    size_px=st.sampled_from([32, 448]),
)
def test_brightness_and_contrast_do_not_matter(image, gain, offset, size_px):
    assume(np.isfinite(image).all())
    image = image.astype(float)
    assume(gain * image.std() > 1e-3 * max(abs(gain * image + offset).max(), abs(image).max()))
    one, other = working_image(image, size_px), working_image(gain * image + offset, size_px)
    np.testing.assert_allclose(one.data, other.data, atol=2e-3)
    negative = working_image(offset - gain * image, size_px)
    np.testing.assert_allclose(one.data, -negative.data, atol=2e-3)


@settings(max_examples=50)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    factor=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_reduction_by_a_whole_factor_is_the_mean_of_blocks(rows, columns, factor, seed):
    image = np.random.default_rng(seed).integers(0, 999, (factor * rows, factor * columns))
    assume(image.std() > 0)
    working = working_image(image, max(rows, columns), percentiles=WHOLE)
    blocks = image.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(content(working), working.standardise(blocks), atol=1e-4)


@settings(max_examples=50)
@given(shape=wide_shapes, size_px=st.integers(8, 80), seed=st.integers(0, 99))
def test_reduction_keeps_the_mean(shape, size_px, seed):
    image = 1 + np.random.default_rng(seed).random(shape).cumsum(axis=0)
    working = working_image(image, size_px, percentiles=WHOLE)
    reduced = content(working) * working.standardise.std + working.standardise.mean
    # The cells of the last row and column may reach over the border: they count by what they hold.
    areas = [
        np.diff(np.minimum(np.arange(reduced_side + 1) / working.scale, side))
        for side, reduced_side in zip(shape, working.content, strict=True)
    ]
    assert np.average(reduced, weights=np.outer(*areas)) == pytest.approx(image.mean(), rel=1e-4)


@pytest.mark.parametrize("shape", [(600, 450), (451, 600), (100, 997)])
def test_reduction_does_not_distort(shape):
    down, across = np.mgrid[: shape[0], : shape[1]]
    for ramp, axis in ((down, 0), (across, 1)):
        working = working_image(ramp, 90, percentiles=WHOLE)
        grey = content(working) * working.standardise.std + working.standardise.mean
        steps = np.diff(grey, axis=axis)
        inner = np.moveaxis(steps, axis, 0)[:-1]  # the last cell may be cut
        np.testing.assert_allclose(inner, 1 / working.scale, rtol=0.02)


def test_reduction_does_not_alias():
    stripes = np.tile([0, 1], (400, 200)).astype(np.uint8)
    stripes[:200] += 10
    working = working_image(stripes, 100, percentiles=WHOLE)
    np.testing.assert_allclose(np.abs(working.data), 1, atol=1e-5)


def test_outliers_are_clipped():
    image = np.random.default_rng(0).normal(size=(100, 100))
    clean = working_image(image)
    image[3, 4], image[50, 60] = 1e6, -1e6
    working = working_image(image)
    assert np.abs(working.data).max() < 4
    assert np.abs(np.delete(working.data - clean.data, [3, 50], axis=0)).max() < 0.05


@settings(max_examples=20)
@given(image=images(dtypes=["f4", "f8"], shapes=wide_shapes))
def test_missing_pixels_count_in_no_mean(image):
    known = np.isfinite(image)
    assume(known.any())
    working = working_image(image, 1000, percentiles=WHOLE)
    missing = np.count_nonzero(~known)
    assert (f"{missing} pixels are not finite numbers" in " ".join(working.notes)) == bool(missing)
    assert working.standardise.mean == pytest.approx(image[known].astype(float).mean(), rel=1e-5)
    np.testing.assert_array_equal(content(working)[~known], 0)


def test_a_hole_is_smaller_than_the_area_that_hides_it():
    image = np.full((80, 80), 5.0)
    image[:, 40:] = 9
    image[::8, ::8] = np.nan
    working = working_image(image, 10, percentiles=WHOLE)
    np.testing.assert_allclose(content(working)[:, :5], -1, atol=1e-5)
    np.testing.assert_allclose(content(working)[:, 5:], 1, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "?"])
def test_colour_is_reduced_to_luminance(channels, dtype):
    rng = np.random.default_rng(0)
    colour = (255 * rng.random((30, 20, channels)) > 100).astype(dtype)
    working = working_image(colour)
    grey = colour[..., :3].astype(float) @ [0.2125, 0.7154, 0.0721]
    assert "The image is in colour: its luminance was used." in working.notes
    assert working.shape == (30, 20)
    np.testing.assert_allclose(working.data, working_image(grey).data, atol=1e-4)


def test_lists_are_images():
    np.testing.assert_array_equal(
        working_image([[1, 2], [3, 4]]).data, working_image(np.array([[1, 2], [3, 4]])).data
    )


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 5)), "The image is empty"),
        (np.zeros((5, 0)), "The image is empty"),
        (np.zeros(5), r"has the shape \(Y, X\)"),
        (np.zeros((2, 5, 5)), r"not \(2, 5, 5\)"),
        (np.zeros((2, 2, 5, 3)), r"not \(2, 2, 5, 3\)"),
        (np.zeros((5, 5), complex), "not complex128"),
        (np.array([["a", "b"]]), "real numbers, not <U1"),
        (np.array([[None, 1]]), "real numbers, not object"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "real numbers, not datetime64"),
        (np.full((5, 5), np.nan), "no finite number"),
        (np.full((5, 5), np.inf), "no finite number"),
    ],
)
def test_what_is_no_radiograph_is_refused_in_one_sentence(image, message):
    with pytest.raises(ImageError, match=message) as raised:
        working_image(image)
    assert isinstance(raised.value, XNetError)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------ strips and lazy arrays


@settings(max_examples=20)
@given(
    image=images(dtypes=["u2", "f4"], shapes=wide_shapes), strip_px=st.sampled_from([1, 500, 7777])
)
def test_the_length_of_strips_does_not_show(monkeypatch, image, strip_px):
    known = image[np.isfinite(image)].astype(float)
    assume(known.size and known.std() > 1e-3 * abs(known).max())
    whole = working_image(image, 48)
    probabilities = distributions(whole)
    expected = upsampled(probabilities, whole, image)
    with monkeypatch.context() as patch:
        patch.setattr(imaging, "STRIP_PX", strip_px)
        striped = working_image(image, 48)
        np.testing.assert_allclose(striped.data, whole.data, atol=1e-3)
        assert striped.notes == whole.notes
        result = upsampled(probabilities, whole, image)
    np.testing.assert_allclose(result, expected, atol=1e-5)


class Recorder:
    """A lazy array that remembers what was read of it, and cannot be read as a whole."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read = []

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.read.append(rows)
        return self._array[rows]

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole image was read")


def test_a_lazy_image_is_read_once_and_strip_by_strip(monkeypatch):
    image = np.random.default_rng(0).random((100, 50))
    monkeypatch.setattr(imaging, "STRIP_PX", 500)
    lazy = Recorder(image)
    working = working_image(lazy, 32)
    assert [(rows.start, rows.stop) for rows in lazy.read] == [
        (start, start + 10) for start in range(0, 100, 10)
    ]
    np.testing.assert_array_equal(working.data, working_image(image, 32).data)
    lazy.read.clear()
    strips = EdgeAwareUpsampling(distributions(working), working).strips(lazy)
    next(strips)
    assert len(lazy.read) == 1


@pytest.mark.parametrize("kind", ["memmap", "dask", "zarr"])
def test_lazy_arrays_of_all_kinds_are_images(tmp_path, kind):
    image = np.random.default_rng(0).integers(0, 999, (300, 200), dtype=np.uint16)
    if kind == "memmap":
        image.tofile(tmp_path / "x.raw")
        lazy = np.memmap(tmp_path / "x.raw", np.uint16, "r", shape=image.shape)
    elif kind == "dask":
        lazy = dask.array.from_array(image, chunks=(64, 70))
    else:
        lazy = zarr.array(image, chunks=(64, 70))
    working = working_image(lazy, 64)
    np.testing.assert_array_equal(working.data, working_image(image, 64).data)
    probabilities = distributions(working)
    np.testing.assert_array_equal(
        upsampled(probabilities, working, lazy), upsampled(probabilities, working, image)
    )


# ------------------------------------------------------------------ and back


@settings(max_examples=100)
@given(image=images(), size_px=st.sampled_from([8, 16, 448]), seed=st.integers(0, 99))
def test_upsampled_probabilities_are_probabilities(image, size_px, seed):
    assume(np.isfinite(image).any())
    working = working_image(image, size_px)
    result = upsampled(distributions(working, seed), working, image)
    assert result.shape == (3, *image.shape)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-5)


@settings(max_examples=50)
@given(image=images(), size_px=st.sampled_from([8, 448]), weights=st.tuples(*[st.floats(0, 1)] * 3))
def test_constant_probabilities_stay_constant(image, size_px, weights):
    assume(np.isfinite(image).any() and sum(weights) > 0.1)
    working = working_image(image, size_px)
    constant = np.array(weights, np.float32) / np.float32(sum(weights))
    result = upsampled(np.broadcast_to(constant, (*working.data.shape, 3)), working, image)
    np.testing.assert_allclose(
        result, np.broadcast_to(constant[:, None, None], result.shape), atol=1e-4
    )


def test_probabilities_may_come_without_the_padding():
    image = np.random.default_rng(0).random((50, 37))
    working = working_image(image, 29)
    probabilities = distributions(working)
    height, width = working.content
    np.testing.assert_array_equal(
        upsampled(probabilities, working, image),
        upsampled(probabilities[:height, :width], working, image),
    )


def bilinear(probability, shape, scale):
    """Upsample by linear interpolation between the centres of pixels."""
    down, across = (
        np.clip((np.arange(side) + 0.5) * scale - 0.5, 0, reduced - 1)
        for side, reduced in zip(shape, probability.shape, strict=True)
    )
    rows = np.array([np.interp(across, np.arange(len(row)), row) for row in probability])
    return np.array([np.interp(down, np.arange(len(rows)), column) for column in rows.T]).T


@pytest.mark.parametrize("edge", [513, 515, 518, 523])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_borders_are_where_the_radiograph_has_them(edge, negative, transposed):
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 20, (256, 1024))
    image[:, edge:] += 1000
    image = -image if negative else image
    working = working_image(image.T if transposed else image, 128)
    # The network decides for whole working pixels, of 8 px.
    bone = np.zeros(working.data.shape)
    first = round(edge / 8)
    if transposed:
        bone[first:] = 1
    else:
        bone[:, first:] = 1
    probabilities = np.stack([0.9 - 0.85 * bone, np.full_like(bone, 0.05), 0.05 + 0.85 * bone], -1)

    truth = np.zeros(image.shape, bool)
    truth[:, edge:] = True
    result = upsampled(probabilities, working, image.T if transposed else image)
    sharp = result[2] > 0.5
    plain = bilinear(probabilities[..., 2], working.shape, working.scale) > 0.5
    if transposed:
        sharp, plain = sharp.T, plain.T
    # To a pixel: the grain is averaged over squares of 8 px.
    np.testing.assert_array_less(abs(sharp.sum(axis=1) - truth.sum(axis=1)), 2)
    assert (np.diff(sharp.astype(int), axis=1) >= 0).all()
    assert (plain != truth).any(axis=1).all()


def test_grain_makes_no_specks():
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 60, (512, 512))
    # The probability follows the intensity, and is near one half everywhere.
    image += np.linspace(-50, 50, 512)
    working = working_image(image, 128)
    bone = np.clip(0.5 + 0.25 * working.data, 0, 1)
    probabilities = np.stack([np.zeros_like(bone), 1 - bone, bone], -1)
    border = np.diff(upsampled(probabilities, working, image)[2] > 0.5, axis=1)
    # Each pixel for itself would change sides in about a third of all places.
    by_pixel = np.diff(image > 1000, axis=1)
    assert border.mean() < 0.25 * by_pixel.mean()


# ------------------------------------------------------------------ labels, and other scalings


def reduced_labels(labels, size_px):
    """Labels on the grid of the working image of some radiograph of their shape."""
    image = np.random.default_rng(0).random(labels.shape)
    working = working_image(image, size_px)
    result = working_labels(labels, working)
    assert result.shape == working.unpadded.shape == working.content
    assert result.dtype == np.uint8
    return result


@given(shape=shapes, seed=st.integers(0, 99), dtype=st.sampled_from(["u1", "i8", "?"]))
def test_labels_stay_where_nothing_is_reduced(shape, seed, dtype):
    labels = np.random.default_rng(seed).integers(0, 2 if dtype == "?" else 4, shape).astype(dtype)
    np.testing.assert_array_equal(reduced_labels(labels, 448), labels)


@settings(max_examples=50)
@given(shape=wide_shapes, size_px=st.sampled_from([8, 32, 100]), seed=st.integers(0, 99))
def test_no_thin_stroke_is_lost_and_no_class_is_invented(shape, size_px, seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    value = int(rng.integers(1, 4))
    y, x = (int(rng.integers(side)) for side in shape)
    labels[y, : x + 1] = value
    result = reduced_labels(labels, size_px)
    assert set(np.unique(result)) <= {0, value}
    scale = min(1, size_px / max(shape))
    columns = np.flatnonzero(result.any(axis=0))
    # As long as it was, to a pixel.
    np.testing.assert_array_equal(columns, np.arange(len(columns)))
    assert abs(len(columns) - (x + 1) * scale) <= 1
    assert abs(np.flatnonzero(result.any(axis=1))[0] - y * scale) <= 1


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    factor=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_a_working_pixel_has_the_class_that_covers_most_of_its_paint(rows, columns, factor, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (factor * rows, factor * columns)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.5] = 0
    result = reduced_labels(labels, max(rows, columns))
    blocks = labels.reshape(rows, factor, columns, factor)
    counts = np.stack([(blocks == value).sum(axis=(1, 3)) for value in (1, 2, 3)])
    assert result.shape == (rows, columns)
    np.testing.assert_array_equal(result == 0, counts.max(axis=0) == 0)
    own = np.take_along_axis(counts, np.maximum(result, 1).astype(int)[np.newaxis] - 1, axis=0)[0]
    np.testing.assert_array_equal(own, counts.max(axis=0))


@settings(max_examples=50)
@given(image=images(), size_px=st.sampled_from([8, 32, 448]))
def test_scaled_to_unit_range_as_in_the_published_code(image, size_px):
    assume(np.isfinite(image).all())
    working = working_image(image, size_px, percentiles=WHOLE, scaling="unit")
    assert working.data.dtype == np.float32
    assert working.data.min() >= 0
    assert working.data.max() <= 1
    if not any("constant" in note for note in working.notes):
        assert content(working).min() == pytest.approx(0, abs=1e-5)
        assert content(working).max() == pytest.approx(1, abs=1e-5)
        standard = content(working_image(image, size_px, percentiles=WHOLE)).astype(float)
        span = standard.max() - standard.min()
        np.testing.assert_allclose(content(working), (standard - standard.min()) / span, atol=2e-3)
