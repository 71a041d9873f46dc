"""Measure time and memory of the evaluation of many large radiographs.

Usage: python benchmarks/evaluation.py [--count 1000] [--size-px 1500] [--predictions]

The images are one simulated hand, enlarged, under many names, with its exact labels.
--predictions compares finished labels: then all time that is not reading is that of the scores.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import resize

from napari_xnet.evaluation.folders import evaluate_files, model_predictions, stored_predictions
from napari_xnet.evaluation.scores import Evaluation
from napari_xnet.inference import Options
from napari_xnet.io import write_labels
from napari_xnet.io.pairing import pair_files
from napari_xnet.io.samples import sample_path
from napari_xnet.models import load_model

LINES = 10
"""Of memory, as it goes on."""


def main() -> None:
    """Print seconds per image, the share of the scores, and the most memory taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size-px", type=int, default=1500)
    parser.add_argument("--predictions", action="store_true")
    call = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder, call.count, call.size_px)
        pairs, _ = pair_files(folder / "images", folder / "labels")
        if call.predictions:
            predict = stored_predictions(folder / "found")
        else:
            predict = model_predictions(load_model(), Options())
        scoring, done = 0.0, 0
        add = Evaluation.add

        def timed(*arguments, **others):
            nonlocal scoring, done
            start = time.perf_counter()
            try:
                return add(*arguments, **others)
            finally:
                scoring += time.perf_counter() - start
                done += 1
                if done % max(1, call.count // LINES) == 0:
                    print(f"{done} images: {peak_gib():.2f} GiB", flush=True)

        Evaluation.add = timed
        start = time.perf_counter()
        evaluate_files(pairs, predict)
        whole = time.perf_counter() - start
    print(
        f"{call.count} images: {whole / call.count:.2f} s per image, of which the scores take "
        f"{scoring / whole:.0%}; at most {peak_gib():.2f} GiB"
    )


def peak_gib() -> float:
    """Most memory that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write(folder: Path, count: int, size_px: int) -> None:
    """Write an image, its labels and shifted ones, and link them under many names."""
    for name in ("images", "labels", "found"):
        (folder / name).mkdir()
    image = tifffile.imread(sample_path("hand"))
    large = resize(image, (size_px, size_px), order=1, preserve_range=True).astype(image.dtype)
    labels = tifffile.imread(sample_path("hand").with_name("hand_labels.tif"))
    labels = resize(labels, (size_px, size_px), order=0, preserve_range=True).astype(np.uint8)
    first = {"images": folder / "images" / "0.tif"}
    tifffile.imwrite(first["images"], large, photometric="minisblack")
    for name, values in (("labels", labels), ("found", np.roll(labels, 3, axis=0))):
        first[name] = folder / name / "0_labels.tif"
        write_labels(first[name], values)
    for number in range(1, count):
        for path in first.values():
            os.link(path, path.with_name(path.name.replace("0", str(number), 1)))


if __name__ == "__main__":
    main()
