"""A network held to the model that it came from, so that it does not forget what that could do."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from napari_xnet.backend import keras

_HALVINGS = 4


class Tether:
    """Mix the weights of a network with those that it began with [1]_.

    Parameters
    ----------
    network : keras.Model
        Its weights at this moment are those of the base.
    score : callable
        Returns the accuracy of the network, as it then is, on what it must
        not forget.
    largest : float
        Largest share of the trained weights.
    forgetting : float
        How much of that accuracy may be lost.

    Attributes
    ----------
    share : float
        Share of the trained weights in the mixture; the rest are those of the
        base.

    References
    ----------
    .. [1] M. Wortsman et al., "Robust fine-tuning of zero-shot models"
       (WiSE-FT), arXiv:2109.01903, eq. (1).
    """

    def __init__(
        self,
        network: "keras.Model",
        score: Callable[[], float],
        largest: float = 1.0,
        forgetting: float = 1.0,
    ) -> None:
        self._network = network
        self._score = score
        self._largest = largest
        # Whatever is lost is allowed: nothing need be scored.
        self._least = score() - forgetting if forgetting < 1 else None
        # Where nothing is ever mixed, nothing need be kept.
        self._base = _copy(network) if largest < 1 or forgetting < 1 else []
        self.share = largest

    def adjust(self) -> None:
        """Find the largest share that forgets no more than is allowed."""
        if self._is_allowed(self._largest):
            self.share = self._largest
            return
        allowed, too_much = 0.0, self._largest
        for _ in range(_HALVINGS):
            middle = (allowed + too_much) / 2
            if self._is_allowed(middle):
                allowed = middle
            else:
                too_much = middle
        self.share = allowed

    @contextlib.contextmanager
    def mixed(self, share: float | None = None) -> Iterator[None]:
        """Give the network the mixture of weights for a while; then it goes on learning.

        Parameters
        ----------
        share : float, optional
            Instead of `share`.
        """
        share = self.share if share is None else share
        if share == 1:
            yield
            return
        trained = _copy(self._network)
        for variable, new, old in zip(self._network.weights, trained, self._base, strict=True):
            variable.assign(share * new + (1 - share) * old)
        try:
            yield
        finally:
            for variable, new in zip(self._network.weights, trained, strict=True):
                variable.assign(new)

    def _is_allowed(self, share: float) -> bool:
        if self._least is None:
            return True
        with self.mixed(share):
            return self._score() >= self._least


def _copy(network: "keras.Model") -> list[NDArray[np.float32]]:
    return [np.array(keras.ops.convert_to_numpy(one), np.float32) for one in network.weights]
