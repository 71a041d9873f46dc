"""CTs as layers of napari, to simulate radiographs of."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from napari_xnet.io.calibration import MM
from napari_xnet.io.dicom import dicom_modality, has_dicom_magic
from napari_xnet.io.layerdata import LayerData
from napari_xnet.simulation.ct.reading import read_ct

_NIFTI = (".nii", ".nii.gz")
_LOOKED_AT = 50
"""Files of a folder that are looked at to see whether it is one of DICOM files."""
_WINDOW_HU = (-500.0, 1500.0)


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Reader for napari of a NIfTI file, or a folder with a DICOM series.

    Parameters
    ----------
    path : str or list of str
        What the user opens.

    Returns
    -------
    callable or None
        None if it is something else.
    """
    paths = path if isinstance(path, list) else [path]
    return _read_all if paths and all(_may_be_ct(Path(one)) for one in paths) else None


def read_ct_layer(path: str | os.PathLike[str]) -> LayerData:
    """Layer of a CT.

    Parameters
    ----------
    path : path-like
        See `read_ct`.

    Returns
    -------
    LayerData
        Image in Hounsfield units, shape (Z, Y, X), with the size of its voxels.

    Raises
    ------
    ImageError
        See `read_ct`.
    """
    volume = read_ct(path)
    name = Path(path).resolve().name
    for suffix in sorted(_NIFTI, key=len, reverse=True):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    meta = {
        "name": name,
        "scale": volume.spacing_mm,
        "units": (MM,) * 3,
        "colormap": "gray",
        "contrast_limits": _WINDOW_HU,
    }
    return volume.hu, meta, "image"


def _read_all(path: str | list[str]) -> list[LayerData]:
    return [read_ct_layer(one) for one in (path if isinstance(path, list) else [path])]


def _may_be_ct(path: Path) -> bool:
    if not path.is_dir():
        return path.name.lower().endswith(_NIFTI)
    files = (one for one in path.rglob("*") if one.is_file())
    found = next(filter(has_dicom_magic, itertools.islice(files, _LOOKED_AT)), None)
    return found is not None and dicom_modality(found) in ("CT", "")
