"""What else is in the beam."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.simulation import physics
from napari_xnet.simulation.scenery import plain_scenery, random_scenery
from napari_xnet.simulation.view import Thickness


def limb(shape=(90, 70)):
    """A bone in a limb, from top to bottom."""
    across = np.abs(np.linspace(-1, 1, shape[1], dtype=np.float32))
    lean = np.broadcast_to(60 * np.maximum(0.5 - across, 0), shape).copy()
    bone = np.broadcast_to(20 * np.maximum(0.2 - across, 0), shape).copy()
    return Thickness({"lean": lean, "bone": bone}, 0.3 * bone)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([(90, 70), (64, 64), (33, 120), (16, 16)]))
def test_anything_may_be_there_but_nothing_is_impossible(seed, shape):
    made = random_scenery(limb(shape), 0.5, np.random.default_rng(seed))
    again = random_scenery(limb(shape), 0.5, np.random.default_rng(seed))
    assert made.light.shape == made.covered.shape == made.overlay.shape == shape
    assert made.light.min() >= 0
    assert made.light.max() <= 1
    assert (made.overlay >= 0).all()
    assert (made.overlay <= 1).all()
    assert set(made.mm) <= set(physics.MATERIALS)
    for material, mm in made.mm.items():
        assert mm.shape == shape
        assert np.isfinite(mm).all()
        assert (mm >= 0).all()
        np.testing.assert_array_equal(mm, again.mm[material])
    np.testing.assert_array_equal(made.light, again.light)


@pytest.fixture(scope="module")
def many():
    return [random_scenery(limb(), 1.0, np.random.default_rng(seed)) for seed in range(400)]


def test_about_half_have_nothing_but_blades_and_markers(many):
    assert 0.3 < np.mean([not (set(one.mm) - {"lead"}) for one in many]) < 0.7


def test_blades_markers_metal_casts_and_writing_occur(many):
    assert 0.2 < np.mean([one.light.min() < 0.5 for one in many]) < 0.8
    found = {material for one in many for material in one.mm}
    assert {"lead", "steel", "titanium", "plaster", "plastic"} <= found
    assert any(one.overlay.any() for one in many)
    covered = [one for one in many if one.covered.any()]
    assert 0.02 < len(covered) / len(many) < 0.3


def test_plain_is_nothing():
    plain = plain_scenery(limb())
    assert (plain.light == 1).all()
    assert not plain.mm
    assert not plain.covered.any()
