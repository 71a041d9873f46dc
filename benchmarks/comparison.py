"""Compare XNet, U-Net, SegNet and methods without learning, by size of the training set.

Usage: python benchmarks/comparison.py FOLDER [--radiographs DIR] [--sizes 5 15 50 105]
           [--seeds 3] [--steps 400] [--page PAGE]

FOLDER keeps everything; the same call goes on where it was interrupted.

simulated  Training: radiographs simulated from the human skeleton. Test: 60 of the dog, an
           anatomy that no network has seen. The soft-tissue threshold is calibrated on 24 other
           human ones.
real       With --radiographs (``X.tif``, ``X_labels.tif``, ``radiographs.csv``): four folds over
           body parts; each is tested by networks that know neither the parts nor the patients,
           and have learned from all others (9 to 14). The threshold comes from the other parts'
           tests.

The networks have the width of the default model and see working images of 200 px, as in the
XNet paper. They train from random weights on patches of 128 px, augmented, with a cosine
schedule: XNet takes --steps of 8 patches, the others as many as take equally long.
*xnet, fine-tuned* goes on with the preset quick from `recipes/simulated`, which has learned
from simulated radiographs of man and dog, and from no real one. The methods without learning are
told which way round the radiograph is. Scored are working images. --page writes the result as
Markdown.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from classical import METHODS as CLASSICAL
from comparison_page import write_page
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "recipes"))

import ablation
import default_model as recipe

from napari_xnet.evaluation import Evaluation, confusion
from napari_xnet.evaluation.purity import Calibration
from napari_xnet.imaging import working_labels
from napari_xnet.inference.postprocess import label
from napari_xnet.models import Model, Preprocessing
from napari_xnet.simulation import regions, write_radiographs
from napari_xnet.training import train
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.orientation import bone_is_dark
from napari_xnet.training.pairs import Pair

SIZE_PX = 200
PATCH_PX, BATCH = 128, 8
TRAINING, TESTS, CALIBRATING = 105, 60, 24
FALSE_SHARE = 0.005
FOLDS = 4
SEEN = Preprocessing(size_px=SIZE_PX, polarity="bone bright")
NETWORKS = ("xnet", "unet", "segnet")
FINE_TUNED = "xnet, fine-tuned"
BASE = Path(__file__).parents[1] / "recipes" / "simulated"
FEW = 5
ALL = 1000
"""Size of a training set that has all there are."""
SIMULATED, REAL = "simulated", "real"


@dataclass(frozen=True, eq=False)
class Test:
    """A working image and its labels."""

    name: str
    group: str
    image: NDArray[np.float32]
    padded: NDArray[np.float32]
    labels: NDArray[np.uint8]


Said = tuple[NDArray[np.uint8], NDArray[np.float32] | None]
Segment = Callable[[Test], Said]
"""Returns labels and, of a network, probabilities, shape (3, Y, X)."""


def main() -> None:
    """Do what is not done yet, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--radiographs", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 15, 50, TRAINING])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400, help="of XNet's training")
    parser.add_argument("--page", type=Path)
    call = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["NAPARI_XNET_MODELS"] = str(call.folder / "models")
    os.environ["NAPARI_XNET_RUNS"] = str(call.folder / "runs")
    call.folder.mkdir(parents=True, exist_ok=True)
    results = call.folder / "results.jsonl"
    known = []
    if results.exists():
        known = [json.loads(line) for line in results.read_text().splitlines()]
    done = {tuple(row["key"]) for row in known}
    for row in rows(call, done):
        print(row["key"], f"accuracy {row['accuracy']:.3f}", flush=True)
        known.append(row)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
    if call.page:
        write_page(call.page, known)


def rows(call: argparse.Namespace, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Yield a result of each method, size and seed."""
    human = tuple(name for name in regions() if not name.startswith("dog"))
    dog = tuple(name for name in regions() if name.startswith("dog"))
    pool = simulated(call.folder / "training", human, TRAINING, 1)
    tests = [as_test(one) for one in simulated(call.folder / "tests", dog, TESTS, 2)]
    others = [as_test(one) for one in simulated(call.folder / "others", human, CALIBRATING, 3)]
    for name, method in CLASSICAL.items():
        if (key := (SIMULATED, name, 0, 0)) not in done:
            yield {"key": key, **judge(without_learning(method), tests)}
    for seed in range(call.seeds):
        order = np.random.default_rng(seed).permutation(len(pool))
        for size in call.sizes:
            chosen = [pool[number] for number in order[:size]]
            for name in NETWORKS:
                if (key := (SIMULATED, name, size, seed)) not in done:
                    model = learned(call, name, chosen, seed)
                    yield {"key": key, **size_of(model), **judge(network(model), tests, others)}
    if call.radiographs:
        yield from real_rows(call, done)


def real_rows(call: argparse.Namespace, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Yield results on real radiographs, folds over body parts together."""
    known = recipe.real(call)
    pairs = {one.name: recipe.pair(call.radiographs, one.name, one.part) for one in known}
    tests = [as_test(pair) for pair in pairs.values()]
    for name, method in CLASSICAL.items():
        if (key := (REAL, name, 0, 0)) not in done:
            yield {"key": key, **judge(without_learning(method), tests)}
    for seed in range(call.seeds):
        fold_of = folds({one.part for one in known}, seed)
        for name, size in (*((name, ALL) for name in (*NETWORKS, FINE_TUNED)), (FINE_TUNED, FEW)):
            if (key := (REAL, name, size, seed)) in done:
                continue
            models = []
            for fold in range(FOLDS):
                hidden = {one.series for one in known if fold_of[one.part] == fold}
                pool = [pairs[one.name] for one in known if one.series not in hidden]
                order = np.random.default_rng([seed, fold]).permutation(len(pool))
                chosen = [pool[number] for number in order[:size]]
                models.append(learned(call, name, chosen, seed))
            yield {"key": key, **size_of(models[0]), **judge(by_group(models, fold_of), tests)}


def folds(parts: set[str], seed: int) -> dict[str, int]:
    """Deal body parts out."""
    order = np.random.default_rng(seed).permutation(sorted(parts))
    return {str(part): number % FOLDS for number, part in enumerate(order)}


def by_group(models: Sequence[Model], fold_of: dict[str, int]) -> Segment:
    """Let the network that does not know a group segment it."""
    segments = [network(model) for model in models]

    def segment(test: Test) -> Said:
        return segments[fold_of[test.group]](test)

    return segment


def simulated(folder: Path, names: Sequence[str], count: int, seed: int) -> list[Pair]:
    """Simulate, or read what was simulated."""
    write_radiographs(folder, count, names, seed=seed, size_px=SIZE_PX, workers=os.cpu_count() or 1)
    paths = sorted(folder.glob("*_labels.tif"))
    names = [path.name.removesuffix("_labels.tif") for path in paths]
    return [recipe.pair(folder, name, name.partition("_")[2]) for name in names]


def as_test(pair: Pair) -> Test:
    """Reduce a radiograph to what is scored."""
    working = SEEN.working_image(pair.image)
    labels = working_labels(pair.labels, working)
    return Test(pair.name, pair.group, working.unpadded, working.data, labels)


def learned(call: argparse.Namespace, name: str, pairs: list[Pair], seed: int) -> Model:
    """Train a network."""
    if name == FINE_TUNED:
        return train(
            [one.image for one in pairs],
            [one.labels for one in pairs],
            base=BASE,
            config={"seed": seed},
            folder=call.folder / "runs",
            progress=False,
        )
    return ablation.train(design(name) | {"seed": seed}, pairs, steps_of(call, name, pairs))


def design(name: str) -> dict[str, Any]:
    """How a network is trained from random weights."""
    return {
        "architecture": {"name": name},
        "preprocessing": SEEN.model_dump(),
        "patch_px": PATCH_PX,
        "sampling": {"batch": BATCH},
        "augmentation": TrainingConfig().augmentation.model_dump(),
    }


def steps_of(call: argparse.Namespace, name: str, pairs: list[Pair]) -> int:
    """How many steps cost as much as those of XNet, measured once."""
    path = call.folder / f"speed-{name}.json"
    if not path.exists():
        speed = ablation.relative_speed(design(name), design(NETWORKS[0]), pairs)
        path.write_text(json.dumps(speed))
    return round(call.steps * float(json.loads(path.read_text())))


def network(model: Model) -> Segment:
    """Let a network segment."""

    def segment(test: Test) -> Said:
        height, width = test.image.shape
        said = model.predict(test.padded[np.newaxis])[0, :height, :width]
        probabilities = np.moveaxis(said, -1, 0)
        return label(probabilities), probabilities

    return segment


def without_learning(method: Callable[[NDArray[np.float32]], NDArray[np.uint8]]) -> Segment:
    """Let a method without learning segment; it is told which way round the radiograph is."""

    def segment(test: Test) -> Said:
        return method(-test.image if bone_is_dark(test.image, test.labels) else test.image), None

    return segment


def judge(segment: Segment, tests: list[Test], others: list[Test] = ()) -> dict[str, Any]:
    """Score a method on tests; calibrate on others, or on tests of other groups."""
    scores, calibration = Evaluation(), Calibration()
    seconds, said = [], []
    for test in tests:
        start = time.perf_counter()
        labels, probabilities = segment(test)
        seconds.append(time.perf_counter() - start)
        scores.add(test.labels, labels, probabilities, name=test.name, group=test.group)
        said.append(probabilities)
    found = {
        "accuracy": float(confusion.accuracy(scores.counts)),
        "seconds": float(np.median(seconds)),
        "images": [
            {
                "name": one.name,
                "counts": one.counts.tolist(),
                "auc": float(confusion.macro(one.auc)),
            }
            for one in scores.images
        ],
    }
    if said[0] is None:
        return found
    if others:
        for test in others:
            calibration.add(test.labels, segment(test)[1])
        threshold = calibration.curve().nearest(FALSE_SHARE).threshold
        after = Calibration()
        for test, probabilities in zip(tests, said, strict=True):
            after.add(test.labels, probabilities)
        pure = after.curve().at(threshold)
    else:
        for test, probabilities in zip(tests, said, strict=True):
            calibration.add(test.labels, probabilities, group=test.group)
        pure = calibration.cross_validated(FALSE_SHARE)
    return found | {"pure": pure.model_dump()}


def size_of(model: Model) -> dict[str, Any]:
    """How many parameters a network has."""
    return {"parameters": int(model.network.count_params())}


if __name__ == "__main__":
    main()
