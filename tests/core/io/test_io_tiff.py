"""TIFF files of all kinds, from several writers, become the layers that they should."""

import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from PIL import Image as Picture

from napari_xnet.io import arrays
from napari_xnet.io.tiff import get_reader, read_tiff

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 60000, (37, 53), dtype=np.uint16)
STACK = RNG.integers(0, 60000, (3, 37, 53), dtype=np.uint16)


def only(path):
    """Return the one layer of a file; napari must take it."""
    (layer,) = read_tiff(path)
    data, meta, kind = layer
    assert kind == "image"
    Image(data, **meta)
    return data, meta


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_all_number_types_are_kept_in_native_order(tmp_path, dtype, byteorder):
    image = (GRAY % 100 > 50) if dtype == "bool" else (GRAY % 100).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", image, byteorder=byteorder)
    data, meta = only(tmp_path / "x.tif")
    assert data.dtype == np.dtype(dtype)
    assert data.dtype.isnative
    np.testing.assert_array_equal(data, image)
    assert meta["name"] == "x"
    assert meta["scale"] == (1, 1)
    assert meta["units"] == ("pixel", "pixel")
    assert meta["metadata"]["bits"] == (1 if dtype == "bool" else 8 * image.itemsize)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"tile": (16, 32)},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "rowsperstrip": 5},
        {"compression": "packbits"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
    ],
    ids=str,
)
def test_stacks_of_all_layouts(tmp_path, options):
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK, photometric="minisblack", **options)
    data, meta = only(tmp_path / "x.ome.tif")
    np.testing.assert_array_equal(data, STACK)
    assert type(data) is np.ndarray
    assert meta["name"] == "x"


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_files_of_pillow(tmp_path, compression):
    pages = [Picture.fromarray(page) for page in STACK]
    pages[0].save(
        tmp_path / "x.tif", save_all=True, append_images=pages[1:], compression=compression
    )
    data, _ = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, STACK)


@pytest.mark.skipif(not shutil.which("tiffcp"), reason="libtiff's tools are not installed")
@pytest.mark.parametrize(
    "options", [["-t", "-w", "16", "-l", "16"], ["-c", "lzw:2"], ["-8"], ["-B"], ["-r", "1"]]
)
def test_files_of_libtiff(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack", metadata=None)
    subprocess.run(
        ["tiffcp", *options, tmp_path / "a.tif", tmp_path / "b.tif"], check=True, timeout=60
    )
    data, _ = only(tmp_path / "b.tif")
    np.testing.assert_array_equal(data, STACK)


def test_one_bit_file_of_pillow(tmp_path):
    bits = GRAY % 2 > 0
    Picture.fromarray(bits).save(tmp_path / "x.tif", compression="packbits")
    data, meta = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, bits)
    assert meta["contrast_limits"] == (0, 1)


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_samples_come_last(tmp_path, samples, planar):
    image = RNG.integers(0, 255, (37, 53, samples), dtype=np.uint8)
    stored = image if planar == "contig" else np.moveaxis(image, -1, 0)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", planarconfig=planar)
    data, meta = only(tmp_path / "x.tif")
    assert meta["rgb"] is True
    assert meta["scale"] == (1, 1)
    np.testing.assert_array_equal(data, image)


def test_jpeg_in_tiff_is_rgb(tmp_path):
    image = np.full((32, 48, 3), (250, 20, 20), np.uint8)
    Picture.fromarray(image).save(tmp_path / "x.tif", compression="jpeg")
    data, meta = only(tmp_path / "x.tif")
    assert meta["rgb"] is True
    assert np.abs(data.astype(int) - image).max() < 12


def test_gray_with_alpha_is_its_gray(tmp_path):
    Picture.fromarray((GRAY % 255).astype(np.uint8)).convert("LA").save(tmp_path / "x.tif")
    data, meta = only(tmp_path / "x.tif")
    assert "rgb" not in meta
    np.testing.assert_array_equal(data, GRAY % 255)


def test_other_samples_become_a_slider(tmp_path):
    image = RNG.integers(0, 255, (37, 53, 5), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="minisblack", planarconfig="contig")
    data, meta = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, np.moveaxis(image, -1, 0))
    assert len(meta["scale"]) == 3


def test_palette_is_the_colormap_of_the_stored_values(tmp_path):
    values = (GRAY % 256).astype(np.uint8)
    palette = RNG.integers(0, 65535, (3, 256), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="palette", colormap=palette)
    data, meta = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, values)
    np.testing.assert_allclose(meta["colormap"]["colors"][:, :3], palette.T / 65535, atol=1e-6)
    assert meta["contrast_limits"] == (0, 255)


def test_miniswhite_is_noted_and_kept_as_stored(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GRAY, photometric="miniswhite")
    data, meta = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, GRAY)
    assert meta["metadata"]["photometric"] == "MINISWHITE"
    assert meta["colormap"] == "gray_r"


@pytest.mark.parametrize("subifds", [True, False])
@pytest.mark.parametrize("lazy", [True, False])
def test_pyramids_become_one_multiscale_layer(tmp_path, monkeypatch, subifds, lazy):
    image = RNG.integers(0, 60000, (512, 384), dtype=np.uint16)
    options = {"tile": (64, 64), "metadata": None, "compression": "zlib"}
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(image, subifds=2 if subifds else None, **options)
        for step in (2, 4):
            writer.write(image[::step, ::step], subfiletype=1, **options)
    if lazy:
        monkeypatch.setattr(arrays, "EAGER_BYTES", 1000)
    data, meta = only(tmp_path / "x.tif")
    assert meta["multiscale"] is True
    assert len(data) == 3
    for level, step in zip(data, (1, 2, 4), strict=True):
        assert hasattr(level, "dask") == lazy
        np.testing.assert_array_equal(np.asarray(level), image[::step, ::step])


def test_thumbnails_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(GRAY, metadata=None)
        writer.write(np.zeros((5, 9, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    data, _ = only(tmp_path / "x.tif")
    np.testing.assert_array_equal(data, GRAY)


def test_ome_series_and_named_channels_become_layers(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.ome.tif", ome=True) as writer:
        writer.write(
            STACK[:2],
            photometric="minisblack",
            metadata={"axes": "CYX", "Name": "dual", "Channel": {"Name": ["low kV", "high kV"]}},
        )
        writer.write(GRAY[:20], metadata={"axes": "YX", "Name": "single"})
    layers = read_tiff(tmp_path / "x.ome.tif")
    assert [meta["name"] for _, meta, _ in layers] == [
        "x dual low kV",
        "x dual high kV",
        "x single",
    ]
    for (data, meta, _), image in zip(layers, (*STACK[:2], GRAY[:20]), strict=True):
        Image(data, **meta)
        np.testing.assert_array_equal(data, image)
    assert [meta.get("visible", True) for _, meta, _ in layers] == [True, False, True]


def test_unnamed_channels_stay_a_stack(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", STACK, imagej=True)
    data, _ = only(tmp_path / "x.tif")
    assert data.shape == STACK.shape


def test_pages_of_different_sizes_become_layers(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(GRAY, metadata=None)
        writer.write(GRAY[:20, :30], metadata=None)
    layers = read_tiff(tmp_path / "x.tif")
    assert [meta["name"] for _, meta, _ in layers] == ["x [1]", "x [2]"]
    assert [data.shape for data, _, _ in layers] == [(37, 53), (20, 30)]


def test_acquisition_metadata(tmp_path):
    tifffile.imwrite(
        tmp_path / "x.tif",
        GRAY,
        description="wrist\n" + 5000 * "x",
        software="panel 3",
        datetime="2024:01:02 03:04:05",
        metadata=None,
    )
    _, meta = only(tmp_path / "x.tif")
    metadata = meta["metadata"]
    assert metadata["software"] == "panel 3"
    assert metadata["date"] == "2024:01:02 03:04:05"
    assert metadata["compression"] == "NONE"
    assert metadata["description"].startswith("wrist")
    assert len(metadata["description"]) == 2000


def test_imagej_and_ome_metadata_are_scalars(tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", STACK, imagej=True, metadata={"axes": "ZYX", "unit": "mm"})
    tifffile.imwrite(tmp_path / "o.tif", GRAY, ome=True, metadata={"axes": "YX", "Name": "hand"})
    assert only(tmp_path / "i.tif")[1]["metadata"]["imagej"]["slices"] == 3
    assert only(tmp_path / "o.tif")[1]["metadata"]["ome"]["Name"] == "hand"


@pytest.mark.parametrize("chunk_bytes", [2000, 10**8])
@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"tile": (16, 16)},
        {"compression": "zlib", "rowsperstrip": 1},
    ],
    ids=str,
)
def test_large_files_stay_on_disk(tmp_path, monkeypatch, options, chunk_bytes):
    monkeypatch.setattr(arrays, "EAGER_BYTES", 1000)
    monkeypatch.setattr(arrays, "_CHUNK_BYTES", chunk_bytes)
    tifffile.imwrite(tmp_path / "x.tif", STACK, photometric="minisblack", **options)
    data, _ = only(tmp_path / "x.tif")
    assert hasattr(data, "dask")
    assert data.dtype.isnative
    np.testing.assert_array_equal(data.compute(scheduler="synchronous"), STACK)


def test_large_lazy_rgb_keeps_samples_last(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "EAGER_BYTES", 1000)
    image = RNG.integers(0, 255, (3, 37, 53), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="rgb", compression="zlib")
    data, meta = only(tmp_path / "x.tif")
    assert meta["rgb"] is True
    np.testing.assert_array_equal(np.asarray(data), np.moveaxis(image, 0, -1))


BIG = """
import resource, sys, tracemalloc
from napari_xnet.io.tiff import read_tiff
import numpy as np
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
((data, meta, kind),) = read_tiff(sys.argv[1])
used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert isinstance(data, np.memmap), type(data)
assert data.shape == (40000, 50000) and data.nbytes == 4_000_000_000
assert meta["contrast_limits"] == (0, 1)
assert used < 200, used
for heavy in ("dask", "zarr", "napari", "tensorflow", "qtpy", "magicgui"):
    assert heavy not in sys.modules, heavy
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process is read with resource")
def test_four_gigabytes_open_in_little_memory(tmp_path):
    path = tmp_path / "big.tif"
    tifffile.memmap(path, shape=(40000, 50000), dtype=np.uint16, bigtiff=True)
    subprocess.run([sys.executable, "-c", BIG, path], check=True, timeout=60)


def test_small_files_are_not_held_open(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GRAY)
    data, _ = only(tmp_path / "x.tif")
    (tmp_path / "x.tif").write_bytes(b"")
    np.testing.assert_array_equal(data, GRAY)


def test_reader_command_takes_tiff_names_only(tmp_path):
    (tmp_path / "folder.tif").mkdir()
    assert get_reader("x.png") is None
    assert get_reader([]) is None
    assert get_reader(["x.tif", "x.png"]) is None
    assert get_reader(str(tmp_path / "folder.tif")) is None
    assert get_reader("https://example.org/x.tif") is None
    assert get_reader("missing.TIFF") is not None  # the reader explains; the command never raises


def test_a_list_is_one_stack_and_a_name_one_layer(tmp_path):
    paths = []
    for number, page in enumerate(STACK):
        paths.append(str(tmp_path / f"{number}.tif"))
        tifffile.imwrite(paths[-1], page, resolution=(100, 100), resolutionunit="CENTIMETER")
    ((data, meta, kind),) = get_reader(paths)(paths)
    assert kind == "image"
    Image(data, **meta)
    np.testing.assert_array_equal(data, STACK)
    assert meta["scale"] == (1, 0.1, 0.1)
    assert meta["units"] == ("pixel", "mm", "mm")
    assert meta["metadata"]["files"] == ["0.tif", "1.tif", "2.tif"]
    assert get_reader(paths[1])(paths[1])[0][0].shape == STACK.shape[1:]
    assert get_reader(paths[:1])(paths[:1])[0][0].shape == STACK.shape[1:]


def test_large_stacks_of_files_are_lazy(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_xnet.io.stack.EAGER_BYTES", 10_000)
    paths = [str(tmp_path / f"{number}.tif") for number in range(3)]
    for path, page in zip(paths, STACK, strict=True):
        tifffile.imwrite(path, page)
    ((data, meta, _),) = get_reader(paths)(paths)
    assert hasattr(data, "dask")
    np.testing.assert_array_equal(np.asarray(data), STACK)
    assert meta["contrast_limits"][0] < meta["contrast_limits"][1]


def test_log_lines_of_other_users_of_tifffile_stay(tmp_path, caplog):
    tifffile.imwrite(tmp_path / "x.tif", GRAY)
    read_tiff(tmp_path / "x.tif")
    logging.getLogger("tifffile").warning("still here")
    assert "still here" in caplog.text
