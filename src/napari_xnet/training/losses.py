"""Losses over the painted pixels: cross-entropy, Dice, Jaccard, Lovász-softmax.

All take targets of shape (B, H, W, 1), float32: 0 not annotated, 1 to 3 the
painted tissue classes, 4 to 6 the same as a base model believes them, 7 to 9 as
they are in what it rehearses, 10 what is shown the wrong way round (see
`examples`); and class probabilities of shape
(B, H, W, 3), float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_xnet import tissue
from napari_xnet.backend import keras
from napari_xnet.training.config import Loss
from napari_xnet.training.examples import WRONG_POLARITY

ops = keras.ops

Tensor = Any

CLASSES = len(tissue.CLASSES)

_TINY = 1e-7
_UNSURE = (1 / CLASSES,) * CLASSES


def one_hot(targets: Tensor, first: int = tissue.OPEN_BEAM.value) -> Tensor:
    """Painted pixels by class.

    Parameters
    ----------
    targets : tensor, shape (B, H, W, 1)
    first : int
        Value of the first class: 1 for what was painted, 4 for beliefs.

    Returns
    -------
    tensor of float32, shape (pixels, 3)
        1 where a pixel has the class; nothing but 0 where it has none.
    """
    values = ops.arange(first, first + CLASSES, dtype="float32")
    flat = ops.cast(ops.reshape(targets, (-1, 1)), "float32")
    return ops.cast(flat == values, "float32")


def cross_entropy(truth: Tensor, probabilities: Tensor, weights: Sequence[float]) -> Tensor:
    """Weighted mean of the negative logarithm of the true class's probability.

    Parameters
    ----------
    truth : tensor, shape (pixels, 3)
        See `one_hot`.
    probabilities : tensor, shape (pixels, 3)
    weights : sequence of 3 float
        Of the classes.

    Returns
    -------
    tensor, shape ()
        0 if no pixel has a class.
    """
    weighted = truth * ops.convert_to_tensor(weights, "float32")
    logarithm = ops.log(ops.maximum(probabilities, _TINY))
    return -ops.sum(weighted * logarithm) / ops.maximum(ops.sum(weighted), _TINY)


def dice(truth: Tensor, probabilities: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, mean over the classes that are painted [1]_.

    Parameters
    ----------
    truth, probabilities : tensor, shape (pixels, 3)
        See `cross_entropy`.

    References
    ----------
    .. [1] F. Milletari, N. Navab, S.-A. Ahmadi, "V-Net", arXiv:1606.04797,
       section 3 (with the sums of the values rather than of their squares).
    """
    both, either = _overlap(truth, probabilities)
    return _mean_over_painted(1 - 2 * both / ops.maximum(either, _TINY), truth)


def jaccard(truth: Tensor, probabilities: Tensor) -> Tensor:
    """One minus the soft intersection over union, mean over the classes that are painted.

    Parameters
    ----------
    truth, probabilities : tensor, shape (pixels, 3)
        See `cross_entropy`.
    """
    both, either = _overlap(truth, probabilities)
    return _mean_over_painted(1 - both / ops.maximum(either - both, _TINY), truth)


def lovasz_softmax(truth: Tensor, probabilities: Tensor) -> Tensor:
    """Lovász extension of the Jaccard loss, mean over the classes that are painted [1]_.

    Parameters
    ----------
    truth, probabilities : tensor, shape (pixels, 3)
        See `cross_entropy`.

    References
    ----------
    .. [1] M. Berman, A. Rannen Triki, M. B. Blaschko, "The Lovász-Softmax
       loss", CVPR 2018, arXiv:1705.08790, eq. (8), (9) and algorithm 1.
    """
    painted = ops.max(truth, axis=-1, keepdims=True)
    # Errors of pixels without a class are 0: they come last and count nothing.
    errors = ops.transpose(ops.abs(truth - probabilities) * painted)
    order = ops.argsort(-errors, axis=-1)
    truth_sorted = ops.take_along_axis(ops.transpose(truth), order, axis=-1)
    sorted_errors = ops.take_along_axis(errors, order, axis=-1)
    total = ops.sum(truth_sorted, axis=-1, keepdims=True)
    intersection = total - ops.cumsum(truth_sorted, axis=-1)
    union = total + ops.cumsum(1 - truth_sorted, axis=-1)
    loss = 1 - intersection / ops.maximum(union, _TINY)
    gradient = ops.concatenate([loss[:, :1], loss[:, 1:] - loss[:, :-1]], axis=-1)
    return _mean_over_painted(ops.sum(sorted_errors * gradient, axis=-1), truth)


def make_loss(
    config: Loss,
    class_weights: Sequence[float],
    others: Mapping[int, float] | None = None,
    wrong_polarity: bool = False,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the loss of a training run.

    Parameters
    ----------
    config : Loss
        The weight of each term; terms without weight are not computed.
    class_weights : sequence of 3 float
        Weights of the classes in the cross-entropy.
    others : mapping from int to float
        Weights of the cross-entropy over pixels that nobody painted, by the
        value of their first class: `examples.BELIEVED`, `examples.REHEARSED`.
    wrong_polarity : bool
        Whether some patches are shown the wrong way round.

    Returns
    -------
    callable
        ``loss(targets, probabilities)``, shapes (B, H, W, 1) and (B, H, W, 3).

    Notes
    -----
    Where the targets are `examples.WRONG_POLARITY`, all classes are to be
    equally likely.
    """

    def loss(targets: Tensor, probabilities: Tensor) -> Tensor:
        probabilities = ops.reshape(probabilities, (-1, CLASSES))
        truth = one_hot(targets)
        total = ops.zeros(())
        if config.cross_entropy:
            total += config.cross_entropy * cross_entropy(truth, probabilities, class_weights)
        for weight, term in (
            (config.dice, dice),
            (config.jaccard, jaccard),
            (config.lovasz, lovasz_softmax),
        ):
            if weight:
                total += weight * term(truth, probabilities)
        for first, weight in (others or {}).items():
            if weight:
                truth = one_hot(targets, first)
                total += weight * cross_entropy(truth, probabilities, (1.0,) * CLASSES)
        if wrong_polarity:
            wrong = ops.cast(ops.reshape(targets, (-1, 1)) == float(WRONG_POLARITY), "float32")
            truth = wrong * ops.convert_to_tensor([_UNSURE], "float32")
            total += cross_entropy(truth, probabilities, (1.0,) * CLASSES)
        return total

    return loss


def _overlap(truth: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection, and sum of both, of each class over the painted pixels; shape (3,)."""
    painted = ops.max(truth, axis=-1, keepdims=True)
    both = ops.sum(truth * probabilities, axis=0)
    return both, ops.sum(truth, axis=0) + ops.sum(probabilities * painted, axis=0)


def _mean_over_painted(values: Tensor, truth: Tensor) -> Tensor:
    present = ops.cast(ops.max(truth, axis=0) > 0, "float32")
    return ops.sum(values * present) / ops.maximum(ops.sum(present), 1.0)
