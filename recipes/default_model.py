"""Make the default model, from simulation to weights.

Usage: python recipes/default_model.py FOLDER RADIOGRAPHS COMMAND [options]

FOLDER keeps everything; each command goes on where it was interrupted.
RADIOGRAPHS holds ``X.tif``, ``X_labels.tif`` and ``radiographs.csv`` (columns name,
body_part, series, train: whether the licence allows it in shipped weights).

    simulate    radiographs from myo-sim (Apache-2.0) and the dog of dm-control (Apache-2.0)
    pretrain    train XNet on them alone
    fold PART   go on with simulations and all radiographs but those of one body part
    evaluate    score the folds, each on the body part that it has never seen, in a table
    views       score them with other sizes and without mirror images
    final       go on with simulations and all radiographs that may be used
    ship        put the final model into the package

The same seed gives the same model on the same machine.
"""

import argparse
import csv
import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import napari_xnet
from napari_xnet.evaluation import Evaluation, confusion
from napari_xnet.evaluation.purity import Calibration
from napari_xnet.inference import segment
from napari_xnet.io import read_image, read_labels
from napari_xnet.models import Model, SoftTissue, list_models, load_model
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
if "dog paw" not in regions():
    raise SystemExit("The recipe needs the dog: pip install --no-deps dm-control")
HARD = (
    *("shoulder", "knee", "hip", "elbow", "upper arm", "clavicle"),
    *("pelvis", "frog-leg pelvis", "lumbar spine", "thoracic spine", "chest", "ribs"),
)
REGIONS = tuple(
    name for name in regions() for _ in range(1 + 2 * (name in LIMBS) + 2 * (name in HARD))
)
"""Limbs three times as often as trunks and dogs, and what is hard still oftener."""
PARTS = ("ankle", "elbow", "foot", "hip", "knee", "pelvis", "shoulder", "wrist")
AUGMENTATION = {
    "rotation_deg": 20.0,
    "shear_deg": 5.0,
    "crop": (1.0, 3.0),
    "elastic_probability": 0.2,
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
    "preprocessing": {"size_px": SIZE_PX, "percentiles": (0.5, 99.5), "polarity": "bone bright"},
    "patch_px": 192,
    "split": {"by": "image", "validation": 0.005},
    "sampling": {"batch": 14, "steps": 200, "balance_groups": False},
    "augmentation": AUGMENTATION | PLAIN,
    "loss": {"class_weights": "equal"},
    "optimiser": {"learning_rate": 2e-3},
    "patience": None,
    "batch_norm_momentum": 0.95,
}
SHIPPED = {
    "size_px": 448,
    "scales": (1.0, 0.43, 0.29),
    "mirrored": True,
    "find_collimator": True,
}
"""How large the shipped model sees radiographs, whatever it was trained on."""
REHEARSED = 8
"""Every so many simulations are trained on together with the real radiographs."""
VIEWS: tuple[dict[str, Any], ...] = (
    SHIPPED,
    SHIPPED | {"mirrored": False},
    *(SHIPPED | {"size_px": size, "scales": (1.0,)} for size in (128, 192, 256, 320, 448)),
    SHIPPED | {"scales": (1.0, 0.43)},
    SHIPPED | {"scales": (1.0, 0.7, 0.43, 0.29)},
    SHIPPED | {"size_px": 320, "scales": (1.0, 0.6)},
    SHIPPED | {"size_px": 320, "scales": (1.0, 0.6, 0.4)},
)
KEYS = ("accuracy", "dice", "auc")
SIMULATIONS = "simulations"
RESULTS = "evaluation.json"
IMPURITIES = (0.005, 0.004)
"""How much of what is taken for soft tissue may be none, or of the rest may be taken for it."""
REGIONS_PX = (0, 30, 60)
"""Sides of the smallest regions of soft tissue that are compared."""
IMPURITY, SMALLEST_REGION_PX = 0.004, 30
"""Those that go into the card."""
FINE_TUNING: dict[str, Any] = {
    "seed": SEED,
    "patch_px": 192,
    "split": {"by": "nothing"},
    "sampling": {"batch": 14, "steps": 50, "wrong_polarity": 0.1},
    "augmentation": AUGMENTATION,
    "fine_tuning": {"batch_norm": "batch", "share": 1.0, "forgetting": 1.0},
    "optimiser": {"learning_rate": 1e-3},
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
    one.add_argument("--count", type=int, default=8000)
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    one = commands.add_parser("pretrain")
    one.add_argument("--epochs", type=int, default=18)
    one = commands.add_parser("fold")
    one.add_argument("part", choices=PARTS)
    one.add_argument("--epochs", type=int, default=4)
    commands.add_parser("evaluate")
    commands.add_parser("views")
    one = commands.add_parser("final")
    one.add_argument("--epochs", type=int, default=4)
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
        call.folder / SIMULATIONS,
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
    """Score the models on radiographs of a part and patients that they have never seen."""
    print("| model | radiograph | accuracy | macro Dice | macro AUC |\n|---|---|---|---|---|")
    results = {}
    for name, model_of in (
        ("simulations alone", lambda one: "simulated"),
        ("cross-validated", fold_of),
    ):
        known = [one for one in real(call) if model_of(one) in list_models()]
        if len(known) < len(real(call)):
            print(f"{name}: not all models are there yet.\n")
            continue
        calibrations = [Calibration(side) for side in REGIONS_PX]
        scores = [
            score(as_shipped(load_model(model_of(one))), call, one, calibrations) for one in known
        ]
        for one, seen in zip(known, scores, strict=True):
            print(line(model_of(one), one.name, seen))
        means = [float(one) for one in np.mean(scores, axis=0)]
        print(line(f"**{name}**", f"**{len(scores)}**", means), flush=True)
        print("\n| calibrated for | smallest region | false share | FPR | found |")
        print("|---|---|---|---|---|")
        for by in ("false_share", "false_positive_rate"):
            for most, calibration in itertools.product(IMPURITIES, calibrations):
                pure = calibration.cross_validated(most, by)
                rates = (pure.false_share, pure.false_positive_rate, pure.true_positive_rate)
                row = (f"{most:.1%} {by}", f"{calibration.steps.smallest_region:g} px")
                print(f"| {' | '.join((*row, *(f'{rate:.2%}' for rate in rates)))} |")
        print(flush=True)
        shipped = calibrations[REGIONS_PX.index(SMALLEST_REGION_PX)]
        pure = shipped.cross_validated(IMPURITY)
        results[name] = {
            "metrics": dict(zip(KEYS, means, strict=True))
            | {
                "radiographs": len(scores),
                "soft_tissue_false_share": pure.false_share,
                "soft_tissue_false_positive_rate": pure.false_positive_rate,
                "soft_tissue_true_positive_rate": pure.true_positive_rate,
            },
            # Too few radiographs of a part for curves of their own.
            "soft_tissue": shipped.result(
                IMPURITY, f"{len(scores)} real radiographs of body parts never trained on"
            )
            .model_copy(update={"groups": {}})
            .model_dump(),
        }
    (call.folder / RESULTS).write_text(json.dumps(results, indent=2) + "\n")


def views(call: argparse.Namespace) -> None:
    """Score the folds as they see radiographs at other sizes."""
    print("| long side | scales | mirrored | accuracy | macro Dice | macro AUC |")
    print("|---|---|---|---|---|---|")
    for seen in VIEWS:
        scores = [
            score(as_shipped(load_model(fold_of(one)), seen), call, one) for one in real(call)
        ]
        means = [f"{mean:.3f}" for mean in np.mean(scores, axis=0)]
        scales = ", ".join(map(str, seen["scales"]))
        mirrored = "yes" if seen["mirrored"] else "no"
        row = (f"{seen['size_px']} px", scales, mirrored, *means)
        print(f"| {' | '.join(row)} |", flush=True)


def fold_of(one: Real) -> str:
    """Name of the model that has not seen the body part of a radiograph."""
    return f"without {one.part}"


def line(model: str, name: str, scores: Sequence[float]) -> str:
    """Row of a table in Markdown."""
    return f"| {model} | {name} | {' | '.join(f'{value:.3f}' for value in scores)} |"


def as_shipped(model: Model, seen: dict[str, Any] = SHIPPED) -> Model:
    """Let a model look at radiographs as the one in the package does, or otherwise."""
    preprocessing = model.card.preprocessing.model_copy(update=seen)
    return Model(model.card.model_copy(update={"preprocessing": preprocessing}), model.network)


def score(
    model: Model, call: argparse.Namespace, one: Real, calibrations: Sequence[Calibration] = ()
) -> tuple[float, float, float]:
    """Segment a real radiograph; return accuracy, macro Dice and macro AUC."""
    reference = pair(call.radiographs, one.name, "")
    result = segment(reference.image, model)
    found = Evaluation().add(reference.labels, result.labels, result.probabilities)
    for calibration in calibrations:
        calibration.add(
            reference.labels,
            result.probabilities,
            group=one.part,
            px_per_unit=calibration.steps.px_per_unit(result.working_scale),
        )
    return (
        found.accuracy,
        confusion.macro_dice(found.counts),
        float(confusion.macro(found.auc)),
    )


def ship(call: argparse.Namespace) -> None:
    """Put the final model into the package, as float16."""
    model = as_shipped(load_model("final"))
    measured = json.loads((call.folder / RESULTS).read_text())["cross-validated"]
    card = model.card.model_copy(
        update={
            "name": "default",
            "summary": "XNet, trained on simulated radiographs and on a few real ones.",
            "status": "final",
            "training": model.card.training
            | {
                "size_px": SIZE_PX,
                "simulated_radiographs": len(simulated_names(call)),
                "real_radiographs": [one.name for one in real(call) if one.may_ship],
                "sources": [
                    "myo-sim (Apache-2.0)",
                    "dm-control (Apache-2.0)",
                    "radiographs in the public domain or CC0, Wikimedia Commons",
                ],
            },
            "metrics": {
                "data": "real radiographs of body parts that were not trained on, nor their "
                "patients: mean over the radiographs",
                **measured["metrics"],
            },
            "soft_tissue": SoftTissue.model_validate(measured["soft_tissue"]),
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
        return real_pairs(call, known) + simulated_pairs(call)[::REHEARSED]

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


def simulated_names(call: argparse.Namespace) -> list[str]:
    """Names of the simulated radiographs."""
    with (call.folder / SIMULATIONS / "manifest.csv").open(newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


def simulated_pairs(call: argparse.Namespace) -> list[Pair]:
    """Read the simulated radiographs."""
    folder = call.folder / SIMULATIONS
    return [pair(folder, name, "simulated") for name in simulated_names(call)]


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
