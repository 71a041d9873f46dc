"""Styles in which the signal of a detector is displayed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.simulation.display import STYLES, clinical_display, random_display


def signal(shape=(80, 60)):
    """Beam, tissue and bone side by side, with noise."""
    columns = np.array([1.0, 0.4, 0.1])[3 * np.arange(shape[1]) // shape[1]]
    noise = np.random.default_rng(0).normal(0, 0.005, shape)
    return np.maximum(columns + noise, 0).astype(np.float32)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32), st.sampled_from([(80, 60), (17, 16), (33, 120)]))
def test_every_display_is_an_image(seed, shape):
    light = np.ones(shape, np.float32)
    light[:3] = 0
    made = random_display(signal(shape), light, 0.5, np.random.default_rng(seed))
    assert made.image.shape == shape
    assert made.image.dtype in (np.uint8, np.uint16)
    assert np.ptp(made.image) > 0
    again = random_display(signal(shape), light, 0.5, np.random.default_rng(seed))
    np.testing.assert_array_equal(made.image, again.image)
    assert made.style == again.style


def test_styles_depths_and_polarities_are_mixed():
    light = np.ones((80, 60), np.float32)
    made = [random_display(signal(), light, 0.5, np.random.default_rng(n)) for n in range(300)]
    assert {one.style.removesuffix(", bone dark") for one in made} == set(STYLES)
    assert {one.image.dtype.name for one in made} == {"uint8", "uint16"}
    # In the columns of beam and bone.
    bright = [np.median(one.image[:, :10]) < np.median(one.image[:, 55:]) for one in made]
    assert 0.55 < np.mean(bright) < 0.85
    assert np.mean(np.equal(bright, ["bone dark" not in one.style for one in made])) > 0.97
    tissue = [np.median(one.image[:, 30]) for one in made]
    assert len(set(tissue)) > 100


def test_clinical_display_shows_bone_bright_and_blades_black():
    light = np.ones((80, 60), np.float32)
    light[:5] = 0
    made = clinical_display(signal(), light, 0.5)
    beam, soft, bone = (np.median(made.image[10:, at]) for at in (5, 30, 55))
    assert beam < soft < bone <= 4095
    assert not made.image[:5].any()


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_letters_are_burnt_in(grey):
    made = clinical_display(signal(), np.ones((80, 60), np.float32), 0.5)
    assert made.written_on(np.zeros((80, 60)), grey) is made
    overlay = np.zeros((80, 60), np.float32)
    overlay[10:20, 10:20] = 1
    written = made.written_on(overlay, grey)
    wanted = made.image.max() if grey else made.image.min()
    assert (written.image[10:20, 10:20] == wanted).all()
    np.testing.assert_array_equal(written.image[30:], made.image[30:])
