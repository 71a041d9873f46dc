"""CTs from NIfTI, DICOM and TIFF."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError
from napari_xnet.simulation.ct.volume import Volume, as_volume, check_spacing


def read_ct(path: str | os.PathLike[str], spacing_mm: Sequence[float] | None = None) -> Volume:
    """Read a CT.

    Parameters
    ----------
    path : path-like
        A NIfTI file (``.nii``, ``.nii.gz``), a folder with a DICOM series
        (if there are several, the one of most slices), or a TIFF stack of
        Hounsfield units.
    spacing_mm : sequence of float, optional
        Distance of the voxels along z, y and x; instead of what a file says.

    Returns
    -------
    Volume
        As scanned, with the table: see `remove_table`.

    Raises
    ------
    ImageError
        If it cannot be read, states no spacing, or holds no Hounsfield units.
    """
    path = Path(path)
    if path.is_dir():
        path = path.resolve()  # "." has a name, too
    given = check_spacing(spacing_mm, path.name) if spacing_mm is not None else None
    if path.is_dir():
        hu, spacing = _read_dicom(path)
    elif path.name.lower().endswith((".nii", ".nii.gz")):
        hu, spacing = _read_nifti(path)
    elif path.suffix.lower() in (".tif", ".tiff"):
        hu, spacing = _read_tiff(path, given)
    elif not path.exists():
        raise ImageError(f"{path} does not exist.")
    else:
        raise ImageError(
            f"{path.name} is no CT that can be read; give a NIfTI file (.nii, .nii.gz), a folder"
            " with a DICOM series, or a TIFF stack."
        )
    return as_volume(hu, given or spacing, path.name)


def _read_nifti(path: Path) -> tuple[NDArray[Any], Sequence[float]]:
    try:
        import nibabel
    except ImportError as error:
        raise ImageError(
            'Reading NIfTI needs nibabel: pip install "napari-xnet[simulation]".'
        ) from error
    try:
        image: Any = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call, unused-ignore]
        data = np.asanyarray(image.dataobj)
        zooms = [float(one) for one in image.header.get_zooms()[:3]]
        unit = image.header.get_xyzt_units()[0]
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    # nibabel and the decompressors raise nearly every kind of error on damaged files.
    except Exception as error:
        raise ImageError(
            f"{path.name}: the NIfTI file is truncated or damaged; export or copy it again."
        ) from error
    factor = {"meter": 1000.0, "micron": 1e-3}.get(unit, 1.0)
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        return data, zooms
    # Canonical: x to the right, y to the front. Ours: x to the left, y to the back.
    return data.transpose(2, 1, 0)[:, ::-1, ::-1], [factor * one for one in zooms[::-1]]


def _read_tiff(
    path: Path, given: tuple[float, float, float] | None
) -> tuple[NDArray[Any], Sequence[float]]:
    from napari_xnet.io.calibration import series_calibration
    from napari_xnet.io.tiff import open_tiff

    if not path.exists():
        raise ImageError(f"{path} does not exist.")
    with open_tiff(path) as tif:
        hu = np.squeeze(tif.series[0].asarray())
        sizes = series_calibration(tif, 0)
    if given is None and not all(axis in sizes for axis in "ZYX"):
        raise ImageError(
            f"{path.name} does not say how far apart its voxels are; give the spacing along z, y"
            " and x in mm (--spacing-mm), or save it from ImageJ with a pixel size and a voxel"
            " depth."
        )
    return hu, given or [sizes[axis] for axis in "ZYX"]


def _read_dicom(folder: Path) -> tuple[NDArray[Any], Sequence[float]]:
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            'Reading DICOM needs pydicom: pip install "napari-xnet[dicom]".'
        ) from error
    tags = ["SeriesInstanceUID", "Modality", "ImagePositionPatient", "NumberOfFrames", "Rows"]
    series: dict[str, list[Path]] = {}
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags)
        except (pydicom.errors.InvalidDicomError, OSError):
            continue
        except Exception:  # a damaged file among others
            continue
        if head.get("Modality") == "CT" and "ImagePositionPatient" in head and "Rows" in head:
            series.setdefault(str(head.get("SeriesInstanceUID", "")), []).append(file)
    if not series:
        raise ImageError(
            f"{folder.name} holds no CT slices in DICOM format; give the folder of one series."
        )
    files = max(series.values(), key=len)
    if len(files) < 2:
        raise ImageError(f"{folder.name} holds a single CT slice; give the folder of a series.")
    try:
        slices = [pydicom.dcmread(file) for file in files]
        return _stacked(slices, folder)
    except ImageError:
        raise
    # pydicom and its decoders raise nearly every kind of error on damaged files.
    except Exception as error:
        hint = (
            "its compression needs a decoder: pip install pylibjpeg pylibjpeg-libjpeg "
            "pylibjpeg-openjpeg"
            if "plugin" in str(error) or "decod" in str(error)
            else "a slice is truncated or damaged; export or copy the series again"
        )
        raise ImageError(f"{folder.name}: {hint}.") from error


def _stacked(slices: list[Any], folder: Path) -> tuple[NDArray[Any], Sequence[float]]:
    """Slices in order, turned so that z, y and x run to the head, the back and the left."""
    first = slices[0]
    across, down = np.reshape([float(v) for v in first.ImageOrientationPatient], (2, 3))
    normal = np.cross(across, down)
    place = np.array([[float(v) for v in one.ImagePositionPatient] for one in slices]) @ normal
    # A slice may be there twice.
    place, order = np.unique(np.round(place, 3), return_index=True)
    steps = np.diff(place)
    step = float(np.median(steps)) if len(steps) else 0.0
    if not step or np.abs(steps - step).max() > 0.1 * step:
        raise ImageError(
            f"{folder.name}: slices of the series are missing or unevenly spaced; export all."
        )
    if len({(one.Rows, one.Columns) for one in slices}) > 1:
        raise ImageError(f"{folder.name}: the slices of the series differ in size; export one.")
    hu = np.stack([
        (
            slices[i].pixel_array * float(slices[i].get("RescaleSlope", 1) or 1)
            + float(slices[i].get("RescaleIntercept", 0) or 0)
        ).astype(np.float32)
        for i in order
    ])  # fmt: skip
    if "PixelSpacing" not in first:
        raise ImageError(f"{folder.name}: the series states no PixelSpacing; export it again.")
    spacing = [step, float(first.PixelSpacing[0]), float(first.PixelSpacing[1])]
    directions = np.stack([normal, down, across])
    # The nearest axis of the patient for each axis of the stack.
    nearest = np.argmax(np.abs(directions), axis=1)
    if sorted(nearest) != [0, 1, 2]:
        return hu, spacing
    axes = [int(np.flatnonzero(nearest == axis)[0]) for axis in (2, 1, 0)]
    flips = tuple(
        slice(None, None, 1 if directions[own, axis] > 0 else -1)
        for own, axis in zip(axes, (2, 1, 0), strict=True)
    )
    return hu.transpose(axes)[flips], [spacing[own] for own in axes]
