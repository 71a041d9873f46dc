"""Pixel sizes are taken from files that know them, and from no others."""

import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from PIL import Image as Picture

from napari_xnet.io.calibration import mm_per_unit, pixel_size_mm
from napari_xnet.io.tiff import read_tiff

GRAY = np.arange(200, dtype=np.uint16).reshape(10, 20)
STACK = np.stack([GRAY] * 3)


def calibration(path):
    """Return scale and units; napari must take them."""
    data, meta, _ = read_tiff(path)[0]
    layer = Image(data, **meta)
    assert tuple(layer.scale) == meta["scale"]
    return meta["scale"], meta["units"]


PIXELS = ((1, 1), ("pixel", "pixel"))


@pytest.mark.parametrize(
    ("unit", "per_unit", "mm"),
    [
        ("CENTIMETER", 10 / 0.139, 0.139),
        ("INCH", 25.4 / 0.148, 0.148),
        ("CENTIMETER", 100, 0.1),
        ("CENTIMETER", 10 / 0.2647, 0.2647),  # 95.96 dpi, nearly that of screens
    ],
)
def test_detector_resolutions_are_trusted(tmp_path, unit, per_unit, mm):
    tifffile.imwrite(
        tmp_path / "x.tif", GRAY, resolution=(per_unit, 2 * per_unit), resolutionunit=unit
    )
    scale, units = calibration(tmp_path / "x.tif")
    assert scale == pytest.approx((mm / 2, mm), rel=1e-6)
    assert units == ("mm", "mm")


@pytest.mark.parametrize(
    ("per_unit", "unit"),
    [
        (72, "INCH"),
        (96, "INCH"),
        (300, "INCH"),
        (28.35, "CENTIMETER"),  # 72 dpi, as photo programs convert it
        (118.11, "CENTIMETER"),  # 300 dpi
        (1, "INCH"),
        (1, "CENTIMETER"),
        (0, "INCH"),
        (100, "NONE"),
        (10, "CENTIMETER"),  # 1 mm: no detector
        (1e6, "CENTIMETER"),  # 10 nm: no detector
    ],
)
def test_display_resolutions_and_nonsense_are_one_pixel(tmp_path, per_unit, unit):
    tifffile.imwrite(tmp_path / "x.tif", GRAY, resolution=(per_unit, per_unit), resolutionunit=unit)
    assert calibration(tmp_path / "x.tif") == PIXELS


def test_resolution_tags_that_are_missing_or_divide_by_zero(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GRAY, resolution=(71, 71), resolutionunit="CENTIMETER")
    with tifffile.TiffFile(tmp_path / "x.tif", mode="r+b") as tif:
        tif.pages[0].tags["XResolution"].overwrite((1, 0))
    assert calibration(tmp_path / "x.tif") == PIXELS
    tifffile.imwrite(tmp_path / "y.tif", GRAY)
    assert calibration(tmp_path / "y.tif") == PIXELS


def test_pillow_writes_dpi(tmp_path):
    Picture.fromarray(GRAY).save(tmp_path / "x.tif", dpi=(254, 254))
    scale, units = calibration(tmp_path / "x.tif")
    assert scale == pytest.approx((0.1, 0.1))
    assert units == ("mm", "mm")
    Picture.fromarray(GRAY).save(tmp_path / "y.tif", dpi=(300, 300))
    assert calibration(tmp_path / "y.tif") == PIXELS


@pytest.mark.skipif(not shutil.which("tiffset"), reason="libtiff's tools are not installed")
def test_tags_of_tiffset(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, GRAY, metadata=None)
    for tag, value in (("282", "50"), ("283", "50"), ("296", "3")):
        subprocess.run(["tiffset", "-s", tag, value, path], check=True, timeout=60)
    assert calibration(path) == ((0.2, 0.2), ("mm", "mm"))


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("mm", 1), ("micron", 1e-3), ("\\u00B5m", 1e-3), ("um", 1e-3), ("cm", 10), ("inch", 25.4)],
)
def test_imagej_units(tmp_path, unit, mm):
    tifffile.imwrite(
        tmp_path / "x.tif",
        STACK,
        imagej=True,
        resolution=(4, 5),
        metadata={"unit": unit, "spacing": 2.0, "axes": "ZYX"},
    )
    scale, units = calibration(tmp_path / "x.tif")
    assert scale == pytest.approx((2 * mm, mm / 5, mm / 4))
    assert units == ("mm", "mm", "mm")


@pytest.mark.parametrize("unit", ["pixel", "furlong", None])
def test_imagej_without_a_length_is_one_pixel(tmp_path, unit):
    tifffile.imwrite(
        tmp_path / "x.tif",
        STACK,
        imagej=True,
        resolution=(4, 5),
        metadata={"spacing": 2.0, "axes": "ZYX"} | ({"unit": unit} if unit else {}),
    )
    assert calibration(tmp_path / "x.tif") == ((1, 1, 1), ("pixel",) * 3)


def test_imagej_takes_dpi_for_inches_we_do_not(tmp_path):
    tifffile.imwrite(
        tmp_path / "x.tif", GRAY, imagej=True, resolution=(72, 72), metadata={"unit": "inch"}
    )
    assert calibration(tmp_path / "x.tif") == PIXELS


def test_ome_physical_sizes_of_each_series(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.ome.tif", ome=True) as writer:
        for size, unit, image in ((139.0, "µm", GRAY), (0.2, "mm", GRAY[:5])):
            writer.write(
                image,
                metadata={
                    "axes": "YX",
                    "PhysicalSizeX": size,
                    "PhysicalSizeXUnit": unit,
                    "PhysicalSizeY": 2 * size,
                    "PhysicalSizeYUnit": unit,
                },
            )
    first, second = (meta for _, meta, _ in read_tiff(tmp_path / "x.ome.tif"))
    assert first["scale"] == pytest.approx((0.278, 0.139))
    assert second["scale"] == pytest.approx((0.4, 0.2))
    assert first["units"] == second["units"] == ("mm", "mm")


def test_ome_stack_without_spacing_mixes_units(tmp_path):
    tifffile.imwrite(
        tmp_path / "x.ome.tif",
        STACK,
        ome=True,
        metadata={"axes": "TYX", "PhysicalSizeX": 100.0, "PhysicalSizeY": 100.0},
    )
    scale, units = calibration(tmp_path / "x.ome.tif")
    assert scale == pytest.approx((1, 0.1, 0.1))
    assert units == ("pixel", "mm", "mm")


def test_ome_with_an_unknown_unit_is_one_pixel(tmp_path):
    tifffile.imwrite(
        tmp_path / "x.ome.tif",
        GRAY,
        ome=True,
        resolution=(71, 71),
        resolutionunit="CENTIMETER",
        metadata={
            "axes": "YX",
            "PhysicalSizeX": 2.0,
            "PhysicalSizeXUnit": "reference frame",
            "PhysicalSizeY": 2.0,
            "PhysicalSizeYUnit": "reference frame",
        },
    )
    assert calibration(tmp_path / "x.ome.tif") == PIXELS


def test_pixel_size_of_a_layer():
    layer = Image(GRAY, scale=(139, 0.2), units=("um", "mm"))
    assert pixel_size_mm(layer.scale, layer.units) == pytest.approx((0.139, 0.2))
    assert pixel_size_mm((1, 1), ("pixel", "pixel")) is None
    assert pixel_size_mm((1, 0), ("mm", "mm")) is None
    assert mm_per_unit("second") is None
