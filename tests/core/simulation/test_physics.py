"""Attenuation, scatter and noise."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xnet.errors import XNetError
from napari_xnet.simulation import physics

MU = np.array([[0.3, 0.1, 0.05], [0.04, 0.025, 0.02]])
WEIGHTS = np.array([0.2, 0.5, 0.3])


def passed(*thickness_mm):
    maps = np.array(thickness_mm, dtype=float).reshape(2, 1, 1)
    return float(physics.transmission(maps, MU, WEIGHTS)[0, 0])


def test_nothing_in_the_way_is_open_beam():
    assert passed(0.0, 0.0) == pytest.approx(1.0)


@given(st.floats(0, 100), st.floats(0, 300), st.floats(0.01, 50))
def test_more_tissue_lets_less_through(bone, soft, more):
    assert 0.0 < passed(bone, soft) <= 1.0
    assert passed(bone + more, soft) < passed(bone, soft)
    assert passed(bone, soft + more) < passed(bone, soft)


@given(st.floats(0, 50), st.floats(0.1, 50))
def test_the_beam_hardens(first, second):
    """What has passed some tissue passes more tissue more easily."""
    assert passed(0, first + second) >= passed(0, first) * passed(0, second) - 1e-12


def test_mass_fractions_are_complete():
    for material in (physics.BONE, physics.LEAN, physics.FAT, physics.SCINTILLATOR):
        assert sum(material.mass_fractions.values()) == pytest.approx(1.0, abs=0.005)


def test_scatter_is_smooth_and_none_without_tissue():
    primary, tissue = np.ones((60, 80)), np.zeros((60, 80))
    assert physics.scatter(primary, tissue, 0.004, 1.0).max() == 0.0
    tissue[20:40, 30:50] = 100.0
    spread = physics.scatter(primary, tissue, 0.004, 1.0)
    assert 0 < spread.max() < 0.4
    assert abs(np.diff(spread, axis=0)).max() < 0.02


def test_noise_keeps_the_mean_and_falls_with_the_dose():
    flat = np.full((200, 200), 0.5)
    grainy, fine = (
        physics.expose(flat, 0.25, dose, 0.1, np.random.default_rng(1)) for dose in (1e4, 1e6)
    )
    assert grainy.mean() == pytest.approx(0.5, rel=0.01)
    assert grainy.std() == pytest.approx(10 * fine.std(), rel=0.1)


def test_missing_package_is_named_with_its_extra(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(XNetError, match=r"spekpy.*napari-xnet\[simulation\]"):
        physics.beam(60.0)


def test_attenuation_agrees_with_nist():
    """Mass attenuation at 40 keV from NIST's tables: cortical bone 0.6655, muscle 0.2688 cm2/g."""
    for material, per_gram in ((physics.BONE, 0.6655), (physics.LEAN, 0.2688)):
        expected = 0.1 * per_gram * material.density_g_per_cm3
        found = physics.attenuation_per_mm(material, np.array([40.0]))[0]
        assert found == pytest.approx(expected, rel=0.03)


def test_spectrum_ends_at_the_tube_voltage():
    beam = physics.beam(60.0)
    assert beam.weights.sum() == pytest.approx(1.0)
    assert 10 < beam.energies_kev.min() < beam.energies_kev.max() <= 60
