"""The shadow of a collimator: found where there is one, and not in skin or open beam."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, gaussian_filter

from napari_xnet import tissue
from napari_xnet.collimation import collimator_shadow
from napari_xnet.imaging import working_image
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import NAMES, sample_path

SIDES = {"left", "right", "top", "bottom"}


def radiograph(sides=SIDES, tilt_deg=0.0, *, half_width=36, taper=0.08, lean=0.05):
    """A limb in an open beam, bone dark, and where lead covers it."""
    height, width = shape = 200, 160
    y, x = np.mgrid[: float(height), : float(width)]
    across = x - 0.45 * width - lean * y
    limb = np.clip(1 - (across / (half_width - taper * y)) ** 2, 0, None)
    bone = np.clip(1 - (across / 9) ** 2, 0, None)
    image = np.exp(-1.2 * np.sqrt(limb) - 0.9 * np.sqrt(bone))
    angle = np.deg2rad(tilt_deg)
    u = (x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)
    v = (y - height / 2) * np.cos(angle) - (x - width / 2) * np.sin(angle)
    reach = 0.3 * np.array(shape)
    covered = np.zeros(shape, bool)
    for side, beyond in {
        "left": -u - reach[1],
        "right": u - reach[1],
        "top": -v - reach[0],
        "bottom": v - reach[0],
    }.items():
        if side in sides:
            covered |= beyond > 0
    image = gaussian_filter(np.where(covered, 0.02 * image, image), 0.7)
    return image + np.random.default_rng(0).normal(0, 0.003, shape), covered


@pytest.mark.parametrize("sides", [{"left"}, {"right", "left"}, {"top", "right"}, SIDES])
@pytest.mark.parametrize("tilt_deg", [0, 4, -9])
def test_blades_are_found(sides, tilt_deg):
    image, covered = radiograph(sides, tilt_deg)
    found = collimator_shadow(image)
    assert np.mean(found[covered]) > 0.99
    assert not found[binary_erosion(~covered, iterations=6, border_value=1)].any()


def test_large_images_are_no_less_exact():
    image, covered = radiograph()
    larger = np.kron(image, np.ones((8, 8)))
    found = collimator_shadow(larger)
    assert np.mean(found[np.kron(covered, np.ones((8, 8), bool))]) > 0.99
    assert np.mean(found == np.kron(covered, np.ones((8, 8), bool))) > 0.94


def test_a_negative_has_the_same_shadow():
    image, _ = radiograph()
    found = collimator_shadow(-image)
    assert found.any()
    np.testing.assert_array_equal(found, collimator_shadow(image))


@pytest.mark.parametrize("gain", [1, -1])
@pytest.mark.parametrize("half_width", [30, 45, 60])
@pytest.mark.parametrize("taper", [0, 0.02, 0.05])
def test_skin_is_no_blade(gain, half_width, taper):
    image, _ = radiograph(sides=(), half_width=half_width, taper=taper, lean=0)
    assert not collimator_shadow(gain * image).any()


@pytest.mark.parametrize("name", NAMES)
def test_crops_of_radiographs_hardly_ever_have_a_shadow(name):
    path = sample_path(name)
    image = np.asarray(read_image(path).data, float)
    truth = read_labels(path.with_name(f"{name}_labels.tif"))
    rng = np.random.default_rng(0)
    crops = 40
    wrong = 0
    for _ in range(crops):
        sides = tuple(slice(*np.sort(rng.choice(size, 2, replace=False))) for size in image.shape)
        body = truth[sides] > tissue.OPEN_BEAM.value
        wrong += (collimator_shadow(image[sides]) & body).any()
    assert wrong <= crops / 40


def test_a_viewers_shutter_like_the_beam_is_left_alone():
    image, covered = radiograph({"left"})
    image[covered] = image.max()
    assert not collimator_shadow(image).any()


@given(
    tilt_deg=st.floats(-12, 12),
    sides=st.sets(st.sampled_from(sorted(SIDES)), min_size=1),
    gain=st.sampled_from([1, -1]) | st.floats(1e-3, 1e3),
    missing=st.floats(0, 0.3),
)
def test_pixels_that_are_missing_are_no_trouble(tilt_deg, sides, gain, missing):
    image, _ = radiograph(sides, tilt_deg)
    image = gain * image
    image[np.random.default_rng(1).random(image.shape) < missing] = np.nan
    shadow = collimator_shadow(image)
    assert shadow.shape == image.shape
    assert (~shadow & np.isfinite(image)).mean() >= 0.1


def test_a_constant_image_has_no_shadow():
    assert not collimator_shadow(np.zeros((64, 64))).any()
    assert not collimator_shadow(np.full((20, 4000), 1.0)).any()


def test_contrast_is_that_of_the_exposed_part():
    image, _ = radiograph()
    plain = working_image(image, find_collimator=False)
    found = working_image(image, find_collimator=True)
    assert not plain.shadow.any()
    assert found.shadow.shape == found.data.shape
    height, width = found.content
    exposed = ~found.shadow[:height, :width]
    assert found.unpadded[exposed].mean() == pytest.approx(0, abs=1e-3)
    assert found.unpadded[exposed].std() == pytest.approx(1, abs=1e-3)
    assert abs(plain.unpadded[exposed].mean()) > 0.3
