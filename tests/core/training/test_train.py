"""Training runs: they learn, they survive, and the model is that of the best epoch."""

import errno
import math
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import napari_xnet
from napari_xnet.backend import keras
from napari_xnet.errors import Cancelled, ImageError, ModelError, TrainingError
from napari_xnet.inference import segment
from napari_xnet.models import Model, list_models, load_model, show_model
from napari_xnet.models.weights import variables
from napari_xnet.training.checkpoint import load_state
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.console import ProgressBar
from napari_xnet.training.events import (
    EpochEnd,
    NoControl,
    Note,
    Prediction,
    Started,
    Step,
    Watch,
)
from napari_xnet.training.examples import Example
from napari_xnet.training.execution import execute
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import Run, create_run
from napari_xnet.training.train import train
from napari_xnet.training.trainer import Trainer

TINY = {
    "patch_px": 32,
    "sampling": {"batch": 2, "steps": 2},
    "epochs": 3,
    "patience": None,
    "precision": "float32",
    "optimiser": {"learning_rate": 0.003},
    # The base has random weights: nothing to hold on to. The tether has tests of its own.
    "fine_tuning": {"share": 1.0, "forgetting": 1.0},
}
SMALL = {"name": "unet", "filters": [4, 8, 8, 8]}


def config(**changes):
    return TrainingConfig.parse(changes, TrainingConfig.parse(TINY))


def scribbles(shape=(150, 110)):
    """Strokes on the radiograph of the tests: two of each class."""
    labels = np.zeros(shape, np.uint8)
    for row in (20, 110):
        centre = round(55 + 0.1 * (row - 75))
        labels[row : row + 15, 5:9] = 1
        labels[row : row + 15, centre - 24 : centre - 20] = 2
        labels[row : row + 15, centre - 2 : centre + 2] = 3
    return labels


def truth(shape=(150, 110)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.abs(x - 55 - 0.1 * (y - 75))
    return 1 + (distance < 35).astype(np.uint8) + (distance < 12)


@pytest.fixture(autouse=True, scope="module")
def eager():
    """Steps are not compiled, which takes longer than these runs; `compiled` undoes it."""
    with pytest.MonkeyPatch.context() as patch:
        compile_ = keras.Model.compile
        patch.setattr(
            keras.Model, "compile", lambda *args, **more: compile_(*args, **more, run_eagerly=True)
        )
        yield compile_


@pytest.fixture
def compiled(eager, monkeypatch):
    """Steps are compiled, as they are for users."""
    monkeypatch.setattr(keras.Model, "compile", eager)


@pytest.fixture(scope="module")
def base(make_model):
    """A model with random weights, to start from; of the smallest network."""
    return make_model("unet")


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    return (3000.0 * truth() + rng.normal(0, 60, (150, 110))).astype(np.uint16)


@pytest.fixture
def begin(base, image, own_models):
    """A function that begins a run from the base."""
    base.save(own_models / "own")

    def begin(name="mine", base="own", pairs=None, **changes):
        pairs = pairs or [Pair("secret name", image, scribbles(), "secret group")]
        return create_run(name, pairs, config(**changes), base=base, preset="quick")

    return begin


class Events(list):
    """All events of a run; raises where it is told to."""

    def __init__(self, stop_at=None, error=Cancelled):
        self._stop_at, self._error = stop_at, error

    def __bool__(self):
        return True  # also while nothing was told

    def __call__(self, event):
        self.append(event)
        if isinstance(event, Step) and (event.epoch, event.step) == self._stop_at:
            raise self._error

    def of(self, kind):
        return [one for one in self if isinstance(one, kind)]

    @property
    def notes(self):
        return [one.text for one in self.of(Note)]


@pytest.fixture(scope="module")
def whole(base, image, tmp_path_factory):
    """An uninterrupted run of `TINY`: run, events, summary and folder of models."""
    folder = tmp_path_factory.mktemp("whole")
    models = folder / "models"
    base.save(models / "own")
    run = create_run(
        "mine",
        [Pair("secret name", image, scribbles(), "secret group")],
        config(),
        base="own",
        preset="quick",
        models_folder=models,
        folder=folder / "runs",
    )
    events = Events()
    summary = execute(run, events)
    return run, events, summary, models


def sha256(whole):
    return show_model("mine", whole[3]).weights_sha256


def weights(path):
    return safetensors.numpy.load_file(path)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def scripted(monkeypatch, losses):
    """Let the validation losses be these, one epoch after the other; the counts are real."""
    real = Trainer.validate
    left = iter(losses)

    def validate(self, check):
        _, counts = real(self, check)
        return next(left, math.nan), counts

    monkeypatch.setattr(Trainer, "validate", validate)


# ------------------------------------------------------------------ what comes of a run


def test_the_events_of_a_run_come_in_order(whole):
    run, events, _, _ = whole
    (started,) = events.of(Started)
    assert (started.precision, started.batch, started.epoch, started.epochs) == ("float32", 2, 0, 3)
    assert (started.training, started.validation) == (1, 1)
    assert started.device
    ends = events.of(EpochEnd)
    assert [one.epoch for one in ends] == [0, 1, 2, 3]
    assert ends[0].best
    assert math.isnan(ends[0].loss)
    for one in ends:
        assert 0 <= one.val_dice <= 1
        assert 0 <= one.val_accuracy <= 1
        assert math.isfinite(one.val_loss)
        assert one.seconds > 0
    for one in ends[1:]:
        assert math.isfinite(one.loss)
        assert 0 <= one.accuracy <= 1
    # Cosine: from the rate of the config to 0.
    assert ends[0].learning_rate == pytest.approx(0.003)
    assert ends[-1].learning_rate == pytest.approx(0, abs=1e-6)
    steps = [(one.epoch, one.step) for one in events.of(Step) if math.isfinite(one.seconds_left)]
    assert steps == [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2)]
    assert {(one.epochs, one.steps) for one in events.of(Step)} == {(3, 2)}
    assert [one.seconds_left for one in events.of(Step) if one.seconds_left == 0]
    assert ends.index(min(ends, key=lambda one: one.val_loss)) == max(
        one.epoch for one in ends if one.best
    )
    # What is in the log is what was told.
    assert [repr(one) for one in run.history()] == [repr(one) for one in ends]


def test_the_model_is_in_the_store_and_the_run_is_finished(whole, image):
    run, _, summary, models = whole
    assert summary.name == "mine"
    assert summary.model == models / "mine"
    assert summary.folder == run.folder
    assert (summary.epochs, summary.stopped) == (3, False)
    assert list_models(models) == ["default", "mine", "own"]
    labels = segment(image, load_model("mine", models)).labels
    assert labels.shape == image.shape
    assert Run.open(run.folder).record.finished
    with pytest.raises(TrainingError, match='is finished: its model is "mine"'):
        execute(Run.open(run.folder))


def test_the_card_says_what_the_model_learned_from_but_not_from_whom(whole):
    run, events, summary, models = whole
    text = (models / "mine" / "card.json").read_text()
    for secret in ("secret", str(run.folder), str(models), "/tmp"):
        assert secret not in text
    card = show_model("mine", models)
    training = card.training
    assert training["base"] == "own"
    assert training["base_sha256"] == show_model("own", models).weights_sha256
    assert training["preset"] == "quick"
    assert training["painted_px"] == {"open beam": 120, "soft tissue": 120, "bone": 120}
    assert (training["radiographs"], training["groups"], training["epochs"]) == (1, 1, 3)
    assert training["best_epoch"] == summary.best_epoch
    assert TrainingConfig.parse(training["config"]) == run.record.config
    assert card.augmentation == training["config"]["augmentation"]
    assert card.optimiser == training["config"]["optimiser"]
    assert card.seed == 0
    assert card.date
    assert card.versions["napari-xnet"] == napari_xnet.__version__
    assert card.name == "mine"
    best = events.of(EpochEnd)[summary.best_epoch]
    assert card.metrics["val_accuracy"] == pytest.approx(best.val_accuracy)
    assert summary.metrics == {key: card.metrics[key] for key in card.metrics if key != "data"}
    assert {"val_dice", "val_dice_open_beam", "val_dice_soft_tissue"} <= set(summary.metrics)


@pytest.mark.slow
def test_a_model_learns_an_easy_radiograph(image, base, compiled):
    events = Events()
    model = train(
        [image, image[::-1]],
        [scribbles(), scribbles()[::-1]],
        None,
        config=config(
            architecture=SMALL,
            preprocessing={"size_px": 64, "polarity": "as is"},
            epochs=8,
            seed=1,
            sampling={"steps": 6},
            optimiser={"learning_rate": 0.02},
            augmentation={"enabled": False},
        ),
        groups=["a", "b"],
        report=events,
        progress=False,
    )
    assert model.card.name == "trained"
    assert list_models() == ["default", "trained"]
    losses = [one.loss for one in events.of(EpochEnd)]
    assert losses[-1] < 0.7 * losses[0]
    before, after = (np.mean(segment(image, one).labels == truth()) for one in (base, model))
    assert after > 0.7
    assert after > before + 0.1


def test_the_weights_are_those_of_the_best_epoch(begin, monkeypatch):
    scripted(monkeypatch, [0.9, 0.3, 0.6, 0.3])
    run = begin()
    kept = {}

    def report(event):
        if isinstance(event, EpochEnd):
            kept[event.epoch] = (event.best, next(run.folder.glob("best-*")).read_bytes())

    summary = execute(run, report)
    assert [kept[epoch][0] for epoch in range(4)] == [True, True, False, False]
    assert summary.best_epoch == 1
    assert kept[0][1] != kept[1][1] == kept[2][1] == kept[3][1]
    assert (summary.model / "weights.safetensors").read_bytes() == kept[1][1]


def test_training_stops_when_it_gets_no_better_and_the_base_is_kept(begin, base, monkeypatch):
    scripted(monkeypatch, [0.5, 0.9, 0.8, 0.7])
    events = Events()
    summary = execute(begin(patience=2, epochs=50), events)
    assert (summary.epochs, summary.best_epoch, summary.stopped) == (2, 0, False)
    assert any("the new model is the same as the base" in text for text in events.notes)
    assert show_model("mine").weights_sha256 == show_model("own").weights_sha256


def test_without_validation_the_last_epoch_counts(begin):
    events = Events()
    summary = execute(begin(split={"by": "nothing"}, epochs=2), events)
    assert (summary.best_epoch, summary.metrics) == (2, {})
    assert all(math.isnan(one.val_loss) for one in events.of(EpochEnd))
    assert show_model("mine").weights_sha256 != show_model("own").weights_sha256


# ------------------------------------------------------------------ from scratch, and precision


@pytest.mark.parametrize("architecture", ["xnet", "unet", "segnet"])
def test_every_network_learns_from_scratch(begin, image, architecture):
    changes = {}
    own = image
    if architecture == "unet":  # as the published code scales
        changes["preprocessing"] = {"scaling": "unit", "polarity": "as is", "size_px": 64}
    if architecture == "segnet":  # a colour image
        own = np.repeat((image // 64).astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    if architecture == "xnet":
        changes["precision"] = "mixed_bfloat16"
    events = Events()
    run = begin(
        base="none",
        pairs=[Pair("a", own, scribbles())],
        architecture={**SMALL, "name": architecture},
        epochs=1,
        **changes,
    )
    summary = execute(run, events)
    # There is no base whose epoch 0 would count.
    assert [one.epoch for one in events.of(EpochEnd)] == [1]
    card = show_model("mine")
    assert card.architecture.name == architecture
    assert card.training["base"] == "none"
    assert "from scratch" in card.summary
    arrays = weights(summary.model / "weights.safetensors")
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    result = segment(own, load_model("mine"), rgb=own.ndim == 3)
    assert result.labels.shape == image.shape
    assert np.isfinite(result.probabilities).all()
    if architecture == "xnet":
        assert events.of(Started)[0].precision == card.training["precision"] == "mixed_bfloat16"
    if architecture == "segnet":
        assert any("in colour" in text for text in events.notes)


# ------------------------------------------------------------------ the trainer


def make_trainer(base, **changes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (32, 32)).astype(np.uint8)
    example = Example("a", "", rng.normal(size=(32, 32)).astype(np.float32), labels, labels)
    return Trainer(config(**changes), base.card, [example], base)


def values(network):
    return {
        name: np.array(keras.ops.convert_to_numpy(one)) for name, one in variables(network).items()
    }


def test_labels_0_carry_no_loss(small_model):
    trainer = make_trainer(small_model, optimiser={"name": "rmsprop"})
    images, targets = trainer.sampler.batch(1, 0)
    before = values(trainer.network)
    assert trainer.learn((images, np.zeros_like(targets))) == 0
    assert same(values(trainer.network), before)
    trainer.begin_epoch()
    assert trainer.learn((images, targets)) > 0
    assert not same(values(trainer.network), before)
    # What was said is counted for the painted pixels alone.
    assert trainer.counts().sum() == np.count_nonzero(targets)


def test_losses_and_counts_are_those_of_all_batches_of_the_epoch(small_model):
    # So slowly that each batch meets the same network.
    trainer = make_trainer(small_model, optimiser={"learning_rate": 1e-12, "weight_decay": 0})
    batches = [trainer.sampler.batch(1, step) for step in range(3)]
    alone = []
    for batch in batches:
        trainer.begin_epoch()
        alone.append((trainer.learn(batch), trainer.counts()))
    trainer.begin_epoch()
    means = [trainer.learn(batch) for batch in batches]
    losses = [loss for loss, _ in alone]
    assert len(set(losses)) == 3
    assert means == pytest.approx([np.mean(losses[: n + 1]) for n in range(3)], rel=1e-4)
    np.testing.assert_array_equal(trainer.counts(), sum(counts for _, counts in alone))


@pytest.mark.parametrize("freeze", ["encoder", "all but the head"])
def test_frozen_layers_keep_their_weights_exactly(small_model, freeze):
    trainer = make_trainer(
        small_model, fine_tuning={"freeze": freeze}, optimiser={"weight_decay": 0.1}
    )
    before = values(trainer.network)
    assert same(before, values(small_model.network))
    trainer.learn(trainer.sampler.batch(1, 0))
    after = values(trainer.network)
    changed = {
        name.split("/")[0] for name in after if not np.array_equal(after[name], before[name])
    }
    assert "head" in changed
    if freeze == "encoder":
        assert not any(name.startswith(("enc", "flat1")) for name in changed)
        assert any(name.startswith(("up", "down")) for name in changed)
    else:
        assert changed == {"head"}


# ------------------------------------------------------------------ stopping and going on


class Asks(NoControl):
    """Somebody who stops after so many steps, and watches an image."""

    def __init__(self, stop_after=None, watch=None):
        self._left, self._watch = stop_after, watch

    def stop_requested(self):
        if self._left is None:
            return False
        self._left -= 1
        return self._left <= 0

    def watch(self):
        return self._watch


def test_stop_keeps_the_best_and_the_watched_image_is_predicted(begin, image):
    larger = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    events = Events()
    summary = execute(begin(epochs=1000), events, Asks(3, Watch("key", larger)))
    assert summary.stopped
    assert summary.epochs == 2
    assert [(one.epoch, one.step) for one in events.of(Step) if one.seconds_left >= 0] == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]
    assert load_model(summary.name)
    # Each few seconds, not at each step nor each epoch.
    (prediction,) = events.of(Prediction)
    assert prediction.key == "key"
    assert prediction.labels.shape == larger.shape
    assert prediction.labels.dtype == np.uint8
    assert set(np.unique(prediction.labels)) <= {1, 2, 3}


def test_a_run_that_was_stopped_learns_no_more_if_its_model_could_not_be_saved(begin, monkeypatch):
    run = begin(epochs=1000)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "save", lambda *_: (_ for _ in ()).throw(ImageError("disk full")))
        with pytest.raises(ImageError):
            execute(run, control=Asks(3))
    summary = execute(run)
    assert (summary.epochs, summary.stopped) == (2, True)
    assert list_models() == ["default", "mine", "own"]


def test_an_image_that_cannot_be_predicted_does_not_stop_the_training(begin):
    events = Events()
    watch = Watch("key", np.full((20, 20), np.nan))
    summary = execute(begin(epochs=1), events, Asks(watch=watch))
    assert summary.epochs == 1
    assert events.of(Prediction) == []
    (note,) = events.notes
    assert "no finite number" in note


@pytest.mark.parametrize("stop_at", [(1, 1), (2, 2)])
@pytest.mark.slow
def test_a_cancelled_run_goes_on_to_the_same_bits(begin, whole, stop_at):
    run = begin()
    with pytest.raises(Cancelled):
        execute(run, Events(stop_at))
    assert list_models() == ["default", "own"]
    assert [one.epoch for one in run.history()] == list(range(stop_at[0]))
    events = Events()
    summary = execute(Run.open(run.folder), events)
    assert events.of(Started)[0].epoch == stop_at[0] - 1
    # Epochs that were done are not repeated.
    assert [one.epoch for one in events.of(EpochEnd)] == list(range(stop_at[0], 4))
    assert [one.epoch for one in run.history()] == [0, 1, 2, 3]
    assert summary.epochs == 3
    assert show_model("mine").weights_sha256 == sha256(whole)


KILLED = """
import os, signal, sys
from napari_xnet.backend import keras
from napari_xnet.training.events import Step
from napari_xnet.training.run import Run
from napari_xnet.training.execution import execute

def report(event):
    if isinstance(event, Step) and (event.epoch, event.step) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)

compile_ = keras.Model.compile
keras.Model.compile = lambda *args, **more: compile_(*args, **more, run_eagerly=True)
execute(Run.open(sys.argv[1]), report)
"""


def test_an_epoch_that_a_kill_kept_out_of_the_log_comes_back(begin):
    run = begin()
    with pytest.raises(Cancelled):
        execute(run, Events(stop_at=(3, 1)))
    done = run.history()
    run.write_log(done[:-1])
    with pytest.raises(Cancelled):
        execute(run, Events(stop_at=(3, 1)))
    assert [one.epoch for one in run.history()] == [one.epoch for one in done] == [0, 1, 2]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(begin, whole):
    run = begin()
    done = subprocess.run([sys.executable, "-c", KILLED, str(run.folder)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [one.epoch for one in run.history()] == [0, 1]
    execute(Run.open(run.folder))
    assert show_model("mine").weights_sha256 == sha256(whole)


def test_killed_after_the_model_was_saved_it_is_not_saved_twice(whole):
    run, _, _, models = whole
    again = Run.open(run.folder)
    again.update(model="")
    events = Events()
    assert execute(again, events).name == "mine"
    assert events.notes == []
    assert events.of(EpochEnd) == []
    assert list_models(models) == ["default", "mine", "own"]
    assert Run.open(run.folder).record.model == "mine"


# ------------------------------------------------------------------ what can go wrong


def test_a_base_that_changed_is_refused(begin, make_model, own_models):
    run = begin()
    make_model("unet", seed=1).save(own_models / "own")
    with pytest.raises(TrainingError, match='base model "own" has changed since this run began'):
        execute(run)


def test_a_base_that_is_gone_is_named(begin):
    run = begin()
    napari_xnet.models.remove_model("own")
    with pytest.raises(ModelError, match='There is no model "own"'):
        execute(run)


def test_a_loss_that_is_no_number_ends_the_run(begin):
    run = begin(loss={"cross_entropy": 3e38, "jaccard": 3e38}, base="none", architecture=SMALL)
    with pytest.raises(TrainingError, match=r"went astray in epoch 1.*lower learning rate"):
        execute(run)
    assert not Run.open(run.folder).record.can_go_on
    assert list_models() == ["default", "own"]
    assert not list(run.folder.glob("best-*"))


@pytest.mark.parametrize("by", ["region", "nothing"])
def test_weights_that_the_last_step_spoils_are_not_kept(begin, monkeypatch, by):
    learn = Trainer.learn

    def spoil(self, batch):
        loss = learn(self, batch)
        self.network.weights[-1].assign(np.full(3, np.nan))
        return loss

    monkeypatch.setattr(Trainer, "learn", spoil)
    run = begin(split={"by": by}, sampling={"steps": 1})
    with pytest.raises(TrainingError, match="went astray in epoch 1"):
        execute(run)
    assert load_state(run.folder / "last.safetensors").epoch == 0


def out_of_memory(kind):
    if kind == "program":
        return MemoryError()
    errors = sys.modules["tensorflow"].errors
    return errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("kind", ["program", "backend"])
@pytest.mark.slow
def test_out_of_memory_halves_the_batch_and_goes_on(begin, monkeypatch, kind):
    learn, sizes = Trainer.learn, []

    def failing(self, batch):
        sizes.append(len(batch[0]))
        trainers.add(self)
        left.append(len(trainers))
        if len(sizes) == 2:  # in the first epoch
            raise out_of_memory(kind)
        return learn(self, batch)

    trainers, left = weakref.WeakSet(), []
    monkeypatch.setattr(Trainer, "learn", failing)
    events = Events()
    summary = execute(begin(epochs=1), events)
    assert sizes == [2, 2, 1, 1]
    assert left == [1, 1, 1, 1]  # the old network is gone before the new one is built
    assert [one.epoch for one in events.of(EpochEnd)] == [0, 1]
    assert [one.batch for one in events.of(Started)] == [2, 1]
    assert events.notes == ["Memory ran out: going on with 1 examples at a time, not twice that."]
    assert summary.epochs == 1
    assert show_model("mine").training["batch"] == 1


def test_not_enough_memory_for_one_example_is_an_error(begin, monkeypatch):
    def failing(self, batch):
        raise out_of_memory("backend")

    monkeypatch.setattr(Trainer, "learn", failing)
    with pytest.raises(TrainingError, match=r"not enough memory.*smaller patch"):
        execute(begin())


def test_other_errors_are_no_lack_of_memory(begin, monkeypatch):
    def failing(self, batch):
        raise ZeroDivisionError

    monkeypatch.setattr(Trainer, "learn", failing)
    with pytest.raises(ZeroDivisionError):
        execute(begin())


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint(begin, whole, monkeypatch):
    run, rename, count = begin(), Path.replace, []

    def full(self, target):
        if Path(target).name == "last.safetensors":
            count.append(1)
            if len(count) == 3:  # of epoch 2
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(ImageError, match=r"The disk is full: last\.safetensors"):
            execute(run)
    assert load_state(run.folder / "last.safetensors").epoch == 1
    assert [path.name for path in run.folder.iterdir() if path.name.startswith(".")] == []
    execute(run)
    assert show_model("mine").weights_sha256 == sha256(whole)


def test_a_name_that_was_taken_meanwhile(begin, make_model, own_models):
    other = make_model("unet", seed=3)
    events = Events()

    def report(event):
        events(event)
        if isinstance(event, EpochEnd):
            other.save(own_models / "mine")

    summary = execute(begin(epochs=1), report)
    assert summary.name == "mine-2"
    assert show_model("mine-2").name == "mine-2"
    assert 'There is a model "mine" by now: this one is "mine-2".' in events.notes
    assert show_model("mine").weights_sha256 == other.card.weights_sha256


def test_a_damaged_checkpoint_is_named(begin):
    run = begin()
    (run.folder / "last.safetensors").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"checkpoint .*last\.safetensors cannot be read"):
        execute(run)


@pytest.mark.parametrize(
    ("images", "labels", "groups", "message"),
    [
        (2, 1, None, "2 images, 1 label images: give"),
        (1, 1, 3, "1 images, 1 label images and 3 groups: give"),
        (0, 0, None, "no pair"),
    ],
)
def test_as_many_labels_as_images(image, images, labels, groups, message):
    groups = groups and ["a"] * groups
    with pytest.raises(TrainingError, match=message):
        train([image] * images, [scribbles()] * labels, groups=groups)


def test_stacks_are_trained_on_slice_by_slice(image, own_models, make_model):
    make_model("unet").save(own_models / "own")
    nothing = np.zeros_like(scribbles())
    stack, painted = np.stack([image] * 3), np.stack([scribbles(), nothing, scribbles()])
    model = train([stack, image], [painted, scribbles()], "own", config=TINY, progress=False)
    assert model.card.summary == 'Trained on 3 radiographs, from "own".'
    with pytest.raises(TrainingError, match=r"train\(\[image\], \[labels\]\)"):
        train(image, scribbles(), "own", progress=False)
    with pytest.raises(ImageError, match="the same height and width"):
        train([stack], [painted[:2]], "own", progress=False)


# ------------------------------------------------------------------ what the command line shows


class Terminal:
    """A stderr that is a terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


NUMBERS = dict.fromkeys(set(EpochEnd.__dataclass_fields__) - {"epoch", "best"}, 1.0) | {
    "loss": 0.5,
    "dice": 0.75,
    "accuracy": 0.8,
    "val_loss": 0.25,
    "val_dice": 0.875,
    "val_accuracy": 0.9,
    "learning_rate": 0.001,
    "seconds": 2.0,
}


def show(bar):
    bar(Note("The image is in colour."))
    bar(Started("CPU", "float32", 4, 0, 2, 3, 1))
    bar(EpochEnd(epoch=0, best=True, **NUMBERS | {"loss": math.nan, "dice": math.nan}))
    for epoch in (1, 2):
        for step in (1, 2, 3):
            bar(Step(epoch, 2, step, 3, 1.0))
        bar(EpochEnd(epoch=epoch, best=epoch == 1, **NUMBERS))


LINES = [
    "The image is in colour.",
    "Radiographs with labels that train: 3, that validate: 1. CPU, float32, batches of 4.",
    "epoch 0: validation loss 0.250 Dice 0.875 accuracy 0.900 (best)",
    "epoch 1: loss 0.500 Dice 0.750 validation loss 0.250 Dice 0.875 accuracy 0.900 (best)",
    "epoch 2: loss 0.500 Dice 0.750 validation loss 0.250 Dice 0.875 accuracy 0.900",
]


def test_in_a_log_there_is_one_line_for_each_epoch(capsys):
    events = []
    with ProgressBar(events.append) as bar:
        show(bar)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == LINES
    assert len(events) == 11


def test_on_a_terminal_there_is_a_bar_too(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    with ProgressBar() as bar:
        show(bar)
    for line in LINES:
        assert line + "\n" in terminal.text
    assert "epoch 1/2:" in terminal.text
    assert "/6 [" in terminal.text
    # It is gone at the end.
    assert terminal.text.rsplit("\r", 1)[-1].strip() == ""
