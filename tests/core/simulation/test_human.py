"""Human anatomy: every region is a scene whose bones lie in its flesh."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xnet.errors import XNetError
from napari_xnet.simulation import view
from napari_xnet.simulation.anatomy import human, skeleton


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bones and flesh less fine than for use: fast."""
    monkeypatch.setattr(human, "_MANY", (-1, -1))
    coarse = {name: replace(one, voxels=40_000) for name, one in human.REGIONS.items()}
    monkeypatch.setattr(human, "REGIONS", coarse)
    monkeypatch.setattr(skeleton, "_THIN_VOXELS", (6_000, 20_000))


def test_there_are_many_regions() -> None:
    assert len(human.REGIONS) >= 20


@pytest.mark.parametrize("region", list(human.REGIONS))
def test_bones_lie_in_the_flesh(region: str) -> None:
    scene = human.human_scene(region, np.random.default_rng(3))
    assert scene.region == region
    inside = view.thickness(scene, view.standard_view(scene, 120)).mm
    flesh = sum(inside[name] for name in ("fat", "lean"))
    bone = inside["bone"]
    assert np.isfinite(bone).all()
    assert (bone > 1.0).mean() > 0.02
    assert (flesh[bone > 1.0] > 0.0).mean() > 0.999


def test_skin_holds_all_bones() -> None:
    scene = human.human_scene("knee", np.random.default_rng(0))
    at = view.standard_view(scene, 150)
    skin = next(one for one in scene.solids if one.name == "skin")
    only = type(scene)("", "", (skin,), scene.axes, scene.centre_mm, scene.field_mm)
    bones = tuple(one for one in scene.solids if one.filling == {"bone": 1.0})
    bare = type(scene)("", "", (*bones, skin), scene.axes, scene.centre_mm, scene.field_mm)
    bone = view.thickness(bare, at).mm["bone"]
    assert (view.thickness(only, at).mm["fat"] >= bone - 0.5).mean() > 0.99


def test_same_seed_same_scene() -> None:
    first, second = (human.human_scene("hand", np.random.default_rng(5)) for _ in range(2))
    assert len(first.solids) == len(second.solids)
    for one, other in zip(first.solids, second.solids, strict=True):
        assert np.array_equal(one.vertices_mm, other.vertices_mm)
        assert one.filling == other.filling


def test_surfaces_are_closed() -> None:
    body = skeleton.pose({})
    for name in ("femur_r", "scapula0_r", "sternum", "skull"):
        for one in skeleton.bone_solids(body.bones[name], 1, 0.25, 0):
            edges = np.concatenate(
                [one.faces[:, [0, 1]], one.faces[:, [1, 2]], one.faces[:, [2, 0]]]
            )
            there = {tuple(edge) for edge in edges.tolist()}
            assert all((b, a) in there for a, b in there)


def test_unknown_region() -> None:
    with pytest.raises(XNetError, match="tail"):
        human.human_scene("tail", np.random.default_rng(0))
