"""Compare designs of the default model at equal cost.

Usage: python recipes/ablation.py FOLDER RADIOGRAPHS [--steps 400] [--only NAME ...]

Trains on simulations alone (those of ``default_model.py FOLDER ... simulate``), with a cosine
schedule, and scores on all real radiographs, at several sizes of the working image and at the
three sizes together, mirrored, as the model that ships is asked. The design that ships takes so
many steps, the others as many as take equally long; how long a step takes
is measured side by side, so that it does not matter what else the machine does. FOLDER keeps
the results: the same call goes on where it was interrupted, and prints the table.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import default_model as recipe
import numpy as np

from napari_xnet.devices import fastest_precision
from napari_xnet.imaging import working_labels
from napari_xnet.models import Architecture, Model, ModelCard
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import Example
from napari_xnet.training.trainer import Trainer

SIMULATIONS = 1600
VIEWS: dict[str, dict[str, Any]] = {
    f"{size} px": {"size_px": size} for size in (192, 256, 320, 448)
} | {"as shipped": recipe.SHIPPED}
TIMED_RADIOGRAPHS = 16
TIMED_STEPS = 10
REFERENCE = "as shipped"
RATE = recipe.PRETRAINING["optimiser"]["learning_rate"]
WARM_UP = 50
WIDE = (32, 64, 128, 256)

VARIANTS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "polarity as is": {"preprocessing": {"polarity": "as is"}},
    "both polarities": {
        "preprocessing": {"polarity": "both"},
        "augmentation": {"inversion_probability": 0.5},
    },
    "larger: patches of 256 px, 8 at once": {
        "patch_px": 256,
        "sampling": {"batch": 8},
        "augmentation": {"crop": (0.7, 1.7)},
    },
    "half width": {"architecture": {"filters": WIDE}, "sampling": {"batch": 6}},
    "kernel 5": {"architecture": {"kernel_size": 5}, "sampling": {"batch": 8}},
    "U-Net": {"architecture": {"name": "unet"}},
    "SegNet": {"architecture": {"name": "segnet"}},
}


def main() -> None:
    """Train and score the variants, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("radiographs", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    call = parser.parse_args()

    results = call.folder / "ablation.json"
    known = json.loads(results.read_text()) if results.exists() else {}
    pairs = recipe.simulated_pairs(call)[:SIMULATIONS]
    for name in call.only:
        if name not in known:
            steps = round(call.steps * relative_speed(VARIANTS[name], VARIANTS[REFERENCE], pairs))
            model = train(VARIANTS[name], pairs, steps)
            known[name] = {"steps": steps, "parameters": model.network.count_params()}
            known[name]["accuracy"] = [accuracy(model, call, seen) for seen in VIEWS.values()]
            results.write_text(json.dumps(known, indent=2))
    print(f"| design | parameters | steps | {' | '.join(VIEWS)} |")
    print("|---|---|---|" + "---|" * len(VIEWS))
    for name, one in known.items():
        scores = " | ".join(f"{score:.3f}" for score in one["accuracy"])
        print(f"| {name} | {one['parameters']:,} | {one['steps']} | {scores} |")


def train(changes: dict[str, Any], pairs: list[recipe.Pair], steps: int) -> Model:
    """Train a variant from random weights, with a cosine schedule."""
    one = trainer(changes, pairs)
    for step, batch in enumerate(batches(one, steps)):
        warm = min(1.0, (step + 1) / WARM_UP)
        one.optimiser.learning_rate = RATE * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        one.learn(batch)
    return Model(one.card, one.network)


def relative_speed(
    changes: dict[str, Any], reference: dict[str, Any], pairs: list[recipe.Pair]
) -> float:
    """How many steps a variant takes while a reference takes one; measured by turns."""
    if changes == reference:
        return 1.0
    variants = [trainer(one, pairs[:TIMED_RADIOGRAPHS]) for one in (reference, changes)]
    given = [batches(one, 1 + TIMED_STEPS) for one in variants]
    seconds: list[list[float]] = [[], []]
    for _ in range(1 + TIMED_STEPS):
        for one, source, times in zip(variants, given, seconds, strict=True):
            start = time.perf_counter()
            one.learn(next(source))
            times.append(time.perf_counter() - start)
    # The first step compiles.
    before, after = (float(np.median(times[1:])) for times in seconds)
    return before / after


def trainer(changes: dict[str, Any], pairs: list[recipe.Pair]) -> Trainer:
    """Prepare the training of a variant from random weights."""
    base = TrainingConfig.parse(
        recipe.PRETRAINING
        | {"epochs": 1, "optimiser": {"learning_rate": RATE, "schedule": "constant"}}
        | {"sampling": recipe.PRETRAINING["sampling"] | {"steps": 10**6}}
    )
    config = TrainingConfig.parse(changes, base)
    assert config.preprocessing is not None
    card = ModelCard(
        name="variant",
        architecture=config.architecture or Architecture(name="xnet"),
        preprocessing=config.preprocessing,
    )
    return Trainer(config, card, examples(card, pairs), None, fastest_precision())


def batches(one: Trainer, count: int) -> Iterator[Any]:
    """Draw some batches."""
    return itertools.islice(one.sampler.batches(epoch=1), count)


def examples(card: ModelCard, pairs: list[recipe.Pair]) -> list[Example]:
    """Working images and labels of pairs."""
    result = []
    for one in pairs:
        working = card.preprocessing.working_image(one.image)
        labels = working_labels(one.labels, working)
        nothing = np.zeros_like(labels)
        result.append(Example(one.name, one.group, working.unpadded, labels, nothing))
    return result


def accuracy(model: Model, call: argparse.Namespace, seen: dict[str, Any]) -> float:
    """Mean accuracy on the real radiographs."""
    seeing = recipe.as_shipped(model, seen)
    return float(np.mean([recipe.score(seeing, call, one)[0] for one in recipe.real(call)]))


if __name__ == "__main__":
    main()
