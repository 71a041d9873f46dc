"""Predictions: which way round an image is, and the mean over sizes."""

import numpy as np
import pytest
from scipy.stats import entropy

from napari_xnet.backend import keras
from napari_xnet.inference import segment
from napari_xnet.models import Model, ModelCard, Preprocessing
from napari_xnet.models.prediction import asking, predict, turned


@pytest.fixture(scope="module")
def knows_bright():
    """A network that is sure of bright pixels, and in doubt about dark ones."""
    image = keras.Input((None, None, 1))
    head = keras.layers.Conv2D(3, 1, activation="softmax", name="head")
    network = keras.Model(image, head(image))
    head.set_weights([np.array([0, 0, 5], np.float32).reshape(1, 1, 1, 3), np.zeros(3, np.float32)])
    return network


@pytest.fixture
def bright():
    """A dark bar on a bright ground, standardised."""
    image = np.zeros((24, 40), np.float32)
    image[8:14, 10:30] = -3
    image -= image.mean()
    return image / image.std()


def test_each_image_is_turned_the_way_the_network_is_sure_of(knows_bright):
    rng = np.random.default_rng(0)
    bright = np.abs(rng.normal(size=(3, 16, 24))).astype(np.float32)
    found = turned(asking(knows_bright), np.stack([bright[0], -bright[1], bright[2]]), 24)
    np.testing.assert_array_equal(found, bright)


def test_a_known_polarity_is_believed(knows_bright):
    dark = -np.ones((1, 16, 16), np.float32)
    ask = asking(knows_bright)
    np.testing.assert_array_equal(turned(ask, dark, 16, "bone bright"), dark)
    np.testing.assert_array_equal(turned(ask, -dark, 16, "bone dark"), dark)


def test_a_network_of_bright_bones_says_the_same_of_the_negative(knows_bright, bright):
    card = ModelCard(
        name="bright",
        architecture={"name": "xnet"},
        preprocessing={"size_px": 64, "polarity": "bone bright", "scales": (1, 0.5)},
    )
    model = Model(card, knows_bright)
    negative = -bright
    expected = segment(bright, model, polarity="bone bright")
    np.testing.assert_array_equal(segment(bright, model).labels, expected.labels)
    np.testing.assert_array_equal(segment(negative, model).labels, expected.labels)
    forced = segment(negative, model, polarity="bone dark")
    np.testing.assert_array_equal(forced.labels, expected.labels)
    wrong = segment(negative, model, polarity="bone bright")
    assert (wrong.labels != expected.labels).mean() > 0.3


@pytest.mark.parametrize("polarity", ["as is", "both"])
def test_other_networks_do_not_care(knows_bright, bright, polarity):
    images, preprocessing = bright[np.newaxis], Preprocessing(polarity=polarity)
    expected = predict(knows_bright, images, preprocessing)
    for claimed in ("bone bright", "bone dark"):
        found = predict(knows_bright, images, preprocessing, claimed)
        np.testing.assert_array_equal(found, expected)


def test_scales_weigh_as_much_as_they_are_certain(small_model, bright):
    def at(*scales):
        return predict(
            small_model.network, bright[np.newaxis], Preprocessing(polarity="as is", scales=scales)
        )

    both = at(1, 0.5)
    assert both.shape == (1, 24, 40, 3)
    answers = np.stack([at(1), at(0.5)])
    certainty = np.maximum(1 - entropy(answers, base=3, axis=-1, keepdims=True), 0.02)
    mean = np.exp(np.average(np.log(answers), axis=0, weights=certainty + np.zeros(3)))
    np.testing.assert_allclose(both, mean / mean.sum(axis=-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(both.sum(axis=-1), 1, atol=1e-5)
    assert np.abs(at(1) - at(0.5)).max() > 1e-3


def test_the_mean_is_taken_over_mirror_images(small_model, bright):
    mirrored = Preprocessing(polarity="as is", mirrored=True)
    found = predict(small_model.network, bright[np.newaxis], mirrored)
    views = [(), (1,), (2,), (1, 2)]
    for axes in views:
        turned_back = np.flip(
            predict(small_model.network, np.flip(bright[np.newaxis], axes), mirrored), axes
        )
        np.testing.assert_allclose(turned_back, found, atol=1e-5)
    single = [
        np.flip(small_model.network(np.flip(bright[np.newaxis], axes)[..., np.newaxis]), axes)
        for axes in views
    ]
    mean = np.exp(np.mean(np.log(single), axis=0))
    np.testing.assert_allclose(mean / mean.sum(axis=-1, keepdims=True), found, atol=1e-5)
    assert np.abs(single[0] - found).max() > 1e-3


def test_an_unknown_polarity_is_refused(radiograph, small_model):
    with pytest.raises(ValueError, match="polarity must be one of auto, bone bright, bone dark"):
        segment(radiograph, small_model, polarity="bright")


class Recording:
    """A network that notes how many pixels it gets in each call."""

    def __init__(self, network):
        self.network, self.calls = network, []

    def __call__(self, batch):
        self.calls.append(int(np.prod(batch.shape)))
        return self.network(batch)


@pytest.fixture(scope="module")
def three():
    return np.random.default_rng(0).normal(size=(3, 24, 40)).astype(np.float32)


AVERAGED = Preprocessing(polarity="bone bright", scales=(1, 0.6), mirrored=True)


@pytest.mark.parametrize("call_px", [1, 1000, 24 * 40 * 5])
def test_the_network_gets_no_more_pixels_at_once_than_allowed(small_model, three, call_px):
    whole = predict(small_model.network, three, AVERAGED)
    network = Recording(small_model.network)
    parts = predict(network, three, AVERAGED, call_px=call_px)
    assert max(network.calls) <= max(call_px, 24 * 40)  # a single image is never divided
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_views_of_small_images_share_the_calls(small_model, three):
    network = Recording(small_model.network)
    predict(network, three, AVERAGED)
    assert len(network.calls) == 3  # which way round, and once for each scale


def test_a_check_before_each_call_can_stop(small_model, three):
    network = Recording(small_model.network)
    checks = []

    def check():
        checks.append(len(network.calls))
        if len(checks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(network, three, AVERAGED, call_px=1, check=check)
    assert checks == [0, 1, 2]
    assert len(network.calls) == 2
