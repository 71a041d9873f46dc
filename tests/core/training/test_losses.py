"""Losses: against references of their own, and deaf to what nobody painted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.backend import keras
from napari_xnet.training.config import Loss
from napari_xnet.training.losses import (
    cross_entropy,
    dice,
    jaccard,
    lovasz_softmax,
    make_loss,
    one_hot,
)

EQUAL = (1.0, 1.0, 1.0)
FEW = settings(max_examples=10)
TERMS = {
    "cross-entropy": Loss(cross_entropy=1, dice=0),
    "dice": Loss(cross_entropy=0, dice=1),
    "jaccard": Loss(cross_entropy=0, dice=0, jaccard=1),
    "lovasz": Loss(cross_entropy=0, dice=0, lovasz=1),
    "all": Loss(cross_entropy=0.5, dice=2, jaccard=0.7, lovasz=1.5),
}


def number(tensor):
    value = keras.ops.convert_to_numpy(tensor)
    assert value.shape == ()
    return float(value)


def softmax(values):
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)


def flat(targets, probabilities):
    """What the terms take: truth and probabilities of each pixel."""
    return one_hot(targets), probabilities.reshape(-1, 3)


@st.composite
def cases(draw, highest=3, most=6):
    """Targets (B, H, W, 1) and probabilities (B, H, W, 3)."""
    shape = tuple(draw(st.integers(1, side)) for side in (2, most, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = draw(st.sets(st.integers(0, highest), min_size=1))
    targets = rng.choice(sorted(values), (*shape, 1)).astype(np.float32)
    sharpness = draw(st.sampled_from([0.5, 3, 30]))
    return targets, softmax(rng.normal(0, sharpness, (*shape, 3)))


def painted(targets, probabilities):
    """Class indices and probabilities, in float64, of the pixels that have a class."""
    known = (targets[..., 0] >= 1) & (targets[..., 0] <= 3)
    return targets[..., 0][known].astype(int) - 1, probabilities[known].astype(float)


# ------------------------------------------------------------------ references


def reference_cross_entropy(targets, probabilities, weights=EQUAL):
    truth, p = painted(targets, probabilities)
    own = np.array(weights)[truth]
    logarithms = np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-7))
    return -(own * logarithms).sum() / own.sum() if own.sum() else 0.0


def reference_overlap(targets, probabilities, score):
    truth, p = painted(targets, probabilities)
    losses = []
    for one in np.unique(truth):
        both = p[truth == one, one].sum()
        losses.append(1 - score(both, (truth == one).sum(), p[:, one].sum()))
    return np.mean(losses) if losses else 0.0


def reference_dice(targets, probabilities):
    return reference_overlap(targets, probabilities, lambda both, a, b: 2 * both / (a + b))


def reference_jaccard(targets, probabilities):
    return reference_overlap(targets, probabilities, lambda both, a, b: both / (a + b - both))


def jaccard_of_errors(truth, wrong):
    """One minus the intersection over union, if the pixels of a set are wrong: eq. (6)."""
    return len(wrong) / len(truth | wrong)


def lovasz_by_sorting(values, truth):
    """Lovász extension of the Jaccard loss: definition 1, eq. (8)."""
    order = np.argsort(-values, kind="stable")
    sets = [set(order[:count].tolist()) for count in range(len(order) + 1)]
    steps = np.diff([jaccard_of_errors(truth, wrong) for wrong in sets])
    return float((values[order] * steps).sum())


def lovasz_by_brute_force(values, truth):
    """The tight convex closure of a submodular function: the largest over all orders."""
    best = -np.inf
    for order in itertools.permutations(range(len(values))):
        sets = [set(order[:count]) for count in range(len(order) + 1)]
        steps = np.diff([jaccard_of_errors(truth, wrong) for wrong in sets])
        best = max(best, float((values[list(order)] * steps).sum()))
    return best


def reference_lovasz(targets, probabilities, extension=lovasz_by_sorting):
    truth, p = painted(targets, probabilities)
    losses = []
    for one in np.unique(truth):
        errors = np.where(truth == one, 1 - p[:, one], p[:, one])
        losses.append(extension(errors, set(np.flatnonzero(truth == one).tolist())))
    return np.mean(losses) if losses else 0.0


@FEW
@given(cases())
def test_the_terms_are_those_of_their_papers(case):
    for term, reference in (
        (dice, reference_dice),
        (jaccard, reference_jaccard),
        (lovasz_softmax, reference_lovasz),
    ):
        assert number(term(*flat(*case))) == pytest.approx(reference(*case), abs=2e-5), term
    entropy = number(cross_entropy(*flat(*case), EQUAL))
    assert entropy == pytest.approx(reference_cross_entropy(*case), rel=1e-4, abs=1e-5)


@FEW
@given(cases(most=2))
def test_lovasz_is_the_convex_closure(case):
    targets, probabilities = (one[:1, :2, :3] for one in case)
    expected = reference_lovasz(targets, probabilities, lovasz_by_brute_force)
    assert number(lovasz_softmax(*flat(targets, probabilities))) == pytest.approx(
        expected, abs=1e-5
    )


@FEW
@given(cases(), st.tuples(*[st.sampled_from([0.0, 0.3, 1.0, 4.0])] * 3))
def test_class_weights_weigh_the_cross_entropy(case, weights):
    result = number(cross_entropy(*flat(*case), weights))
    assert result == pytest.approx(reference_cross_entropy(*case, weights), rel=1e-4, abs=1e-5)


@FEW
@given(cases())
def test_the_loss_is_the_weighted_sum_of_its_terms(case):
    weights = (0.5, 2.0, 1.0)
    expected = (
        0.5 * reference_cross_entropy(*case, weights)
        + 2 * reference_dice(*case)
        + 0.7 * reference_jaccard(*case)
        + 1.5 * reference_lovasz(*case)
    )
    result = number(make_loss(TERMS["all"], weights)(*case))
    assert result == pytest.approx(expected, rel=1e-4, abs=1e-4)


# ------------------------------------------------------------------ what nobody painted


@pytest.mark.parametrize("name", TERMS)
@FEW
@given(case=cases(), seed=st.integers(0, 999))
def test_pixels_that_nobody_painted_have_no_influence(name, case, seed):
    targets, probabilities = case
    loss = make_loss(TERMS[name], EQUAL)
    other = softmax(np.random.default_rng(seed).normal(0, 9, probabilities.shape))
    changed = np.where(targets == 0, other, probabilities)
    before, after = number(loss(targets, probabilities)), number(loss(targets, changed))
    assert before == pytest.approx(after, abs=1e-6)


class Given(keras.layers.Layer):
    """Probabilities that can be learned, whatever the image."""

    def __init__(self, probabilities):
        super().__init__()
        self.values = self.add_weight(shape=probabilities.shape, initializer="zeros")
        self.values.assign(probabilities)

    def call(self, image):
        return self.values + 0 * image


def learned(loss, targets, probabilities):
    """Probabilities after one step of gradient descent at rate 1."""
    layer = Given(probabilities)
    image = keras.Input(targets.shape[1:], batch_size=len(targets))
    network = keras.Model(image, layer(image))
    network.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)
    network.train_on_batch(np.zeros_like(targets), targets)
    return keras.ops.convert_to_numpy(layer.values)


@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_zero_where_nobody_painted_and_point_to_the_truth_elsewhere(name):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, (2, 6, 5, 1)).astype(np.float32)
    probabilities = softmax(rng.normal(0, 1, (2, 6, 5, 3)))
    loss = make_loss(TERMS[name], EQUAL)
    after = learned(loss, targets, probabilities)
    change = after - probabilities
    unpainted = targets[..., 0] == 0
    np.testing.assert_array_equal(change[unpainted], 0)
    own = np.take_along_axis(
        change[~unpainted], targets[..., 0][~unpainted].astype(int)[:, np.newaxis] - 1, axis=-1
    )
    assert (own > 0).all()
    assert number(loss(targets, after)) < number(loss(targets, probabilities))


def test_gradients_are_the_slopes_of_the_reference():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 4, (1, 3, 4, 1)).astype(np.float32)
    probabilities = softmax(rng.normal(0, 1, (1, 3, 4, 3)))
    step = 1e-6
    for name, reference in (("dice", reference_dice), ("lovasz", reference_lovasz)):
        change = learned(make_loss(TERMS[name], EQUAL), targets, probabilities) - probabilities
        for index in np.ndindex(probabilities.shape):
            moved = probabilities.astype(float)
            moved[index] += step
            low = probabilities.astype(float)
            low[index] -= step
            slope = (reference(targets, moved) - reference(targets, low)) / (2 * step)
            assert -change[index] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("values", [[0], [4, 5, 6], [0, 7, 200]])
def test_nothing_painted_is_no_loss_and_no_gradient(name, values):
    rng = np.random.default_rng(0)
    targets = rng.choice(values, (1, 4, 4, 1)).astype(np.float32)
    probabilities = softmax(rng.normal(0, 1, (1, 4, 4, 3)))
    loss = make_loss(TERMS[name], EQUAL)
    assert number(loss(targets, probabilities)) == 0
    np.testing.assert_array_equal(learned(loss, targets, probabilities), probabilities)


# ------------------------------------------------------------------ ends of the scale


@pytest.mark.parametrize("name", TERMS)
@FEW
@given(case=cases())
def test_a_perfect_prediction_costs_nothing_and_none_costs_less(name, case):
    targets, probabilities = case
    loss = make_loss(TERMS[name], EQUAL)
    perfect = np.eye(3, dtype=np.float32)[np.maximum(targets[..., 0].astype(int) - 1, 0)]
    assert number(loss(targets, perfect)) == pytest.approx(0, abs=1e-5)
    assert number(loss(targets, probabilities)) >= -1e-5


@pytest.mark.parametrize("name", ["dice", "jaccard", "lovasz"])
def test_everything_wrong_costs_one(name):
    targets = np.array([1, 1, 2, 3, 0], np.float32).reshape(1, 1, 5, 1)
    wrong = np.eye(3, dtype=np.float32)[[2, 2, 0, 0, 1]].reshape(1, 1, 5, 3)
    assert number(make_loss(TERMS[name], EQUAL)(targets, wrong)) == pytest.approx(1, abs=1e-6)


def test_a_probability_of_zero_is_finite():
    targets = np.ones((1, 1, 1, 1), np.float32)
    never = np.array([0, 1, 0], np.float32).reshape(1, 1, 1, 3)
    result = number(make_loss(TERMS["cross-entropy"], EQUAL)(targets, never))
    assert result == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_a_class_that_is_absent_does_not_count_in_the_mean():
    # Half of the only class that is painted is found.
    targets = np.array([1, 1], np.float32).reshape(1, 1, 2, 1)
    half = np.eye(3, dtype=np.float32)[[0, 1]].reshape(1, 1, 2, 3)
    for name, expected in (("dice", 1 / 3), ("jaccard", 1 / 2), ("lovasz", 1 / 2)):
        assert number(make_loss(TERMS[name], EQUAL)(targets, half)) == pytest.approx(expected)


# ------------------------------------------------------------------ beliefs


@FEW
@given(cases(highest=6), st.floats(0.1, 3))
def test_beliefs_count_by_cross_entropy_with_a_weight_of_their_own(case, weight):
    targets, probabilities = case
    weights = (3.0, 1.0, 0.0)
    for name in ("dice", "all"):
        without = number(make_loss(TERMS[name], weights)(targets, probabilities))
        only_painted = np.where(targets > 3, 0, targets)
        assert without == pytest.approx(
            number(make_loss(TERMS[name], weights)(only_painted, probabilities)), abs=1e-6
        )
        believed = np.where(targets > 3, targets - 3, 0)
        expected = without + weight * reference_cross_entropy(believed, probabilities)
        result = number(make_loss(TERMS[name], weights, others={4: weight})(targets, probabilities))
        assert result == pytest.approx(expected, rel=1e-4, abs=1e-4)


# ------------------------------------------------------------------ the wrong way round


def test_the_wrong_way_round_no_class_is_to_be_likelier():
    loss = make_loss(TERMS["all"], EQUAL, wrong_polarity=True)
    targets = np.full((1, 1, 2, 1), 10, np.float32)
    even, sure = (
        np.tile(np.float32(one), (1, 1, 2, 1)) for one in ([1 / 3] * 3, [0.9, 0.05, 0.05])
    )
    assert number(loss(targets, even)) == pytest.approx(np.log(3), abs=1e-5)
    assert number(loss(targets, sure)) > np.log(3) + 0.1
    assert number(make_loss(TERMS["all"], EQUAL)(targets, sure)) == 0


@FEW
@given(cases(highest=3))
def test_the_right_way_round_it_changes_nothing(case):
    targets, probabilities = case
    with_and_without = [
        number(make_loss(TERMS["all"], EQUAL, wrong_polarity=wrong)(targets, probabilities))
        for wrong in (False, True)
    ]
    assert with_and_without[0] == with_and_without[1]
