"""One call reads any file that we know; importing it loads nothing heavy."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_xnet.errors import ImageError
from napari_xnet.io import read, read_image, read_labels, write_labels

GRAY = np.random.default_rng(5).integers(0, 60000, (23, 31), dtype=np.uint16)


def test_content_decides_where_the_extension_does_not(tmp_path):
    tifffile.imwrite(tmp_path / "scan", GRAY)
    np.testing.assert_array_equal(read(tmp_path / "scan")[0][0], GRAY)
    (tmp_path / "text").write_text("text")
    with pytest.raises(ImageError, match="no TIFF, DICOM, PNG or JPEG"):
        read(tmp_path / "text")
    with pytest.raises(ImageError, match="No such file"):
        read(tmp_path / "missing")


def test_read_image_of_a_calibrated_stack(tmp_path):
    stack = np.stack([GRAY, GRAY])
    tifffile.imwrite(
        tmp_path / "hand.tif",
        stack,
        photometric="minisblack",
        resolution=(50, 100),
        resolutionunit="CENTIMETER",
    )
    radiograph = read_image(tmp_path / "hand.tif")
    np.testing.assert_array_equal(radiograph.data, stack)
    assert radiograph.pixel_size_mm == pytest.approx((0.1, 0.2))
    assert radiograph.name == "hand"
    assert radiograph.rgb is False


def test_read_image_of_a_pyramid_is_the_full_level(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        for step in (1, 2):
            writer.write(
                np.kron(GRAY, np.ones((8, 8), np.uint16))[::step, ::step],
                tile=(16, 16),
                subfiletype=int(step > 1),
                metadata=None,
            )
    radiograph = read_image(tmp_path / "x.tif")
    assert radiograph.data.shape == (184, 248)
    assert radiograph.pixel_size_mm is None


def test_read_image_refuses_labels(tmp_path):
    write_labels(tmp_path / "x.tif", GRAY % 4)
    with pytest.raises(ImageError, match="labels, not an image"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures(tmp_path, suffix):
    gray = np.full((16, 24), 120, np.uint8)
    Picture.fromarray(gray).save(tmp_path / f"g.{suffix}")
    Picture.fromarray(np.dstack([gray] * 3)).save(tmp_path / f"c.{suffix}")
    radiograph = read_image(tmp_path / f"g.{suffix}")
    assert radiograph.data.shape == (16, 24)
    assert np.abs(radiograph.data.astype(int) - 120).max() <= 1
    assert not radiograph.rgb
    colour = read_image(tmp_path / f"c.{suffix}")
    assert colour.rgb
    assert colour.data.shape == (16, 24, 3)


def test_sixteen_bit_png_and_alpha(tmp_path):
    Picture.fromarray(GRAY).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").data, GRAY)
    gray = (GRAY % 255).astype(np.uint8)
    Picture.fromarray(gray).convert("LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, gray)


def test_damaged_pictures(tmp_path):
    Picture.fromarray(GRAY).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:300])
    with pytest.raises(ImageError, match="damaged"):
        read(tmp_path / "x.png")
    (tmp_path / "y.png").write_bytes(b"text")
    with pytest.raises(ImageError, match="no picture"):
        read(tmp_path / "y.png")


def test_read_labels_whatever_the_name(tmp_path):
    tifffile.imwrite(tmp_path / "hand.tif", (GRAY % 4).astype(np.int32))
    labels = read_labels(tmp_path / "hand.tif")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, GRAY % 4)
    tifffile.imwrite(tmp_path / "bad.tif", GRAY)
    with pytest.raises(ImageError, match=r"bad\.tif: .* the values of labels are 0 unlabelled"):
        read_labels(tmp_path / "bad.tif")
    tifffile.imwrite(tmp_path / "bad.tif", GRAY.astype(np.float32) * 0)
    with pytest.raises(ImageError, match=r"bad\.tif: A mask holds whole numbers"):
        read_labels(tmp_path / "bad.tif")


def test_read_labels_of_another_convention(tmp_path):
    tifffile.imwrite(tmp_path / "hand.tif", (GRAY % 3).astype(np.uint8))
    np.testing.assert_array_equal(read_labels(tmp_path / "hand.tif", "indices"), GRAY % 3 + 1)


def test_importing_is_light():
    code = (
        "import sys, napari_xnet.io.tiff, napari_xnet.io\n"
        "heavy = {'napari', 'qtpy', 'magicgui', 'tensorflow', 'keras', 'dask', 'zarr',"
        " 'pydicom', 'skimage', 'scipy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"
