"""Views and exposures: from a scene to the signal of a detector."""

import numpy as np
import pytest
import trimesh

from napari_xnet.simulation.exposure import Exposure, expose, random_exposure
from napari_xnet.simulation.scene import AIR, BONE, FAT, LEAN, Scene, Solid, spongy
from napari_xnet.simulation.view import Thickness, random_view, standard_view, thickness


def cylinder(name, radius, height, filling, displaces):
    mesh = trimesh.creation.cylinder(radius, height, sections=128)
    return Solid(
        name,
        mesh.vertices.astype(np.float32),
        mesh.faces.astype(np.int32),
        filling,
        displaces,
    )


@pytest.fixture(scope="module")
def scene():
    """A limb along z: fat around muscle around a bone with marrow."""
    solids = (
        cylinder("skin", 60, 300, FAT, AIR),
        cylinder("muscle", 50, 295, LEAN, FAT),
        cylinder("bone", 15, 280, BONE, LEAN),
        cylinder("marrow", 10, 270, spongy(0.2), BONE),
    )
    axes = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    return Scene("limb", "test", solids, axes, np.zeros(3), (150.0, 250.0))


def test_each_material_is_as_thick_as_it_is(scene):
    view = standard_view(scene, 201, source_mm=1e7)
    inside = thickness(scene, view)
    middle = {name: mm[100, 100] for name, mm in inside.mm.items()}
    assert middle["bone"] == pytest.approx(10 + 0.2 * 20, abs=0.1)
    assert middle["lean"] == pytest.approx(100 - 30, abs=0.1)
    assert middle["fat"] == pytest.approx(20 + 0.8 * 20, abs=0.1)
    assert inside.spongy_mm[100, 100] == pytest.approx(0.2 * 20, abs=0.1)


def test_a_source_nearby_magnifies(scene):
    far = thickness(scene, standard_view(scene, 1001, source_mm=1e7)).mm["bone"]
    near = thickness(scene, standard_view(scene, 1001, source_mm=600.0)).mm["bone"]
    ratio = (near[500] > 1).sum() / (far[500] > 1).sum()
    assert ratio == pytest.approx(600 / (600 - 80), abs=0.02)  # skin, gap of 20 mm


def test_random_views_differ_and_see_the_scene(scene):
    views = [random_view(scene, 64, np.random.default_rng(seed)) for seed in range(40)]
    assert len({view.detector.shape for view in views}) > 10
    for view in views:
        np.testing.assert_allclose(view.axes @ view.axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(view.axes) == pytest.approx(1)
        assert 150 <= max(view.detector.shape) * view.detector.pixel_size_mm <= 252
    seen = [thickness(scene, view).mm["bone"].max() > 1 for view in views]
    assert np.mean(seen) > 0.9


def test_signal_obeys_beer_and_lambert():
    ramp = np.tile(np.linspace(0, 100, 50, dtype=np.float32), (50, 1))
    inside = Thickness({"lean": ramp}, np.zeros_like(ramp))
    calm = Exposure(photons_per_mm2=1e9, unsharpness_mm=0.01, scatter_per_mm=0, heel=0, falloff=0)
    signal = expose(inside, np.ones_like(ramp), calm, 1.0, np.random.default_rng(0))
    assert signal.dtype == np.float32
    rows = signal.mean(axis=0)
    assert rows[0] == pytest.approx(1, abs=0.01)
    assert (np.diff(rows) < 0.02).all()
    # At 60 kV some 0.02 to 0.04 per mm, less behind more: the beam hardens.
    slope = -np.diff(np.log(rows))[[5, 40]] / (100 / 49)
    assert 0.04 > slope[0] > slope[1] > 0.015


CALM = {"photons_per_mm2": 1e9, "unsharpness_mm": 0.01, "scatter_per_mm": 0.0}


def open_beam(shape=(60, 80), **options):
    """Signal of a detector with nothing before it."""
    empty = np.zeros(shape, np.float32)
    exposure = Exposure(**CALM | {"heel": 0.0, "falloff": 0.0} | options)
    return expose(Thickness({}, empty), empty + 1, exposure, 0.1, np.random.default_rng(0))


def test_the_open_beam_is_even_but_for_heel_and_falloff():
    assert np.ptp(open_beam()) < 0.01
    heel = open_beam(heel=0.1)
    assert heel[0].mean() == pytest.approx(0.9, abs=0.01)
    assert heel[-1].mean() == pytest.approx(1.1, abs=0.01)
    falloff = open_beam(falloff=0.08)
    assert falloff[30, 40] == pytest.approx(1, abs=0.01)
    corners = falloff[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 1 - 2 * 0.08, atol=0.01)


def test_lines_of_a_grid_have_their_distance():
    lines = open_beam((20, 200), grid_lines_mm=1.0).mean(axis=0)
    spectrum = np.abs(np.fft.rfft(lines - lines.mean()))
    assert np.argmax(spectrum) == 200 * 0.1 / 1.0
    assert 0.01 < np.ptp(lines) < 0.05


def test_dead_pixels_are_as_many_as_they_should_be():
    dead = open_beam((400, 400), dead_pixels=1e-2)
    share = (np.abs(dead - 1) > 0.2).mean()
    assert share == pytest.approx(1e-2, rel=0.2)
    assert not (np.abs(open_beam((400, 400)) - 1) > 0.2).any()


def test_a_detector_is_noisy_without_beam():
    empty = np.zeros((100, 100), np.float32)
    exposure = Exposure(**CALM, electronic=4e-3)
    signal = expose(Thickness({}, empty), empty, exposure, 0.1, np.random.default_rng(0))
    assert (signal >= 0).all()
    assert signal[signal > 0].std() == pytest.approx(4e-3 * np.sqrt(1 - 2 / np.pi), rel=0.1)


def test_few_photons_are_grainy_and_thick_parts_are_exposed_longer():
    flat = np.full((80, 80), 50.0, np.float32)
    for deep in (flat, 3 * flat):
        inside = Thickness({"lean": deep}, np.zeros_like(flat))
        noise = [
            expose(
                inside,
                np.ones_like(flat),
                Exposure(photons_per_mm2=photons, heel=0, falloff=0, unsharpness_mm=0.01),
                1.0,
                np.random.default_rng(1),
            )
            for photons in (1e2, 1e5)
        ]
        relative = [float(np.std(one) / np.mean(one)) for one in noise]
        # The rest is the texture of the muscle.
        grain = np.sqrt(relative[0] ** 2 - relative[1] ** 2)
        assert 0.05 < grain < 0.12  # 0.1, but for the blur


def test_random_exposures_use_a_grid_behind_thick_parts():
    rng = np.random.default_rng(0)
    thin, thick = (
        np.mean([random_exposure((50, 60), deep, rng).scatter_per_mm for _ in range(50)])
        for deep in (30.0, 250.0)
    )
    assert thick < 0.5 * thin
