"""A CT seen by a cone beam: thickness of each material along each ray."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_xnet.errors import ImageError
from napari_xnet.simulation.ct.volume import BODY_HU, TABLE_HU, Volume, averaged
from napari_xnet.simulation.grid import Detector, FloatArray
from napari_xnet.simulation.view import Thickness

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
1900 being about that of cortical bone as ICRU Report 44 (1989) composes it; below
+100 there is none, since blood, contrast agents and noise reach that. What
is denser than enamel is metal.
"""
_SPONGY = 0.4
"""Share of the texture of spongy bone that a CT does not show itself."""
_FINEST = 0.8
"""Smallest distance of the rays, in voxels."""
_TURNS_DEG = ((-15.0, 15.0), (75.0, 105.0), (-180.0, 180.0))
_TILT_DEG = 4.0
_ROLL_DEG = 8.0


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
    hu = np.moveaxis(averaged(volume.hu, steps), own, 0)
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
    table, low = _table(), TABLE_HU[0]
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
    units = np.arange(TABLE_HU[0], TABLE_HU[1] + 1)
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
