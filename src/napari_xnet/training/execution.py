"""Execute a training run: from its last whole epoch until its model is in the store."""

import gc
import math
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xnet import tissue
from napari_xnet._version import __version__
from napari_xnet.errors import ModelError, TrainingError, XNetError
from napari_xnet.evaluation import confusion
from napari_xnet.io.atomic import atomic_path, remove_leftovers
from napari_xnet.models import Model, ModelCard, check_new_name, load_model, show_model
from napari_xnet.models.model import CARD_FILE
from napari_xnet.models.store import free_name, models_folder
from napari_xnet.models.weights import sha256
from napari_xnet.training.checkpoint import State, load_state, load_variables, save_state
from napari_xnet.training.claim import claimed
from napari_xnet.training.events import (
    Control,
    EpochEnd,
    NoControl,
    Note,
    Report,
    Started,
    Step,
)
from napari_xnet.training.memory import fitting_batch
from napari_xnet.training.run import LAST_FILE, NONE, Run

if TYPE_CHECKING:
    from napari_xnet.training.trainer import Trainer
    from napari_xnet.training.watching import Watcher


@dataclass(frozen=True)
class Summary:
    """How a training run ended.

    Attributes
    ----------
    name : str
        Name of the new model.
    folder, model : Path
        Folders of the run and of the model.
    metrics : dict
        ``val_accuracy``, ``val_dice`` (mean over the classes) and
        ``val_dice_<class>`` of the model on the labels for validation; empty
        if there were none.
    epochs, best_epoch : int
        Epochs made, and the one whose weights the model has; 0 is the base.
    seconds : float
        Time of all epochs.
    stopped : bool
        Whether it was asked to stop before the last epoch.
    """

    name: str
    folder: Path
    model: Path
    metrics: dict[str, float]
    epochs: int
    best_epoch: int
    seconds: float
    stopped: bool


def execute(run: Run, report: Report | None = None, control: Control | None = None) -> Summary:
    """Train the model of a run, from its last whole epoch, and save it in the store.

    Parameters
    ----------
    run : Run
    report : callable, optional
        Called with each event; what it raises stops the run, which can be
        executed again.
    control : Control, optional

    Returns
    -------
    Summary

    Raises
    ------
    XNetError
        If the run is finished, its base has changed, the disk is full, memory
        ran out, or the loss is no number any more.
    """
    from napari_xnet.devices import is_out_of_memory

    try:
        with claimed(run.folder):
            remove_leftovers(run.folder)
            return _Execution(run, report or (lambda event: None), control or NoControl()).finish()
    except XNetError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "There is not enough memory to train: choose a smaller working image "
            "(preprocessing.size_px), a smaller patch (patch_px), or the CPU in Preferences > "
            "XNet."
        ) from error


class _Execution:
    """One execution of a run."""

    def __init__(self, run: Run, report: Report, control: Control) -> None:
        if run.record.finished:
            raise TrainingError(
                f'The run {run.folder} is finished: its model is "{run.record.model}".'
            )
        if run.record.failed:
            raise TrainingError(f"The run {run.folder} cannot go on. {run.record.failed}")
        self._run = run
        self._config = run.record.config
        self._report = report
        self._control = control
        self._state, self._trainer = self._restore()
        self._watcher = self._watch()

    def finish(self) -> Summary:
        """Train until the end and save the model."""
        for note in self._run.record.notes:
            self._report(Note(note))
        if self._state.history:  # killed right after a checkpoint, it lacks the last epoch
            self._run.write_log(self._state.history)
        self._say_started()
        if self._run.record.base != NONE and not self._state.history:
            self._end_epoch(0, math.nan, None, time.monotonic())
        while not self._is_done():
            self._learn_epoch(self._state.epoch + 1)
        return self._save_model()

    def _restore(self) -> "tuple[State, Trainer]":
        from napari_xnet.devices import fastest_precision
        from napari_xnet.training.trainer import Trainer

        record = self._run.record
        saved = load_state(self._run.folder / LAST_FILE)
        base = None
        if record.base != NONE:
            base = load_model(record.base, record.models_folder)
            if base.card.weights_sha256 != record.base_sha256:
                raise TrainingError(
                    f'The base model "{record.base}" has changed since this run began: start a new '
                    "one."
                )
        wanted = self._config.precision
        state = saved or State(
            precision=fastest_precision() if wanted == "auto" else wanted,
            batch=self._config.sampling.batch,
        )
        card = ModelCard(
            name=record.name,
            architecture=record.architecture,
            preprocessing=record.preprocessing,
            licence=base.card.licence if base else "",
        )
        trainer = Trainer(self._config, card, self._run.examples(), base, state.precision)
        if saved:
            load_variables(self._run.folder / LAST_FILE, trainer.network, trainer.optimiser)
        else:
            if record.batch is None:
                # In the record, so that it stays what it is, whatever is free after a kill.
                filters = card.architecture.filters[0]
                self._run.update(batch=fitting_batch(state.batch, trainer.patch_px, filters))
            state.batch = self._run.record.batch or 1
        return state, trainer

    def _watch(self) -> "Watcher":
        from napari_xnet.training.watching import Watcher

        return Watcher(self._trainer, self._control, self._report)

    def _say_started(self) -> None:
        from napari_xnet.devices import device_name

        self._report(
            Started(
                device=device_name(),
                precision=self._state.precision,
                batch=self._state.batch,
                epoch=self._state.epoch,
                epochs=self._config.epochs,
                training=self._trainer.sampler.examples,
                validation=len(self._trainer.validating),
            )
        )

    def _is_done(self) -> bool:
        best, patience = self._state.best, self._config.patience
        overdue = best and patience and self._state.epoch - best.epoch >= patience
        return self._state.stopped or self._state.epoch >= self._config.epochs or bool(overdue)

    def _learn_epoch(self, epoch: int) -> None:
        from napari_xnet.devices import is_out_of_memory

        started = time.monotonic()
        loss = None
        try:
            loss = self._learn_batches(epoch, started)
        except Exception as error:
            if not is_out_of_memory(error) or self._state.batch == 1:
                raise
        if loss is None:
            # Not before the error is gone, which holds the old network.
            self._shrink()
        else:
            self._end_epoch(epoch, loss, self._trainer.counts(), started)

    def _learn_batches(self, epoch: int, started: float) -> float:
        """Learn the batches of an epoch; return their mean loss."""
        trainer = self._trainer
        trainer.begin_epoch()
        loss = math.nan
        for step, batch in enumerate(trainer.sampler.batches(epoch, self._state.batch), start=1):
            loss = trainer.learn(batch)
            if not math.isfinite(loss):
                raise self._gone_astray(epoch)
            self._report_step(epoch, step, started)
            self._watcher.look()
            if self._control.stop_requested():
                self._state.stopped = True
                break
        # The last step may have spoilt what the loss before it does not show.
        if not trainer.is_finite():
            raise self._gone_astray(epoch)
        return loss

    def _gone_astray(self, epoch: int) -> TrainingError:
        why = f"Training went astray in epoch {epoch}: the loss is no number any more."
        self._run.update(failed=why)  # it would go the same way again
        return TrainingError(
            f"{why} Start again with a lower learning rate (optimiser.learning_rate)."
        )

    def _report_step(self, epoch: int, step: int, started: float) -> None:
        steps = self._trainer.sampler.steps
        left = (self._config.epochs - epoch) * steps + steps - step
        pace = (time.monotonic() - started) / step
        self._report(Step(epoch, self._config.epochs, step, steps, left * pace))

    def _end_epoch(
        self, epoch: int, loss: float, counts: confusion.Counts | None, started: float
    ) -> None:
        state, trainer = self._state, self._trainer
        steps = trainer.sampler.steps
        here = Step(max(epoch, 1), self._config.epochs, steps if epoch else 0, steps, math.nan)
        best = state.best
        trainer.tether.adjust()
        with trainer.as_model():
            val_loss, val_counts = trainer.validate(lambda: self._report(here))
            # Without validation the last one is the best.
            is_best = best is None or not trainer.validating or val_loss < best.val_loss
            # Before the checkpoint that names it: killed in between, the epoch is repeated.
            if is_best:
                trainer.save_weights(self._run.best_file(epoch))
        row = EpochEnd(
            epoch=epoch,
            loss=loss,
            dice=math.nan if counts is None else confusion.macro_dice(counts),
            accuracy=math.nan if counts is None else float(confusion.accuracy(counts)),
            val_loss=val_loss,
            val_dice=confusion.macro_dice(val_counts),
            val_accuracy=float(confusion.accuracy(val_counts)),
            learning_rate=trainer.learning_rate(),
            seconds=time.monotonic() - started,
            share=trainer.tether.share,
            best=is_best,
        )
        state.history.append(row)
        save_state(self._run.folder / LAST_FILE, state, trainer.network, trainer.optimiser)
        if is_best:
            self._run.remove_other_best_files(epoch)
        self._run.write_log(state.history)
        self._report(row)

    def _shrink(self) -> None:
        """Go back to the last whole epoch, with half the batch."""
        batch = self._state.batch // 2
        self._report(
            Note(f"Memory ran out: going on with {batch} examples at a time, not twice that.")
        )
        # The old network goes before the new one comes.
        del self._trainer, self._watcher
        gc.collect()
        self._state, self._trainer = self._restore()
        self._watcher = self._watch()
        self._state.batch = batch
        self._say_started()

    def _is_saved_as(self, name: str, folder: Path, best: EpochEnd) -> bool:
        try:
            card = show_model(name, folder)
        except ModelError:
            return False
        return card.weights_sha256 == sha256(self._run.best_file(best.epoch))

    def _save_model(self) -> Summary:
        record, state, trainer = self._run.record, self._state, self._trainer
        best = state.best
        assert best is not None  # the first epoch is the best so far
        trainer.load_weights(self._run.best_file(best.epoch))
        _, counts = trainer.validate(lambda: None)
        metrics = _metrics(counts)
        folder = Path(record.models_folder) if record.models_folder else models_folder()
        name = record.name
        try:
            check_new_name(name, folder)
        except ModelError:
            # Killed right after the model was saved, the run finds its own.
            if not self._is_saved_as(name, folder, best):
                name = free_name(name, folder)
                self._report(
                    Note(f'There is a model "{record.name}" by now: this one is "{name}".')
                )
        if record.base != NONE and (best.epoch == 0 or best.share == 0):
            reason = (
                "No epoch was better on the labels for validation than the base model"
                if best.epoch == 0
                else "What was learned would cost more of what the base model can do than "
                "fine_tuning.forgetting allows"
            )
            self._report(
                Note(
                    f"{reason}: the new model is the same as the base. Paint more, or where the "
                    "base is wrong."
                )
            )
        card = self._card(name, best, metrics)
        model = Model(card, trainer.network)
        model.save(folder / name)
        with atomic_path(self._run.folder / CARD_FILE) as temporary:
            temporary.write_text(model.card.to_json(), "utf-8")
        self._run.update(model=name)
        return Summary(
            name=name,
            folder=self._run.folder,
            model=folder / name,
            metrics=metrics,
            epochs=state.epoch,
            best_epoch=best.epoch,
            seconds=sum(row.seconds for row in state.history),
            stopped=state.stopped,
        )

    def _card(self, name: str, best: EpochEnd, metrics: dict[str, float]) -> ModelCard:
        """Return the card of the new model: how it came about."""
        record, state, trainer = self._run.record, self._state, self._trainer
        base = Path(record.base).name  # cards travel: where a model lay is nobody's business
        origin = "scratch" if record.base == NONE else f'"{base}"'
        return trainer.card.model_copy(
            update={
                "name": name,
                "summary": f"Trained on {record.radiographs} radiographs, from {origin}.",
                "training": {
                    "radiographs": trainer.sampler.examples,
                    "validation_radiographs": len(trainer.validating),
                    "groups": record.groups,
                    "painted_px": record.painted_px,
                    "base": base,
                    "base_sha256": record.base_sha256,
                    "preset": record.preset,
                    "epochs": state.epoch,
                    "best_epoch": best.epoch,
                    "share_of_trained_weights": best.share,
                    "steps_per_epoch": trainer.sampler.steps,
                    "batch": state.batch,
                    "precision": state.precision,
                    "seconds": round(sum(row.seconds for row in state.history)),
                    "config": self._config.model_dump(mode="json"),
                },
                "augmentation": self._config.augmentation.model_dump(mode="json"),
                "optimiser": self._config.optimiser.model_dump(mode="json"),
                "metrics": {"data": "labels of the run that validate", **metrics},
                "versions": {"napari-xnet": __version__, "keras": version("keras")},
                "date": date.today().isoformat(),
                "seed": self._config.seed,
            }
        )


def _metrics(counts: confusion.Counts) -> dict[str, float]:
    if not counts.any():
        return {}
    metrics = {
        "val_accuracy": float(confusion.accuracy(counts)),
        "val_dice": confusion.macro_dice(counts),
    }
    for one, dice in zip(tissue.CLASSES, confusion.dice(counts), strict=True):
        if math.isfinite(dice):
            metrics[f"val_dice_{one.name.replace(' ', '_')}"] = float(dice)
    return metrics
