"""Train on a few radiographs, test on a body part that was left out: XNet beside others.

Usage: python benchmarks/small_data.py FOLDER [-o TABLE.md] [--resume]
           [--parts ankle wrist ...] [--images 1 3 5 10] [--scribbles 3 10] [--methods ...]
           [--scratch-epochs N] [--seed S] [--convpaint-python PATH] [--default MODEL]

FOLDER holds ``X.tif``, ``X_labels.tif`` (0 is not scored) and
``radiographs.csv`` with the columns name, body_part and series. Each body part
is left out in turn: its radiographs test what was trained on N radiographs of
other parts (and other series), fully labelled, or with scribbles on 2 % of
their pixels (strokes.py). The training radiographs are drawn once for each
part: each method gets the same, and those of a small N are among those of a
larger one.

Every method sees the same working images (long side 448 px, without the shadow
of the collimator), and what it says comes back to full size in the same way,
along the edges of the radiograph. The networks are asked alike: at the sizes
and with the mirror images of the default model.

default        the default model as it is
xnet quick     the default model, fine-tuned with the preset ``quick``
xnet scratch   the same network from random weights, as many steps
unet, segnet   likewise, with the same widths
random forest  scikit-image's trainable segmenter: multiscale_basic_features and
               a forest as in its gallery; needs scikit-learn
convpaint      napari-convpaint; --convpaint-python names a Python that has it

The default model has seen most real radiographs that are free. Where these are
FOLDER, the weights of MODEL, a folder, can stand in for its own.

Scored are accuracy and macro Dice over the labelled pixels in full size: means
over the radiographs of a part, then over parts. Seconds are the median time of
training. Each result is printed at once and kept in TABLE.jsonl, from which
--resume goes on.
"""

import argparse
import csv
import json
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from radiographs import accuracy, dice, labelled_radiographs
from strokes import scribbles

import napari_xnet
from napari_xnet import tissue
from napari_xnet.backend import keras
from napari_xnet.imaging import EdgeAwareUpsampling, WorkingImage, working_labels
from napari_xnet.models import Model, show_model
from napari_xnet.training import TrainingConfig, train
from napari_xnet.training.config import preset

Labels = NDArray[np.uint8]

PIXELS = 300_000
"""The forest and convpaint learn from at most so many, drawn at random."""

SCRIBBLED = 0.02
"""Share of the pixels that the scribbles cover."""

DEFAULT = "default"


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A radiograph with what is known about it."""

    name: str
    part: str
    series: str
    image: NDArray[Any]
    reference: Labels


@dataclass(frozen=True, eq=False)
class Task:
    """What a method is given: pairs of other body parts, and radiographs to segment."""

    images: list[NDArray[Any]]
    labels: list[Labels]
    groups: list[str]
    tests: list[NDArray[Any]]


Method = Callable[[Task], tuple[list[Labels], float]]
"""Return labels of the test radiographs, in full size, and seconds of training."""


def main() -> None:
    """Fill the table."""
    with tempfile.TemporaryDirectory() as folder:
        call = arguments()
        call.default = stand_in(call.default, Path(folder) / "default")
        run(call)


def run(call: argparse.Namespace) -> None:
    """Go through parts, trainings and methods."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    radiographs = read(call.folder)
    parts = call.parts or sorted({one.part for one in radiographs})
    trainings = [(n, False) for n in call.images] + [(n, True) for n in call.scribbles]
    methods = make_methods(call)
    results = Results(call.output.with_suffix(".jsonl"), make_settings(call), call.resume)
    for part in parts:
        tests = [one for one in radiographs if one.part == part]
        if not tests:
            raise SystemExit(f'{call.folder} has no radiograph of the body part "{part}".')
        order = draw(radiographs, part, call.seed)
        for n, painted in trainings:
            chosen = order[:n]
            labels = [
                scribbles(one.reference, SCRIBBLED, call.seed) if painted else one.reference
                for one in chosen
            ]
            task = Task(
                [one.image for one in chosen],
                labels,
                [one.part for one in chosen],
                [one.image for one in tests],
            )
            for title in call.methods:
                # What is not trained is the same in each row.
                training = "" if title == DEFAULT else name_of(n, painted)
                if results.has(part, training, title):
                    continue
                found, seconds = methods[title](task)
                scores = [score(a, one.reference) for a, one in zip(found, tests, strict=True)]
                results.add(
                    part=part,
                    training=training,
                    method=title,
                    trained_on=[one.name for one in chosen] if training else [],
                    tested_on=[one.name for one in tests],
                    accuracy=[one[0] for one in scores],
                    dice=[one[1] for one in scores],
                    seconds=seconds,
                )
    table = results.table([name_of(*one) for one in trainings], call.methods, parts)
    call.output.write_text(table, "utf-8")
    print(f"\n{table}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("small_data.md"))
    parser.add_argument("--parts", nargs="+", default=[])
    parser.add_argument("--images", nargs="*", type=int, default=[1, 3, 5, 10])
    parser.add_argument("--scribbles", nargs="*", type=int, default=[3, 10])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=None)
    parser.add_argument("--scratch-epochs", type=int, help="those of the preset if left out")
    parser.add_argument(
        "--scratch-rate", type=float, default=1e-3, help="learning rate from random weights"
    )
    parser.add_argument("--convpaint-python", type=Path)
    parser.add_argument("--convpaint-features", default="gaussian")
    parser.add_argument("--default", default=DEFAULT, metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    call = parser.parse_args()
    if call.methods is None:
        call.methods = [one for one in METHODS if one != CONVPAINT or call.convpaint_python]
    elif CONVPAINT in call.methods and not call.convpaint_python:
        parser.error("convpaint needs --convpaint-python")
    return call


def stand_in(model: str, folder: Path) -> str:
    """Write other weights than the default model's, asked as these are; return their base."""
    if model == DEFAULT:
        return DEFAULT
    preprocessing = napari_xnet.load_model().card.preprocessing
    other = napari_xnet.load_model(model)
    card = other.card.model_copy(update={"preprocessing": preprocessing})
    Model(card, other.network).save(folder)
    return str(folder)


def read(folder: Path) -> list[Radiograph]:
    """Radiographs of a folder."""
    with (folder / "radiographs.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    return [
        Radiograph(name, rows[name]["body_part"], rows[name]["series"], image, reference)
        for name, image, reference in labelled_radiographs(folder)
    ]


def draw(radiographs: list[Radiograph], part: str, seed: int) -> list[Radiograph]:
    """Shuffle the radiographs that may train when a body part is left out.

    One of each other part comes first, then a second one of each, and so on.
    """
    rng = np.random.default_rng([seed, zlib.crc32(part.encode())])
    tested = {one.series for one in radiographs if one.part == part}
    rounds: list[tuple[int, Radiograph]] = []
    count: dict[str, int] = {}
    for index in rng.permutation(len(radiographs)):
        one = radiographs[index]
        if one.part != part and one.series not in tested:
            rounds.append((count.get(one.part, 0), one))
            count[one.part] = count.get(one.part, 0) + 1
    return [one for _, one in sorted(rounds, key=lambda entry: entry[0])]


def name_of(images: int, painted: bool) -> str:
    """Name of a row of the table."""
    return f"{images} image{'s' * (images > 1)}{', scribbles' * painted}"


def score(labels: Labels, reference: Labels) -> tuple[float, float]:
    """Accuracy and macro Dice."""
    values = [dice(labels, reference, one.value) for one in tissue.CLASSES]
    return accuracy(labels, reference, reference > 0), float(np.nanmean(values))


# Methods


def make_methods(call: argparse.Namespace) -> dict[str, Method]:
    """Return the methods by name."""
    return {
        DEFAULT: partial(default, model=call.default),
        "random forest": partial(random_forest, seed=call.seed),
        CONVPAINT: partial(
            convpaint,
            python=call.convpaint_python,
            features=call.convpaint_features,
            seed=call.seed,
        ),
        **{
            title: partial(network, base=base, config=config)
            for title, (base, config) in configs(call).items()
        },
    }


def configs(call: argparse.Namespace) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return base and config of the methods that are networks."""
    card = napari_xnet.load_model(call.default).card
    scratch: dict[str, Any] = {
        "seed": call.seed,
        "preprocessing": card.preprocessing.model_dump(mode="json"),
        "optimiser": {"learning_rate": call.scratch_rate},
    }
    if call.scratch_epochs:
        scratch["epochs"] = call.scratch_epochs
    return {
        "xnet quick": (call.default, {"seed": call.seed}),
        **{
            title: (
                "none",
                {**scratch, "architecture": {"name": name, "filters": card.architecture.filters}},
            )
            for title, name in (("xnet scratch", "xnet"), ("unet", "unet"), ("segnet", "segnet"))
        },
    }


def make_settings(call: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return what the results of each method depend on."""
    start = napari_xnet.load_model(call.default).card.weights_sha256
    settings: dict[str, dict[str, Any]] = {title: {"seed": call.seed} for title in METHODS}
    settings[DEFAULT]["weights"] = start
    settings[CONVPAINT]["features"] = call.convpaint_features
    for title, (base, config) in configs(call).items():
        whole = TrainingConfig.parse(config, preset("quick"))
        settings[title]["config"] = whole.model_dump(mode="json")
        if base == call.default:
            settings[title]["weights"] = start
    return settings


CONVPAINT = "convpaint"
METHODS = (DEFAULT, "xnet quick", "xnet scratch", "unet", "segnet", "random forest", CONVPAINT)


def default(task: Task, model: str = DEFAULT) -> tuple[list[Labels], float]:
    """Segment with the default model, or what stands in for it."""
    loaded = napari_xnet.load_model(model)
    return [napari_xnet.segment(image, loaded).labels for image in task.tests], 0.0


def network(task: Task, base: str, config: dict[str, Any]) -> tuple[list[Labels], float]:
    """Train a network with the preset `quick` and segment with it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # The models of the user stay as they are.
        mock.patch.dict(os.environ, {"NAPARI_XNET_MODELS": folder}),
    ):
        start = time.perf_counter()
        model = train(
            task.images,
            task.labels,
            base=base,
            preset="quick",
            config=config,
            groups=task.groups,
            folder=Path(folder) / "runs",
            progress=False,
        )
        seconds = time.perf_counter() - start
        found = [napari_xnet.segment(image, model).labels for image in task.tests]
    keras.backend.clear_session()
    return found, seconds


def random_forest(task: Task, seed: int) -> tuple[list[Labels], float]:
    """Train scikit-image's segmenter and segment with it."""
    from skimage.feature import multiscale_basic_features
    from skimage.future import TrainableSegmenter, fit_segmenter
    from sklearn.ensemble import RandomForestClassifier

    segmenter = TrainableSegmenter(
        RandomForestClassifier(
            n_estimators=50, max_depth=10, max_samples=0.05, n_jobs=-1, random_state=seed
        ),
        partial(multiscale_basic_features, sigma_min=1, sigma_max=16),
    )
    start = time.perf_counter()
    working, labels = prepare(task, seed)
    features = [segmenter.features_func(inside(one)) for one in working]
    # Its own `fit` takes one image; this is the part of it that does not.
    stacked = np.concatenate([f[a > 0] for f, a in zip(features, labels, strict=True)])
    fit_segmenter(np.concatenate([a[a > 0] for a in labels]), stacked, segmenter.clf)
    seconds = time.perf_counter() - start

    results = []
    for image in task.tests:
        one = see(image)
        results.append(full_size(segmenter.predict(inside(one)), one, image))
    return results, seconds


def convpaint(task: Task, python: Path, features: str, seed: int) -> tuple[list[Labels], float]:
    """Let napari-convpaint train and segment, in a process of its own."""
    start = time.perf_counter()
    working, labels = prepare(task, seed)
    seconds = time.perf_counter() - start
    tests = [see(image) for image in task.tests]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        arrays = {f"train_{n}": inside(one) for n, one in enumerate(working)}
        arrays |= {f"labels_{n}": one for n, one in enumerate(labels)}
        arrays |= {f"test_{n}": inside(one) for n, one in enumerate(tests)}
        np.savez(source, **arrays)
        worker = Path(__file__).with_name("convpaint_worker.py")
        done = subprocess.run(
            [python, worker, features, source, target], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"convpaint failed:\n{done.stderr}")
        with np.load(target) as result:
            found = [result[f"labels_{n}"].astype(np.uint8) for n in range(len(tests))]
            seconds += float(result["seconds"])
    return [full_size(*one) for one in zip(found, tests, task.tests, strict=True)], seconds


def see(image: NDArray[Any]) -> WorkingImage:
    """Make the working image that the default model sees."""
    return show_model(DEFAULT).preprocessing.working_image(image)


def prepare(task: Task, seed: int) -> tuple[list[WorkingImage], list[Labels]]:
    """Reduce images and labels, and drop labels at random until `PIXELS` are left."""
    working = [see(image) for image in task.images]
    labels = [working_labels(labels, one) for labels, one in zip(task.labels, working, strict=True)]
    painted = sum(int(np.count_nonzero(one)) for one in labels)
    rng = np.random.default_rng(seed)
    keep = min(1.0, PIXELS / painted)
    return working, [
        np.where(rng.random(one.shape) < keep, one, 0).astype(np.uint8) for one in labels
    ]


def inside(working: WorkingImage) -> NDArray[np.float32]:
    """Return the working image without its padding."""
    return working.data[: working.content[0], : working.content[1]]


def full_size(labels: Labels, working: WorkingImage, image: NDArray[Any]) -> Labels:
    """Bring labels of a working image to the size of its radiograph, as `segment` does."""
    certain = np.stack([labels == one.value for one in tissue.CLASSES], axis=-1)
    result = np.empty(working.shape, np.uint8)
    for rows, strip in EdgeAwareUpsampling(certain.astype(np.float32), working).strips(image):
        result[rows] = strip.argmax(axis=0) + tissue.OPEN_BEAM.value
    return result


# Results


class Results:
    """Results so far, kept in a file of one JSON object a line.

    Parameters
    ----------
    path : Path
    settings : dict from str to dict
        Of each method; results with others are not taken over.
    resume : bool
        Whether to take over what is there.
    """

    def __init__(self, path: Path, settings: dict[str, dict[str, Any]], resume: bool) -> None:
        self._path = path
        self._settings = settings
        self._rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        if not resume:
            path.write_text("", "utf-8")
        elif path.exists():
            for line in path.read_text("utf-8").splitlines():
                row = _parsed(line)
                if row and row["settings"] == settings[row["method"]]:
                    self._rows[row["part"], row["training"], row["method"]] = row

    def has(self, part: str, training: str, method: str) -> bool:
        """Whether this was done already."""
        return (part, training, method) in self._rows

    def add(self, **row: Any) -> None:
        """Keep a result and print it."""
        row["settings"] = self._settings[row["method"]]
        self._rows[row["part"], row["training"], row["method"]] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{row['part']:10} {row['training']:20} {row['method']:14} "
            f"accuracy {np.mean(row['accuracy']):.3f}  Dice {np.mean(row['dice']):.3f}  "
            f"{row['seconds']:.1f} s",
            flush=True,
        )

    def table(self, trainings: list[str], methods: list[str], parts: list[str]) -> str:
        """Three tables in Markdown; the best of each row is bold."""
        blocks = []
        for title, key, form in (
            ("Accuracy", "accuracy", "{:.3f}"),
            ("Macro Dice", "dice", "{:.3f}"),
            ("Seconds of training", "seconds", "{:.1f}"),
        ):
            lines = [f"| {title} | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
            for training in trainings:
                values = [self._value(key, training, method, parts) for method in methods]
                cells = [form.format(value) for value in values]
                if key != "seconds":
                    best = max(cells)
                    cells = [f"**{cell}**" if cell == best else cell for cell in cells]
                lines.append(f"| {training} | {' | '.join(cells)} |")
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks) + "\n"

    def _value(self, key: str, training: str, method: str, parts: list[str]) -> float:
        training = "" if method == DEFAULT else training
        values = [self._rows[part, training, method][key] for part in parts]
        if key == "seconds":
            return float(np.median(values))
        return float(np.mean([np.mean(one) for one in values]))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None  # the program was ended in the middle of it


if __name__ == "__main__":
    main()
