"""What is written comes back: values, shape, scale, units, colours and class names."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels
from PIL import Image as Picture

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io import arrays
from napari_xnet.io.labels import write_labels, write_labels_layer, write_probabilities
from napari_xnet.io.tiff import get_reader, read_tiff

LABELS = np.random.default_rng(2).integers(0, 4, (31, 17), dtype=np.uint8)
same_folder = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
shapes = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
    hnp.array_shapes(min_dims=3, max_dims=4, max_side=6),
)
sizes = st.floats(1e-4, 10)


def only_labels(path):
    """Return the one layer of a label file; napari must take it."""
    ((data, meta, kind),) = read_tiff(path)
    assert kind == "labels"
    return data, meta, Labels(data, **meta)


@same_folder
@given(
    labels=shapes.flatmap(
        lambda shape: hnp.arrays(
            st.sampled_from([np.uint8, np.int64]), shape, elements=st.integers(0, 3)
        )
    ),
    size=st.none() | st.tuples(sizes, sizes),
)
def test_labels_round_trip(tmp_path, labels, size):
    write_labels(tmp_path / "x.tif", labels, pixel_size_mm=size)
    data, meta, _ = only_labels(tmp_path / "x.tif")
    assert data.dtype == np.uint8
    assert data.shape == labels.shape
    np.testing.assert_array_equal(data, labels)
    assert meta["scale"] == (1,) * (labels.ndim - 2) + (size or (1, 1))
    assert meta["units"] == ("pixel",) * (labels.ndim - 2) + (("mm",) if size else ("pixel",)) * 2
    assert meta["colormap"] == tissue.colormap()
    assert meta["features"]["index"] == [0, 1, 2, 3]
    assert meta["features"]["class"] == ["unlabelled", *tissue.NAMES]


@same_folder
@given(
    values=shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape)).filter(lambda a: a.max() > 3)
)
def test_other_values_round_trip_without_our_colours(tmp_path, values):
    write_labels(tmp_path / "x.tif", values)
    data, meta, _ = only_labels(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, values)
    assert "colormap" not in meta
    assert "features" not in meta


def test_napari_shows_class_names_and_colours(tmp_path):
    labels = np.array([[0, 1], [2, 3]])
    write_labels(tmp_path / "x.tif", labels)
    _, meta, layer = only_labels(tmp_path / "x.tif")
    assert meta["opacity"] == 0.5
    for position, name in (((0, 1), "open beam"), ((1, 0), "soft tissue"), ((1, 1), "bone")):
        assert name in layer.get_status(position, world=True)["value"]
    for tissue_class in tissue.CLASSES:
        rgb = np.frombuffer(bytes.fromhex(tissue_class.color[1:]), np.uint8) / 255
        np.testing.assert_allclose(layer.get_color(tissue_class.value)[:3], rgb, atol=1e-3)


def test_pillow_sees_values_colours_pages_and_pixel_size(tmp_path):
    stack = np.stack([LABELS, LABELS[::-1], LABELS[:, ::-1]])
    write_labels(tmp_path / "x.tif", stack, pixel_size_mm=(0.2, 0.1))
    with Picture.open(tmp_path / "x.tif") as picture:
        assert picture.n_frames == 3
        for number, page in enumerate(stack):
            picture.seek(number)
            assert picture.mode == "P"
            np.testing.assert_array_equal(np.asarray(picture), page)
            for tissue_class in tissue.CLASSES:
                rgb = bytes.fromhex(tissue_class.color[1:])
                start = 3 * tissue_class.value
                assert bytes(picture.getpalette()[start : start + 3]) == rgb
        assert picture.tag_v2[296] == 3  # per centimetre
        assert (float(picture.tag_v2[282]), float(picture.tag_v2[283])) == (100, 50)
        assert picture.tag_v2[259] == 8  # Deflate: ImageJ reads it
        assert 317 not in picture.tag_v2  # no predictor: ImageJ knows it for LZW only


def test_class_names_are_readable_text_in_the_file(tmp_path):
    write_labels(tmp_path / "x.tif", LABELS)
    with tifffile.TiffFile(tmp_path / "x.tif") as tif:
        for name in tissue.NAMES:
            assert name in tif.pages[0].description


@pytest.mark.parametrize("name", ["x_labels.tif", "x_LABELS.TIFF", "x_labels.ome.tif"])
@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "i4"])
def test_integer_files_named_labels_are_labels(tmp_path, name, dtype):
    tifffile.imwrite(tmp_path / name, LABELS.astype(dtype))
    data, meta, _ = only_labels(tmp_path / name)
    assert data.dtype == np.uint8
    np.testing.assert_array_equal(data, LABELS.astype(dtype))
    assert meta["colormap"] == tissue.colormap()


@pytest.mark.parametrize("values", [[[0, 4]], [[-1, 3]], [[0, 255]]])
def test_named_labels_of_other_values_get_napari_s_colours(tmp_path, values):
    tifffile.imwrite(tmp_path / "x_labels.tif", np.array(values, np.int32))
    data, meta, _ = only_labels(tmp_path / "x_labels.tif")
    np.testing.assert_array_equal(data, values)
    assert "colormap" not in meta


def test_images_that_are_no_labels(tmp_path):
    tifffile.imwrite(tmp_path / "x_labels.tif", LABELS.astype(np.float32))
    assert read_tiff(tmp_path / "x_labels.tif")[0][2] == "image"
    tifffile.imwrite(tmp_path / "y_labels.tif", np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    assert read_tiff(tmp_path / "y_labels.tif")[0][2] == "image"
    tifffile.imwrite(tmp_path / "z.tif", LABELS)
    assert read_tiff(tmp_path / "z.tif")[0][2] == "image"


def test_large_labels_are_coloured_only_if_marked(tmp_path, monkeypatch):
    write_labels(tmp_path / "ours.tif", LABELS)
    tifffile.imwrite(tmp_path / "other_labels.tif", LABELS)
    monkeypatch.setattr(arrays, "EAGER_BYTES", 10)
    data, meta, _ = only_labels(tmp_path / "ours.tif")
    assert hasattr(data, "dask")
    assert meta["colormap"] == tissue.colormap()
    assert "colormap" not in only_labels(tmp_path / "other_labels.tif")[1]


def test_an_edited_description_does_no_harm(tmp_path):
    entry = {
        "kind": "labels",
        "scale": [0, "x"],
        "units": ["ell", 3],
        "classes": {"1": 5, "9": "x"},
    }
    tifffile.imwrite(tmp_path / "x.tif", LABELS, metadata={"napari_xnet": entry})
    _, meta, _ = only_labels(tmp_path / "x.tif")
    assert meta["scale"] == (1, 1)
    assert meta["features"]["class"] == ["unlabelled", *tissue.NAMES]


def test_stacked_label_files(tmp_path):
    paths = [str(tmp_path / f"{name}.tif") for name in "ab"]
    for path in paths:
        write_labels(path, LABELS)
    ((data, meta, kind),) = get_reader(paths)(paths)
    assert (kind, data.shape) == ("labels", (2, *LABELS.shape))
    assert meta["colormap"] == tissue.colormap()
    write_labels(paths[1], LABELS + 9)
    ((data, meta, _),) = get_reader(paths)(paths)
    assert "colormap" not in meta
    Labels(data, **meta)


def test_writer_command_keeps_scale_and_units(tmp_path):
    path = str(tmp_path / "x.tif")
    stack = np.stack([LABELS] * 3).astype(np.int64)
    layer = Labels(stack, scale=(1, 0.139, 0.14), units=("pixel", "mm", "mm"))
    data, meta, _ = layer.as_layer_data_tuple()
    assert write_labels_layer(path, data, meta) == [path]
    _, read_meta, again = only_labels(path)
    assert read_meta["scale"] == (1, 0.139, 0.14)
    assert again.units == layer.units
    np.testing.assert_array_equal(again.data, stack)


def test_writer_command_keeps_micrometres_and_multiscale(tmp_path):
    path = str(tmp_path / "x.tif")
    layer = Labels([LABELS, LABELS[::2, ::2]], scale=(139, 139), units=("um", "um"))
    data, meta, _ = layer.as_layer_data_tuple()
    write_labels_layer(path, data, meta)
    again = only_labels(path)[2]
    assert again.units == layer.units
    np.testing.assert_array_equal(again.data, LABELS)
    with tifffile.TiffFile(path) as tif:
        numerator, denominator = tif.pages[0].tags["XResolution"].value
    assert numerator / denominator == pytest.approx(10 / 0.139)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([[0, 256]], "from 0 to 256"),
        ([[-1, 2]], "from -1 to 2"),
        ([[0.5, 1]], "whole numbers"),
        ([1, 2], "shape"),
        (np.zeros((0, 3), int), "shape"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, text):
    (tmp_path / "x.tif").write_bytes(b"old")
    with pytest.raises(ImageError, match=text):
        write_labels(tmp_path / "x.tif", labels)
    assert (tmp_path / "x.tif").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.tif"]


@pytest.mark.parametrize("shape", [(3, 11, 13), (3, 4, 11, 13)])
def test_probabilities_are_class_first_with_named_channels(tmp_path, shape):
    values = np.random.default_rng(3).random(shape)
    write_probabilities(tmp_path / "x.tif", values, pixel_size_mm=(0.2, 0.1))
    stored = tifffile.imread(tmp_path / "x.tif")
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, values.astype(np.float32))
    layers = read_tiff(tmp_path / "x.tif")
    assert [meta["name"] for _, meta, _ in layers] == [f"x {name}" for name in tissue.NAMES]
    for (data, meta, kind), channel in zip(layers, stored, strict=True):
        assert kind == "image"
        Image(data, **meta)
        np.testing.assert_array_equal(data, channel)
        assert meta["scale"][-2:] == pytest.approx((0.2, 0.1))
        assert meta["units"][-2:] == ("mm", "mm")


@pytest.mark.parametrize("shape", [(2, 5, 5), (5, 5), (3, 0, 5)])
def test_probabilities_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(ImageError, match="must have the shape"):
        write_probabilities(tmp_path / "x.tif", np.zeros(shape))
    assert list(tmp_path.iterdir()) == []
