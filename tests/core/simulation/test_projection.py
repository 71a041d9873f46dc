"""Thickness of simple bodies, known by formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from napari_xnet.simulation.grid import Detector, Grid
from napari_xnet.simulation.projection import (
    depth_range,
    magnify,
    mesh_thickness,
    voxelise,
)
from napari_xnet.simulation.rasterise import paint_balls


def convex(points):
    """Triangles, counter-clockwise from outside, of the hull of points, shape (T, 3, 3)."""
    hull = ConvexHull(points)
    triangles = points[hull.simplices]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    inward = np.einsum("ij,ij->i", normals, hull.equations[:, :3]) < 0
    triangles[inward] = triangles[inward, ::-1]
    return triangles


def box(size, centre):
    corners = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    return convex(corners * size + centre)


def sphere(radius, points=3000):
    """Points evenly on a sphere (Fibonacci's lattice)."""
    n = np.arange(points) + 0.5
    polar, turn = np.arccos(1 - 2 * n / points), np.pi * (1 + 5**0.5) * n
    unit = np.stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1
    )
    return convex(radius * unit)


def thickness_of(triangles):
    faces = np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3)
    return mesh_thickness(triangles.reshape(-1, 3), faces, DETECTOR)


DETECTOR = Detector.centred(30.0, 24.0, 60)


def pixel_centres(detector):
    rows, columns = np.indices(detector.shape)
    x = detector.origin_mm[0] + columns * detector.pixel_size_mm
    y = detector.origin_mm[1] + rows * detector.pixel_size_mm
    return x, y


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(*[st.floats(1.0, 15.0)] * 3),
    centre=st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-100, 100)),
)
def test_box_is_as_thick_as_it_is(size, centre):
    size, centre = np.array(size), np.array(centre)
    thickness = thickness_of(box(size, centre))
    x, y = pixel_centres(DETECTOR)
    depth = np.maximum(abs(x - centre[0]) - size[0] / 2, abs(y - centre[1]) - size[1] / 2)
    clear = abs(depth) > 1e-3
    expected = np.where(depth < 0, size[2], 0.0)
    np.testing.assert_allclose(thickness[clear], expected[clear], atol=1e-4)


def test_sphere_is_as_thick_as_its_chords():
    x, y = pixel_centres(DETECTOR)
    chord = 2 * np.sqrt(np.maximum(10.0**2 - x**2 - y**2, 0.0))
    thickness = thickness_of(sphere(10.0))
    inner = x**2 + y**2 < 9.5**2
    np.testing.assert_allclose(thickness[inner], chord[inner], atol=0.1)
    assert thickness[x**2 + y**2 > 10.0**2].max() == 0.0


def test_thickness_adds_up_to_the_volume():
    thickness = thickness_of(sphere(8.0))
    volume = thickness.sum() * DETECTOR.pixel_size_mm**2
    assert volume == pytest.approx(4 / 3 * np.pi * 8.0**3, rel=0.01)


@pytest.mark.parametrize("keep", [slice(None), slice(3, None)])
def test_voxels_of_a_sphere_even_with_a_hole(keep):
    triangles = sphere(6.0)[keep]
    grid = Grid.around(np.full(3, -8.0), np.full(3, 9.0), 0.5)
    z, y, x = grid.axes_mm()
    distance = np.sqrt(x**2 + y**2 + z**2)
    clear = abs(distance - 6.0) > 0.1
    np.testing.assert_array_equal(voxelise(triangles, grid)[clear], (distance < 6.0)[clear])


def test_axes_are_not_mixed_up():
    size = np.array([2.0, 6.0, 12.0])
    grid = Grid.around(np.full(3, -8.3), np.full(3, 9.0), 0.5)
    filled = voxelise(box(size, np.zeros(3)), grid)
    extent = [
        np.ptp(np.flatnonzero(filled.any(axis=axes))) * 0.5 for axes in ((1, 2), (0, 2), (0, 1))
    ]
    np.testing.assert_allclose(extent, size[::-1], atol=0.6)


@settings(deadline=None, max_examples=30)
@given(centre=st.tuples(*[st.floats(-40, 40)] * 3))
def test_depth_range_is_of_the_triangles_in_the_field(centre):
    triangles = sphere(12.0, 300) + np.array(centre)
    faces = np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3)
    low, high = triangles[..., :2].min(axis=1), triangles[..., :2].max(axis=1)
    seen = triangles[((high >= DETECTOR.low_mm) & (low <= DETECTOR.high_mm)).all(axis=1), :, 2]
    expected = (seen.min(), seen.max()) if seen.size else (np.inf, -np.inf)
    assert depth_range(triangles.reshape(-1, 3), faces, DETECTOR) == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(
    balls=st.lists(st.tuples(*[st.floats(-5, 20)] * 3, st.floats(0.0, 8.0)), min_size=1, max_size=4)
)
def test_balls_are_painted_where_they_are(balls):
    inside = np.zeros((9, 12, 15), bool)
    centres, radii = np.array(balls)[:, :3], np.array(balls)[:, 3]
    paint_balls(inside, centres, radii)
    z, y, x = np.indices(inside.shape)
    distance = np.min(
        [
            np.sqrt((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) - r
            for c, r in zip(centres, radii, strict=True)
        ],
        axis=0,
    )
    clear = abs(distance) > 1e-9
    np.testing.assert_array_equal(inside[clear], (distance < 0)[clear])


def test_magnify_follows_the_rays():
    points = np.array([[10.0, -4.0, 0.0], [10.0, -4.0, 100.0], [0.0, 0.0, -50.0]])
    moved = magnify(points, source_mm=1000.0, detector_z_mm=100.0)
    np.testing.assert_allclose(moved[0], [10.0 / 0.9, -4.0 / 0.9, 0.0])
    np.testing.assert_allclose(moved[1:], points[1:])
