"""Make the default model, from simulation to weights.

Usage: python recipes/default_model.py FOLDER RADIOGRAPHS COMMAND [options]

FOLDER keeps everything; each command goes on where it was interrupted.
RADIOGRAPHS holds ``X.tif``, ``X_labels.tif`` and ``radiographs.csv`` (columns name,
body_part, series, train: whether the licence allows it in shipped weights).

    simulate    radiographs from myo-sim (Apache-2.0) and the dog of dm-control (Apache-2.0)
    pretrain    train XNet on them alone
    fold PART   go on with simulations and all radiographs but those of one body part
    evaluate    score the folds, each on the body part that it has never seen, in a table
    final       go on with simulations and all radiographs that may be used
    ship        put the final model into the package

The same seed gives the same model on the same machine.
"""

import argparse
import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

import napari_xnet
from napari_xnet.inference import segment
from napari_xnet.io import read_image, read_labels
from napari_xnet.models import Model, list_models, load_model
from napari_xnet.simulation import regions, write_radiographs
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.console import ProgressBar
from napari_xnet.training.execution import execute
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import create_run, unfinished_runs

SEED = 20261122
SIZE_PX = 448
LIMBS = (
    *("finger", "thumb", "hand", "wrist", "forearm", "elbow", "upper arm", "shoulder", "toes"),
    *("foot", "foot from the side", "ankle", "lower leg", "knee", "patella", "thigh", "hip"),
)
REGIONS = tuple(name for name in regions() for _ in range(2 if name in LIMBS else 1))
"""Limbs twice as often as trunks and dogs, as in practice."""
AUGMENTATION = {
    "rotation_deg": 20.0,
    "shear_deg": 5.0,
    "crop": (0.7, 1.7),
    "elastic_probability": 0.2,
    "inversion_probability": 0.0,
    "blur_sigma_px": (0.0, 0.8),
    "blur_probability": 0.2,
}
PLAIN = {
    # Simulations have enough of all this already.
    f"{name}_probability": 0.0
    for name in ("gamma", "contrast", "noise", "display", "collimator", "marker", "cutout", "blur")
}
PRETRAINING: dict[str, Any] = {
    "seed": SEED,
    "architecture": {"name": "xnet", "filters": (16, 32, 64, 128)},
    "preprocessing": {"size_px": SIZE_PX, "percentiles": (0.5, 99.5), "polarity": "as is"},
    "patch_px": 256,
    "split": {"by": "image", "validation": 0.01},
    "sampling": {"batch": 8, "steps": 100, "balance_groups": False},
    "augmentation": AUGMENTATION | PLAIN,
    "loss": {"class_weights": "equal"},
    "optimiser": {"learning_rate": 1e-3},
    "patience": None,
    "batch_norm_momentum": 0.95,
}
FINE_TUNING: dict[str, Any] = {
    "seed": SEED,
    "patch_px": 288,
    "split": {"by": "nothing"},
    "sampling": {"batch": 8, "steps": 50},
    "augmentation": AUGMENTATION,
    "fine_tuning": {"batch_norm": "batch", "share": 1.0, "forgetting": 1.0},
    "optimiser": {"learning_rate": 3e-4},
    "patience": None,
    "batch_norm_momentum": 0.99,
}


@dataclasses.dataclass(frozen=True)
class Real:
    """A labelled real radiograph."""

    name: str
    part: str
    series: str
    may_ship: bool


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("radiographs", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("simulate")
    one.add_argument("--count", type=int, default=4000)
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    one = commands.add_parser("pretrain")
    one.add_argument("--epochs", type=int, default=60)
    one = commands.add_parser("fold")
    one.add_argument("part")
    one.add_argument("--epochs", type=int, default=12)
    commands.add_parser("evaluate")
    one = commands.add_parser("final")
    one.add_argument("--epochs", type=int, default=20)
    commands.add_parser("ship")
    call = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["NAPARI_XNET_MODELS"] = str(call.folder / "models")
    os.environ["NAPARI_XNET_RUNS"] = str(call.folder / "runs")
    globals()[call.command](call)


def simulate(call: argparse.Namespace) -> None:
    """Write the simulated radiographs."""

    def progress(done: int, total: int) -> None:
        print(f"\r{done} of {total}", end="", flush=True)

    write_radiographs(
        simulations(call),
        call.count,
        REGIONS,
        seed=SEED,
        size_px=SIZE_PX,
        workers=call.workers,
        progress=progress,
    )
    print()


def pretrain(call: argparse.Namespace) -> None:
    """Train on simulations alone."""
    config = TrainingConfig.parse(PRETRAINING | {"epochs": call.epochs})
    train("simulated", "none", config, lambda: simulated_pairs(call))


def fold(call: argparse.Namespace) -> None:
    """Train without one body part, and without the patients of its radiographs."""
    hidden = {one.series for one in real(call) if one.part == call.part}
    known = [one for one in real(call) if one.series not in hidden]
    train_on_both(call, f"without {call.part}", known)


def final(call: argparse.Namespace) -> None:
    """Train on all that may be used."""
    train_on_both(call, "final", [one for one in real(call) if one.may_ship])


def evaluate(call: argparse.Namespace) -> None:
    """Print how each model does on radiographs of a part and patients it has never seen."""
    print("| model | radiograph | accuracy | macro Dice | macro AUC |\n|---|---|---|---|---|")
    for mean, rows in (
        ("simulations alone", [("simulated", one.name) for one in real(call)]),
        ("cross-validated", [(f"without {one.part}", one.name) for one in real(call)]),
    ):
        rows = [row for row in rows if row[0] in list_models()]
        scores = []
        for model, name in rows:
            scores.append(score(load_model(model), pair(call.radiographs, name, "")))
            print(line(model, name, scores[-1]), flush=True)
        if scores:
            print(line(f"**{mean}**", f"**{len(scores)}**", np.nanmean(scores, axis=0)))


def line(model: str, name: str, scores: Sequence[float]) -> str:
    """Row of a table in Markdown."""
    return f"| {model} | {name} | {' | '.join(f'{value:.3f}' for value in scores)} |"


def score(model: Model, one: Pair) -> tuple[float, float, float]:
    """Accuracy, mean Dice and mean area under the ROC curve, one class against the rest."""
    result = segment(one.image, model)
    known = one.labels > 0
    truth, found = one.labels[known], result.labels[known]
    classes = [int(value) for value in np.unique(truth)]
    dice = [
        2
        * np.sum((truth == value) & (found == value))
        / (np.sum(truth == value) + np.sum(found == value))
        for value in classes
    ]
    aucs = [
        auc(truth == value, result.probabilities[value - 1][known])
        for value in classes
        if len(classes) > 1
    ]
    return float(np.mean(truth == found)), float(np.mean(dice)), float(np.mean(aucs))


def auc(positive: NDArray[np.bool_], probability: NDArray[np.float32]) -> float:
    """Chance that a positive pixel is likelier than a negative one (Mann and Whitney)."""
    ranks = rankdata(probability)
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def ship(call: argparse.Namespace) -> None:
    """Put the final model into the package, as float16."""
    model = load_model("final")
    card = model.card.model_copy(
        update={
            "name": "default",
            "summary": "XNet, trained on simulated radiographs and on a few real ones.",
            "status": "final",
            "training": model.card.training
            | {
                "simulated_radiographs": len(simulated_pairs(call)),
                "real_radiographs": [one.name for one in real(call) if one.may_ship],
                "sources": [
                    "myo-sim (Apache-2.0)",
                    "dm-control (Apache-2.0)",
                    "radiographs in the public domain or CC0, Wikimedia Commons",
                ],
            },
            "licence": "BSD-3-Clause",
        }
    )
    target = Path(napari_xnet.__file__).parent / "models" / "default"
    Model(card, model.network).save(target, dtype=np.float16)
    print(target)


def train_on_both(call: argparse.Namespace, name: str, known: Sequence[Real]) -> None:
    """Go on from the simulations with them and real radiographs, each half of the patches."""
    config = TrainingConfig.parse(FINE_TUNING | {"epochs": call.epochs})

    def pairs() -> list[Pair]:
        return real_pairs(call, known) + simulated_pairs(call)

    train(name, "simulated", config, pairs)


def train(name: str, base: str, config: TrainingConfig, pairs: Any) -> None:
    """Begin a run, or go on with it; nothing if the model is there."""
    if name in list_models():
        print(f"{name}: done")
        return
    begun = [one for one in unfinished_runs() if one.record.name == name]
    run = begun[0] if begun else create_run(name, pairs(), config, base=base)
    with ProgressBar() as bar:
        summary = execute(run, bar)
    print(json.dumps(summary.metrics))


def simulations(call: argparse.Namespace) -> Path:
    """Folder of the simulated radiographs."""
    return call.folder / "simulations"


def simulated_pairs(call: argparse.Namespace) -> list[Pair]:
    """Read the simulated radiographs."""
    folder = simulations(call)
    with (folder / "manifest.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    return [pair(folder, name, "simulated") for name in names]


def real(call: argparse.Namespace) -> list[Real]:
    """List the real radiographs."""
    with (call.radiographs / "radiographs.csv").open(newline="") as file:
        return [
            Real(row["name"], row["body_part"], row["series"], row["train"] == "yes")
            for row in csv.DictReader(file)
        ]


def real_pairs(call: argparse.Namespace, known: Sequence[Real]) -> list[Pair]:
    """Read real radiographs."""
    return [pair(call.radiographs, one.name, "real") for one in known]


def pair(folder: Path, name: str, group: str) -> Pair:
    """Read one radiograph with its labels."""
    image = np.asarray(read_image(folder / f"{name}.tif").data)
    return Pair(name, image, read_labels(folder / f"{name}_labels.tif"), group)


if __name__ == "__main__":
    main()
