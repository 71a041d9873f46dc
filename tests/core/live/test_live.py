"""Segmentation that follows strokes: features, classifier, session, what is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import RandomForestClassifier

from napari_xnet import segment
from napari_xnet.errors import ModelError
from napari_xnet.imaging import working_labels
from napari_xnet.inference import Options
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import labels_path, sample_path
from napari_xnet.live.answer import Forgotten
from napari_xnet.live.cache import DescriptionCache
from napari_xnet.live.description import Description, fingerprint
from napari_xnet.live.guidance import next_places, uncertainty
from napari_xnet.live.session import LiveSession
from napari_xnet.live.strokes import Samples, learn
from napari_xnet.models import Model, export_model, import_model, load_model, models_folder
from napari_xnet.models.forest import Forest

SMALL = Options(size_px=192)


@pytest.fixture(scope="module")
def hand():
    """The simulated hand and its labels, at a third of their size."""
    data = read_image(sample_path("hand")).data
    return np.ascontiguousarray(data[::3, ::3]), read_labels(labels_path("hand"))[::3, ::3].copy()


@pytest.fixture(scope="module")
def description(default_model, hand):
    return Description.of(hand[0], default_model, SMALL)


class Nowhere(DescriptionCache):
    """Keeps nothing, and hands out one description if it has one."""

    def __init__(self, description=None):
        self._description = description

    def get(self, name, make):
        return self._description or make()


@pytest.fixture
def session(default_model, description, hand):
    session = LiveSession(default_model, SMALL, Nowhere(description))
    session.describe("hand", hand[0])
    return session


def sklearn_forest(seed=0, classes=(0, 1, 2), features=7):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(400, features)).astype(np.float32)
    values = np.array(classes)[(pixels[:, 0] > 0).astype(int) + (pixels[:, 1] > 0.5)]
    return RandomForestClassifier(7, random_state=seed).fit(pixels, values), pixels


# ------------------------------------------------------------------ the forest


@given(st.integers(0, 1000))
def test_a_forest_of_arrays_says_what_that_of_scikit_learn_says(seed):
    theirs, pixels = sklearn_forest(seed)
    ours = Forest.of([one.tree_ for one in theirs.estimators_], theirs.classes_)
    np.testing.assert_allclose(ours.predict(pixels), theirs.predict_proba(pixels), atol=1e-6)


def test_a_class_that_was_never_painted_has_no_probability():
    theirs, pixels = sklearn_forest(classes=(0, 2, 2))
    ours = Forest.of([one.tree_ for one in theirs.estimators_], theirs.classes_)
    found = ours.predict(pixels)
    np.testing.assert_allclose(found[:, [0, 2]], theirs.predict_proba(pixels), atol=1e-6)
    assert not found[:, 1].any()


@pytest.fixture
def stored(tmp_path):
    theirs, pixels = sklearn_forest()
    forest = Forest.of([one.tree_ for one in theirs.estimators_], theirs.classes_)
    data = forest.to_bytes()
    path = tmp_path / "forest.safetensors"
    path.write_bytes(data)
    return path, forest, forest.shape(data), pixels


def test_a_forest_is_read_as_it_was_written(stored):
    path, forest, shape, pixels = stored
    np.testing.assert_array_equal(Forest.load(path, shape).predict(pixels), forest.predict(pixels))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left", 0),  # back to the root: for ever
        ("right", 10**6),
        ("right", -1),
        ("feature", 7),
        ("feature", -1),
        ("probabilities", np.nan),
        ("probabilities", 2.0),
    ],
)
def test_trees_that_lead_nowhere_are_refused(stored, name, value):
    path, _, shape, _ = stored
    arrays = load_file(path)
    arrays[name][3, 2] = value
    save_file(arrays, path)
    with pytest.raises(ModelError, match="damaged"):
        Forest.load(path, shape)


def test_other_shapes_and_files_are_refused_before_they_are_read(stored):
    path, _, shape, _ = stored
    with pytest.raises(ModelError, match="not the classifier"):
        Forest.load(path, shape.model_copy(update={"nodes": shape.nodes + 1}))
    arrays = load_file(path)
    arrays["threshold"] = arrays["threshold"].astype(np.float32)
    save_file(arrays, path)
    with pytest.raises(ModelError, match="not the classifier"):
        Forest.load(path, shape)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        Forest.load(path, shape)


# ------------------------------------------------------------------ descriptions


def test_a_description_has_the_grid_of_the_working_image(description, hand):
    height, width = description.working.content
    assert max(height, width) == SMALL.size_px
    assert description.probabilities.shape == (height, width, 3)
    assert description.features.shape[:2] == (height, width)
    np.testing.assert_allclose(description.probabilities.sum(axis=-1), 1, atol=1e-5)
    assert np.isfinite(description.features).all()
    assert description.pixels.shape == (height * width, description.features.shape[-1])


def test_both_ways_round_are_described_alike(default_model, hand, description):
    negative = Description.of(hand[0].max() - hand[0], default_model, SMALL)
    difference = np.abs(negative.features.astype(float) - description.features)
    assert np.median(difference) < 0.01


def test_the_cache_returns_what_it_was_given_and_forgets_the_oldest(tmp_path, description):
    cache = DescriptionCache(tmp_path / "new" / "live", 1000)
    made = []

    def make():
        made.append(1)
        return description

    for _ in range(2):
        found = cache.get("a", make)
        np.testing.assert_array_equal(found.features, description.features)
        np.testing.assert_array_equal(found.probabilities, description.probabilities)
        assert found.working.scale == description.working.scale
        assert found.working.standardise == description.working.standardise
    assert len(made) == 1

    (path,) = (tmp_path / "new" / "live").iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    cache.get("a", make)
    assert len(made) == 2  # a damaged file is made anew

    limit_mb = 2 * path.stat().st_size // 2**20 + 1
    small = DescriptionCache(tmp_path / "new" / "live", limit_mb)
    for name in "bcd":
        small.get(name, make)
    kept = {one.stem for one in (tmp_path / "new" / "live").iterdir()}
    assert kept == {"c", "d"}


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, description):
    (tmp_path / "file").touch()
    cache = DescriptionCache(tmp_path / "file" / "live", 1000)
    assert cache.get("a", lambda: description) is description
    assert DescriptionCache(tmp_path / "none", 0).get("a", lambda: description) is description
    assert not (tmp_path / "none").exists()


def test_the_name_of_a_description_depends_on_all_that_it_is_made_of(default_model, make_model):
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    names = {
        fingerprint(image, default_model, SMALL),
        fingerprint(image + 1, default_model, SMALL),
        fingerprint(image.T, default_model, SMALL),
        fingerprint(image.view(np.int16), default_model, SMALL),
        fingerprint(image, make_model(), SMALL),
        fingerprint(image, default_model, Options(size_px=200)),
        fingerprint(image, default_model, Options(size_px=192, polarity="bone dark")),
    }
    assert len(names) == 7
    assert fingerprint(image.copy(), default_model, SMALL) in names


# ------------------------------------------------------------------ strokes


def test_without_strokes_the_model_speaks(session, default_model, hand):
    answer = session.answer("hand")
    assert not answer.painted
    expected = segment(hand[0], default_model, options=SMALL).labels
    assert (answer.labels == expected).mean() > 0.995  # that is rounded to half precision
    assert session.forest() is None


def test_a_stroke_corrects_what_is_like_it_and_destroys_nothing(session, hand):
    before = session.answer("hand").labels
    painted = np.zeros_like(hand[1])
    # Somebody wants all bone to be called soft tissue.
    ys, xs = np.nonzero(before == 3)
    chosen = np.random.default_rng(0).permutation(len(ys))[:150]
    painted[ys[chosen], xs[chosen]] = 2
    session.paint("hand", painted)
    answer = session.answer("hand", painted)
    assert answer.painted
    assert (answer.labels[painted > 0] == 2).all()
    was_bone = (before == 3) & (painted == 0)
    assert (answer.labels[was_bone] == 2).mean() > 0.8
    was_beam = before == 1
    assert (answer.labels[was_beam] == 1).mean() > 0.98

    session.paint("hand", np.zeros_like(painted))  # undone
    np.testing.assert_array_equal(session.answer("hand").labels, before)


def test_the_same_strokes_give_the_same_answer(session, hand):
    painted = np.where(np.arange(hand[1].shape[1]) % 40 == 0, hand[1], 0).astype(np.uint8)
    session.paint("hand", painted)
    first = session.answer("hand", painted).labels
    session.paint("hand", painted)
    np.testing.assert_array_equal(session.answer("hand", painted).labels, first)


def test_strokes_on_one_radiograph_count_on_another(session, hand):
    session.describe("copy", hand[0])
    before = session.answer("copy").labels
    painted = np.where(before == 3, 2, 0).astype(np.uint8)
    session.paint("hand", painted)
    after = session.answer("copy").labels
    assert (after[before == 3] == 2).mean() > 0.6
    session.forget("hand")
    np.testing.assert_array_equal(session.answer("copy").labels, before)
    with pytest.raises(Forgotten):
        session.answer("hand")


def test_much_paint_is_thinned_out_but_every_class_stays(description, hand):
    labels = working_labels(hand[1], description.working)
    samples = Samples.painted(description, labels)
    assert len(samples) == 3000
    assert set(samples.classes) == {0, 1, 2}
    learned = learn([samples, samples], [Samples.opinions(description)], workers=2)
    found = learned.predict(samples.pixels, workers=2)
    assert (found.argmax(axis=1) == samples.classes).mean() > 0.95
    np.testing.assert_allclose(learned.as_forest().predict(samples.pixels), found, atol=1e-5)


# ------------------------------------------------------------------ where to paint next


@given(st.integers(0, 2**32 - 1))
def test_uncertainty_lies_between_sure_and_equal(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.5] * 3, (4, 5)).astype(np.float32)
    found = uncertainty(probabilities)
    assert found.shape == (4, 5)
    assert (found >= -1e-6).all()
    assert (found <= 1 + 1e-6).all()
    planes = np.moveaxis(probabilities, -1, 0)
    np.testing.assert_array_equal(uncertainty(planes, axis=0), found)


def test_the_next_place_is_in_the_largest_unsure_region_that_is_not_painted():
    probabilities = np.zeros((100, 100, 3), np.float32)
    probabilities[..., 0] = 1
    probabilities[20:40, 20:40] = (0.4, 0.35, 0.25)
    probabilities[70:76, 70:76] = (0.4, 0.35, 0.25)
    painted = np.zeros((100, 100), np.uint8)
    row, column = next_places(probabilities, painted)[0]
    assert 20 <= row < 40
    assert 20 <= column < 40
    painted[15:45, 15:45] = 2
    row, column = next_places(probabilities, painted)[0]
    assert 68 <= row < 78
    assert 68 <= column < 78
    assert not next_places(probabilities, np.ones_like(painted))


@pytest.mark.parametrize("shape", [(400, 300), (8, 8), (40, 3)])
def test_next_places_are_apart_and_not_at_the_border(shape):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], shape).astype(np.float32)
    probabilities[:2] = probabilities[:, -1:] = 1 / 3  # the frame is least certain
    places = np.array(next_places(probabilities, np.zeros(shape, np.uint8)))
    assert len(places) > 0
    assert (places >= 0).all()
    assert (places < shape).all()
    if min(shape) > 100:
        assert len(places) == 5
        assert (places >= 6).all()
        assert (places < np.array(shape) - 5).all()
        distances = np.linalg.norm(places[:, np.newaxis] - places, axis=-1)
        assert distances[distances > 0].min() > 10


def test_the_next_place_is_given_in_pixels_of_the_radiograph(session, hand):
    row, column = session.answer("hand").next_places[0]
    assert 0 <= row < hand[0].shape[0]
    assert 0 <= column < hand[0].shape[1]
    values = session.answer("hand", with_uncertainty=True).uncertainty
    assert values.dtype == np.uint8
    assert values[int(row), int(column)] > np.percentile(values, 90)


# ------------------------------------------------------------------ what is kept


@pytest.fixture
def kept(session, default_model, hand):
    """A model whose classifier calls all bone soft tissue, saved as "mine"."""
    before = session.answer("hand").labels
    session.paint("hand", np.where(before == 3, 2, 0).astype(np.uint8))
    card = default_model.card.model_copy(update={"name": "mine"})
    model = Model(card, default_model.network, session.forest())
    model.save(models_folder() / "mine")
    return model, before


def test_a_kept_model_segments_as_it_did_live(kept, session, hand):
    model, before = kept
    loaded = load_model("mine")
    assert loaded.card.classifier == model.card.classifier
    found = segment(hand[0], loaded, options=SMALL).labels
    assert (found[before == 3] == 2).mean() > 0.8
    assert (found == session.answer("hand").labels).mean() > 0.99


def test_live_goes_on_from_a_kept_model(kept, hand):
    _, before = kept
    session = LiveSession(load_model("mine"), SMALL, Nowhere())
    session.describe("hand", hand[0])
    answer = session.answer("hand")
    assert not answer.painted
    assert (answer.labels[before == 3] == 2).mean() > 0.8


def test_a_kept_model_travels_with_its_classifier(kept, tmp_path, hand):
    file = export_model("mine", tmp_path / "yours")
    assert import_model(file) == "yours"
    mine, yours = (segment(hand[0], name, options=SMALL).labels for name in ("mine", "yours"))
    np.testing.assert_array_equal(mine, yours)


def test_a_classifier_that_was_changed_or_lost_is_named(kept):
    path = models_folder() / "mine" / "classifier.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_model("mine")
    path.unlink()
    with pytest.raises(ModelError, match=r"has no classifier\.safetensors"):
        load_model("mine")


def test_training_from_a_kept_model_believes_its_classifier(kept, hand):
    from napari_xnet.training.config import deeper
    from napari_xnet.training.examples import BELIEVED, Example
    from napari_xnet.training.trainer import Trainer

    model, before = kept
    working = model.card.preprocessing.working_image(hand[0], 192)
    labels = working_labels(np.where(before == 3, 2, 0), working)
    labels[:, ::2] = 0
    example = Example("hand", "", working.unpadded, labels, np.zeros_like(labels))
    trainer = Trainer(deeper(), model.card, [example], model)
    believed = trainer.sampler._examples[0].labels
    was_bone = working_labels(before, working) == 3
    seen = believed[was_bone & (labels == 0)]
    assert (seen == BELIEVED + 1).mean() > 0.5  # soft tissue, as the classifier says
    assert (seen == BELIEVED + 2).mean() < 0.1


# ------------------------------------------------------------------ many radiographs


@pytest.mark.parametrize("finished", [1, 10, 100])
def test_a_stroke_is_followed_however_many_radiographs_are_finished(finished):
    """The others say that what looks like this is bone; here it was painted as beam."""
    rng = np.random.default_rng(0)

    def samples(count, value):
        pixels = rng.normal(0, 1, (count, 8)).astype(np.float32)
        return Samples(pixels, np.full(count, value, np.uint8), np.ones(count, np.float32))

    own = samples(300, 0)
    others = [samples(3000, 2) for _ in range(finished)]
    prior = [samples(1500, 2)]
    learned = learn([*others, own], prior, own=finished)
    assert (learned.predict(own.pixels).argmax(axis=1) == 0).mean() > 0.9
    # For what is kept as a model, and for others, they count as they are.
    kept = learn([*others, own], prior).predict(samples(300, 2).pixels)
    assert (kept.argmax(axis=1) == 2).mean() > 0.8


def test_trees_of_strangers_are_not_deeper_than_makes_sense(tmp_path):
    nodes = 5000
    grid = np.arange(nodes, dtype=np.int32)[np.newaxis]
    chain = np.minimum(grid + 1, nodes - 1)
    leaves = np.zeros((1, nodes, 3), np.float32)
    leaves[..., 0] = 1
    forest = Forest(4, np.zeros_like(grid), np.zeros((1, nodes)), chain, chain.copy(), leaves)
    data = forest.to_bytes()
    path = tmp_path / "classifier.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        Forest.load(path, forest.shape(data))
