"""What finding the collimator's shadow is worth, on simulated radiographs.

Usage: python benchmarks/collimator.py [COUNT]

Simulates COUNT radiographs (300) of all regions, which the default model has not seen,
and segments those with a shadow with and without leaving it out. Needs the extra
`simulation`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from napari_xnet.collimation import collimator_shadow
from napari_xnet.inference import segment
from napari_xnet.io import read_image, read_labels
from napari_xnet.models import Model, load_model
from napari_xnet.simulation import write_radiographs

SEED = 1


def main() -> None:
    """Print one line for each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as folder:
        write_radiographs(folder, count, seed=SEED, size_px=448)
        labels = sorted(Path(folder).glob("*_labels.tif"))
        cases = [(read_image(_image(path)).data, read_labels(path)) for path in labels]
    shaded = [(image, truth) for image, truth in cases if _shadow(image).any()]
    model = load_model()
    print(f"A shadow was found in {len(shaded)} of {len(cases)} radiographs.\n")
    print("| shadow | accuracy |\n|---|---|")
    for name, found in (("as it is", False), ("left out", True)):
        preprocessing = model.card.preprocessing.model_copy(update={"find_collimator": found})
        card = model.card.model_copy(update={"preprocessing": preprocessing})
        asked = Model(card, model.network)
        scores = [_accuracy(segment(image, asked).labels, truth) for image, truth in shaded]
        print(f"| {name} | {np.mean(scores):.3f} |", flush=True)


def _image(labels: Path) -> Path:
    return labels.with_name(labels.name.replace("_labels", ""))


def _shadow(image: np.ndarray) -> np.ndarray:
    grey = np.asarray(image, float)
    return collimator_shadow(np.clip(grey, *np.percentile(grey, (0.5, 99.5))))


def _accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    known = truth > 0
    return float((labels == truth)[known].mean())


if __name__ == "__main__":
    main()
