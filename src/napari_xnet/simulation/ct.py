"""CT: any volume of Hounsfield units, seen by a cone beam.

World frame of a volume: millimetres, x to the patient's left, y to the back,
z to the head, as in DICOM, if the file says how the patient lies; the centre
of voxel ``[0, 0, 0]`` is the origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_xnet.errors import ImageError
from napari_xnet.simulation.grid import Detector, FloatArray
from napari_xnet.simulation.view import Thickness

BODY_HU: float = -300.0
"""What is denser belongs to the body, not to the air around it."""

_MATERIALS = ("lung", "fat", "lean", "bone", "titanium")
_NODES_HU = (-1024, -990, -740, -300, -100, 45, 100, 180, 1900, 2800, 3000)
_SHARES = {
    "lung": (0, 0, 1, 0.35, 0, 0, 0, 0, 0, 0, 0),
    "fat": (0, 0, 0, 0.65, 1, 0, 0, 0, 0, 0, 0),
    "lean": (0, 0, 0, 0, 0, 1, 1, 1 - 120 / 1840, 0, 0, 0),
    "bone": (0, 0, 0, 0, 0, 0, 0, 120 / 1840, 1, 2740 / 1840, 0),
    "titanium": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
}
"""Share of the volume that each material fills, linear between the nodes.

Hounsfield units follow density: inflated lung (0.26 g/cm3) -740, adipose
tissue -100, muscle +45. The share of mineralised bone is (HU - 60) / (1900 - 60),
1900 being dense cortical bone at CT energies (ICRU Report 44 (1989)); below
+100 there is none, since blood, contrast agents and noise reach that. What
is denser than enamel is metal.
"""
_TABLE_HU = (-1024, 3072)
_SPONGY = 0.4
"""Share of the texture of spongy bone that a CT does not show itself."""
_FINEST = 0.8
"""Smallest distance of the rays, in voxels."""
_COARSE_MM = 3.0
"""Voxels by which body and table are told apart."""
_SHEET_MM = (15.0, 150.0)
"""Thickness up to which, and width from which on, something flat is a table or a cushion."""
_TISSUE_PART = 0.25
"""Another leg is at least this large, of the largest piece."""
_TURNS_DEG = ((-15.0, 15.0), (75.0, 105.0), (-180.0, 180.0))
_TILT_DEG = 4.0
_ROLL_DEG = 8.0


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT.

    Attributes
    ----------
    hu : ndarray of int16 or float32, shape (Z, Y, X)
        Hounsfield units: air is -1000, water 0.
    spacing_mm : tuple of float
        Distance of the voxels along z, y and x.
    """

    hu: NDArray[Any]
    spacing_mm: tuple[float, float, float]

    @property
    def size_mm(self) -> FloatArray:
        """Length along x, y and z."""
        size: FloatArray = np.array(self.hu.shape[::-1]) * self.spacing_mm[::-1]
        return size


def read_ct(path: str | Path, spacing_mm: Sequence[float] | None = None) -> Volume:
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
    given = _checked(spacing_mm, path.name) if spacing_mm is not None else None
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


def as_volume(hu: NDArray[Any], spacing_mm: Sequence[float], name: str = "The CT") -> Volume:
    """Check that an array is a CT.

    Parameters
    ----------
    hu : ndarray of any real dtype, shape (Z, Y, X)
        Hounsfield units.
    spacing_mm : sequence of float
        Distance of the voxels along z, y and x.
    name : str
        For messages.

    Raises
    ------
    ImageError
        If it has another shape, or holds no Hounsfield units.
    """
    if hu.dtype.kind not in "iuf":
        raise ImageError(f"{name} holds colours or complex numbers, but a CT has one channel.")
    if hu.ndim != 3 or min(hu.shape) < 2:
        raise ImageError(
            f"{name} has the shape {hu.shape}, but a CT has several slices of one channel."
        )
    if not np.issubdtype(hu.dtype, np.signedinteger):
        hu = hu.astype(np.float32, copy=False)
        hu = np.nan_to_num(hu, nan=-1000.0, posinf=_TABLE_HU[1], neginf=-1000.0)
    if float(hu.min()) >= -200.0 or float(hu.max()) <= -200.0:
        raise ImageError(
            f"{name} does not hold Hounsfield units, of which air has -1000 and water 0 "
            f"(its values run from {hu.min():g} to {hu.max():g}); rescale it first."
        )
    clipped = np.clip(hu, *_TABLE_HU).astype(hu.dtype if hu.dtype == np.float32 else np.int16)
    return Volume(np.ascontiguousarray(clipped), _checked(spacing_mm, name))


def _checked(spacing: Sequence[float], name: str) -> tuple[float, float, float]:
    if len(spacing) != 3 or not all(np.isfinite(one) and one > 0 for one in spacing):
        raise ImageError(
            f"{name} needs the distances of its voxels along z, y and x in mm, all above 0;"
            f" they are {tuple(spacing)}."
        )
    z, y, x = (float(one) for one in spacing)
    return z, y, x


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


def remove_table(volume: Volume) -> Volume:
    """Keep the body alone: what it lies on, and what is around it, becomes air.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    Volume
        The largest connected piece above `BODY_HU` with all it encloses, and
        others that are a quarter as large, such as a second leg, without flat
        sheets that lie across the y axis: thinner than 15 mm and wider than
        150 mm. Where they touch the body they are left.

    Raises
    ------
    ImageError
        If there is nothing but air.
    """
    steps = [max(round(_COARSE_MM / one), 1) for one in volume.spacing_mm]
    coarse = _averaged(volume.hu, steps)
    dense = coarse > BODY_HU
    solid = dense & ~_sheets(dense, [own * step for own, step in zip(volume.spacing_mm, steps,
                             strict=True)])  # fmt: skip
    pieces, count = ndimage.label(solid if solid.any() else dense)
    if not count:
        raise ImageError("The CT holds nothing but air.")
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = np.isin(pieces, np.flatnonzero(sizes >= _TISSUE_PART * sizes.max()))
    # Lungs and guts may be open where the volume ends, but hardly within a slice.
    for axis in range(3):
        for i in range(kept.shape[axis]):
            part = (slice(None),) * axis + (i,)
            kept[part] = ndimage.binary_fill_holes(kept[part])
    kept = ndimage.binary_dilation(kept)
    for axis, step in enumerate(steps):
        kept = kept.repeat(step, axis=axis) if step > 1 else kept
    missing = [(0, max(n - m, 0)) for n, m in zip(volume.hu.shape, kept.shape, strict=True)]
    kept = np.pad(kept, missing, mode="edge")[tuple(slice(n) for n in volume.hu.shape)]
    return Volume(np.where(kept, volume.hu, volume.hu.dtype.type(-1000)), volume.spacing_mm)


def _sheets(dense: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Voxels of what is flat, thin along y and wide along x."""
    _, y_mm, x_mm = spacing_mm
    thick, wide = _SHEET_MM
    column = np.ones((1, int(thick / y_mm) + 1, 1), bool)
    row = np.ones((1, 1, max(round(wide / x_mm), 2)), bool)
    thin = dense & ~ndimage.binary_opening(dense, column)
    # Its width is seen also where the body lies on it.
    sheets: NDArray[np.bool_] = thin & ndimage.binary_opening(dense, row)
    return sheets


def _averaged(array: NDArray[Any], steps: Sequence[int]) -> FloatArray:
    """Means of blocks; what is left over at the ends is dropped."""
    whole = array[tuple(slice(n // s * s if n >= s else n) for n, s in zip(array.shape, steps,
                        strict=True))]  # fmt: skip
    total = whole
    for axis, step in enumerate(steps):
        if step > 1 and total.shape[axis] >= step:
            shape = (*total.shape[:axis], total.shape[axis] // step, step, *total.shape[axis + 1 :])
            total = total.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return total.astype(np.float32, copy=False)


def project_ct(
    volume: Volume,
    rotation: FloatArray,
    field_mm: tuple[float, float],
    size_px: int,
    source_mm: float,
    centre_mm: FloatArray | None = None,
    gap_mm: float = 20.0,
) -> Thickness:
    """Measure each material along each ray of a cone beam.

    Parameters
    ----------
    volume : Volume
        Without its table.
    rotation : ndarray, shape (3, 3)
        Rows: directions in the volume's frame of the image's right, its down,
        and the beam; the axes of a `View`.
    field_mm : tuple of float
        Width and height of the detector.
    size_px : int
        Pixels along its long side.
    source_mm : float
        From the source to the detector.
    centre_mm : ndarray, shape (3,), optional
        Point (x, y, z) of the volume's frame on the central ray; the middle
        of the volume if None.
    gap_mm : float
        From the volume to the detector.

    Returns
    -------
    Thickness
        Of the materials of CT: lung, fat, lean, bone and titanium. All bone
        but dense cortex counts as spongy in part, by its share of mineral.

    Raises
    ------
    ImageError
        If the source would lie in the volume.

    Notes
    -----
    Joseph's method (IEEE Trans Med Imaging 1 (1982) 192): the planes of voxels
    that the beam crosses most steeply are sampled where the rays cross them.
    Voxels are averaged to about the size of the pixels before.
    """
    axes = np.asarray(rotation, np.float64)
    wanted = Detector.centred(*field_mm, size_px)
    lead = int(np.argmax(np.abs(axes[2])))  # x, y or z of the volume
    # Rays closer together than the voxels show nothing more.
    voxel = float(np.sqrt(np.prod(np.delete(volume.spacing_mm[::-1], lead))))
    pixels = max(wanted.shape) * min(1.0, wanted.pixel_size_mm / (_FINEST * voxel))
    detector = Detector.centred(*field_mm, max(round(pixels), 1))
    centre = (volume.size_mm - volume.spacing_mm[::-1]) / 2 if centre_mm is None else centre_mm
    corners = np.array(np.meshgrid(*((0.0, size) for size in volume.size_mm))).reshape(3, -1).T
    reach = (corners - centre) @ axes[2]
    height = float(reach.max()) + gap_mm
    if reach.min() <= height - source_mm:
        raise ImageError(
            f"The CT is {np.ptp(reach):.0f} mm deep along the beam, more than lies between source"
            f" and detector ({source_mm:.0f} mm)."
        )
    steps = [max(round(detector.pixel_size_mm / one), 1) for one in volume.spacing_mm]
    own = 2 - lead
    steps[own] = max(int(2.0 * detector.pixel_size_mm / volume.spacing_mm[own]), 1)
    steps = [min(step, n) for step, n in zip(steps, volume.hu.shape, strict=True)]
    hu = np.moveaxis(_averaged(volume.hu, steps), own, 0)
    spacing = np.array([s * n for s, n in zip(volume.spacing_mm, steps, strict=True)])
    first = np.array([s * (n - 1) / 2 for s, n in zip(volume.spacing_mm, steps, strict=True)])
    # From here on vectors have the order of the array: z, y, x, less the leading axis.
    rest = [axis for axis in range(3) if axis != own]
    source = np.asarray(centre, np.float64) + (height - source_mm) * axes[2]
    y, x = (
        start + detector.pixel_size_mm * np.arange(count)
        for start, count in zip(reversed(detector.origin_mm), detector.shape, strict=True)
    )
    rays = (
        x[None, :, None] * axes[0] + y[:, None, None] * axes[1] + source_mm * axes[2]
    )[..., ::-1]  # fmt: skip
    source = source[::-1]
    slope = rays / rays[..., own, None]
    length = np.linalg.norm(slope, axis=-1).astype(np.float32) * np.float32(spacing[own])
    start = (source - first) / spacing
    drift = np.moveaxis(slope[..., rest] * spacing[own] / spacing[rest], -1, 0).astype(np.float32)
    table, low = _table(), _TABLE_HU[0]
    total = np.zeros((*detector.shape, table.shape[1]), np.float32)
    for k, plane in enumerate(hu):
        filled = plane > _NODES_HU[1]
        if not filled.any():
            continue
        at = drift * np.float32(k - start[own])
        at[0] += np.float32(start[rest[0]])
        at[1] += np.float32(start[rest[1]])
        box = _touched(at, filled)
        if box is None:
            continue
        sampled = ndimage.map_coordinates(
            plane, at[:, box[0], box[1]], order=1, mode="constant", cval=-1024.0
        )
        total[box] += table[(sampled - low + 0.5).astype(np.int32).clip(0, len(table) - 1)]
    total *= length[..., None]
    maps = [_resampled(total[..., i], wanted.shape) for i in range(total.shape[2])]
    return Thickness(dict(zip(_MATERIALS, maps, strict=False)), maps[-1])


def _resampled(image: FloatArray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Show the same field with other pixels."""
    if image.shape == shape:
        return np.ascontiguousarray(image, np.float32)
    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    fine = ndimage.zoom(image, factors, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine, np.float32)


def _touched(at: FloatArray, filled: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Rows and columns of pixels whose rays may meet what is filled of a plane."""
    hit = np.ones(at.shape[1:], bool)
    for place, axis in zip(at, (1, 0), strict=True):
        where = np.flatnonzero(filled.any(axis=axis))
        hit &= (place > where[0] - 1) & (place < where[-1] + 1)
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _table() -> NDArray[np.float32]:
    """Shares of the materials, and of spongy bone, for each Hounsfield unit."""
    units = np.arange(_TABLE_HU[0], _TABLE_HU[1] + 1)
    shares = [np.interp(units, _NODES_HU, _SHARES[name]) for name in _MATERIALS]
    bone = shares[_MATERIALS.index("bone")]
    return np.stack(
        [*shares, _SPONGY * bone * np.clip(1.25 - 1.25 * bone, 0.0, 1.0)], axis=1
    ).astype(np.float32)


def random_ct_projection(
    volume: Volume, size_px: int, rng: np.random.Generator
) -> tuple[Thickness, Detector]:
    """See a CT from a direction and through a field that happen in practice.

    The beam is about perpendicular to the long axis of the patient, z, and the field
    lies where the volume reaches far enough.

    Parameters
    ----------
    volume : Volume
        Without its table.
    size_px : int
        Long side of the image.
    rng : numpy.random.Generator

    Returns
    -------
    thickness : Thickness
    detector : Detector
        Its pixel size is that of the image.
    """
    low, high = _TURNS_DEG[int(rng.integers(len(_TURNS_DEG)))]
    turn = Rotation.from_euler("z", rng.uniform(low, high), degrees=True)
    askew = Rotation.from_euler(
        "xyz", rng.normal(0.0, (_TILT_DEG, _TILT_DEG, _ROLL_DEG)), degrees=True
    )
    # From the front to the back, head up.
    front = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    axes = askew.as_matrix() @ front @ turn.as_matrix().T
    source, gap = rng.uniform(1000.0, 1500.0), rng.uniform(5.0, 60.0)
    steps = [max(min(4, size // 8), 1) for size in volume.hu.shape]
    body = volume.hu[tuple(slice(None, None, step) for step in steps)] > BODY_HU
    places = np.argwhere(body)[:, ::-1] * np.multiply(steps, volume.spacing_mm)[::-1]
    if not len(places):
        raise ImageError("The CT holds nothing but air.")
    across = np.percentile(places @ axes[0], (1, 99))
    along = np.percentile(places[:, 2], (0, 100))
    wide, tall = float(np.ptp(across)), float(np.ptp(along))
    middle = 0.5 * (places.min(axis=0) + places.max(axis=0))
    source = max(source, 2.5 * float(np.linalg.norm(volume.size_mm)))
    larger = source / (source - gap - 0.5 * float(np.ptp(places @ axes[2])))
    width = larger * wide * rng.uniform(0.4, 1.05)
    height = larger * tall * rng.uniform(0.45, 0.95)
    ratio = np.clip(width / height, 0.5, 2.0)
    width, height = min(width, ratio * height), min(height, width / ratio)
    # Not beyond the body, up, down or sideways.
    free = 0.5 * np.maximum(np.array([wide, tall]) - np.array([width, height]) / larger, 0.0)
    move = rng.uniform(-1.0, 1.0, 2) * free
    centre = middle + move[0] * axes[0] + move[1] * np.array([0.0, 0.0, 1.0])
    detector = Detector.centred(width, height, size_px)
    return project_ct(volume, axes, (width, height), size_px, source, centre, gap), detector
