"""A CT as an array with the size of its voxels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError
from napari_xnet.simulation.grid import FloatArray

BODY_HU: float = -300.0
"""What is denser belongs to the body, not to the air around it."""
TABLE_HU: tuple[int, int] = (-1024, 3072)
"""What is beyond is clipped."""


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
        hu = np.nan_to_num(hu, nan=-1000.0, posinf=TABLE_HU[1], neginf=-1000.0)
    if float(hu.min()) >= -200.0 or float(hu.max()) <= -200.0:
        raise ImageError(
            f"{name} does not hold Hounsfield units, of which air has -1000 and water 0 "
            f"(its values run from {hu.min():g} to {hu.max():g}); rescale it first."
        )
    clipped = np.clip(hu, *TABLE_HU).astype(hu.dtype if hu.dtype == np.float32 else np.int16)
    return Volume(np.ascontiguousarray(clipped), check_spacing(spacing_mm, name))


def check_spacing(spacing: Sequence[float], name: str) -> tuple[float, float, float]:
    """Check the distance of voxels along z, y and x.

    Raises
    ------
    ImageError
        If they are not three lengths above 0; `name` is for the message.
    """
    if len(spacing) != 3 or not all(np.isfinite(one) and one > 0 for one in spacing):
        raise ImageError(
            f"{name} needs the distances of its voxels along z, y and x in mm, all above 0;"
            f" they are {tuple(spacing)}."
        )
    z, y, x = (float(one) for one in spacing)
    return z, y, x


def averaged(array: NDArray[Any], steps: Sequence[int]) -> FloatArray:
    """Take means of blocks; what is left over at the ends is dropped.

    Parameters
    ----------
    array : ndarray, shape (Z, Y, X)
    steps : sequence of int
        Size of the blocks along z, y and x.
    """
    whole = array[tuple(slice(n // s * s if n >= s else n) for n, s in zip(array.shape, steps,
                        strict=True))]  # fmt: skip
    total = whole
    for axis, step in enumerate(steps):
        if step > 1 and total.shape[axis] >= step:
            shape = (*total.shape[:axis], total.shape[axis] // step, step, *total.shape[axis + 1 :])
            total = total.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return total.astype(np.float32, copy=False)
