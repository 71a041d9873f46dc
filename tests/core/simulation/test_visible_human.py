"""The Visible Humans, with stand-ins of boxes and rods for the files, which are not here."""

import csv

import numpy as np
import pytest
import trimesh

from napari_xnet.errors import ImageError, XNetError
from napari_xnet.io import read_labels
from napari_xnet.simulation import write_radiographs
from napari_xnet.simulation.anatomy import visible_human
from napari_xnet.simulation.view import random_view, standard_view, thickness


def rod(radius, low, high, x=0.1, z=0.0):
    """Upright rod, in metres."""
    mesh = trimesh.creation.cylinder(radius, high - low, sections=24)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    mesh.apply_translation((x, (low + high) / 2, z))
    return mesh


def write(path, **meshes):
    scene = trimesh.Scene()
    for name, mesh in meshes.items():
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    path.write_bytes(scene.export(file_type="glb"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    write(
        folder / "VH_F_Knee_L.glb",
        VH_F_femur_L=rod(0.014, -0.38, 0.0),
        VH_F_tibia_L=rod(0.012, -0.75, -0.39),
        VH_F_fibula_L=rod(0.006, -0.75, -0.42, x=0.13),
        VH_F_patella_L=rod(0.015, -0.39, -0.35, z=0.04),
        VH_F_meniscus_L=rod(0.03, -0.388, -0.385),
    )
    hips = {
        f"VH_F_{part}_{kind}_bone_{side}": rod(0.02, low, low + 0.06, x=0.08 * sign)
        for side, sign in (("L", 1), ("R", -1))
        for part, low in (("ilium", 0.06), ("ischium", 0.0))
        for kind in ("compact", "spongy")
    }
    write(folder / "VH_F_Pelvis.glb", **hips, VH_F_sacrum=rod(0.025, 0.05, 0.13, x=0.0))
    trunk = trimesh.creation.box((0.36, 0.5, 0.2))
    trunk.apply_translation((0.0, 0.2, 0.0))
    skin = [rod(0.07, -0.8, 0.05), rod(0.07, -0.8, 0.05, x=-0.1), trunk]
    write(folder / "VH_F_Skin.glb", VH_F_skin=trimesh.util.concatenate(skin))
    return folder


def test_they_are_written_with_labels(folder, tmp_path):
    manifest = write_radiographs(tmp_path, 2, ["knee"], size_px=64, visible_human=folder)
    with manifest.open(newline="") as file:
        assert [row["source"] for row in csv.DictReader(file)] == ["Visible Human female"] * 2
    labels = [read_labels(path) for path in sorted(tmp_path.glob("*_labels.tif"))]
    assert any((one == 3).any() for one in labels)
    man = tmp_path / "man"
    man.mkdir()
    for path in folder.glob("*.glb"):
        renamed = path.read_bytes().replace(b"VH_F_", b"VH_M_")
        (man / path.name.replace("_F_", "_M_")).write_bytes(renamed)
    write_radiographs(tmp_path, 2, ["knee"], size_px=64, visible_human=man)
    with manifest.open(newline="") as file:
        assert [row["source"] for row in csv.DictReader(file)] == ["Visible Human male"] * 2
    with pytest.raises(XNetError, match=r'no region "hand"\. Known are: knee'):
        write_radiographs(tmp_path, 1, ["hand"], visible_human=folder)
    with pytest.raises(XNetError, match="holds no Visible Human; it needs the files VH_F_Skin"):
        write_radiographs(tmp_path, 1, ["knee"], visible_human=tmp_path)


@pytest.mark.parametrize("region", visible_human.REGIONS)
def test_scene_shows_bone_in_flesh(folder, region):
    rng = np.random.default_rng(1)
    scene = visible_human.visible_human_scene(folder, region, rng)
    for view in (standard_view(scene, 100), random_view(scene, 100, rng)):
        inside = thickness(scene, view)
        bone = inside.mm["bone"] > 0.5
        flesh = inside.mm["lean"] + inside.mm["fat"]
        assert bone.mean() > 0.01
        assert (flesh[bone] > 0.0).all()
        assert not bone[flesh == 0.0].any()


def test_shaft_is_hollow_and_as_thick_as_the_rod(folder):
    rng = np.random.default_rng(2)
    scene = visible_human.visible_human_scene(folder, "thigh", rng)
    view = standard_view(scene, 200)
    inside = thickness(scene, view)
    row = inside.mm["bone"][100]
    across = (row > 0.5).sum() * view.detector.pixel_size_mm
    # 28 mm, of a size from 0.9 to 1.1, magnified a little.
    assert 25.0 < across < 36.0
    middle = row[row > 0.5][len(row[row > 0.5]) // 2]
    assert middle < 0.75 * row.max()


def test_pelvis_has_both_sides(folder):
    scene = visible_human.visible_human_scene(folder, "pelvis", np.random.default_rng(0))
    names = {one.name for one in scene.solids}
    assert {"femur_L", "femur_R", "hip_bone_L", "hip_bone_R", "sacrum"} <= names
    left, right = (
        next(one for one in scene.solids if one.name == name) for name in ("femur_L", "femur_R")
    )
    np.testing.assert_allclose(
        np.sort(left.vertices_mm[:, 0]), np.sort(-right.vertices_mm[:, 0]), atol=1e-3
    )


def test_same_seed_same_scene(folder):
    first, second = (
        visible_human.visible_human_scene(folder, "knee", np.random.default_rng(4))
        for _ in range(2)
    )
    for one, other in zip(first.solids, second.solids, strict=True):
        np.testing.assert_array_equal(one.vertices_mm, other.vertices_mm)


def test_unknown_region(folder):
    with pytest.raises(XNetError, match="ear"):
        visible_human.visible_human_scene(folder, "ear", np.random.default_rng(0))


def test_empty_folder_names_the_files(tmp_path):
    with pytest.raises(ImageError, match=r"VH_F_Skin\.glb"):
        visible_human.visible_human_scene(tmp_path, "knee", np.random.default_rng(0))


def test_damaged_file(tmp_path, folder):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "VH_F_Knee_L.glb").write_bytes(b"no GLB file")
    with pytest.raises(ImageError, match=r"VH_F_Knee_L\.glb"):
        visible_human.visible_human_scene(tmp_path, "knee", np.random.default_rng(0))


def test_file_without_femur(tmp_path, folder):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write(tmp_path / "VH_F_Knee_L.glb", VH_F_tibia_L=rod(0.012, -0.75, -0.39))
    with pytest.raises(ImageError, match="femur"):
        visible_human.visible_human_scene(tmp_path, "knee", np.random.default_rng(0))
