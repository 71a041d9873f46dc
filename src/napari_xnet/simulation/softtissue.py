"""Soft tissue: muscles around their lines of action, flesh around bones, skin around all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xnet.simulation.grid import FloatArray, Grid

FAR_MM: float = 1e3
"""Distance that stands for "nowhere near"."""


@dataclass(frozen=True)
class Strand:
    """A chain of balls: the belly of a muscle, the pulp of a finger.

    Attributes
    ----------
    centres_mm : ndarray, shape (N, 3)
        Centres (x, y, z) of the balls.
    radii_mm : ndarray, shape (N,)
        Their radii.
    """

    centres_mm: FloatArray
    radii_mm: FloatArray


def strand(points_mm: FloatArray, radii_mm: FloatArray, step_mm: float) -> Strand:
    """Balls at equal distances along a polyline.

    Parameters
    ----------
    points_mm : ndarray, shape (P, 3)
        The polyline.
    radii_mm : ndarray, shape (R,)
        Radii at equal fractions of its length, interpolated linearly.
    step_mm : float
        Distance of the balls.
    """
    legs = np.linalg.norm(np.diff(points_mm, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(legs)])
    samples = np.linspace(0.0, at[-1], max(int(np.ceil(at[-1] / step_mm)), 1) + 1)
    centres = np.stack([np.interp(samples, at, points_mm[:, i]) for i in range(3)], axis=1)
    fractions = samples / max(at[-1], 1e-9)
    radii = np.interp(fractions, np.linspace(0.0, 1.0, len(radii_mm)), radii_mm)
    return Strand(centres, radii)


def paint(distance_mm: FloatArray, grid: Grid, strands: Sequence[Strand], reach_mm: float) -> None:
    """Lower a map of distances to the surface of strands, in place.

    Parameters
    ----------
    distance_mm : ndarray, shape (Z, Y, X)
        Signed distance, negative inside; where a strand is nearer, its distance.
    grid : Grid
        Where the voxels lie.
    strands : sequence of Strand
        What to add.
    reach_mm : float
        How far from a surface distances must be right.
    """
    z, y, x = grid.axes_mm()
    for one in strands:
        for centre, radius in zip(one.centres_mm, one.radii_mm, strict=True):
            reach = float(radius) + reach_mm
            box = grid.box(centre - reach, centre + reach)
            near = distance_mm[box]
            if not near.size:
                continue
            square = (
                (z[box[0]] - centre[2]) ** 2
                + (y[:, box[1]] - centre[1]) ** 2
                + (x[:, :, box[2]] - centre[0]) ** 2
            )
            np.minimum(near, np.sqrt(square) - radius, out=near)


def distance_from(inside: NDArray[np.bool_], spacing_mm: float) -> FloatArray:
    """Distance in mm from the border of a mask, 0 inside it, shape as given."""
    if not inside.any():
        return np.full(inside.shape, FAR_MM, dtype=np.float32)
    voxels = ndimage.distance_transform_edt(~inside)
    # the border runs between the voxels, half an edge from the first one outside
    distance: FloatArray = np.maximum(voxels - 0.5, 0.0).astype(np.float32) * spacing_mm
    return distance


def close(distance_mm: FloatArray, grid: Grid, radius_mm: float) -> FloatArray:
    """Fill the creases into which a ball of a given radius does not reach.

    Parameters
    ----------
    distance_mm : ndarray, shape (Z, Y, X)
        Signed distance, negative inside. Need only be right at the border.
    grid : Grid
        Where the voxels lie. The body ends at its sides, but goes on above
        and below.
    radius_mm : float
        Radius of the ball.

    Returns
    -------
    ndarray, shape (Z, Y, X)
        Signed distance of the closed body.
    """
    # a wide ball leaves a smooth surface, which coarse voxels carry
    step = max(int(radius_mm / (6.0 * grid.spacing_mm)), 1)
    spacing = step * grid.spacing_mm
    pad = int(np.ceil(radius_mm / spacing)) + 2
    inside = distance_mm[::step, ::step, ::step] <= 0.0
    inside = np.pad(
        np.pad(inside, ((pad, pad), (0, 0), (pad, pad))), ((0, 0), (pad, pad), (0, 0)), "edge"
    )
    swollen = distance_from(inside, spacing) < radius_mm
    closed = radius_mm - distance_from(~swollen, spacing)
    fine: FloatArray = ndimage.affine_transform(
        closed,
        np.full(3, 1.0 / step),
        offset=pad,
        output_shape=distance_mm.shape,
        order=1,
        mode="nearest",
        output=np.float32,
    )
    np.minimum(distance_mm, fine, out=fine)
    return fine


def filled(distance_mm: FloatArray, grid: Grid, smooth_mm: float) -> FloatArray:
    """Share of each voxel inside a smoothed body.

    Parameters
    ----------
    distance_mm : ndarray, shape (Z, Y, X)
        Signed distance, negative inside.
    grid : Grid
        Where the voxels lie.
    smooth_mm : float
        Standard deviation of the smoothing; rounds what is smaller.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        0 to 1.
    """
    band = 4.0 * smooth_mm + 2.0 * grid.spacing_mm
    clipped = np.clip(distance_mm, -band, band).astype(np.float32)
    smooth = ndimage.gaussian_filter(clipped, smooth_mm / grid.spacing_mm, mode="nearest")
    share: FloatArray = np.clip(0.5 - smooth / grid.spacing_mm, 0.0, 1.0)
    return share
