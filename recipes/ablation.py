"""Compare designs of the default model at equal cost: each trains for the same time.

Usage: python recipes/ablation.py FOLDER RADIOGRAPHS [--minutes 4] [--only NAME ...]

Trains on simulations alone (those of ``default_model.py FOLDER ... simulate``), with a
cosine schedule over the time, and scores on all real radiographs, at several sizes of the
working image. Run it on a machine that does nothing else.
"""

import argparse
import math
import time
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
SIZES_PX = (192, 256, 320, 448)
RATE = recipe.PRETRAINING["optimiser"]["learning_rate"]
WARM_UP = 50
WIDE = (32, 64, 128, 256)

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
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
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    call = parser.parse_args()

    pairs = recipe.simulated_pairs(call)[:SIMULATIONS]
    print("| variant | steps | " + " | ".join(f"{size} px" for size in SIZES_PX) + " |")
    print("|---|" + "---|" * (len(SIZES_PX) + 1), flush=True)
    for name in call.only:
        model, steps = train(VARIANTS[name], pairs, call.minutes)
        scores = [accuracy(model, call, size) for size in SIZES_PX]
        print(f"| {name} | {steps} | {' | '.join(f'{one:.3f}' for one in scores)} |", flush=True)


def train(changes: dict[str, Any], pairs: list[recipe.Pair], minutes: float) -> tuple[Model, int]:
    """Train a variant from random weights for some time."""
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
    trainer = Trainer(config, card, examples(card, pairs), None, fastest_precision())
    start, step = time.monotonic(), 0
    for batch in trainer.sampler.batches(epoch=1):
        done = (time.monotonic() - start) / (60 * minutes)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / WARM_UP)
        trainer.optimiser.learning_rate = RATE * warm * 0.5 * (1 + math.cos(math.pi * done))
        trainer.learn(batch)
        step += 1
    return Model(card, trainer.network), step


def examples(card: ModelCard, pairs: list[recipe.Pair]) -> list[Example]:
    """Working images and labels of pairs."""
    result = []
    for one in pairs:
        working = card.preprocessing.working_image(one.image)
        labels = working_labels(one.labels, working)
        nothing = np.zeros_like(labels)
        result.append(Example(one.name, one.group, working.unpadded, labels, nothing))
    return result


def accuracy(model: Model, call: argparse.Namespace, size_px: int) -> float:
    """Mean accuracy on the real radiographs."""
    preprocessing = model.card.preprocessing.model_copy(update={"size_px": size_px})
    sized = Model(model.card.model_copy(update={"preprocessing": preprocessing}), model.network)
    return float(np.mean([recipe.score(sized, call, one)[0] for one in recipe.real(call)]))


if __name__ == "__main__":
    main()
