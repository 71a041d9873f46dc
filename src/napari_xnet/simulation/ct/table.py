"""What a patient lies on, taken away."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet.errors import ImageError
from napari_xnet.simulation.ct.volume import BODY_HU, Volume, averaged

_COARSE_MM = 3.0
"""Voxels by which body and table are told apart."""
_SHEET_MM = (15.0, 150.0)
"""Thickness up to which, and width from which on, something flat is a table or a cushion."""
_TISSUE_PART = 0.25
"""Another leg is at least this large, of the largest piece."""


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
    coarse = averaged(volume.hu, steps)
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
