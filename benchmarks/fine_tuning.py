"""Fine-tune in different ways: what is gained on what was painted, what is forgotten elsewhere.

Usage: python benchmarks/fine_tuning.py FOLDER [-o TABLE.md] [--resume]
           [--parts elbow shoulder ...] [--variants ...] [--full-masks] [--seed S]
           [--default MODEL]

FOLDER is as in small_data.py. Of each body part, half of the radiographs (rounded
down, the first by name) get scribbles on 2 % of their pixels (strokes.py) and
fine-tune the default model with the preset ``quick``, with one setting changed at a
time. Scored is the mean accuracy on the other radiographs of that part, and on those
of all other parts, minus that of the default model. The weights of MODEL, a folder, can
stand in for its own, which may have seen these; ``{part}`` in it is the body part.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from small_data import DEFAULT, Radiograph, Task, default, network, read, score, stand_in
from strokes import scribbles

VARIANTS: dict[str, dict[str, Any]] = {
    "quick": {},
    "share 1, nothing held": {"fine_tuning": {"share": 1.0, "forgetting": 1.0}},
    "share 1": {"fine_tuning": {"share": 1.0}},
    "forgetting 0.003": {"fine_tuning": {"forgetting": 0.003}},
    "rehearsal": {"fine_tuning": {"rehearsal": 1.0}},
    "rehearsal, share 1, nothing held": {
        "fine_tuning": {"rehearsal": 1.0, "share": 1.0, "forgetting": 1.0}
    },
    "pseudo-labels": {"fine_tuning": {"pseudo_labels": 1.0}},
    "learning rate 1e-4": {"optimiser": {"learning_rate": 1e-4}},
    "learning rate 3e-4": {"optimiser": {"learning_rate": 3e-4}},
    "encoder frozen": {"fine_tuning": {"freeze": "encoder"}},
    "all but the head frozen": {
        "fine_tuning": {"freeze": "all but the head"},
        "optimiser": {"learning_rate": 1e-3},
    },
    "statistics of the batch": {"fine_tuning": {"batch_norm": "batch"}},
}
SHARE = 0.02


def main() -> None:
    """Print each result and, at the end, the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("fine_tuning.md"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--parts", nargs="+", default=["ankle", "elbow", "shoulder", "wrist"])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--full-masks", action="store_true", help="instead of scribbles")
    parser.add_argument("--default", default=DEFAULT, metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    radiographs = read(call.folder)
    log = call.output.with_suffix(".jsonl")
    if not call.resume:
        log.unlink(missing_ok=True)
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for part in call.parts:
        for variant in (DEFAULT, *call.variants):
            if any((row["part"], row["variant"]) == (part, variant) for row in done):
                continue
            row = {"part": part, "variant": variant, **measure(radiographs, part, variant, call)}
            done.append(row)
            with log.open("a") as file:
                print(json.dumps(row), file=file)
            print(json.dumps(row), flush=True)
    text = table(done, call.parts, call.variants)
    call.output.write_text(text, "utf-8")
    print(f"\n{text}")


def measure(
    radiographs: list[Radiograph], part: str, variant: str, call: argparse.Namespace
) -> dict[str, float]:
    """Accuracy on the painted body part and elsewhere, and seconds of training."""
    home = [one for one in radiographs if one.part == part]
    painted, tests = home[: len(home) // 2], home[len(home) // 2 :]
    elsewhere = [one for one in radiographs if one.part != part]
    labels = [
        one.reference if call.full_masks else scribbles(one.reference, SHARE, call.seed)
        for one in painted
    ]
    images = [one.image for one in tests + elsewhere]
    task = Task([one.image for one in painted], labels, [part] * len(painted), images)
    with tempfile.TemporaryDirectory() as folder:
        base = stand_in(call.default.format(part=part), Path(folder) / "default")
        if variant == DEFAULT:
            found, seconds = default(task, base)
        else:
            found, seconds = network(task, base, {"seed": call.seed} | VARIANTS[variant])
    scores = [
        score(labels, one.reference)[0]
        for labels, one in zip(found, tests + elsewhere, strict=True)
    ]
    return {
        "here": float(np.mean(scores[: len(tests)])),
        "elsewhere": float(np.mean(scores[len(tests) :])),
        "seconds": seconds,
    }


def table(rows: list[dict[str, Any]], parts: list[str], variants: list[str]) -> str:
    """Differences from the default model, in percentage points, as Markdown."""
    known = {(row["part"], row["variant"]): row for row in rows}
    lines = [
        "| variant | the same body part | other body parts | seconds |",
        "|---|---|---|---|",
    ]
    for variant in variants:
        differences = [
            [
                100 * (known[part, variant][key] - known[part, DEFAULT][key])
                for key in ("here", "elsewhere")
            ]
            for part in parts
        ]
        here, elsewhere = np.mean(differences, axis=0)
        seconds = np.median([known[part, variant]["seconds"] for part in parts])
        lines.append(f"| {variant} | {here:+.1f} | {elsewhere:+.1f} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
