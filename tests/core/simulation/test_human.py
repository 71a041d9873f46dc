"""Human anatomy: every region is a scene whose bones lie in its flesh."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xnet.errors import XNetError
from napari_xnet.simulation import view
from napari_xnet.simulation.anatomy import human
from napari_xnet.simulation.anatomy.human import bones, scene, skeleton
from napari_xnet.simulation.scene import Scene


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bones and flesh less fine than for use: fast."""
    monkeypatch.setattr(scene, "_MANY", (-1, -1))
    coarse = {name: replace(one, voxels=40_000) for name, one in human.REGIONS.items()}
    monkeypatch.setattr(scene, "REGIONS", coarse)
    monkeypatch.setattr(bones, "_THIN_VOXELS", (6_000, 20_000))


def test_there_are_many_regions() -> None:
    assert len(human.REGIONS) >= 20


SOME = ("hand", "chest")
"""The rest takes long, and depends on the versions of packages no more than these."""


@pytest.mark.parametrize(
    "region",
    [pytest.param(name, marks=() if name in SOME else pytest.mark.slow) for name in human.REGIONS],
)
def test_bones_lie_in_the_flesh_and_the_source_far_away(region: str) -> None:
    rng = np.random.default_rng(3)
    scene = human.human_scene(region, rng)
    assert scene.region == region
    at = view.standard_view(scene, 120)
    bone = view.thickness(scene, at).mm["bone"]
    assert np.isfinite(bone).all()
    assert (bone > 1.0).mean() > 0.02
    # Bones have fat in them, too: only the skin tells.
    skin = replace(scene, solids=tuple(one for one in scene.solids if one.name == "skin"))
    flesh = view.thickness(skin, at).mm["fat"]
    assert (flesh[bone > 1.0] > 0.0).mean() > 0.999
    for _ in range(8):
        at = view.random_view(scene, 32, rng)
        placed = [(one.vertices_mm - at.centre_mm) @ at.axes.T for one in scene.solids]
        bottom, source_mm = view._distances(scene, placed, at)
        # What is in the field is no deeper than a trunk from side to side.
        assert bottom < 450.0
        assert source_mm == at.source_mm  # no body was so deep that it had to move away


def test_joints_move_within_their_range_only() -> None:
    model = skeleton._model()
    for name, region in human.REGIONS.items():
        for joint, (low, high) in region.joints_rad.items():
            first, last = model.jnt_range[model.joint(joint).id]
            assert low < high, (name, joint)
            assert low < last, (name, joint)
            assert high > first, (name, joint)
    over = skeleton.pose({"elbow_flexion_r": 9.0}).bones["ulna_r"]
    full = skeleton.pose({"elbow_flexion_r": model.joint("elbow_flexion_r").range[1]})
    np.testing.assert_allclose(over.rotation, full.bones["ulna_r"].rotation)


def test_a_bent_elbow_turns_the_forearm() -> None:
    straight, bent = (skeleton.pose({"elbow_flexion_r": angle}) for angle in (0.0, 1.0))
    for body in (straight, bent):
        near, far = body.bones["humerus_r"].ends_mm()
        assert far[2] < near[2]
    turn = straight.bones["ulna_r"].rotation.T @ bent.bones["ulna_r"].rotation
    assert np.arccos((np.trace(turn) - 1) / 2) == pytest.approx(1.0, abs=0.02)


def test_bones_that_are_known_by_number_lie_where_they_are_looked_for() -> None:
    """Their numbers are those that trimesh gives to the pieces of a mesh."""
    body = skeleton.pose({})

    def place(name: str) -> np.ndarray:
        return body.bones[name].centre_mm

    downwards = ("skull", "cervical2", "cervical5", "cervical1", "thoracic2", "thoracic4", "sacrum")
    assert np.all(np.diff([place(name)[2] for name in downwards]) < 0)
    assert max(place(f"cervical{n}")[2] for n in (0, 1)) < place("cervical3")[2]
    assert all(place(f"rib{n}")[0] < -50 for n in (0, 1, 2, 3, 11, 13))
    assert sum(name.startswith("rib") for name in body.bones) >= 22
    assert sum(name.startswith("cervical") for name in body.bones) == 7
    assert sum(name.startswith("lumbar") for name in body.bones) == 5


def test_long_bones_are_hollow_and_short_ones_are_not() -> None:
    body = skeleton.pose({})
    for name, hollow in (("femur_r", True), ("3mc_r", True), ("pelvis_r", False)):
        names = [one.name for one in bones.bone_solids(body.bones[name], 1, 0.25, 1)]
        assert any("marrow" in one for one in names) == hollow, name


def test_children_have_growth_plates_where_their_bones_grow() -> None:
    body = skeleton.pose({})

    def mineral(name: str, stage: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Bone along the axis of a bone, from the end towards the trunk, and all of it."""
        bone = body.bones[name]
        solids = bones.bone_solids(bone, 1, 0.25, 2, stage)
        near, far = bone.ends_mm()
        down = (far - near) / np.linalg.norm(far - near)
        right = np.cross(down, [0.3, 0.5, 0.8])
        right /= np.linalg.norm(right)
        field = 1.3 * float(np.linalg.norm(far - near))
        shown = Scene(
            "", "", solids, np.stack([right, down, np.cross(right, down)]), bone.centre_mm,
            (field, field),
        )  # fmt: skip
        inside = view.thickness(shown, view.standard_view(shown, 400)).mm["bone"]
        rows = np.flatnonzero((inside > 0.5).any(axis=1))
        return inside.sum(axis=1)[rows[0] : rows[-1] + 1], inside

    for name, ends in (("radius_r", 2), ("tibia_r", 2), ("2proxph_r", 1), ("lumbar3", 0)):
        adult, _ = mineral(name, None)
        child, _ = mineral(name, 0)
        length = min(len(adult), len(child))
        gap, edge = child[:length] < 0.5 * adult[:length], length // 4
        assert bool(gap[3:edge].any()) + bool(gap[-edge:-3].any()) == ends, name
        assert not gap[edge:-edge].any(), name
    _, small = mineral("capitate_r", 0)
    _, large = mineral("capitate_r", None)
    assert 0.2 < (small > 0.5).sum() / (large > 0.5).sum() < 0.5


def test_a_shaft_has_bright_walls_and_spongy_ends() -> None:
    body = skeleton.pose({})
    solids = bones.bone_solids(body.bones["femur_r"], 1, 0.25, 2)
    points = solids[0].vertices_mm
    middle = points.mean(axis=0)
    scene = Scene("", "", solids, np.eye(3)[[0, 2, 1]] * [[1], [-1], [1]], middle, (520.0, 520.0))
    inside = view.thickness(scene, view.standard_view(scene, 520))
    rows = np.flatnonzero((inside.mm["bone"] > 1.0).any(axis=1))
    shaft = inside.mm["bone"][rows[len(rows) // 2]]
    columns = np.flatnonzero(shaft > 1.0)
    assert shaft[columns].max() > 1.4 * shaft[int(columns.mean())]
    assert inside.spongy_mm[rows[len(rows) // 2]].max() < 3.0
    assert inside.spongy_mm[rows[: len(rows) // 8]].max() > 5.0


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
        for one in bones.bone_solids(body.bones[name], 1, 0.25, 0):
            edges = np.concatenate(
                [one.faces[:, [0, 1]], one.faces[:, [1, 2]], one.faces[:, [2, 0]]]
            )
            there = {tuple(edge) for edge in edges.tolist()}
            assert all((b, a) in there for a, b in there)


def test_unknown_region() -> None:
    with pytest.raises(XNetError, match="tail"):
        human.human_scene("tail", np.random.default_rng(0))
