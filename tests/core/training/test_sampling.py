"""Batches: the same for the same numbers, and as balanced as they promise."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.models import Preprocessing
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import Example
from napari_xnet.training.sampling import Sampler

PLAIN = {"enabled": False}
"""Patches as they are."""


def example(value, group="", shape=(48, 40), labels=None):
    """An image of one grey value, by which it is known in batches."""
    if labels is None:
        labels = np.zeros(shape, np.uint8)
        labels[:3], labels[10:13], labels[20:23] = 1, 2, 3
    image = np.full(labels.shape, value, np.float32)
    return Example(f"image {value}", group, image, labels, np.zeros_like(labels))


def textured(seed=0, shape=(80, 70)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, shape).astype(np.uint8)
    return Example(
        "a", "", rng.normal(size=shape).astype(np.float32), labels, np.zeros_like(labels)
    )


def sampler(examples, patch_px=32, rehearsal=(), seed=0, **parts):
    config = TrainingConfig.parse({"seed": seed, "augmentation": PLAIN, **parts})
    return Sampler(examples, config, patch_px, Preprocessing(), rehearsal)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def shown(made, epochs):
    """How often each grey value comes."""
    counts = Counter()
    for epoch in epochs:
        for images, _ in made.batches(epoch):
            counts.update(float(np.median(one)) for one in images)
    return counts


def test_a_batch_has_images_and_targets():
    made = sampler([textured()], sampling={"batch": 3})
    images, targets = made.batch(1, 0)
    assert images.shape == targets.shape == (3, 32, 32, 1)
    assert images.dtype == targets.dtype == np.float32
    assert set(np.unique(targets)) <= {0, 1, 2, 3}
    assert np.isfinite(images).all()


@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(1, 999),
    step=st.integers(0, 4),
    before=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), max_size=2),
)
def test_a_batch_depends_on_seed_epoch_and_step_alone(seed, epoch, step, before):
    options = {"seed": seed, "augmentation": {}, "sampling": {"steps": 5, "batch": 2}}
    examples = [textured(0), textured(1)]
    made = sampler(examples, **options)
    for one in before:
        made.batch(*one)
    batch = made.batch(epoch, step)
    assert same(batch, sampler(examples, **options).batch(epoch, step))
    assert not same(batch, made.batch(epoch + 1, step))
    assert not same(batch, made.batch(epoch, step + 1))
    assert not same(batch, sampler(examples, **options | {"seed": seed ^ 1}).batch(epoch, step))


def test_the_batches_of_an_epoch_come_in_order():
    made = sampler([textured()], augmentation={}, sampling={"steps": 4, "batch": 2})
    batches = list(made.batches(3))
    assert len(batches) == made.steps == 4
    for step, batch in enumerate(batches):
        assert same(batch, made.batch(3, step))


def test_an_epoch_that_is_left_early_can_be_drawn_again():
    made = sampler([textured()], augmentation={}, sampling={"steps": 4, "batch": 2})
    drawing = made.batches(1)
    first = next(drawing)
    drawing.close()
    assert same(first, next(made.batches(1)))


@pytest.mark.parametrize(("count", "steps"), [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_an_epoch_shows_each_radiograph_once(count, steps):
    made = sampler([example(number) for number in range(count)], sampling={"batch": 4})
    assert made.examples == count
    assert made.steps == steps
    # Over four epochs the batches that are filled up even out.
    counts = shown(made, range(1, count + 1))
    assert set(counts) == set(range(count))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_order_changes():
    made = sampler([example(number) for number in range(8)], sampling={"batch": 8})
    orders = {tuple(np.median(made.batch(epoch, 0)[0], axis=(1, 2, 3))) for epoch in range(1, 5)}
    assert len(orders) > 1


def test_what_has_no_training_labels_is_not_drawn():
    nothing = np.zeros((40, 40), np.uint8)
    made = sampler([example(1), example(2, labels=nothing), example(3, labels=nothing + 4)])
    assert made.examples == 1
    assert set(shown(made, range(1, 5))) == {1}


@pytest.mark.parametrize("balance", [True, False])
def test_groups_are_evened_out(balance):
    examples = [example(number, "hand") for number in range(6)] + [example(9, "foot")]
    made = sampler(examples, sampling={"batch": 3, "balance_groups": balance})
    counts = shown(made, range(1, 8) if not balance else range(1, 2))
    if balance:
        # As in the paper: the image of the rare group comes several times.
        assert counts == {**dict.fromkeys(range(6), 1), 9: 6}
    else:
        assert max(counts.values()) - min(counts.values()) <= 1


def test_classes_are_evened_out():
    labels = np.full((200, 160), 1, np.uint8)
    labels[100:103, 80:83] = 3  # one pixel in 3500
    labels[40:60, :20] = 2
    image = example(0, labels=labels)
    options = {"batch": 30, "steps": 1}
    _, targets = sampler([image], sampling=options).batch(1, 0)
    with_bone = np.count_nonzero((targets == 3).any(axis=(1, 2, 3)))
    with_soft_tissue = np.count_nonzero((targets == 2).any(axis=(1, 2, 3)))
    assert with_bone >= 6
    assert with_soft_tissue >= 6
    _, targets = sampler([image], sampling={**options, "balance_classes": False}).batch(1, 0)
    assert np.count_nonzero((targets == 3).any(axis=(1, 2, 3))) < with_bone


def test_a_class_of_one_radiograph_comes_as_often_as_the_others():
    beam_and_flesh = np.ones((200, 160), np.uint8)
    beam_and_flesh[:100] = 2
    with_bone = beam_and_flesh.copy()
    with_bone[100:103, 80:83] = 3
    many = [example(n, labels=beam_and_flesh) for n in range(9)] + [example(9, labels=with_bone)]
    options = {"batch": 30, "steps": 2}
    made = sampler(many, sampling=options)
    for epoch in range(1, 4):
        targets = np.concatenate([targets for _, targets in made.batches(epoch)])
        assert np.count_nonzero((targets == 3).any(axis=(1, 2, 3))) >= 20
    counts = shown(sampler(many, sampling=options | {"balance_classes": False}), [1])
    assert counts[9] == 6


def test_what_has_no_group_is_not_evened_out():
    loose = [example(number) for number in range(9)]
    counts = shown(sampler([*loose, example(9, "hip")], sampling={"batch": 5}), range(1, 3))
    assert counts == dict.fromkeys(range(10), 2)
    groups = [example(9, "hip"), example(10, "foot"), example(11, "foot")]
    counts = shown(sampler([*loose, *groups], sampling={"batch": 13}), [1])
    assert counts == {**dict.fromkeys(range(12), 1), 9: 2}


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_windows_of_any_size_lie_inside(scale):
    labels = np.ones((120, 100), np.uint8)
    labels[:3] = labels[:, -3:] = 2
    augmentation = dict.fromkeys((f"{one}_probability" for one in PROBABILITIES), 0)
    augmentation |= {"rotation_deg": 0, "shear_deg": 0, "translation": 0, "crop": [scale, scale]}
    made = sampler([example(0, labels=labels)], augmentation=augmentation, sampling={"batch": 20})
    _, targets = made.batch(1, 0)
    assert (targets > 0).all()


PROBABILITIES = ("elastic", "blur", "display", "collimator", "marker", "cutout")


@given(
    y=st.integers(0, 99),
    x=st.integers(0, 69),
    shape=st.sampled_from([(100, 70), (100, 20), (33, 70)]),
)
def test_a_patch_shows_the_class_it_was_drawn_for(y, x, shape):
    labels = np.zeros(shape, np.uint8)
    labels[y % shape[0], x % shape[1]] = 2
    _, targets = sampler([example(0, labels=labels)], sampling={"batch": 8}).batch(1, 0)
    assert (targets == 2).any(axis=(1, 2, 3)).all()
    # Patches do not lie beyond the border more than need be: what is outside is unlabelled.
    full = np.where(labels, labels, 1).astype(np.uint8)
    _, targets = sampler([example(0, labels=full)], sampling={"batch": 8}).batch(1, 0)
    inside = min(shape[0], 32) * min(shape[1], 32)
    counts = np.count_nonzero(targets, axis=(1, 2, 3))
    assert (counts >= 0.95 * inside - 32).all()


def patches(made, epoch):
    return {one.tobytes() for images, _ in made.batches(epoch) for one in images}


@pytest.mark.parametrize("groups", [1, 2])
def test_fixed_examples_repeat_and_are_only_so_many(groups):
    examples = [textured(0), textured(1)]
    if groups == 2:
        examples[1] = Example("b", "foot", *(getattr(examples[1], k) for k in FIELDS))
    made = sampler(
        examples, augmentation={"fixed_per_group": 6}, sampling={"batch": 3, "steps": None}
    )
    assert made.steps == 2 * groups
    first = patches(made, 1)
    assert len(first) == 6 * groups
    for epoch in (2, 3, 77):
        assert patches(made, epoch) == first
    # In another order.
    assert not same(made.batch(1, 0), made.batch(2, 0))
    fresh = sampler(examples, augmentation={}, sampling={"batch": 3, "steps": 2 * groups})
    assert patches(fresh, 1).isdisjoint(patches(fresh, 2))


FIELDS = ("image", "labels", "validation")


def test_rehearsal_adds_one_to_each_batch():
    own = [example(number) for number in range(4)]
    others = [example(100 + number, labels=np.full((40, 40), 2, np.uint8)) for number in range(3)]
    options = {"sampling": {"batch": 2, "steps": 12}}
    made, without = sampler(own, rehearsal=others, **options), sampler(own, **options)
    drawn = set()
    for with_rehearsal, plain in zip(made.batches(1), without.batches(1), strict=True):
        images, targets = with_rehearsal
        assert images.shape == (3, 32, 32, 1)
        assert (images[-1] >= 100).all()
        assert (targets[-1] == 8).all()
        drawn.add(float(images[-1].max()))
        assert same((images[:-1], targets[:-1]), plain)
    assert drawn == {100, 101, 102}
    assert same(made.batch(3, 1), sampler(own, rehearsal=others, **options).batch(3, 1))


def test_what_a_collimator_covers_in_a_rehearsed_radiograph_is_nobody_s_paint():
    whole = np.full((40, 40), 3, np.uint8)
    made = sampler(
        [example(0)],
        rehearsal=[example(100, labels=whole)],
        augmentation={"collimator_probability": 1.0},
        sampling={"batch": 1, "steps": 20},
    )
    values = {value for _, targets in made.batches(1) for value in np.unique(targets[-1])}
    assert values == {0, 7, 9} or values == {7, 9}


def test_half_a_batch_is_half_the_examples_of_the_same_run():
    made = sampler([textured()], augmentation={}, sampling={"batch": 4, "steps": 3})
    batches = list(made.batches(2, size=2))
    assert [images.shape[0] for images, _ in batches] == [2, 2, 2]
    for step, batch in enumerate(batches):
        assert same(batch, made.batch(2, step, 2))
    assert len({images.tobytes() for images, _ in batches}) == 3


def test_radiographs_smaller_than_a_patch_are_drawn():
    images, targets = sampler([example(7, shape=(30, 25))], patch_px=64).batch(1, 0)
    assert (images == 7).all()
    # Beyond the border nothing is labelled.
    assert (np.count_nonzero(targets, axis=(1, 2, 3)) <= 30 * 25).all()


def test_some_patches_are_shown_the_wrong_way_round():
    made = sampler([textured()], sampling={"batch": 200, "wrong_polarity": 0.25})
    right = sampler([textured()], sampling={"batch": 200})
    images, targets = made.batch(1, 0)
    plain, truth = right.batch(1, 0)
    wrong = np.array([10 in one for one in targets])
    assert 0.15 < wrong.mean() < 0.35
    np.testing.assert_array_equal(images[wrong], -plain[wrong])
    np.testing.assert_array_equal(images[~wrong], plain[~wrong])
    np.testing.assert_array_equal(targets[wrong], np.where(truth[wrong] > 0, 10, 0))
    np.testing.assert_array_equal(targets[~wrong], truth[~wrong])
