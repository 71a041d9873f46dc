"""Augmented examples: image and labels move together, and nothing is invented."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_xnet.training.augmentation import Augmenter, geometry, intensity, overlays
from napari_xnet.training.augmentation.intensity import Grey
from napari_xnet.training.config import Augmentation, preset

PROBABILITIES = [name for name in Augmentation.model_fields if name.endswith("_probability")]
STILL = Augmentation(
    flip_horizontal=0,
    flip_vertical=0,
    rotation_deg=0,
    shear_deg=0,
    translation=0,
    crop=(1, 1),
    **dict.fromkeys(PROBABILITIES, 0),
)
"""Enabled, but changes nothing."""
ALL = Augmentation(crop=(0.5, 2), **dict.fromkeys(PROBABILITIES, 1))
GEOMETRY = STILL.model_copy(
    update={
        "flip_horizontal": 0.5,
        "flip_vertical": 0.5,
        "rotation_deg": 15,
        "shear_deg": 2,
        "crop": (0.7, 1.4),
        "elastic_probability": 1,
    }
)
STANDARD = Grey("standard", -2.0, 3.0, 0.0, 1.0)
SCALINGS = ["standard", "unit"]


def only(**changes):
    return STILL.model_copy(update=changes)


def example(shape, seed=0, scaling="standard"):
    """An image of noise with structure in it, standardised, and labels from 0 to 3."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = (np.sin(x / 9) + np.cos(y / 7) + rng.normal(0, 0.3, shape)).astype(np.float32)
    if scaling == "unit":
        image = (image - image.min()) / (np.ptp(image) or 1)
    else:
        image = (image - image.mean()) / (image.std() or 1)
    return image, rng.integers(0, 4, shape).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------- any config, any image


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    patch=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
    scaling=st.sampled_from(SCALINGS),
    values=st.sampled_from([(0, 2), (2, 3), (4, 5, 6), (1,)]),
)
def test_everything_on_gives_finite_float32_and_known_labels(shape, patch, seed, scaling, values):
    image, _ = example(shape, seed, scaling)
    labels = rng(seed).choice(np.array(values, np.uint8), shape)
    before = image.copy(), labels.copy()
    result, result_labels = Augmenter(ALL, patch, scaling)(image, labels, rng(seed))
    assert result.dtype == np.float32
    assert result.shape == (patch, patch)
    assert np.isfinite(result).all()
    assert result_labels.dtype == np.uint8
    assert result_labels.shape == (patch, patch)
    assert set(np.unique(result_labels)) <= {0, 1, *values}
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])
    if scaling == "unit":
        assert result.min() >= 0
        assert result.max() <= 1


@given(
    seed=st.integers(0, 2**32 - 1),
    near=st.none() | st.tuples(st.floats(0, 79), st.floats(0, 69)),
)
def test_the_same_generator_gives_the_same_bits(seed, near):
    image, labels = example((70, 60))
    augment = Augmenter(ALL, 48)
    first, second = (augment(image, labels, rng(seed), near) for _ in range(2))
    np.testing.assert_array_equal(first[0].view(np.uint32), second[0].view(np.uint32))
    np.testing.assert_array_equal(first[1], second[1])
    other, _ = augment(image, labels, rng(seed + 1), near)
    assert (other != first[0]).any()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_image_stays_finite(value, scaling):
    image = np.full((60, 50), value, np.float32)
    for seed in range(20):
        result, _ = Augmenter(ALL, 32, scaling)(image, np.ones_like(image, np.uint8), rng(seed))
        assert np.isfinite(result).all()


def test_arrays_that_are_not_contiguous_are_read_right():
    image, labels = example((80, 70))
    augment = Augmenter(ALL, 32)
    expected = augment(np.ascontiguousarray(image[::2, ::-1]), labels[::2, ::-1].copy(), rng())
    result = augment(image[::2, ::-1], labels[::2, ::-1], rng())
    np.testing.assert_array_equal(result[0], expected[0])
    np.testing.assert_array_equal(result[1], expected[1])


# ----------------------------------------------------------------------------- where it comes from


@pytest.mark.parametrize("config", [STILL, Augmentation(enabled=False)], ids=["still", "disabled"])
@given(
    patch=st.integers(1, 40),
    near=st.none() | st.tuples(st.integers(0, 49), st.integers(0, 39)),
    seed=st.integers(0, 99),
)
def test_without_changes_it_is_a_window_that_shows_the_place(config, patch, near, seed):
    image = np.arange(2000, dtype=np.float32).reshape(50, 40)
    labels = (image % 4).astype(np.uint8)
    result, result_labels = Augmenter(config, patch)(image, labels, rng(seed), near)
    top, left = divmod(int(result[0, 0]), 40)
    window = (slice(top, top + patch), slice(left, left + patch))
    np.testing.assert_array_equal(result, image[window])
    np.testing.assert_array_equal(result_labels, labels[window])
    if near:
        assert image[near] in result


@pytest.mark.parametrize("seed", range(30))
def test_a_drawn_window_lies_inside_of_the_image(seed):
    image, labels = example((50, 70))
    for scale in (0.5, 1, 1.4):
        config = only(crop=(scale, scale), flip_horizontal=0.5)
        _, found = Augmenter(config, 32)(image, np.ones_like(labels), rng(seed))
        assert found.all()


@pytest.mark.parametrize("config", [STILL, STILL.model_copy(update={"enabled": False})])
def test_patches_show_each_size_at_which_the_network_is_asked(config):
    labels = np.zeros((200, 200), np.uint8)
    labels[80:120, 80:120] = 3
    augment = Augmenter(config, 96, scales=(1.0, 0.5, 0.25))
    sides = [
        round(
            np.sqrt(
                (augment(labels.astype(np.float32), labels, rng(seed), (100, 100))[1] == 3).sum()
            )
        )
        for seed in range(30)
    ]
    assert set(sides) == {40, 20, 10}


def test_drawn_windows_reach_all_of_the_image():
    augment, seen = Augmenter(STILL, 8), np.zeros((20, 30), int)
    index = np.arange(seen.size, dtype=np.float32).reshape(seen.shape)
    generator = rng()
    for _ in range(4000):
        found, _ = augment(index, np.zeros_like(index, np.uint8), generator)
        seen.ravel()[found.astype(int)] += 1
    assert seen.all()


def test_an_image_smaller_than_the_window_is_in_its_middle():
    image, labels = example((10, 60))
    _, found = Augmenter(STILL, 32)(image, np.ones_like(labels), rng())
    rows = np.flatnonzero(found.any(axis=1))
    np.testing.assert_array_equal(rows, np.arange(11, 21))
    assert found.any(axis=0).all()


@pytest.mark.parametrize("horizontal", [0, 1])
@pytest.mark.parametrize("vertical", [0, 1])
@pytest.mark.parametrize("patch", [31, 32])
def test_flips_are_exact(horizontal, vertical, patch):
    image, labels = example((60, 50))
    config = only(flip_horizontal=horizontal, flip_vertical=vertical)
    plain = Augmenter(STILL, patch)(image, labels, rng(), (30, 25))
    flipped = Augmenter(config, patch)(image, labels, rng(), (30, 25))
    steps = (slice(None, None, -1 if vertical else 1), slice(None, None, -1 if horizontal else 1))
    for one, other in zip(plain, flipped, strict=True):
        np.testing.assert_array_equal(one[steps], other)


def ramps(config, seed, patch=41):
    """Matrix of the map from patch to image, and how far it is from an affine one.

    An image that holds its own coordinates shows where a pixel came from.
    """
    side = 401
    down = np.repeat(np.arange(side, dtype=np.float32)[:, np.newaxis], side, axis=1)
    none = np.zeros_like(down, np.uint8)
    augment = Augmenter(config, patch)
    found = np.stack([augment(axis, none, rng(seed), (200, 200))[0] for axis in (down, down.T)])
    along = np.arange(patch) - (patch - 1) / 2
    y, x = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    terms = np.stack([y, x, np.ones_like(y)], axis=1)
    fit, *_ = np.linalg.lstsq(terms, found.reshape(2, -1).T.astype(float), rcond=None)
    rest = found.reshape(2, -1).T - terms @ fit
    return fit[:2].T, rest


def test_rotation_keeps_to_its_range_and_uses_it():
    angles = []
    for seed in range(60):
        matrix, rest = ramps(only(rotation_deg=15), seed)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-4)
        assert np.linalg.det(matrix) > 0
        np.testing.assert_allclose(rest, 0, atol=1e-3)
        angles.append(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])))
    assert -15 <= min(angles) < -10
    assert 10 < max(angles) <= 15


def test_shear_keeps_to_its_range_and_uses_it():
    angles = []
    for seed in range(60):
        matrix, _ = ramps(only(shear_deg=10), seed)
        np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
        assert abs(matrix[0, 1]) < 1e-4
        angles.append(math.degrees(math.atan(matrix[1, 0])))
    assert -10.01 <= min(angles) < -7
    assert 7 < max(angles) <= 10.01


def test_translation_keeps_to_its_range_and_uses_it():
    config = only(translation=0.1)
    shifts = np.array(
        [
            geometry.draw_coordinates(config, 41, 1.0, (200, 200), False, rng(seed)).mean((1, 2))
            for seed in range(40)
        ]
    )
    shifts -= 200
    assert np.abs(shifts).max() <= 4.1 + 1e-3
    assert (np.abs(shifts).max(axis=0) > 3).all()


def test_crop_keeps_to_its_range_and_uses_it():
    scales = [ramps(only(crop=(0.6, 1.0)), seed)[0][0, 0] for seed in range(40)]
    assert 0.6 <= min(scales) < 0.65
    assert 0.95 < max(scales) <= 1.0001


def test_all_of_the_geometry_is_one_affine_map_and_one_field():
    field = {"elastic_amplitude_px": (1.2, 1.2), "elastic_smoothness_px": 4}
    for seed in range(10):
        matrix, rest = ramps(GEOMETRY.model_copy(update=field), seed, patch=128)
        scale = math.sqrt(abs(np.linalg.det(matrix)))
        assert 0.69 < scale < 1.42
        # The field is drawn in px of the patch.
        np.testing.assert_allclose(rest.std(axis=0), 1.2 * scale, rtol=0.1)


def test_an_image_is_interpolated_once():
    # One linear interpolation at all phases leaves (2/3)² of the variance of white noise, two
    # leave less than 0.35.
    noise = rng().standard_normal((400, 400), np.float32)
    none = np.zeros_like(noise, np.uint8)
    config = GEOMETRY.model_copy(update={"crop": (0.999, 1.001), "rotation_deg": 15.0})
    variances = [
        Augmenter(config, 256)(noise, none, rng(seed), (200, 200))[0].var() for seed in range(8)
    ]
    assert 0.41 < np.mean(variances) < 0.48


def test_a_wide_window_does_not_alias():
    noise = rng().standard_normal((400, 400), np.float32)
    none = np.zeros_like(noise, np.uint8)
    for scale in (2.3, 3.7):
        patch, _ = Augmenter(only(crop=(scale, scale)), 90)(noise, none, rng(), (200, 200))
        # The mean over the area has 1 / scale², unfiltered it is more than twice that.
        assert patch.var() < 1.3 / scale**2


def disc():
    y, x = np.ogrid[:300, :300]
    inside = (y - 140) ** 2 + (x - 160) ** 2 < 60**2
    return inside.astype(np.float32) * 2 - 1, np.where(inside, 3, 2).astype(np.uint8)


@pytest.mark.parametrize("seed", range(20))
def test_image_and_labels_move_together(seed):
    image, labels = disc()
    patch, found = Augmenter(GEOMETRY, 200)(image, labels, rng(seed), (150, 150))
    assert 1000 < np.count_nonzero(found == 3) < 39_000
    known = found > 0
    wrong = (patch[known] > 0) != (found[known] == 3)
    assert np.count_nonzero(wrong) < 80  # of a border of 270 to 540 px; one px aside is half of it
    # Off the border by more than a pixel there is no doubt.
    np.testing.assert_array_equal((patch > 0.999)[found == 2], False)


def test_beyond_the_image_nothing_is_labelled():
    image, labels = example((40, 40))
    config = GEOMETRY.model_copy(update={"crop": (2.0, 2.0)})
    _, found = Augmenter(config, 64)(image, np.full_like(labels, 3), rng(3))
    # A quarter of the width is about a tenth of the area.
    assert 0.05 < np.count_nonzero(found) / found.size < 0.15
    assert not found[[0, -1]].any()
    assert not found[:, [0, -1]].any()


@pytest.mark.parametrize("smoothness", [0.25, 1, 3.5, 16, 200])
def test_an_elastic_field_has_its_amplitude(smoothness):
    field = geometry.elastic_field(96, 1.3, smoothness, rng())
    assert field.dtype == np.float32
    np.testing.assert_allclose(field.std(axis=(1, 2)), 1.3, rtol=1e-4)
    np.testing.assert_allclose(field.mean(axis=(1, 2)), 0, atol=1e-4)


@pytest.mark.parametrize("smoothness", [2, 4, 8, 16])
def test_an_elastic_field_is_as_smooth_as_asked(smoothness):
    # White noise behind a Gaussian of width s has a gradient of std / (s √2) in each direction.
    slopes = [
        np.diff(geometry.elastic_field(256, 1, smoothness, rng(seed)), axis=axis).std()
        for seed in range(6)
        for axis in (1, 2)
    ]
    np.testing.assert_allclose(np.mean(slopes), 1 / (smoothness * math.sqrt(2)), rtol=0.12)


def test_a_patch_of_one_pixel_is_not_deformed():
    np.testing.assert_array_equal(geometry.elastic_field(1, 1.0, 16.0, rng()), 0)


# ------------------------------------------------------------------------------------ grey values

patches = hnp.arrays(
    np.float32, (12, 12), elements=st.floats(-3, 3, width=32, allow_subnormal=False)
)


@given(patches)
def test_inversion_is_an_involution(patch):
    np.testing.assert_array_equal(
        intensity.invert(intensity.invert(patch, "standard"), "standard"), patch
    )
    unit = (patch + 3) / 6
    np.testing.assert_allclose(
        intensity.invert(intensity.invert(unit, "unit"), "unit"), unit, atol=1e-6
    )


def test_inversion_negates_within_the_scaling():
    for scaling, expected in (("standard", lambda x: -x), ("unit", lambda x: 1 - x)):
        image, labels = example((40, 40), scaling=scaling)
        config = only(inversion_probability=1)
        plain, _ = Augmenter(STILL, 40, scaling)(image, labels, rng())
        result, _ = Augmenter(config, 40, scaling)(image, labels, rng())
        np.testing.assert_allclose(result, expected(plain), atol=1e-6)


NON_LINEAR = {
    "gamma": lambda patch, scaling, _: intensity.gamma(patch, scaling, 1.7),
    "logarithm": intensity.logarithm,
    "unsharp mask": intensity.unsharp_mask,
    "local contrast": intensity.local_contrast,
}


@pytest.mark.parametrize("name", NON_LINEAR)
@pytest.mark.parametrize("seed", range(4))
def test_non_linear_changes_keep_mean_and_deviation(name, seed):
    image, _ = example((80, 80))
    image = image * 0.6 + 0.4
    changed = NON_LINEAR[name](image, "standard", rng(seed))
    assert changed.dtype == np.float32
    assert np.abs(changed - image).max() > 0.05
    np.testing.assert_allclose(changed.mean(), image.mean(), atol=1e-4)
    np.testing.assert_allclose(changed.std(), image.std(), rtol=1e-4)


@pytest.mark.parametrize("name", NON_LINEAR)
def test_non_linear_changes_of_a_unit_image_stay_in_its_range(name):
    image, _ = example((80, 80), scaling="unit")
    for seed in range(4):
        changed = NON_LINEAR[name](image, "unit", rng(seed))
        assert changed.dtype == np.float32
        assert np.abs(changed - image).max() > 0.02
        assert changed.min() >= 0
        assert changed.max() <= 1


@pytest.mark.parametrize("name", NON_LINEAR)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_non_linear_changes_leave_a_constant_as_it_is(name, scaling):
    constant = np.full((20, 20), 0.3, np.float32)
    np.testing.assert_array_equal(NON_LINEAR[name](constant, scaling, rng()), constant)


@pytest.mark.parametrize("name", ["gamma", "logarithm"])
def test_pointwise_changes_keep_the_order_of_grey_values(name):
    image, _ = example((60, 60))
    changed = NON_LINEAR[name](image, "standard", rng(1))
    order = np.argsort(image, axis=None)
    assert (np.diff(changed.ravel()[order]) >= -1e-6).all()


def test_gamma_of_a_unit_image_is_the_power():
    unit = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    np.testing.assert_allclose(intensity.gamma(unit, "unit", 0.5), np.sqrt(unit), atol=1e-6)


def test_unsharp_mask_sharpens():
    y, _ = np.mgrid[:60, :60].astype(np.float32)
    edge = np.tanh((y - 30) / 4).astype(np.float32)
    for seed in range(5):
        sharp = intensity.unsharp_mask(edge, "standard", rng(seed))
        assert np.diff(sharp, axis=0).max() > 1.05 * np.diff(edge, axis=0).max()


def test_local_contrast_lifts_what_is_weak():
    y, x = np.mgrid[:90, :90].astype(np.float32)
    image = np.sin(x) * np.where(y < 45, 0.1, 1) + np.where(y < 45, 1.0, -1.0)
    changed = intensity.local_contrast(image.astype(np.float32), "standard", rng())
    weak, strong = slice(5, 35), slice(55, 85)
    assert changed[weak].std() / changed[strong].std() > 1.1 * (
        image[weak].std() / image[strong].std()
    )


def test_contrast_is_about_the_mean_of_the_image():
    image, _ = example((30, 30))
    np.testing.assert_allclose(
        intensity.contrast(image, STANDARD, 1.5, 0.2), image * 1.5 + 0.2, atol=1e-6
    )
    grey = Grey("unit", 0.0, 1.0, 0.4, 0.2)
    at_mean = np.full((2, 2), 0.4, np.float32)
    np.testing.assert_allclose(intensity.contrast(at_mean, grey, 1.5, 0.1), 0.5, atol=1e-6)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_noise_is_measured_in_deviations_of_the_image(scaling):
    grey = Grey(scaling, 0.0, 1.0, 0.5, 0.2)
    flat = np.full((200, 200), 0.5, np.float32)
    noisy = intensity.add_noise(flat, grey, 0.5, rng())
    np.testing.assert_allclose(noisy.std(), 0.1, rtol=0.03)
    np.testing.assert_allclose(noisy.mean(), 0.5, atol=0.003)


def test_grey_values_are_those_of_the_image():
    image, _ = example((50, 40), scaling="unit")
    grey = Grey.of(image * 0.5 + 0.25, "unit")
    np.testing.assert_allclose([grey.low, grey.high], [0.25, 0.75], atol=1e-6)
    np.testing.assert_allclose(grey.mean, image.mean() * 0.5 + 0.25, atol=1e-5)
    np.testing.assert_allclose(grey.std, image.std() * 0.5, atol=1e-5)


def test_blur_smooths_and_is_left_out_of_deformed_examples_if_asked():
    image, labels = example((80, 80))
    config = only(blur_probability=1, blur_sigma_px=(2, 2))
    plain, _ = Augmenter(STILL, 64)(image, labels, rng(), (40, 40))
    blurred, _ = Augmenter(config, 64)(image, labels, rng(), (40, 40))
    assert np.diff(blurred).std() < 0.5 * np.diff(plain).std()

    deformed = {"elastic_probability": 1, "blur_probability": 1, "blur_sigma_px": (2, 2)}
    both, either = (
        Augmenter(only(**deformed, blur_deformed=blur), 64)(image, labels, rng(), (40, 40))[0]
        for blur in (True, False)
    )
    assert np.diff(both).std() < 0.7 * np.diff(either).std()


@pytest.mark.parametrize("name", [name for name in PROBABILITIES if name != "marker_probability"])
def test_each_change_is_made_as_often_as_asked(name):
    image, labels = example((48, 48))
    plain, plain_labels = Augmenter(STILL, 48)(image, labels, rng())

    def changed(config, seed):
        patch, found = Augmenter(config, 48)(image, labels, rng(seed))
        return (patch != plain).any() or (found != plain_labels).any()

    # Weak blur can leave the bits as they are.
    base = {"blur_sigma_px": (1, 1)}
    assert all(changed(only(**{name: 1}, **base), seed) for seed in range(5))
    assert not any(changed(only(**{name: 0}, **base), seed) for seed in range(5))
    share = np.mean([changed(only(**{name: 0.3}, **base), seed) for seed in range(100)])
    assert 0.15 < share < 0.45


# --------------------------------------------------------------------------------------- overlays


@pytest.mark.parametrize("seed", range(20))
def test_collimator_edges_are_open_beam_with_one_extreme_value(seed):
    image, _ = example((100, 100))
    labels = np.full((100, 100), 3, np.uint8)
    patch, found = overlays.add_collimator(image, labels, STANDARD, rng(seed))
    covered = found == 1
    assert covered.any()
    assert set(np.unique(found)) <= {1, 3}
    (value,) = np.unique(patch[covered])
    assert value in (STANDARD.low, STANDARD.high)
    np.testing.assert_array_equal(patch[~covered], image[~covered])
    # About a quarter of a side at most: the middle is free, and with it its neighbourhood.
    assert not covered[35:65, 35:65].any()
    assert (labels == 3).all()


def test_collimator_edges_come_from_one_to_four_sides():
    labels = np.full((100, 100), 3, np.uint8)
    image = np.zeros((100, 100), np.float32)
    sides = set()
    for seed in range(60):
        covered = overlays.add_collimator(image, labels, STANDARD, rng(seed))[1] == 1
        ends = (covered[0, 50], covered[-1, 50], covered[50, 0], covered[50, -1])
        sides.add(sum(map(bool, ends)))
    assert sides == {1, 2, 3, 4}


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("beam", [-1.9, 2.9])
def test_a_marker_lies_in_the_open_beam_and_shows(seed, beam):
    labels = np.full((120, 120), 2, np.uint8)
    labels[10:60, 40:100] = 1
    image = np.where(labels == 1, beam, 0).astype(np.float32)
    patch, found = overlays.add_marker(image, labels, STANDARD, rng(seed))
    marked = patch != image
    assert marked.any()
    assert (labels[marked] == 1).all()
    # Lead is on the other side of the scale.
    assert (patch[marked] == (STANDARD.high if beam < 0 else STANDARD.low)).all()
    np.testing.assert_array_equal(found, labels)
    assert (image == np.where(labels == 1, np.float32(beam), 0)).all()


def test_without_room_in_the_open_beam_there_is_no_marker():
    image, _ = example((64, 64))
    none = np.full((64, 64), 2, np.uint8)
    thin = none.copy()
    thin[:, ::2] = 1
    for labels in (none, thin):
        for seed in range(20):
            patch, _ = overlays.add_marker(image, labels, STANDARD, rng(seed))
            wide = patch != image
            assert not wide[labels != 1].any()
    assert (overlays.add_marker(image, none, STANDARD, rng())[0] == image).all()


def test_markers_are_letters_and_plates():
    labels = np.ones((200, 200), np.uint8)
    image = np.zeros((200, 200), np.float32)
    filled = set()
    for seed in range(40):
        rows, columns = np.nonzero(overlays.add_marker(image, labels, STANDARD, rng(seed))[0])
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        filled.add(len(rows) == box)
        assert len(rows) < 0.02 * image.size
    assert filled == {True, False}


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_out_is_an_unlabelled_rectangle_of_one_value(seed):
    image, _ = example((100, 100))
    labels = np.full((100, 100), 3, np.uint8)
    patch, found = overlays.cut_out(image, labels, STANDARD, rng(seed))
    rows, columns = np.nonzero(found == 0)
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert 0.09 * 0.09 <= len(rows) / 1e4 <= 0.31 * 0.31
    (value,) = np.unique(patch[found == 0])
    assert STANDARD.low <= value <= STANDARD.high
    np.testing.assert_array_equal(patch[found == 3], image[found == 3])
    assert (labels == 3).all()


def test_what_a_cut_out_hides_stays_hidden():
    image, labels = example((80, 80))
    labels[:] = 2
    for seed in range(10):
        patch, found = Augmenter(ALL, 48)(image, labels, rng(seed), (40, 40))
        hidden = patch[found == 0]
        # Outside of the image there may be more without a label.
        _, counts = np.unique(hidden, return_counts=True)
        assert counts.max() >= 0.09 * 0.09 * 48 * 48


# ------------------------------------------------------------------------------------- the config


def test_the_paper_preset_is_that_of_the_paper():
    paper = preset("paper").augmentation
    assert (paper.flip_horizontal, paper.flip_vertical) == (0.5, 0.5)
    assert (paper.rotation_deg, paper.shear_deg, paper.translation) == (15, 2, 0.01)
    assert paper.crop == (0.6, 1.0)
    assert paper.blur_sigma_px == (0, 0.4)
    # Either one or the other, alpha from 0.5 to 1.5 times noise from -1 to 1.
    assert (paper.elastic_probability, paper.blur_probability) == (0.5, 1)
    assert not paper.blur_deformed
    np.testing.assert_allclose(
        paper.elastic_amplitude_px, np.array([0.5, 1.5]) / math.sqrt(3), atol=0.01
    )
    assert paper.elastic_smoothness_px == 0.25
    beyond = set(PROBABILITIES) - {"elastic_probability", "blur_probability"}
    assert not any(getattr(paper, name) for name in beyond)
