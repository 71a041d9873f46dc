"""Whole radiographs: the simulator, and the samples that are shipped."""

import numpy as np
import pytest
import tifffile

import napari_xnet.simulation
from napari_xnet.errors import XNetError
from napari_xnet.io.samples import NAMES, sample_path
from napari_xnet.simulation import REGIONS, simulate


@pytest.fixture(scope="module")
def hand():
    for package in ("myo_sim", "mujoco", "trimesh", "spekpy", "xraydb"):
        pytest.importorskip(package)
    return simulate("hand", seed=3, size_px=160, display=False)


def test_hand_has_all_tissues_where_they_attenuate(hand):
    assert hand.image.dtype == np.uint16
    assert hand.labels.dtype == np.uint8
    assert hand.image.shape == hand.labels.shape
    assert max(hand.image.shape) == 160
    beam, soft, bone = (hand.image[hand.labels == value].mean() for value in (1, 2, 3))
    assert beam > 1.2 * soft > 1.4 * bone
    assert hand.pixel_size_mm == pytest.approx(max(REGIONS["hand"].field_mm) / 160)


def test_same_seed_same_radiograph(hand):
    again = simulate("hand", seed=3, size_px=160, display=False)
    np.testing.assert_array_equal(again.image, hand.image)
    np.testing.assert_array_equal(again.labels, hand.labels)


def test_unknown_region_and_silly_size_are_refused():
    with pytest.raises(XNetError, match="hand, knee, foot"):
        simulate("tail")
    with pytest.raises(XNetError, match="between 16 and"):
        simulate("hand", size_px=100_000)


def test_public_names_exist():
    assert all(hasattr(napari_xnet.simulation, name) for name in napari_xnet.simulation.__all__)


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
