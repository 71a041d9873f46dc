"""Compare ways to bring the network's probabilities to the size of the radiograph.

Usage: python benchmarks/upsampling.py FOLDER

FOLDER holds ``X.tif`` and ``X_labels.tif`` (0 is not scored). The default model
is run once on each image; bilinear interpolation and guided filters of several
windows and regularisations then upsample the same probabilities. Printed are
the mean pixel accuracy, that of the pixels within 8 px of a border between
classes, and seconds per image.
"""

import argparse
import time
from pathlib import Path
from unittest import mock

import numpy as np
from radiographs import accuracy, labelled_radiographs
from scipy.ndimage import distance_transform_edt
from skimage.transform import warp

import napari_xnet
from napari_xnet import imaging, tissue

BORDER_PX = 8


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    model = napari_xnet.load_model()

    cases = []
    for _, image, reference in labelled_radiographs(parser.parse_args().folder):
        working = imaging.working_image(image)
        height, width = working.content
        probabilities = model.predict(working.data[np.newaxis])[0, :height, :width]
        cases.append((image, reference, near_border(reference), working, probabilities))

    print("| upsampling | accuracy | within 8 px of a border | s per image |")
    print("|---|---|---|---|")
    report("bilinear", bilinear, cases)
    for radius in (2, 4, 8, 16):
        for epsilon in (1e-4, 1e-3, 1e-2, 1e-1):
            with (
                mock.patch.object(imaging, "_GUIDE_RADIUS_PX", radius),
                mock.patch.object(imaging, "_GUIDE_EPSILON", epsilon),
            ):
                report(f"guided, radius {radius} px, ε {epsilon:g}", guided, cases)


def report(title, upsample, cases) -> None:
    """Print one row."""
    scores, seconds = [], 0.0
    for image, reference, border, working, probabilities in cases:
        start = time.perf_counter()
        labels = upsample(probabilities, working, image)
        seconds += time.perf_counter() - start
        scores.append(
            (accuracy(labels, reference, reference > 0), accuracy(labels, reference, border))
        )
    everywhere, at_border = np.mean(scores, axis=0)
    print(
        f"| {title} | {everywhere:.4f} | {at_border:.4f} | {seconds / len(cases):.3f} |",
        flush=True,
    )


def bilinear(probabilities, working, image):
    """Interpolate linearly between the centres of the working pixels."""
    y, x = ((np.arange(size) + 0.5) * working.scale - 0.5 for size in working.shape)
    grid = np.array(np.meshgrid(y, x, indexing="ij"), np.float32)
    planes = [
        warp(probabilities[..., k], grid, order=1, mode="edge", preserve_range=True)
        for k in range(len(tissue.CLASSES))
    ]
    return np.argmax(planes, axis=0) + 1


def guided(probabilities, working, image):
    """Upsample as the package does."""
    labels = np.empty(working.shape, np.uint8)
    for rows, strip in imaging.EdgeAwareUpsampling(probabilities, working).strips(image):
        labels[rows] = strip.argmax(axis=0) + 1
    return labels


def near_border(reference):
    """Labelled pixels within a few px of a pixel with another label."""
    near = np.zeros(reference.shape, bool)
    for one in tissue.CLASSES:
        if (reference == one.value).any():
            distance = distance_transform_edt(reference != one.value)
            near |= (distance <= BORDER_PX) & (reference != one.value) & (reference > 0)
    return near


if __name__ == "__main__":
    main()
