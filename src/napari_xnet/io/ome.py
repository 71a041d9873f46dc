"""The few facts of OME-XML that we use."""

from __future__ import annotations

from xml.etree import ElementTree


def image_attributes(xml: str | None, index: int) -> dict[str, str]:
    """Attributes of one image and of its pixels.

    Parameters
    ----------
    xml : str or None
        OME-XML document.
    index : int
        Number of the image.

    Returns
    -------
    dict
        Attributes of ``Pixels``, and ``Name`` and ``AcquisitionDate`` of the
        image; empty where the document lacks them.
    """
    image = _image(xml, index)
    if image is None:
        return {}
    pixels = image.find("{*}Pixels")
    attributes = {} if pixels is None else {k: v for k, v in pixels.attrib.items() if k != "ID"}
    if "Name" in image.attrib:
        attributes["Name"] = image.attrib["Name"]
    date = image.findtext("{*}AcquisitionDate") or image.findtext("{*}AcquiredDate")
    if date:
        attributes["AcquisitionDate"] = date.strip()
    return attributes


def channel_names(xml: str | None, index: int) -> list[str]:
    """Names of the channels of one image, empty unless all channels are named."""
    image = _image(xml, index)
    if image is None:
        return []
    names = [channel.get("Name", "") for channel in image.iterfind("{*}Pixels/{*}Channel")]
    return names if all(names) else []


def _image(xml: str | None, index: int) -> ElementTree.Element | None:
    try:
        images = ElementTree.fromstring(xml or "").findall("{*}Image")
    except ElementTree.ParseError:
        return None
    return images[index] if index < len(images) else None
