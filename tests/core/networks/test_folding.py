"""A network that does not learn any more says the same in fewer steps."""

import numpy as np
import pytest

from napari_xnet.backend import keras
from napari_xnet.devices import compiled
from napari_xnet.networks import ARCHITECTURES
from napari_xnet.networks.folding import folded


@pytest.fixture(params=ARCHITECTURES)
def network(request):
    """Like a trained one: no statistics or weights are those of the beginning."""
    network = ARCHITECTURES[request.param]((None, None, 1), filters=(4, 8, 8, 16))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "moving_variance"):
                weight.assign(rng.uniform(0.5, 2, weight.shape))
            elif weight.name != "kernel":
                weight.assign(rng.uniform(-0.3, 0.3, weight.shape))
    return network


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(2, 24, 40, 1)).astype(np.float32)


def test_folding_changes_nothing_but_the_steps(network, images):
    expected = np.asarray(network(images))
    found = folded(network, "float32")
    assert not any(isinstance(one, keras.layers.BatchNormalization) for one in found.layers)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found(images), expected, atol=1e-5)
    np.testing.assert_array_equal(network(images), expected)


def test_half_precision_is_close_and_its_probabilities_are_whole(network, images):
    found = folded(network, "mixed_bfloat16")(images)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_allclose(np.asarray(found).sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(found, network(images), atol=0.05)


def test_compiled_for_images_of_all_sizes(network, images):
    run = compiled(network)
    for part in (images, images[:1, :16], images[:, :, :8]):
        np.testing.assert_allclose(run(part), network(part), atol=1e-5)
