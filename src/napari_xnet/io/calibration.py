"""Pixel sizes: which ones a TIFF file states, and which of them can be trusted.

The rule, from the most to the least trustworthy:

1. OME-XML: ``PhysicalSizeX``, ``Y`` and ``Z`` with their units.
2. ImageJ: the resolution tags in the unit that ImageJ wrote, and ``spacing``.
3. Resolution tags alone: most programs fill them in for printing, so they
   count only if the pixel size is that of a detector (0.5 um to 0.5 mm) and
   the resolution is none of the defaults of photo and office programs.

Everything else is "not calibrated": one pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from napari_xnet.io.ome import image_attributes

PIXEL: Final = "pixel"
MM: Final = "mm"

_MM_PER_UNIT: Final = {
    **dict.fromkeys(("m", "meter", "metre"), 1000.0),
    **dict.fromkeys(("dm", "decimeter"), 100.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("um", "µm", "\u03bcm", "\\u00b5m", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("micrometre",), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-6),
    **dict.fromkeys(("in", "inch", "inches"), 25.4),
}
_INCH = 25.4
_DISPLAY_DPI: Final = (72, 75, 96, 100, 120, 144, 150, 180, 192, 240, 300, 350, 360, 600)
"""Defaults of screens, photo programs, cameras and scanners; not 200, the common 0.127 mm pitch."""
_DETECTOR_MM: Final = (0.0005, 0.5)
_TAG_UNITS: Final = {2: "inch", 3: "cm"}


def mm_per_unit(unit: object) -> float | None:
    """Millimetres in a unit of length, or None if it is not one.

    Parameters
    ----------
    unit : object
        A name or symbol, or an object whose ``str()`` is one, as napari's
        ``pint.Unit`` objects.
    """
    return _MM_PER_UNIT.get(str(unit).strip().lower())


def pixel_size_mm(scale: Sequence[float], units: Sequence[object]) -> tuple[float, float] | None:
    """Height and width of a pixel in mm from a layer's scale and units, or None.

    Parameters
    ----------
    scale, units : sequences, one item per axis, the last two being Y and X
    """
    if len(scale) < 2 or len(units) != len(scale):
        return None
    factors = [mm_per_unit(unit) for unit in units[-2:]]
    sizes = [
        float(size) * factor for size, factor in zip(scale[-2:], factors, strict=True) if factor
    ]
    if len(sizes) < 2 or not all(math.isfinite(size) and size > 0 for size in sizes):
        return None
    return sizes[0], sizes[1]


def series_calibration(tif: Any, index: int) -> dict[str, float]:
    """Pixel size of one series of a TIFF file.

    Parameters
    ----------
    tif : tifffile.TiffFile
    index : int
        Number of the series in `tif.series`.

    Returns
    -------
    dict
        Millimetres per pixel by axis letter (``X``, ``Y`` and perhaps ``Z``);
        empty if the file states no trustworthy size.
    """
    series = tif.series[index]
    if series.kind == "ome":
        return _from_ome(image_attributes(tif.ome_metadata, index))
    resolution = _resolution(series.keyframe.tags)
    if resolution is None:
        return {}
    if tif.is_imagej:
        return _from_imagej(resolution, tif.imagej_metadata or {})
    return _from_tags(resolution, series.keyframe.tags)


def _from_ome(attributes: Mapping[str, str]) -> dict[str, float]:
    sizes = {}
    for axis in "XYZ":
        factor = mm_per_unit(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        size = _positive(attributes.get(f"PhysicalSize{axis}"))
        if factor and size:
            sizes[axis] = size * factor
    return _both(sizes)


def _from_imagej(
    resolution: tuple[float, float], metadata: Mapping[str, object]
) -> dict[str, float]:
    unit = metadata.get("unit")
    factor = mm_per_unit(unit)
    if factor is None:
        return {}
    # ImageJ itself takes the dots per inch of a photo program for a calibration.
    if factor == _INCH and any(_is_display(value) for value in resolution):
        return {}
    sizes = {"X": factor / resolution[0], "Y": factor / resolution[1]}
    spacing = _positive(metadata.get("spacing"))
    if spacing:
        # A plain stack has no axis letter of its own: tifffile calls it "I".
        sizes |= {"Z": spacing * factor, "I": spacing * factor}
    return sizes


def _from_tags(resolution: tuple[float, float], tags: Any) -> dict[str, float]:
    tag = tags.get("ResolutionUnit")
    # The TIFF standard's default is inch, but files without the tag mean nothing by it.
    factor = mm_per_unit(_TAG_UNITS.get(int(tag.value), "")) if tag else None
    if factor is None or any(_is_display(value * _INCH / factor) for value in resolution):
        return {}
    sizes = {"X": factor / resolution[0], "Y": factor / resolution[1]}
    low, high = _DETECTOR_MM
    return sizes if all(low <= size <= high for size in sizes.values()) else {}


def _resolution(tags: Any) -> tuple[float, float] | None:
    """Pixels per unit along X and Y, or None if a tag is missing or makes no sense."""
    values = []
    for name in ("XResolution", "YResolution"):
        tag = tags.get(name)
        try:
            numerator, denominator = tag.value
            value = _positive(numerator / denominator)
        except (AttributeError, TypeError, ValueError, ZeroDivisionError):
            return None
        if value is None:
            return None
        values.append(value)
    return values[0], values[1]


def _is_display(dpi: float) -> bool:
    # Programs that store dots per centimetre round them to two or three decimals: 28.35.
    return any(abs(dpi - default) <= 2e-4 * default for default in _DISPLAY_DPI)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _both(sizes: dict[str, float]) -> dict[str, float]:
    return sizes if "X" in sizes and "Y" in sizes else {}
