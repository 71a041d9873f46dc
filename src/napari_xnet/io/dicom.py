"""Read DICOM radiographs (CR, DX, RF) into napari layers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError
from napari_xnet.io.arrays import EAGER_BYTES
from napari_xnet.io.calibration import MM, PIXEL
from napari_xnet.io.contrast import contrast_limits
from napari_xnet.io.layerdata import LayerData
from napari_xnet.io.stack import stack_layers

EXTENSIONS: Final = (".dcm", ".dicom")
_MODALITIES: Final = {"CR", "DX", "RF"}
_SPACINGS: Final = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
"""At the detector first: that is the plane of the image; ``PixelSpacing`` may refer to the body."""

# Only how the image was taken: nothing here names a person, a place or a day.
_NUMBERS: Final = {
    "kvp": "KVP",
    "exposure_mas": "Exposure",
    "exposure_time_ms": "ExposureTime",
    "tube_current_ma": "XRayTubeCurrent",
    "source_to_detector_mm": "DistanceSourceToDetector",
    "source_to_patient_mm": "DistanceSourceToPatient",
    "magnification": "EstimatedRadiographicMagnificationFactor",
    "frame_time_ms": "FrameTime",
}
_TEXTS: Final = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "view": "ViewPosition",
    "photometric": "PhotometricInterpretation",
    "detector_type": "DetectorType",
    "filter": "FilterMaterial",
    "grid": "Grid",
    "manufacturer": "Manufacturer",
    "device": "ManufacturerModelName",
}


def get_reader(
    path: str | list[str],
) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Reader for napari: `read_dicom` for a file, one stacked layer for a list of files.

    Parameters
    ----------
    path : str or list of str
        What the user opens: ``.dcm``, ``.dicom``, or no extension at all and
        the content of a DICOM file.

    Returns
    -------
    callable or None
        None if a path is not a DICOM file.
    """
    paths = path if isinstance(path, list) else [path]
    if not paths or not all(_is_dicom_name(str(item)) for item in paths):
        return None
    return _read_any


def has_dicom_magic(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as DICOM files do; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def dicom_modality(path: str | os.PathLike[str]) -> str:
    """Find out what a DICOM file was taken with, such as ``"CT"``; empty if it does not say.

    Also empty if pydicom is missing, or the file cannot be read.
    """
    try:
        head = _pydicom().dcmread(path, stop_before_pixels=True, specific_tags=["Modality"])
        return str(head.get("Modality", ""))
    # pydicom raises nearly every kind of error on damaged files.
    except Exception:
        return ""


def read_dicom(path: str | os.PathLike[str]) -> list[LayerData]:
    """Layer of a DICOM radiograph.

    Parameters
    ----------
    path : path-like
        CR, DX or RF image, of one or several frames.

    Returns
    -------
    list of LayerData
        One image, shape (Y, X) or (N, Y, X): float32 if the file has a
        rescale slope or intercept, else integers as stored, whatever the
        polarity; an inverted colormap where small values are meant to be
        shown bright (``MONOCHROME1``). Metadata are those of the
        acquisition, never those of the patient.

    Raises
    ------
    ImageError
        If pydicom is missing, or the file is no readable radiograph.
    """
    path = Path(path)
    with _explained(path):
        dataset = _pydicom().dcmread(path)
        _check(dataset, path)
        pixels = _rescaled(dataset)
        sizes, spacing = _pixel_size(dataset)
        stack = pixels.ndim - 2
        meta: dict[str, Any] = {
            "name": path.stem if path.suffix.lower() in EXTENSIONS else path.name,
            "scale": (1.0,) * stack + (sizes or (1.0, 1.0)),
            "units": (PIXEL,) * stack + ((MM, MM) if sizes else (PIXEL, PIXEL)),
            "colormap": "gray_r" if _is_inverted(dataset) else "gray",
            "contrast_limits": _window(dataset, pixels) or contrast_limits(pixels),
            "metadata": _acquisition(dataset) | ({"pixel_spacing": spacing} if spacing else {}),
        }
    return [(pixels, meta, "image")]


def _is_inverted(dataset: Any) -> bool:
    """Whether small values are meant to be shown bright."""
    return str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def _read_any(path: str | list[str]) -> list[LayerData]:
    if isinstance(path, list):
        return stack_layers(path, read_dicom, _signature) if len(path) > 1 else read_dicom(path[0])
    return read_dicom(path)


def _signature(path: str) -> tuple[object, ...]:
    with _explained(Path(path)):
        dataset = _pydicom().dcmread(path, stop_before_pixels=True)
        names = ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "PixelRepresentation")
        look = ("PhotometricInterpretation",)
        rescale = ("RescaleSlope", "RescaleIntercept")
        return tuple(str(dataset.get(name, "")) for name in names + look) + tuple(
            name in dataset for name in rescale
        )


def _is_dicom_name(name: str) -> bool:
    if "://" in name or os.path.isdir(name):
        return False
    suffix = Path(name).suffix.lower()
    return suffix in EXTENSIONS or (not suffix and has_dicom_magic(name))


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise ImageError('Reading DICOM needs pydicom: pip install "napari-xnet[dicom]"') from error
    return pydicom


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn all that can go wrong with a DICOM file into one `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except MemoryError as error:
        raise ImageError(f"{path.name}: not enough memory to read the image.") from error
    # pydicom and its decoders raise nearly every kind of error on damaged files.
    except Exception as error:
        name = type(error).__name__
        if name == "InvalidDicomError":
            text = "this is not a DICOM file, in spite of its name."
        elif "missing" in str(error) and ("plugin" in str(error) or "decod" in str(error)):
            text = (
                "its compression needs a decoder that is not installed. Run pip install "
                "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or export it uncompressed."
            )
        else:
            text = "the DICOM file is truncated or damaged. Export or copy it again."
        raise ImageError(f"{path.name}: {text}") from error


def _check(dataset: Any, path: Path) -> None:
    """Refuse what is no radiograph, and sizes that the file cannot hold."""
    modality = str(dataset.get("Modality", "")) or "unknown"
    if modality not in _MODALITIES:
        hint = " Of a CT, open the folder of the series." if modality == "CT" else ""
        raise ImageError(
            f"{path.name}: the modality is {modality}, but only radiographs (CR, DX, RF) "
            f"can be opened.{hint}"
        )
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ImageError(f"{path.name}: this DICOM file holds no image.")
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise ImageError(f"{path.name}: this is a colour image, not a radiograph.")
    frames = int(dataset.get("NumberOfFrames", None) or 1)
    decoded = frames * int(dataset.Rows) * int(dataset.Columns) * (dataset.BitsAllocated / 8)
    stored = path.stat().st_size
    compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    if decoded > (max(EAGER_BYTES, 1000 * stored) if compressed else stored):
        raise ImageError(
            f"{path.name}: the file declares {frames} x {dataset.Rows} x {dataset.Columns} "
            f"pixels but holds only {stored} bytes. Export or copy it again."
        )


def _rescaled(dataset: Any) -> NDArray[Any]:
    pixels: NDArray[Any] = dataset.pixel_array
    slope = float(dataset.get("RescaleSlope", None) or 1)
    intercept = float(dataset.get("RescaleIntercept", None) or 0)
    if (slope, intercept) == (1, 0):
        return pixels
    return (pixels * np.float64(slope) + intercept).astype(np.float32)


def _pixel_size(dataset: Any) -> tuple[tuple[float, float] | None, str | None]:
    """Height and width of a pixel in mm, and the name of the tag that states them."""
    for name in _SPACINGS:
        value = dataset.get(name, None)
        if value is None or len(value) != 2:
            continue
        height, width = float(value[0]), float(value[1])
        if all(math.isfinite(size) and size > 0 for size in (height, width)):
            return (height, width), name
    return None, None


def _window(dataset: Any, pixels: NDArray[Any]) -> tuple[float, float] | None:
    """Contrast limits of the first window of the file, None if it shows nothing of the image."""
    center = _first_number(dataset.get("WindowCenter", None))
    width = _first_number(dataset.get("WindowWidth", None))
    if center is None or width is None or width <= 1:
        return None
    # DICOM PS3.3 C.11.2.1.2: the window runs over (width - 1) steps around (center - 0.5).
    low = center - 0.5 - (width - 1) / 2
    high = center - 0.5 + (width - 1) / 2
    return (low, high) if low < pixels.max() and high > pixels.min() else None


def _acquisition(dataset: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for key, name in _TEXTS.items():
        text = str(dataset.get(name, "") or "").strip()
        if text:
            metadata[key] = text
    for key, name in _NUMBERS.items():
        number = _first_number(dataset.get(name, None))
        if number is not None:
            metadata[key] = number
    return metadata | {"bits": int(dataset.BitsStored)}


def _first_number(value: Any) -> float | None:
    """First item of a DICOM value of one or several numbers."""
    if value is None or value == "":
        return None
    first = value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value
    number = float(first)
    return number if math.isfinite(number) else None
