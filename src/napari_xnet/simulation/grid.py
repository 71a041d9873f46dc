"""Voxel grids in the frame of the beam.

Everything is simulated in one right-handed frame in millimetres: x to the
right of the image, y downwards, z along the beam, from the source towards the
detector. Volumes are indexed ``[z, y, x]``, images ``[y, x]``.
"""

from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Grid:
    """A regular grid of cubic voxels.

    Attributes
    ----------
    origin_mm : tuple of float
        Centre (x, y, z) of voxel ``[0, 0, 0]``.
    spacing_mm : float
        Edge length of a voxel.
    shape : tuple of int
        Number of voxels along (z, y, x).
    """

    origin_mm: tuple[float, float, float]
    spacing_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, low_mm: FloatArray, high_mm: FloatArray, spacing_mm: float) -> Self:
        """Grid that covers a box.

        Parameters
        ----------
        low_mm, high_mm : ndarray, shape (3,)
            Opposite corners (x, y, z) of the box.
        spacing_mm : float
            Edge length of a voxel.
        """
        count = np.maximum(np.ceil((high_mm - low_mm) / spacing_mm).astype(int), 1) + 1
        return cls(
            (float(low_mm[0]), float(low_mm[1]), float(low_mm[2])),
            spacing_mm,
            (int(count[2]), int(count[1]), int(count[0])),
        )

    def axes_mm(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Voxel centres along z, y and x, shaped so that they broadcast to `shape`."""
        z, y, x = (
            start + self.spacing_mm * np.arange(count, dtype=np.float32)
            for start, count in zip(reversed(self.origin_mm), self.shape, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def box(self, low_mm: FloatArray, high_mm: FloatArray) -> tuple[slice, slice, slice]:
        """Index range (z, y, x) of the voxels between two corners (x, y, z)."""
        limits = np.asarray(self.shape[::-1])
        origin = np.asarray(self.origin_mm)
        first = np.clip(np.floor((low_mm - origin) / self.spacing_mm).astype(int), 0, limits)
        last = np.clip(np.ceil((high_mm - origin) / self.spacing_mm).astype(int) + 1, 0, limits)
        x, y, z = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return z, y, x

    def crop(
        self, low_mm: FloatArray, high_mm: FloatArray
    ) -> tuple["Grid", tuple[slice, slice, slice]]:
        """Crop to the part between two corners (x, y, z); also its place in this grid."""
        box = self.box(low_mm, high_mm)
        z, y, x = (
            float(axis.ravel()[part.start]) if part.start < part.stop else 0.0
            for axis, part in zip(self.axes_mm(), box, strict=True)
        )
        shape = (
            box[0].stop - box[0].start,
            box[1].stop - box[1].start,
            box[2].stop - box[2].start,
        )
        return Grid((x, y, z), self.spacing_mm, shape), box


@dataclass(frozen=True)
class Detector:
    """A flat detector of square pixels, perpendicular to the beam.

    Attributes
    ----------
    shape : tuple of int
        Number of pixels along (y, x).
    pixel_size_mm : float
        Edge length of a pixel.
    origin_mm : tuple of float
        Centre (x, y) of pixel ``[0, 0]``.
    """

    shape: tuple[int, int]
    pixel_size_mm: float
    origin_mm: tuple[float, float]

    @classmethod
    def centred(cls, width_mm: float, height_mm: float, size_px: int) -> Self:
        """Detector of a given size around (0, 0) with `size_px` pixels along its long side."""
        pixel = max(width_mm, height_mm) / size_px
        columns, rows = max(round(width_mm / pixel), 1), max(round(height_mm / pixel), 1)
        origin = (-pixel * (columns - 1) / 2, -pixel * (rows - 1) / 2)
        return cls((rows, columns), pixel, origin)

    @property
    def low_mm(self) -> FloatArray:
        """Upper left corner (x, y)."""
        return np.asarray(self.origin_mm) - self.pixel_size_mm / 2

    @property
    def high_mm(self) -> FloatArray:
        """Lower right corner (x, y)."""
        return self.low_mm + self.pixel_size_mm * np.asarray(self.shape[::-1])
