"""Read a file of any kind that we know, for scripts and the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io import dicom, picture, tiff
from napari_xnet.io.calibration import pixel_size_mm
from napari_xnet.io.conventions import convert
from napari_xnet.io.layerdata import LayerData, layer_name

IMAGE_TYPES = (*tiff.EXTENSIONS, *dicom.EXTENSIONS, *picture.EXTENSIONS)
"""Extensions of files that may hold radiographs."""

RESULTS = ("_labels", "_probabilities")
"""Ends of the names of files that we write."""

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Radiograph:
    """An image to segment.

    Attributes
    ----------
    data : array, shape (Y, X), (..., Y, X), or (..., Y, X, 3 or 4) if `rgb`
        ndarray, or a memory map or dask array if it is larger than 256 MB.
    rgb : bool
        Whether the last axis holds colours.
    pixel_size_mm : tuple of float or None
        Height and width of a pixel in mm, if the file states them.
    name : str
        File name without extension.
    others : int
        Number of further images in the file.
    """

    data: Any
    rgb: bool
    pixel_size_mm: tuple[float, float] | None
    name: str
    others: int = 0


def read(path: str | os.PathLike[str]) -> list[LayerData]:
    """Layers of a TIFF, DICOM, PNG or JPEG file, chosen by extension, else by content.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of LayerData

    Raises
    ------
    ImageError
        If the file cannot be read, or is of another kind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in tiff.EXTENSIONS:
        return tiff.read_tiff(path)
    if suffix in dicom.EXTENSIONS:
        return dicom.read_dicom(path)
    if suffix in picture.EXTENSIONS:
        return picture.read_picture(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if start in _TIFF_MAGIC:
        return tiff.read_tiff(path)
    if dicom.has_dicom_magic(path):
        return dicom.read_dicom(path)
    raise ImageError(f"{path.name} is no TIFF, DICOM, PNG or JPEG file.")


def is_result(path: Path) -> bool:
    """Whether a file is a result of ours by its name, and no radiograph."""
    return layer_name(path).lower().endswith(RESULTS)


def images_in(folder: Path) -> list[Path]:
    """Files of a folder, but not of its sub-folders, that may hold radiographs, sorted.

    Raises
    ------
    ImageError
        If the folder cannot be read, or there are none.
    """
    try:
        found = [
            path
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in IMAGE_TYPES
            and not path.name.startswith(".")
            and not is_result(path)
            and path.is_file()
        ]
    except OSError as error:
        raise ImageError(f"{folder} cannot be read: {error.strerror or error}.") from error
    if not found:
        raise ImageError(f"{folder} holds no TIFF, DICOM, PNG or JPEG images.")
    return found


def read_image(path: str | os.PathLike[str]) -> Radiograph:
    """First image of a file, at full resolution.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Radiograph

    Raises
    ------
    ImageError
        If the file cannot be read or holds only labels.
    """
    images = [(data, meta) for data, meta, kind in read(path) if kind == "image"]
    if not images:
        raise ImageError(f"{Path(path).name} holds labels, not an image.")
    data, meta = images[0]
    return Radiograph(
        data=data[0] if isinstance(data, list) else data,
        rgb=bool(meta.get("rgb", False)),
        pixel_size_mm=pixel_size_mm(meta["scale"], meta["units"]),
        name=meta["name"],
        others=len(images) - 1,
    )


def read_labels(path: str | os.PathLike[str], convention: str = "tissue") -> NDArray[np.uint8]:
    """First image of a file as tissue classes, whatever the name of the file.

    Parameters
    ----------
    path : path-like
    convention : {"tissue", "indices", "rgb"}
        What the values of the file mean, see `conventions`.

    Returns
    -------
    ndarray of uint8, shape (Y, X) or (N, Y, X)
        Values 0 (unlabelled) to 3 (bone).

    Raises
    ------
    ImageError
        If the file cannot be read or does not follow the convention.
    """
    data, meta, _ = read(path)[0]
    name = Path(path).name
    if meta.get("rgb", False) and convention != "rgb":
        raise ImageError(
            f"{name} is a drawing in colours, not a mask of numbers: "
            'choose the convention "rgb", or save it as integers.'
        )
    try:
        return convert(data[0] if isinstance(data, list) else data, convention)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def read_probabilities(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Class probabilities of a file that `write_probabilities` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ndarray of float32, shape (3, Y, X) or (3, N, Y, X)
        In the order of `tissue.CLASSES`.

    Raises
    ------
    ImageError
        If the file cannot be read or holds something else.
    """
    planes = [np.asarray(data) for data, _, _ in read(path)]
    classes = len(tissue.CLASSES)
    if len(planes) != classes or any(one.dtype != np.float32 for one in planes):
        raise ImageError(
            f"{Path(path).name} holds no probabilities of {classes} classes: write them with "
            "napari-xnet segment --probabilities."
        )
    return np.stack(planes)
