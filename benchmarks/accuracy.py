"""Score the default model on a folder of labelled radiographs.

Usage: python benchmarks/accuracy.py FOLDER [--model NAME]

FOLDER holds ``X.tif`` and ``X_labels.tif`` (0 is not scored). Printed are pixel
accuracy and Dice of each image, and their means over the images.
"""

import argparse
from pathlib import Path

import numpy as np
from radiographs import accuracy, dice, labelled_radiographs

import napari_xnet
from napari_xnet import tissue


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    call = parser.parse_args()
    model = napari_xnet.load_model(call.model)

    print(f"| radiograph | accuracy | {' | '.join(f'Dice {n}' for n in tissue.NAMES)} |")
    print("|---|---|---|---|---|")
    rows = []
    for name, image, reference in labelled_radiographs(call.folder):
        labels = napari_xnet.segment(image, model).labels
        row = [accuracy(labels, reference, reference > 0)]
        row += [dice(labels, reference, one.value) for one in tissue.CLASSES]
        rows.append(row)
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |", flush=True)
    print(f"| **mean** | {' | '.join(f'{value:.3f}' for value in np.nanmean(rows, axis=0))} |")


if __name__ == "__main__":
    main()
