"""Which way round painted radiographs are."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import Example
from napari_xnet.training.orientation import bone_is_dark, turn
from napari_xnet.training.rehearsal import rehearsal_examples
from napari_xnet.training.trainer import Trainer


@pytest.fixture
def limb():
    """Beam, tissue and bone side by side, bone bright; and their labels."""
    labels = np.repeat(np.array([[1, 1, 2, 2, 3, 3, 2, 1]], np.uint8).repeat(8, axis=1), 64, axis=0)
    noise = np.random.default_rng(0).normal(0, 0.1, labels.shape)
    return (labels - 2.0 + noise).astype(np.float32), labels


def example(image, labels, validation=None):
    nothing = np.zeros_like(labels)
    return Example("limb", "", image, labels, nothing if validation is None else validation)


@pytest.mark.parametrize("painted", [(1, 2, 3), (1, 2), (2, 3), (1, 3)])
def test_two_classes_tell(limb, painted):
    image, labels = limb
    labels = np.where(np.isin(labels, painted), labels, 0).astype(np.uint8)
    assert bone_is_dark(image, labels) is False
    assert bone_is_dark(-image, labels) is True


@pytest.mark.parametrize("painted", [(), (1,), (3,), (5, 6)])
def test_fewer_do_not(limb, painted):
    image, labels = limb
    assert bone_is_dark(image, np.where(np.isin(labels, painted), labels, 0)) is None


def test_a_soft_tissue_as_dark_as_the_beam_does_not_confuse(limb):
    image, labels = limb
    clipped = np.where(labels == 2, image.min() - 0.1, image)
    assert bone_is_dark(clipped, labels) is False


def test_dark_bones_are_turned_and_bright_ones_are_not(limb):
    image, labels = limb
    for shown in (image, -image):
        np.testing.assert_array_equal(turn(example(shown, labels)).image, image)


def test_labels_for_validation_tell_too(limb):
    image, labels = limb
    only_bone = np.where(labels == 3, labels, 0).astype(np.uint8)
    found = turn(example(-image, only_bone, np.where(labels == 2, labels, 0).astype(np.uint8)))
    np.testing.assert_array_equal(found.image, image)


def test_where_labels_do_not_tell_the_guess_does(limb):
    image, labels = limb
    only_bone = example(-image, np.where(labels == 3, labels, 0).astype(np.uint8))
    np.testing.assert_array_equal(turn(only_bone).image, -image)
    np.testing.assert_array_equal(turn(only_bone, lambda one: -one.image).image, image)


def test_thin_bone_darker_than_thick_flesh_does_not_confuse(limb):
    image, labels = limb
    thick = np.where(labels == 2, 1.5, np.where(labels == 3, 0.5, image)).astype(np.float32)
    assert bone_is_dark(thick, labels) is False
    assert bone_is_dark(-thick, labels) is True


def test_without_open_beam_the_guess_decides(limb):
    image, labels = limb
    known = np.where(labels == 1, 0, labels).astype(np.uint8)
    np.testing.assert_array_equal(turn(example(image, known)).image, image)
    np.testing.assert_array_equal(turn(example(image, known), lambda one: -one.image).image, -image)
    np.testing.assert_array_equal(turn(example(image, labels), lambda one: -one.image).image, image)


def test_labels_on_lead_do_not_tell(limb):
    image, labels = limb
    lead = np.zeros(labels.shape, bool)
    lead[:48] = True
    dark = np.where(lead, 9, -image).astype(np.float32)
    labels = np.where(lead & (labels == 2), 0, np.where(lead, 3, labels)).astype(np.uint8)
    shaded = replace(example(dark, labels), shadow=lead)
    assert turn(replace(shaded, shadow=None)).image[-1, 36] < 0
    np.testing.assert_array_equal(turn(shaded).image, -dark)


@pytest.mark.slow
def test_where_labels_do_not_tell_the_network_is_asked_about_what_is_exposed(make_model):
    base = make_model(polarity="bone bright")
    config = TrainingConfig.parse({"patch_px": 32, "sampling": {"batch": 2, "steps": 1}})
    rng = np.random.default_rng(0)
    lead = np.repeat(np.arange(64) < 48, 64).reshape(64, 64)
    ways = []
    for _ in range(8):
        image = np.where(lead, 3 * rng.normal(), rng.normal(size=lead.shape)).astype(np.float32)
        one = example(image, (~lead).astype(np.uint8), (~lead).astype(np.uint8))
        exposed = example(image[48:], one.labels[48:], one.labels[48:])
        asked = [one, replace(one, shadow=lead), exposed]
        seen = Trainer(config, base.card, asked, base).validating
        ways.append([bool(after.image[-1, -1] == image[-1, -1]) for after in seen])
    with_lead, without, alone = map(list, zip(*ways, strict=True))
    assert without == alone
    assert with_lead != without


def test_a_network_of_bright_bones_never_sees_dark_ones(make_model, limb):
    image, labels = limb
    card = make_model(polarity="bone bright").card
    config = TrainingConfig.parse(
        {
            "patch_px": 32,
            "sampling": {"batch": 8, "steps": 2},
            "augmentation": {"inversion_probability": 1.0, "display_probability": 0.0},
        }
    )
    trainer = Trainer(config, card, [example(image, labels), example(-image, labels)])
    for step in range(2):
        images, targets = trainer.sampler.batch(1, step)
        bone, beam = images[targets == 3], images[targets == 1]
        assert bone.mean() > beam.mean() + 1


def test_rehearsed_radiographs_are_turned(make_model):
    card = make_model(polarity="bone bright").card
    found = rehearsal_examples(card.preprocessing)
    assert len(found) == 3
    for one in found:
        assert bone_is_dark(one.image, one.labels) is False
