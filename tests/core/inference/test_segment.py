"""`segment`: arrays of all kinds in, labels and probabilities out."""

import os
import re
import subprocess
import sys

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

import napari_xnet
from napari_xnet import tissue
from napari_xnet.errors import Cancelled, ImageError, ModelError
from napari_xnet.inference import Options, PostProcessing, segment
from napari_xnet.inference.postprocess import clean, duels, label
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import NAMES, sample_path
from napari_xnet.models.store import find_model


@pytest.fixture(scope="module")
def stack():
    """Five different radiographs."""
    hand = read_image(sample_path("hand")).data[::6, ::6]
    wedge = (hand * np.linspace(1, 1.3, hand.shape[1])).astype(hand.dtype)
    return np.stack([hand, hand[::-1], hand[:, ::-1], np.roll(hand, 30, axis=0), wedge])


@pytest.fixture(scope="module")
def segmented(default_model, stack):
    """The stack, segmented in one batch."""
    return segment(stack, default_model, memory_mb=100_000)


def check(result, shape):
    """What holds for every segmentation."""
    labels, probabilities = result.labels, result.probabilities
    assert labels.shape == shape
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {one.value for one in tissue.CLASSES}
    assert probabilities.shape == (3, *shape)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=0) + 1)


# ------------------------------------------------------------------ the result


@pytest.mark.parametrize("name", NAMES)
def test_the_default_model_segments_the_samples(default_model, name):
    path = sample_path(name)
    truth = read_labels(path.with_name(f"{name}_labels.tif"))
    labels = segment(read_image(path).data, default_model).labels
    known = truth != tissue.UNLABELLED
    assert (labels == truth)[known].mean() >= 0.9
    for one in tissue.CLASSES:  # each class is found, not only the big ones
        assert (labels == one.value)[truth == one.value].mean() > 0.7, one.name


@pytest.mark.parametrize("bone", ["bright", "dark"])
def test_what_the_collimator_covers_does_not_matter(default_model, bone):
    path = sample_path("knee")
    image = read_image(path).data.astype(float)
    truth = read_labels(path.with_name("knee_labels.tif"))
    means = [image[truth == one.value].mean() for one in tissue.CLASSES]
    if (means[-1] > means[0]) != (bone == "bright"):
        image = -image
    lead = np.pad(np.zeros_like(truth, bool), [(0, 0), (image.shape[1] // 3, image.shape[1] // 2)])
    image = np.pad(image, [(0, 0), (image.shape[1] // 3, image.shape[1] // 2)], mode="edge")
    truth = np.pad(truth, [(0, 0), (truth.shape[1] // 3, truth.shape[1] // 2)])
    lead[:, : truth.shape[1] // 6] = lead[:, -truth.shape[1] // 5 :] = True
    image[lead] = image.max() if bone == "bright" else image.min()
    labels = segment(image, default_model).labels
    known = (truth != tissue.UNLABELLED) & ~lead
    assert (labels == truth)[known].mean() >= 0.9


def test_the_default_model_is_the_default(radiograph, default_model):
    np.testing.assert_array_equal(
        napari_xnet.segment(radiograph).labels, segment(radiograph, default_model).labels
    )
    np.testing.assert_array_equal(
        segment(radiograph, find_model("default")).labels, segment(radiograph, "default").labels
    )


@pytest.mark.parametrize(
    "shape",
    [(150, 110), (1, 1), (1, 300), (300, 1), (8, 8), (7, 9), (3, 40), (1, 40, 30), (4, 1, 5)],
)
def test_any_shape_is_segmented(small_model, shape):
    image = np.random.default_rng(0).integers(0, 999, shape, dtype=np.uint16)
    check(segment(image, small_model, rgb=False), shape)


DTYPES = "? u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8 >u2 >f4".split()  # noqa: SIM905


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_type_is_segmented(small_model, radiograph, dtype):
    image = (radiograph > 4000) if dtype == "?" else (radiograph / 100).astype(dtype)
    check(segment(image, small_model), radiograph.shape)


def test_the_result_is_the_same_each_time(default_model, radiograph):
    one, other = segment(radiograph, default_model), segment(radiograph, default_model)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_the_image_is_left_alone(small_model, radiograph):
    copy = radiograph.copy()
    segment(radiograph, small_model, bone_cleanup=4).probabilities  # noqa: B018
    np.testing.assert_array_equal(radiograph, copy)


def test_a_negative_is_segmented_alike(default_model, radiograph):
    positive = segment(radiograph, default_model)
    negative = segment(np.uint16(65535) - radiograph, default_model)
    assert (positive.labels == negative.labels).mean() > 0.999
    np.testing.assert_allclose(positive.probabilities, negative.probabilities, atol=0.02)
    assert len(np.unique(positive.labels)) > 1


def test_brightness_and_contrast_change_nothing(default_model, radiograph):
    plain = segment(radiograph, default_model).labels
    changed = segment(0.03 * radiograph.astype(np.float32) - 7, default_model).labels
    assert (plain == changed).mean() > 0.999


# ------------------------------------------------------------------ kinds of arrays


def test_a_stack_is_segmented_slice_by_slice(default_model, stack, segmented):
    check(segmented, stack.shape)
    assert len({labels.tobytes() for labels in segmented.labels}) == len(stack)
    for index, image in enumerate(stack):
        alone = segment(image, default_model)
        np.testing.assert_array_equal(segmented.labels[index], alone.labels)
        np.testing.assert_allclose(
            segmented.probabilities[:, index], alone.probabilities, atol=2e-3
        )


@pytest.mark.slow
@pytest.mark.parametrize("memory_mb", [1, 30])
def test_the_memory_limit_does_not_show(default_model, stack, segmented, memory_mb):
    limited = segment(stack, default_model, memory_mb=memory_mb)
    np.testing.assert_array_equal(limited.labels, segmented.labels)


def test_the_memory_limit_bounds_the_batches(small_model, stack):
    sizes = []

    class Recording(type(small_model)):
        def predict(self, images, *choices, **bounds):
            sizes.append(len(images))
            return super().predict(images, *choices, **bounds)

    model = Recording(small_model.card, small_model.network)
    segment(stack, model, memory_mb=1)
    assert max(sizes) < 5
    assert sum(sizes) == 5
    sizes.clear()
    segment(stack, model, memory_mb=1000)
    assert sizes == [5]


def test_colour_images_and_stacks_are_segmented_by_luminance(small_model, stack):
    grey = segment(stack, small_model)
    for channels in (3, 4):
        colour = np.repeat(stack[..., np.newaxis], channels, axis=-1)
        one = segment(colour[0], small_model)
        check(one, stack.shape[1:])
        assert "The image is in colour: its luminance was used." in one.notes
        many = segment(colour, small_model)
        check(many, stack.shape)
        assert many.notes == one.notes
        assert (many.labels == grey.labels).mean() > 0.999


def test_whether_it_is_colour_can_be_said(small_model):
    image = np.random.default_rng(0).random((20, 30, 3))
    assert segment(image, small_model).labels.shape == (20, 30)
    assert segment(image, small_model, rgb=True).labels.shape == (20, 30)
    assert segment(image, small_model, rgb=False).labels.shape == (20, 30, 3)
    assert segment(image[..., 0], small_model, rgb=False).labels.shape == (20, 30)


@pytest.mark.parametrize("kind", ["memmap", "dask", "zarr", "list"])
def test_lazy_arrays_are_segmented_as_arrays(tmp_path, small_model, stack, kind):
    if kind == "memmap":
        tifffile.imwrite(tmp_path / "x.tif", stack)
        lazy = tifffile.memmap(tmp_path / "x.tif", mode="r")
    elif kind == "dask":
        lazy = dask.array.from_array(stack, chunks=(2, 40, 33))
    elif kind == "zarr":
        lazy = zarr.array(stack, chunks=(2, 40, 33))
    else:
        lazy = stack.tolist()
    for image, array in ((lazy, stack), (lazy[2], stack[2])):
        result = segment(image, small_model)
        check(result, array.shape)
        np.testing.assert_array_equal(result.labels, segment(array, small_model).labels)


def test_notes_say_how_the_image_was_read(small_model, radiograph):
    assert segment(radiograph, small_model).notes == ()
    holes = radiograph.astype(np.float32)
    holes[3, 4:6] = np.nan
    (note,) = segment(holes, small_model).notes
    assert note.startswith("2 pixels are not finite")
    assert len(segment(np.stack([holes, holes]), small_model).notes) == 1


@pytest.mark.parametrize(
    ("shape", "rgb", "message"),
    [
        ((5,), None, r"not \(5,\)"),
        ((5, 3), True, r"not \(5, 3\)"),
        ((5, 5, 2), True, r"\(5, 5, 2\)"),
        ((0, 5), None, "empty"),
        ((0, 5, 5), None, "empty"),
        ((3, 0, 5), None, "empty"),
        ((), None, r"not \(\)"),
    ],
)
def test_what_is_no_radiograph_is_refused(small_model, shape, rgb, message):
    with pytest.raises(ImageError, match=message):
        segment(np.zeros(shape), small_model, rgb=rgb)


@pytest.mark.parametrize("dtype", [complex, object, "U3", "datetime64[s]"])
def test_what_is_no_number_is_refused(small_model, dtype):
    with pytest.raises(ImageError, match="real numbers"):
        segment(np.zeros((5, 5), dtype), small_model)


def test_an_unknown_model_is_named(radiograph):
    with pytest.raises(ModelError, match="There is no model"):
        segment(radiograph, "nothing like it")


# ------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"soft_tissue_threshold": 1.1}, "threshold must be from 0 to 1, not 1.1"),
        ({"soft_tissue_threshold": -0.1}, "threshold must be from 0 to 1, not -0.1"),
        ({"soft_tissue_threshold": float("nan")}, "threshold must be from 0 to 1, not nan"),
        ({"bone_cleanup": -1}, "bone cleanup cannot be negative"),
        ({"smallest_region": float("inf")}, "nor infinite"),
        ({"size_unit": "cm"}, "must be px or mm"),
        ({"size_px": 7}, "must be 8 to 8192 px, not 7"),
        ({"size_px": 8193}, "must be 8 to 8192 px, not 8193"),
    ],
)
def test_options_out_of_range_are_refused(small_model, radiograph, choice, message):
    with pytest.raises(ValueError, match=message):
        Options(**choice)
    with pytest.raises(ValueError, match=message):
        segment(radiograph, small_model, **choice)


def test_options_are_given_once(small_model, radiograph):
    with pytest.raises(TypeError, match="not both"):
        segment(radiograph, small_model, options=Options(), size_px=32)
    with pytest.raises(TypeError, match="surprise"):
        segment(radiograph, small_model, surprise=1)
    np.testing.assert_array_equal(
        segment(radiograph, small_model, options=Options(size_px=32)).labels,
        segment(radiograph, small_model, size_px=32).labels,
    )


@pytest.mark.parametrize("threshold", [0.1, 0.35, 0.6])
def test_the_soft_tissue_threshold_is_applied_at_full_size(default_model, radiograph, threshold):
    result = segment(radiograph, default_model, soft_tissue_threshold=threshold)
    beam, soft, bone = result.probabilities
    expected = np.where(soft > threshold, 2, np.where(bone > beam, 3, 1))
    np.testing.assert_array_equal(result.labels, expected)


def test_regions_are_cleaned_at_full_size(default_model):
    image = read_image(sample_path("hand")).data[::3, ::3]
    result = segment(image, default_model)
    scale = default_model.card.preprocessing.working_image(image).scale
    for choice in ({"bone_cleanup": 9}, {"bone_dilation": 5, "soft_tissue_threshold": 0.7}):
        steps = PostProcessing(**choice)
        labels = label(result.probabilities, steps.soft_tissue_threshold)
        expected = clean(labels, duels(result.probabilities), steps, 1 / scale)
        found = segment(image, default_model, **choice).labels
        np.testing.assert_array_equal(found, expected)
        assert (found != result.labels).any()


def test_sizes_in_mm_need_the_size_of_a_pixel(default_model):
    image = read_image(sample_path("hand")).data[::3, ::3]
    scale = default_model.card.preprocessing.working_image(image).scale
    in_px = segment(image, default_model, bone_cleanup=9).labels
    in_mm = segment(
        image, default_model, bone_cleanup=18 / scale, size_unit="mm", pixel_size_mm=2.0
    ).labels
    np.testing.assert_array_equal(in_mm, in_px)
    with pytest.raises(ImageError, match="does not say how large its pixels are"):
        segment(image, default_model, bone_cleanup=9, size_unit="mm")


def test_detail_is_the_size_of_the_working_image(small_model, radiograph):
    sizes = []

    class Recording(type(small_model)):
        def predict(self, images, *choices, **bounds):
            sizes.append(images.shape[1:])
            return super().predict(images, *choices, **bounds)

    model = Recording(small_model.card, small_model.network)
    for size_px in (None, 40, 8192):
        segment(radiograph, model, size_px=size_px)
    assert sizes == [(64, 48), (40, 32), (152, 112)]


# ------------------------------------------------------------------ progress and memory


def test_progress_rises_to_the_total(monkeypatch, small_model, stack):
    monkeypatch.setattr(napari_xnet.imaging, "STRIP_PX", 2000)
    for image, total in ((stack, 5), (stack[0], 1)):
        news = []
        segment(image, small_model, progress=lambda *one, news=news: news.append(one))
        assert {one[1] for one in news} == {total}
        done = [one[0] for one in news]
        assert done == sorted(done)
        assert len(set(done)) > 3 * total
        assert done[-1] == total


def test_what_progress_raises_stops_the_work(small_model, stack):
    news = []

    def stop(done, total):
        news.append(done)
        if done >= 2:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled, match="Enough"):
        segment(stack, small_model, progress=stop)
    assert news[-1] == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count a child's memory so")
@pytest.mark.slow
def test_an_image_of_400_megapixels_needs_less_than_3_gib(tmp_path):
    """Also the test of ``python -m napari_xnet`` as a process of its own."""
    side = 20_000
    image = tifffile.memmap(tmp_path / "large.tif", shape=(side, side), dtype=np.uint16)
    image[5000:6000, 5000:15000] = 3000  # elsewhere the file is sparse
    image.flush()
    del image
    with (tmp_path / "stdout").open("wb") as stdout, (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_xnet", "segment", "large.tif", "-o", "out"],
            cwd=tmp_path,
            stdout=stdout,
            stderr=stderr,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = (tmp_path / "stderr").read_text()
    assert process.returncode == 0, said
    written = tmp_path / "out" / "large_labels.tif"
    assert (tmp_path / "stdout").read_text().split() == [os.path.join("out", written.name)]
    assert re.search("large.tif", said)
    assert "Traceback" not in said
    unit = 1 if sys.platform == "darwin" else 2**10
    assert usage.ru_maxrss * unit < 3 * 2**30
    with tifffile.TiffFile(written) as tif:
        assert tif.pages[0].shape == (side, side)
        assert tif.pages[0].dtype == np.uint8


def test_leading_axes_are_kept(small_model, radiograph):
    stack = np.stack([radiograph, radiograph[::-1]])
    result = segment(stack[:, np.newaxis], small_model)
    assert result.labels.shape == (2, 1, *radiograph.shape)
    assert result.probabilities.shape == (3, 2, 1, *radiograph.shape)
    flat = segment(stack, small_model)
    np.testing.assert_array_equal(result.labels[:, 0], flat.labels)
    np.testing.assert_array_equal(result.probabilities[:, :, 0], flat.probabilities)
