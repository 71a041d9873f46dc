"""Whole radiographs: the simulator, many of them in a folder, and the samples that are shipped."""

import csv

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import napari_xnet.simulation
from napari_xnet.engine.tasks import SimulationJob, simulate_radiographs
from napari_xnet.errors import XNetError
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import NAMES, sample_path
from napari_xnet.simulation import regions, simulate, write_radiographs
from napari_xnet.simulation.bodies import Body, plan_bodies
from napari_xnet.simulation.radiograph import BONE_MM, SOFT_TISSUE_MM, bone_contrast, label_map
from napari_xnet.simulation.scenery import plain_scenery
from napari_xnet.simulation.view import Thickness


@pytest.fixture(scope="module")
def hand():
    return simulate("hand", seed=3, size_px=160, display="clinical")


def test_plain_hand_has_all_tissues_where_they_attenuate(hand):
    assert hand.image.dtype == np.uint16
    assert hand.labels.dtype == np.uint8
    assert hand.image.shape == hand.labels.shape
    assert max(hand.image.shape) == 160
    beam, soft, bone = (np.median(hand.image[hand.labels == value]) for value in (1, 2, 3))
    assert beam < 0.5 * soft < 0.5 * bone
    assert 0.5 < hand.pixel_size_mm < 3
    assert (hand.region, hand.source) == ("hand", "myo-sim")


def test_same_seed_same_radiograph(hand):
    again = simulate("hand", seed=3, size_px=160, display="clinical")
    np.testing.assert_array_equal(again.image, hand.image)
    np.testing.assert_array_equal(again.labels, hand.labels)
    other = simulate("hand", seed=4, size_px=160, display="clinical")
    assert (other.labels != hand.labels).any()


def test_raw_is_the_same_with_bone_dark(hand):
    raw = simulate("hand", seed=3, size_px=160, display="raw")
    np.testing.assert_array_equal(raw.labels, hand.labels)
    beam, soft, bone = (np.median(raw.image[raw.labels == value]) for value in (1, 2, 3))
    assert beam > soft > bone


def test_labels_follow_the_thickness():
    bone = np.array([[0.0, 0.0, 0.0, 0.9 * BONE_MM, 1.1 * BONE_MM, 9.0]], np.float32)
    lean = np.array([[0.0, 0.9 * SOFT_TISSUE_MM, 1.1 * SOFT_TISSUE_MM, 2.0, 0.0, 9.0]], np.float32)
    inside = Thickness({"bone": bone, "lean": lean}, np.zeros_like(bone))
    scenery = plain_scenery(inside)
    assert label_map(inside, scenery).tolist() == [[1, 1, 2, 2, 3, 3]]
    scenery.light[0, 5] = 0.1  # behind the blades
    scenery.covered[0, 1] = True  # an implant
    assert label_map(inside, scenery).tolist() == [[1, 3, 2, 2, 3, 1]]


def test_unknown_region_and_silly_size_are_refused():
    with pytest.raises(XNetError, match=r'no region "wing".*hand.*dog skull'):
        simulate("wing")
    with pytest.raises(XNetError, match="between 16 and"):
        simulate("hand", size_px=100_000)


def test_there_are_at_least_twenty_regions_of_the_human_body():
    assert len([name for name in regions() if not name.startswith("dog")]) >= 20


def test_public_names_exist():
    assert all(hasattr(napari_xnet.simulation, name) for name in napari_xnet.simulation.__all__)


@pytest.mark.slow
def test_folder_is_the_same_however_it_was_made(tmp_path):
    seen = []
    options = {"region_names": ["dog tail", "dog paw"], "seed": 5, "size_px": 64}
    manifest = write_radiographs(
        tmp_path / "a", 18, **options, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(4, 18), (8, 18), (12, 18), (16, 18), (18, 18)]
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in rows] == (["dog tail"] * 4 + ["dog paw"] * 4) * 2 + [
        "dog tail"
    ] * 2
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    stems = [row["name"] for row in rows]
    assert names == sorted(
        [f"{s}{end}" for s in stems for end in (".tif", "_labels.tif")] + ["manifest.csv"]
    )
    for row in rows:
        image = read_image(tmp_path / "a" / f"{row['name']}.tif")
        labels = read_labels(tmp_path / "a" / f"{row['name']}_labels.tif")
        assert image.data.shape == labels.shape
        assert max(labels.shape) == 64
        if image.pixel_size_mm:  # the reader does not believe in pixels of several mm
            assert image.pixel_size_mm == pytest.approx([float(row["pixel_size_mm"])] * 2, rel=1e-3)

    # Interrupted, and by two processes: the same bytes.
    write_radiographs(tmp_path / "b", 18, **options)
    changed = [tmp_path / "b" / f"{stems[3]}.tif", tmp_path / "b" / f"{stems[17]}_labels.tif"]
    kept = (tmp_path / "b" / f"{stems[4]}.tif").stat().st_mtime_ns
    for path in changed:
        path.unlink()
    write_radiographs(tmp_path / "b", 18, **options, workers=2)
    assert (tmp_path / "b" / f"{stems[4]}.tif").stat().st_mtime_ns == kept
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@given(st.integers(1, 300), st.integers(1, 5))
def test_bodies_take_turns_and_have_at_most_16_views(count, regions):
    bodies = plan_bodies([str(number) for number in range(regions)], count, seed=0)
    taken = [number for body in bodies for number in range(body.first, body.first + body.views)]
    assert taken == list(range(count))
    assert [body.region for body in bodies] == [str(n % regions) for n in range(len(bodies))]
    assert max(body.views for body in bodies) <= 16
    assert len(bodies) >= min(count, 2 * regions)


def test_each_body_and_each_view_has_its_own_random_numbers():
    first, second = (Body("hand", 0, number, 0, 2) for number in (0, 1))
    streams = (first.rng(), first.rng(0), first.rng(1), second.rng(), second.rng(0))
    assert len({rng.random() for rng in streams}) == len(streams)


def test_python_the_window_and_the_command_line_make_the_same(tmp_path):
    write_radiographs(tmp_path, 3, ["dog tail"], seed=4, size_px=48)
    written = [
        [tifffile.imread(tmp_path / f"{number:06d}_dog-tail{end}.tif") for end in ("", "_labels")]
        for number in range(3)
    ]
    in_window = simulate_radiographs(SimulationJob(("dog tail",), 3, 48, 4), lambda *_: None)
    for (image, labels), one in zip(written, in_window, strict=True):
        np.testing.assert_array_equal(one.image, image)
        np.testing.assert_array_equal(one.labels, labels)
    first = simulate("dog tail", seed=4, size_px=48)
    np.testing.assert_array_equal(first.image, written[0][0])


def test_radiographs_of_another_simulation_are_not_mixed_in(tmp_path):
    write_radiographs(tmp_path, 2, ["dog tail"], size_px=16)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(XNetError, match="radiographs of another simulation, such as 000000_dog-ta"):
        write_radiographs(tmp_path, 1, ["dog paw"], size_px=16)
    with pytest.raises(XNetError, match="the same count as before"):
        write_radiographs(tmp_path, 1, ["dog tail"], size_px=16)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "000009_mine.tif").write_bytes(b"not made by a simulation")
    write_radiographs(tmp_path, 3, ["dog tail"], size_px=16)


def test_another_ct_of_the_same_name_is_made_anew(tmp_path):
    rods = np.full((24, 40, 40), -1000, np.int16)
    rods[:, 8:32, 8:32] = 40
    bone = []
    for name, hu in (("a", 1500), ("b", 40)):
        rods[:, 16:24, 16:24] = hu
        (tmp_path / name).mkdir()
        scan = tmp_path / name / "scan.tif"
        tifffile.imwrite(scan, rods)
        write_radiographs(tmp_path / "out", 1, ct=scan, spacing_mm=(3, 3, 3), size_px=64)
        bone.append((read_labels(tmp_path / "out" / "000000_scan_labels.tif") == 3).any())
    assert bone == [True, False]


def test_bone_can_be_seen_in_nearly_all_radiographs(tmp_path):
    manifest = write_radiographs(tmp_path, 32, ["dog paw", "dog stifle"], size_px=120)
    with manifest.open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    contrasts = [
        bone_contrast(
            tifffile.imread(tmp_path / f"{name}.tif"), read_labels(tmp_path / f"{name}_labels.tif")
        )
        for name in names
    ]
    assert np.mean(np.array(contrasts) < 0.4) < 0.05


def test_bone_contrast_is_the_distance_of_means_in_deviations():
    labels = np.full((60, 60), 2, np.uint8)
    labels[20:40, 20:40] = 3
    noise = np.random.default_rng(0).normal(size=labels.shape)
    for distance in (0.0, 0.5, 2.0):
        image = noise + distance * (labels == 3)
        for one in (image, -image, 100 * image + 5):
            assert bone_contrast(one, labels) == pytest.approx(distance, abs=0.15)
    assert bone_contrast(noise, np.full_like(labels, 2)) == np.inf


@pytest.mark.parametrize("name", NAMES)
def test_sample_and_its_labels_correspond(name):
    image = tifffile.imread(sample_path(name))
    labels = tifffile.imread(sample_path(name).with_name(f"{name}_labels.tif"))
    assert image.dtype == np.uint16
    assert labels.dtype == np.uint8
    assert image.shape == labels.shape
    assert set(np.unique(labels)) == {1, 2, 3}
    beam, soft, bone = (np.median(image[labels == value]) for value in (1, 2, 3))
    assert beam < soft < bone or beam > soft > bone


@pytest.mark.parametrize("name", NAMES)
def test_sample_knows_its_pixel_size(name):
    with tifffile.TiffFile(sample_path(name)) as file:
        tags = file.pages.first.tags
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        pixels, per = tags["XResolution"].value
        assert 0.1 < 10 * per / pixels < 0.5


def test_samples_are_small_and_of_both_polarities():
    paths = list(sample_path("hand").parent.glob("*.tif"))
    assert sum(path.stat().st_size for path in paths) < 4e6
    brighter = set()
    for name in NAMES:
        image = tifffile.imread(sample_path(name))
        labels = tifffile.imread(sample_path(name).with_name(f"{name}_labels.tif"))
        brighter.add(bool(image[labels == 3].mean() > image[labels == 1].mean()))
    assert brighter == {True, False}


def test_a_failure_leaves_no_empty_folder(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_radiographs(tmp_path / "begun", 2, ["dog tail"], size_px=48, progress=stop)
    assert len(list((tmp_path / "begun").glob("*_labels.tif"))) == 1  # what is made, stays

    air = np.full((8, 8, 8), -1000, np.int16)
    tifffile.imwrite(tmp_path / "air.tif", air)
    with pytest.raises(XNetError):
        write_radiographs(tmp_path / "new", 2, ct=tmp_path / "air.tif", spacing_mm=(1, 1, 1))
    assert not (tmp_path / "new").exists()
