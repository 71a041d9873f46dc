"""Train napari-convpaint and segment with it; run by small_data.py with a Python that has it.

Usage: python convpaint_worker.py FEATURES IN.npz OUT.npz

IN holds ``train_0``, ``labels_0``, ``train_1``, … and ``test_0``, …; OUT gets
``labels_0``, … of the test images and ``seconds`` of training.
"""

import os
import sys
import time

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # importing it imports its window


def main() -> None:
    """Read, train, segment, write."""
    from napari_convpaint.convpaint_model import ConvpaintModel

    features, source, target = sys.argv[1:]
    with np.load(source) as archive:
        arrays = dict(archive)
    images, labels, tests = (_numbered(arrays, name) for name in ("train", "labels", "test"))

    model = ConvpaintModel(features)
    # Each image normalised by itself, as it has to be between radiographs; the boxes around
    # strokes of images that are painted all over would be the images once more.
    model.set_params(normalize=3, tile_annotations=False)
    start = time.perf_counter()
    model.train(images, labels)
    seconds = time.perf_counter() - start
    results = {f"labels_{n}": model.segment(image) for n, image in enumerate(tests)}
    np.savez(target, seconds=seconds, **results)


def _numbered(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [arrays[f"{name}_{n}"] for n in range(sum(key.startswith(name) for key in arrays))]


if __name__ == "__main__":
    main()
