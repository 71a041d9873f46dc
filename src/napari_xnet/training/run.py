"""The folder of a training run: all that is needed to go on after a power cut.

``run.json``            what is trained, with which settings
``labels/*.tif``        the painted labels as they were at the start, in full size
``examples.npz``        working images and labels
``last.safetensors``    network, optimiser and history after the last whole epoch
``best-*.safetensors``  the network of the best epoch
``log.csv``             one row for each epoch
``card.json``           the card of the model, at the end
"""

import contextlib
import csv
import itertools
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_xnet import tissue
from napari_xnet._version import __version__
from napari_xnet.errors import ConfigError, ImageError, ModelError, TrainingError
from napari_xnet.imaging import working_labels
from napari_xnet.io import write_labels
from napari_xnet.io.atomic import atomic_path
from napari_xnet.models import (
    DEFAULT,
    Architecture,
    ModelCard,
    Preprocessing,
    check_new_name,
    find_model,
    show_model,
)
from napari_xnet.training.claim import is_claimed
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.events import EpochEnd
from napari_xnet.training.examples import Example, read_examples, write_examples
from napari_xnet.training.pairs import Pair, check_labels, check_pair, count_classes
from napari_xnet.training.splitting import split

NONE = "none"
"""Base of a model that starts from scratch."""

RUN_FILE, LABELS_FOLDER, EXAMPLES_FILE = "run.json", "labels", "examples.npz"
LAST_FILE, LOG_FILE = "last.safetensors", "log.csv"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH = 60


class RunRecord(BaseModel):
    """``run.json``: what is trained, from what, and whether it is done.

    Attributes
    ----------
    batch : int, optional
        Examples in a batch that fit into memory when the run began; None
        before that.
    failed : str
        Why it can never end, if so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    name: str
    base: str
    base_sha256: str = ""
    preset: str = ""
    config: TrainingConfig
    architecture: Architecture
    preprocessing: Preprocessing
    models_folder: str | None = None
    created: str
    version: str = __version__
    painted_px: dict[str, int]
    radiographs: int
    groups: int
    batch: int | None = None
    notes: tuple[str, ...] = ()
    model: str = ""
    failed: str = ""

    @property
    def finished(self) -> bool:
        """Whether the model was saved."""
        return bool(self.model)

    @property
    def can_go_on(self) -> bool:
        """Whether there is anything left to train, and hope."""
        return not (self.model or self.failed)


class Run:
    """A training run on disk.

    Attributes
    ----------
    folder : Path
    record : RunRecord
    """

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    def __repr__(self) -> str:
        return f"<Run {self.record.name!r} in {self.folder}>"

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the folder of a run.

        Raises
        ------
        TrainingError
            If it is not one.
        """
        folder = Path(folder)
        try:
            data = (folder / RUN_FILE).read_bytes()
            return cls(folder, RunRecord.model_validate_json(data))
        except OSError as error:
            raise TrainingError(f"{folder} is no training run: {error.strerror}.") from error
        except ValidationError as error:
            raise TrainingError(
                f"{folder / RUN_FILE} is damaged, or of another version of napari-xnet."
            ) from error

    def update(self, **changes: Any) -> None:
        """Change fields of the record, also on disk."""
        self.record = self.record.model_copy(update=changes)
        with atomic_path(self.folder / RUN_FILE) as temporary:
            temporary.write_text(self.record.model_dump_json(indent=2) + "\n", "utf-8")

    def examples(self) -> list[Example]:
        """Read the working images and labels.

        Raises
        ------
        TrainingError
            If they are missing or damaged.
        """
        return read_examples(self.folder / EXAMPLES_FILE)

    def best_file(self, epoch: int) -> Path:
        """File for the weights of an epoch that is the best so far."""
        return self.folder / f"best-{epoch:06d}.safetensors"

    def remove_other_best_files(self, epoch: int) -> None:
        """Remove what was the best before an epoch."""
        for path in self.folder.glob("best-*.safetensors"):
            if path != self.best_file(epoch):
                with contextlib.suppress(OSError):
                    path.unlink()

    def history(self) -> list[EpochEnd]:
        """Read the epochs so far from ``log.csv``; none if there is no log yet."""
        try:
            with (self.folder / LOG_FILE).open(newline="") as file:
                return [_row(row) for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            return []

    def write_log(self, history: Sequence[EpochEnd]) -> None:
        """Write ``log.csv``."""
        fields = list(EpochEnd.__dataclass_fields__)
        with atomic_path(self.folder / LOG_FILE) as temporary, temporary.open("w", newline="") as f:
            table = csv.writer(f)
            table.writerow(fields)
            table.writerows([getattr(row, field) for field in fields] for row in history)


def _row(row: dict[str, str]) -> EpochEnd:
    numbers: dict[str, Any] = {key: float(text) for key, text in row.items() if key != "best"}
    numbers["epoch"] = int(numbers["epoch"])
    return EpochEnd(**numbers, best=row["best"] == "True")


def runs_folder() -> Path:
    """Folder of the training runs.

    ``NAPARI_XNET_RUNS`` if that environment variable is set, else the folder
    for application data of the operating system.
    """
    chosen = os.environ.get("NAPARI_XNET_RUNS")
    return Path(chosen) if chosen else platformdirs.user_data_path("napari-xnet") / "runs"


def unfinished_runs(folder: Path | None = None, *, claimed: bool = False) -> list[Run]:
    """List the runs that were interrupted and can go on, the newest first.

    Parameters
    ----------
    folder : Path, optional
        Folder of all runs, `runs_folder` if None.
    claimed : bool
        Whether also those that a process trains right now.
    """
    runs = []
    for path in (folder or runs_folder()).glob(f"*/{RUN_FILE}"):
        try:
            run = Run.open(path.parent)
        except TrainingError:
            continue
        if run.record.can_go_on and (claimed or not is_claimed(run.folder)):
            runs.append(run)
    return sorted(runs, key=lambda run: run.record.created, reverse=True)


def finished_run(name: str, folder: Path | None = None) -> Run | None:
    """Find the newest run that ended with a model of some name, which is still there."""
    runs = []
    for path in (folder or runs_folder()).glob(f"*/{RUN_FILE}"):
        with contextlib.suppress(TrainingError, ModelError):
            run = Run.open(path.parent)
            if run.record.name == name and run.record.finished:
                find_model(run.record.model, run.record.models_folder)
                runs.append(run)
    return max(runs, key=lambda run: run.record.created, default=None)


def create_run(
    name: str,
    pairs: Sequence[Pair],
    config: TrainingConfig,
    *,
    base: str | Path = DEFAULT,
    preset: str = "",
    models_folder: Path | None = None,
    folder: Path | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Run:
    """Check everything, save the painted labels, prepare the examples; nothing is trained yet.

    Parameters
    ----------
    name : str
        Name of the new model.
    pairs : sequence of Pair
        Pairs on which nothing is painted are left out.
    config : TrainingConfig
    base : str or path
        Name or folder of the model to start from, ``"none"`` for random
        weights.
    preset : str
        Where the config comes from, for the record.
    models_folder : Path, optional
        Where models are found and the new one goes, `models_folder` if None.
    folder : Path, optional
        Folder of all runs, `runs_folder` if None.
    progress : callable, optional
        ``progress(done, total)`` in pairs; what it raises stops the work.

    Returns
    -------
    Run

    Raises
    ------
    XNetError
        If the name is taken, a pair does not fit, too little is painted, the
        config does not fit the base, or the folder cannot be written.
    """
    check_new_name(name, models_folder)
    card, base_folder = _start(base, config, models_folder)
    used = [pair for pair in pairs if check_pair(pair)]
    painted = _count([pair.labels for pair in used])
    believes = base_folder is not None and config.fine_tuning.pseudo_labels > 0
    notes = check_labels(painted, len(pairs), believes)
    if preset == "quick" and base_folder is None:
        notes.append(
            "The preset quick is made to fine-tune a model: from random weights it learns little. "
            "Choose the preset full, or a base model."
        )

    run_folder = _new_folder(folder or runs_folder(), name)
    try:
        _save_labels(run_folder, used, progress)
        examples, more = _examples(used, card.preprocessing, config, progress)
        write_examples(run_folder / EXAMPLES_FILE, examples)
        run = Run(
            run_folder,
            RunRecord(
                name=name,
                base=_name_of(base, base_folder),
                base_sha256=card.weights_sha256,
                preset=preset,
                config=config,
                architecture=card.architecture,
                preprocessing=card.preprocessing,
                models_folder=str(models_folder) if models_folder else None,
                created=datetime.now().astimezone().isoformat(timespec="microseconds"),
                painted_px={one.name: painted[one.value] for one in tissue.CLASSES},
                radiographs=len(examples),
                groups=len({one.group for one in examples}),
                notes=(*notes, *more),
            ),
        )
        run.update()
    except BaseException:
        shutil.rmtree(run_folder, ignore_errors=True)
        raise
    return run


def _examples(
    pairs: Sequence[Pair],
    preprocessing: Preprocessing,
    config: TrainingConfig,
    progress: Callable[[float, int], None] | None,
) -> tuple[list[Example], list[str]]:
    """Make the examples of pairs, and sentences on how they were read."""
    examples, notes = [], []
    for number, pair in enumerate(pairs):
        if progress:
            progress(number, len(pairs))
        try:
            working = preprocessing.working_image(pair.image)
        except ImageError as error:
            raise ImageError(f"{pair.name}: {error}") from error
        notes += [f"{pair.name}: {note}" for note in working.notes]
        labels = working_labels(pair.labels, working)
        shadow = working.unpadded_shadow
        examples.append(Example(pair.name, pair.group, working.unpadded, labels, labels, shadow))
    halves = split(
        [one.labels for one in examples],
        [one.group for one in examples],
        config.split,
        config.seed,
        parts=[pair.part for pair in pairs],
    )
    if config.split.by != "nothing" and not any(validates.any() for _, validates in halves):
        notes.append(
            "There is too little paint to keep some aside for validation: the model is that of the "
            "last epoch, and nobody knows how good it is."
        )
    painted = _count([one.labels for one in examples])
    left = _count([trains for trains, _ in halves])
    aside = [one.name for one in tissue.CLASSES if painted[one.value] and not left[one.value]]
    fewest = 1 if config.fine_tuning.pseudo_labels else 2  # a base speaks for the others
    if sum(count > 0 for count in left.values()) < fewest:
        raise TrainingError(
            f"All {' and '.join(aside)} is for validation: too little is left to train on. Paint "
            "more of it, or choose another split."
        )
    notes += [f"All {name} is for validation: the model learns nothing about it." for name in aside]
    return [
        replace(one, labels=trains, validation=validates)
        for one, (trains, validates) in zip(examples, halves, strict=True)
    ], notes


def _start(
    base: str | Path, config: TrainingConfig, models_folder: Path | None
) -> tuple[ModelCard, Path | None]:
    """Card of the model to start from, and its folder if there is one."""
    if str(base) == NONE:
        card = ModelCard(
            name=NONE,
            architecture=config.architecture or Architecture(name="xnet"),
            preprocessing=config.preprocessing or Preprocessing(),
        )
        return card, None
    folder = find_model(base, models_folder)
    card = show_model(base, models_folder)
    wanted = config.architecture
    if wanted:
        without_l2 = {"l2": card.architecture.l2}
        if wanted.model_copy(update=without_l2) != card.architecture:
            raise ConfigError(
                f'The config asks for {_describe(wanted)}, but the base "{card.name}" is '
                f"{_describe(card.architecture)}: leave the architecture out, or start from "
                "scratch (base none)."
            )
        card = card.model_copy(update={"architecture": wanted})
    if config.preprocessing:
        card = card.model_copy(update={"preprocessing": config.preprocessing})
    return card, folder


def _describe(one: Architecture) -> str:
    return f"{one.name} with filters {one.filters} and kernels of {one.kernel_size} px"


def _name_of(base: str | Path, folder: Path | None) -> str:
    """How a run finds its base again, wherever it is resumed: a name, or a whole path."""
    if folder is None:
        return NONE
    return str(folder.resolve() if folder == Path(base) else base)


def _count(labels: Sequence[Any]) -> dict[int, int]:
    counts = [count_classes(np.asarray(one)) for one in labels]
    return {one.value: sum(count[one.value] for count in counts) for one in tissue.CLASSES}


def _new_folder(parent: Path, name: str) -> Path:
    """Make the folder of a run, with a number if there was one of that name."""
    folder = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
            folder = parent / f"{name}-{number}"
    except OSError as error:
        raise TrainingError(
            f"The folder of the run, {folder}, cannot be made: {error.strerror}. The variable "
            "NAPARI_XNET_RUNS names another place for runs."
        ) from error
    return folder


def _save_labels(
    folder: Path, pairs: Sequence[Pair], progress: Callable[[float, int], None] | None
) -> None:
    target = folder / LABELS_FOLDER
    try:
        target.mkdir()
    except OSError as error:
        raise TrainingError(f"{target} cannot be made: {error.strerror}.") from error
    for number, pair in enumerate(pairs, start=1):
        if progress:
            progress(0, len(pairs))
        safe = _UNSAFE.sub("_", pair.name)[:_NAME_LENGTH]
        write_labels(target / f"{number:04d}_{safe}_labels.tif", np.asarray(pair.labels))
