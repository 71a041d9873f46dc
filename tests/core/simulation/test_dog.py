"""The dog of dm_control, region by region."""

import importlib.util

import numpy as np
import pytest

from napari_xnet.errors import XNetError
from napari_xnet.simulation import regions
from napari_xnet.simulation.anatomy import dog
from napari_xnet.simulation.view import random_view, standard_view, thickness

if importlib.util.find_spec("dm_control") is None:
    pytest.skip("dm_control is not installed", allow_module_level=True)


@pytest.mark.parametrize("region", ["dog paw", "dog elbow", "dog chest"])
def test_scene_shows_bone_in_flesh(region):
    rng = np.random.default_rng(3)
    scene = dog.dog_scene(region, rng)
    for view in (standard_view(scene, 100), random_view(scene, 100, rng)):
        inside = thickness(scene, view)
        bone = inside.mm["bone"] > 0.5
        flesh = inside.mm["lean"] + inside.mm["fat"]
        assert bone.mean() > 0.02
        assert flesh.max() > 10.0
        # No bone sticks out of the skin.
        assert (flesh[bone] > 0.0).mean() > 0.99


def test_chest_holds_lungs():
    scene = dog.dog_scene("dog chest", np.random.default_rng(0))
    inside = thickness(scene, standard_view(scene, 100))
    assert inside.mm["lung"].max() > 40.0


def test_same_seed_same_scene():
    first, second = (dog.dog_scene("dog paw", np.random.default_rng(5)) for _ in range(2))
    assert [one.name for one in first.solids] == [one.name for one in second.solids]
    for one, other in zip(first.solids, second.solids, strict=True):
        np.testing.assert_array_equal(one.vertices_mm, other.vertices_mm)


def test_left_and_right_paws():
    sides = {
        float(np.sign(dog.dog_scene("dog paw", np.random.default_rng(seed)).centre_mm[1]))
        for seed in range(8)
    }
    assert sides == {-1.0, 1.0}


def test_solids_are_closed_and_face_outwards():
    for one in dog.dog_scene("dog paw", np.random.default_rng(1)).solids:
        a, b, c = np.moveaxis(one.vertices_mm[one.faces].astype(float), 1, 0)
        volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
        assert volume > 0.0, one.name
        # The area vectors of a closed surface cancel.
        area = np.cross(b - a, c - a)
        assert np.abs(area.sum(axis=0)).max() < 1e-2 * np.abs(area).sum(), one.name


def test_unknown_region():
    with pytest.raises(XNetError, match="dog wing"):
        dog.dog_scene("dog wing", np.random.default_rng(0))


def test_missing_package_says_how_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not any(name.startswith("dog") for name in regions())
    with pytest.raises(XNetError, match="pip install --no-deps dm-control"):
        dog.dog_scene("dog paw", np.random.default_rng(0))
