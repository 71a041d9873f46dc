"""Flesh: strands, creases and smoothing on a voxel grid."""

import numpy as np
import pytest

from napari_xnet.simulation.grid import Grid
from napari_xnet.simulation.softtissue import FAR_MM, close, filled, paint, strand

GRID = Grid.around(np.array([-20.0, -15.0, -12.0]), np.array([20.0, 15.0, 12.0]), 1.0)


def balls(*centres, radius=5.0):
    distance = np.full(GRID.shape, FAR_MM, dtype=np.float32)
    paint(
        distance,
        GRID,
        [strand(np.array([c, c], dtype=float), np.array([radius]), 1.0) for c in centres],
        30.0,
    )
    return distance


def test_painted_ball_has_its_volume():
    share = filled(balls((0, 0, 0), radius=7.0), GRID, 0.3)
    assert share.sum() == pytest.approx(4 / 3 * np.pi * 7.0**3, rel=0.03)


def test_strand_runs_evenly_along_its_path():
    one = strand(np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0]]), np.array([1.0, 3.0]), 1.0)
    steps = np.linalg.norm(np.diff(one.centres_mm, axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0)
    assert one.radii_mm[0] == 1.0
    assert one.radii_mm[-1] == 3.0


def test_closing_fills_a_narrow_crease_only():
    narrow, wide = balls((-6, 0, 0), (6, 0, 0)), balls((-12, 0, 0), (12, 0, 0))
    z, y, x = (size // 2 for size in GRID.shape)
    assert narrow[z, y, x] > 0 > close(narrow, GRID, 6.0)[z, y, x]
    assert close(wide, GRID, 6.0)[z, y, x] > 0


def test_closing_keeps_what_was_inside():
    body = balls((-6, 0, 0), (6, 3, 0))
    assert (close(body, GRID, 6.0) <= body).all()


def test_closing_does_not_spread_to_the_border():
    closed = close(balls((0, 0, 0)), GRID, 40.0) <= 0
    assert not closed[[0, -1]].any()
    assert not closed[:, :, [0, -1]].any()
