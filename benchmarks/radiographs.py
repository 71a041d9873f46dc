"""Labelled radiographs of a folder, and how labels are scored: shared by the benchmarks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xnet.io import read_image, read_labels


def labelled_radiographs(folder: Path) -> Iterator[tuple[str, NDArray, NDArray[np.uint8]]]:
    """Yield name, image and reference of each ``X.tif`` that has an ``X_labels.tif``."""
    for labels_path in sorted(folder.glob("*_labels.tif")):
        name = labels_path.name.removesuffix("_labels.tif")
        image = read_image(folder / f"{name}.tif")
        yield name, np.asarray(image.data), read_labels(labels_path)


def accuracy(labels: NDArray, reference: NDArray, where: NDArray[np.bool_]) -> float:
    """Share of the pixels chosen by `where` that have the reference's label."""
    return float((labels[where] == reference[where]).mean())


def dice(labels: NDArray, reference: NDArray, value: int) -> float:
    """Dice coefficient of one class over the labelled pixels; NaN if neither has it."""
    known = reference > 0
    both = (labels[known] == value), (reference[known] == value)
    total = both[0].sum() + both[1].sum()
    return float(2 * (both[0] & both[1]).sum() / total) if total else float("nan")
