"""A network held to its base: mixtures of weights, and how much of them is learned."""

import numpy as np
import pytest

from napari_xnet.training.tether import Tether


def weights(network):
    return np.concatenate([np.asarray(one).ravel() for one in network.get_weights()])


@pytest.fixture
def network(make_model):
    return make_model(filters=(2, 2, 2, 2)).network


def move(network, step):
    """Change all weights, so that a share of s moves them by s · step."""
    network.set_weights([one + step for one in network.get_weights()])


def test_mixture_lies_between_base_and_trained_weights_and_is_taken_back(network):
    base = weights(network)
    tether = Tether(network, lambda: 1.0, largest=0.25)
    move(network, 1)
    trained = weights(network)

    with tether.mixed():
        np.testing.assert_allclose(weights(network), base + 0.25, atol=1e-6)
    np.testing.assert_array_equal(weights(network), trained)


def test_weights_are_taken_back_after_an_error(network):
    tether = Tether(network, lambda: 1.0, largest=0.5)
    move(network, 1)
    trained = weights(network)
    with pytest.raises(RuntimeError), tether.mixed():
        raise RuntimeError
    np.testing.assert_array_equal(weights(network), trained)


@pytest.mark.parametrize(("lost", "share"), [(0.0, 0.5), (0.1, 0.5), (0.3, 0.15625), (100.0, 0.0)])
def test_share_is_lowered_until_little_is_forgotten(network, lost, share):
    """The score falls by `lost` at the whole step, in proportion."""
    base = weights(network)
    tether = Tether(
        network,
        lambda: 0.9 - lost * float(np.mean(weights(network) - base)),
        largest=0.5,
        forgetting=0.05,
    )
    move(network, 1)
    tether.adjust()
    assert tether.share == pytest.approx(share)


def test_nothing_is_scored_where_everything_may_be_forgotten(network):
    def score():
        raise AssertionError("scored")

    tether = Tether(network, score)
    tether.adjust()
    assert tether.share == 1
