"""Time training fed by the real input pipeline against training fed by one constant batch.

Usage: python benchmarks/input_pipeline.py [--blocks N] [--steps N] [--precision P]
           [--batch N] [--patch N] [--width full|quarter ...]

The same network learns in turn a block of steps with batches as they come from
the sampler (drawn, augmented, prefetched, as in a run) and a block with one
batch over and over, so that what else the machine does weighs on both sides
alike. The radiographs are the samples, fully labelled, in the sizes at which the
default model sees them. Reported are medians
over the blocks of the time of a step, and the median of the ratios of
neighbouring blocks: above 1 the pipeline slows training down.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable

import numpy as np

from napari_xnet.imaging import working_labels
from napari_xnet.io.samples import NAMES, open_sample
from napari_xnet.models import DEFAULT, Architecture, ModelCard, show_model
from napari_xnet.training import TrainingConfig
from napari_xnet.training.config import preset
from napari_xnet.training.examples import Example

FILTERS = {"full": (64, 128, 256, 512), "quarter": (16, 32, 64, 128)}


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="in a block")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=256)
    parser.add_argument("--width", nargs="+", choices=FILTERS, default=list(FILTERS))
    call = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from napari_xnet.devices import device_name, fastest_precision

    precision = call.precision or fastest_precision()
    print(f"{device_name()}, {precision}, {call.batch} × {call.patch}² px\n")
    print("| XNet | constant batch, s a step | pipeline, s a step | ratio | a batch alone, s |")
    print("|---|---|---|---|---|")
    for width in call.width:
        constant, fed, ratio, alone = measure(call, FILTERS[width], precision)
        print(
            f"| {width} width | {constant:.3f} | {fed:.3f} | {ratio:.3f} | {alone:.3f} |",
            flush=True,
        )


def measure(
    call: argparse.Namespace, filters: tuple[int, ...], precision: str
) -> tuple[float, float, float, float]:
    """Seconds of a step with a constant batch and with the pipeline, their ratio; of a batch."""
    from napari_xnet.training.trainer import Trainer

    config = TrainingConfig.parse(
        {"patch_px": call.patch, "sampling": {"batch": call.batch, "steps": call.steps}},
        preset("quick"),
    )
    card = ModelCard(
        name="speed",
        architecture=Architecture(name="xnet", filters=filters),
        preprocessing=show_model(DEFAULT).preprocessing,
    )
    trainer = Trainer(config, card, examples(card), precision=precision)
    batch = trainer.sampler.batch(1, 0)
    learn_all(trainer, [batch] * 2)  # traces the network

    constant, fed = [], []
    for epoch in range(1, call.blocks + 1):
        # Each goes first as often as the other.
        sides = [
            (constant, lambda: [batch] * call.steps),
            (fed, lambda epoch=epoch: trainer.sampler.batches(epoch)),
        ]
        for times, batches in sides[:: 1 if epoch % 2 else -1]:
            start = time.perf_counter()
            learn_all(trainer, batches())
            times.append((time.perf_counter() - start) / call.steps)
    start = time.perf_counter()
    for step in range(call.steps):
        trainer.sampler.batch(1, step)
    alone = (time.perf_counter() - start) / call.steps
    ratio = statistics.median(b / a for a, b in zip(constant, fed, strict=True))
    return statistics.median(constant), statistics.median(fed), ratio, alone


def learn_all(trainer, batches: Iterable) -> None:
    """Learn from batches, one after the other."""
    trainer.begin_epoch()
    for batch in batches:
        trainer.learn(batch)


def examples(card: ModelCard) -> list[Example]:
    """Return the sample radiographs as examples that all train."""
    made = []
    for name in NAMES:
        image, labels = (np.asarray(layer[0]) for layer in open_sample(name))
        working = card.preprocessing.working_image(image)
        known = working_labels(labels, working)
        made.append(Example(name, name, working.unpadded, known, np.zeros_like(known)))
    return made


if __name__ == "__main__":
    main()
