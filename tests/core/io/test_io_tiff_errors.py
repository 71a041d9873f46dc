"""Every bad TIFF file gives one sentence or two, and nothing absurd is allocated."""

import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tifffile

from napari_xnet.errors import ImageError
from napari_xnet.io import arrays
from napari_xnet.io.tiff import get_reader, read_tiff

GRAY = np.random.default_rng(1).integers(0, 60000, (300, 200), dtype=np.uint16)


def message(path):
    with pytest.raises(ImageError) as caught:
        read_tiff(path)
    text = str(caught.value)
    assert path.name in text
    assert text.endswith(".")
    assert "\n" not in text
    return text


def bare_tiff(width, height, compression, rows_per_strip):
    """A file of one directory that declares what the caller says, and 64 bytes of pixels."""
    entries = [
        (256, width),
        (257, height),
        (258, 8),
        (259, compression),
        (262, 1),
        (273, 200),
        (277, 1),
        (278, rows_per_strip),
        (279, 64),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0)
    return head.ljust(200, b"\0") + bytes(64)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.95])
def test_truncated_files(tmp_path, caplog, compression, part):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, GRAY, compression=compression, rowsperstrip=16)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert "truncated" in message(path)
    assert not caplog.records


@pytest.mark.parametrize("lazy", [True, False])
def test_truncated_stacks(tmp_path, monkeypatch, caplog, lazy):
    kinds = {
        "imagej": {"imagej": True},
        "pages": {"metadata": None},
        "packed": {"metadata": None, "compression": "zlib"},
        "shaped": {"compression": "zlib"},
        "ome": {"ome": True, "compression": "zlib"},
        "big": {"bigtiff": True, "byteorder": ">"},
    }
    for name, options in kinds.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, np.stack([GRAY] * 4), photometric="minisblack", **options)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 4])
        if lazy:
            monkeypatch.setattr(arrays, "EAGER_BYTES", 1000)
        assert "truncated" in message(path)
    assert not caplog.records  # tifffile's lines on broken chains of pages


def test_empty_missing_and_foreign_files(tmp_path, caplog):
    path = tmp_path / "x.tif"
    assert "No such file" in message(path)
    path.write_bytes(b"")
    assert "empty" in message(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    assert "not a TIFF file" in message(path)
    assert not caplog.records


def test_damaged_compressed_data(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, GRAY, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    assert "damaged" in message(path)


@pytest.mark.parametrize("compression", [1, 8, 5])
@pytest.mark.parametrize(
    ("size", "rows"), [(2**31, 2**31), (2**31, 1), (2**20, 2**20), (2**32 - 1, 2**32 - 1)]
)
def test_absurd_sizes_allocate_nothing(tmp_path, compression, size, rows):
    path = tmp_path / "x.tif"
    path.write_bytes(bare_tiff(size, size, compression, rows))
    tracemalloc.start()
    try:
        text = message(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "declares" in text or "missing" in text
    assert peak < 20 * 2**20


def test_missing_strips_are_not_shown_as_zeros(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(bare_tiff(8, 800, 8, 8))
    assert "missing" in message(path)


def test_unknown_compression(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(bare_tiff(8, 8, 12345, 8))
    assert "compression is not known" in message(path)


def test_complex_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GRAY.astype(np.complex64))
    assert "complex" in message(tmp_path / "x.tif")


def test_zero_sized_image(tmp_path):
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(tmp_path / "x.tif", np.zeros((0, 5), np.uint8))
    message(tmp_path / "x.tif")


WITHOUT_CODECS = """
import sys
sys.modules["imagecodecs"] = None
from napari_xnet.errors import ImageError
from napari_xnet.io.tiff import read_tiff
try:
    read_tiff(sys.argv[1])
except ImageError as error:
    print(error)
"""


def test_missing_codec_names_the_package(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GRAY, compression="zstd")
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_CODECS, tmp_path / "x.tif"],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert "needs the package imagecodecs" in run.stdout
    assert run.stderr == ""


def test_stacks_of_unlike_files(tmp_path):
    small, large, pages = (str(tmp_path / f"{name}.tif") for name in ("small", "large", "pages"))
    tifffile.imwrite(small, GRAY[:10])
    tifffile.imwrite(large, GRAY)
    with tifffile.TiffWriter(pages) as writer:
        writer.write(GRAY, metadata=None)
        writer.write(GRAY[:10], metadata=None)
    with pytest.raises(ImageError, match=r"small\.tif does not fit to large\.tif"):
        get_reader([large, small])([large, small])
    with pytest.raises(ImageError, match="open it by itself"):
        get_reader([pages, pages])([pages, pages])
