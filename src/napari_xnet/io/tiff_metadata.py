"""What a TIFF file says about how its image was taken and stored."""

from __future__ import annotations

from typing import Any, Final

import tifffile

from napari_xnet.io.ome import image_attributes

_TEXT_LENGTH: Final = 2000
_TAGS: Final = {
    "software": "Software",
    "date": "DateTime",
    "manufacturer": "Make",
    "device": "Model",
}


def acquisition(tif: tifffile.TiffFile, index: int) -> dict[str, Any]:
    """Acquisition metadata of one series, for `layer.metadata`.

    Parameters
    ----------
    tif : tifffile.TiffFile
    index : int
        Number of the series.

    Returns
    -------
    dict
        ``bits``, ``photometric`` (``MINISWHITE``: smaller values are meant to
        be shown brighter), ``compression``, and as far as the file has them
        ``software``, ``date``, ``manufacturer``, ``device``, ``description``
        (at most 2000 characters), ``imagej`` and ``ome`` (dicts of scalars).
    """
    series = tif.series[index]
    page = series.keyframe
    metadata: dict[str, Any] = {
        "bits": int(page.bitspersample),
        "photometric": _enum_name(page.photometric),
        "compression": _enum_name(page.compression),
    }
    for key, name in _TAGS.items():
        tag = page.tags.get(name)
        text = str(tag.value).strip() if tag is not None else ""
        if text:
            metadata[key] = text[:_TEXT_LENGTH]
    if tif.is_imagej:
        metadata["imagej"] = _scalars(tif.imagej_metadata or {})
    elif series.kind == "ome":
        metadata["ome"] = _scalars(image_attributes(tif.ome_metadata, index))
    elif page.description and not page.shaped_description:
        metadata["description"] = page.description.strip()[:_TEXT_LENGTH]
    return metadata


def _enum_name(value: Any) -> str:
    return str(getattr(value, "name", value))


def _scalars(items: dict[str, Any]) -> dict[str, Any]:
    return {
        str(key): value[:_TEXT_LENGTH] if isinstance(value, str) else value
        for key, value in items.items()
        if isinstance(value, (str, int, float, bool))
    }
