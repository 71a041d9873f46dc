"""Time augmentation: ours, Keras' preprocessing layers, and other resampling alone.

Usage: python benchmarks/augmentation.py [--repeat N]

One image of 448 × 448 px and its labels become patches of 256 and 448 px. All
changes of the geometry and the blur are made each time in ours and in Keras,
whose layers take segmentation masks but resample the image once each, so
that it is blurred several times; they run compiled, in batches of 4, in a
`tf.data` pipeline that does nothing ahead. The resampling alone gets one map
of coordinates, for the image and for its labels. Methods take turns, with one
thread each; reported is the median of the processor's time for an example,
which what else the machine does hardly changes. OpenCV takes part if it can be
imported.
"""

import argparse
import statistics
import time

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.transform import warp

from napari_xnet.training.augmentation import Augmenter, geometry
from napari_xnet.training.config import Augmentation

try:
    import cv2
except ImportError:
    cv2 = None

SIZE_PX = 448
BATCH = 4
GEOMETRY = {
    "flip_horizontal": 0.5,
    "flip_vertical": 0.5,
    "crop": (0.6, 1.0),
    "elastic_probability": 1.0,
    "blur_probability": 1.0,
}


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=30)
    repeat = parser.parse_args().repeat

    rng = np.random.default_rng(0)
    image = rng.standard_normal((SIZE_PX, SIZE_PX), np.float32)
    labels = rng.integers(0, 4, image.shape).astype(np.uint8)
    sizes = (256, 448)
    table = {}
    for patch_px in sizes:
        methods = {
            **ours(image, labels, patch_px),
            **keras_layers(image, labels, patch_px),
            **resampling(image, labels, patch_px),
        }
        for title, seconds in measure(methods, repeat).items():
            table.setdefault(title, []).append(f"{1e3 * seconds:.1f} ms")
    if cv2 is None:
        print("OpenCV is not installed: left out.\n")
    print("| per example | " + " | ".join(f"{size} px" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for title, cells in table.items():
        print(f"| {title} | " + " | ".join(cells) + " |")


def measure(methods, repeat):
    """Median seconds of the processor for each method, which returns how many examples it made."""
    seconds = {title: [] for title in methods}
    for _ in range(repeat + 1):
        for title, method in methods.items():
            start = time.process_time()
            count = method()
            seconds[title].append((time.process_time() - start) / count)
    # The first call compiles.
    return {title: statistics.median(times[1:]) for title, times in seconds.items()}


def ours(image, labels, patch_px):
    """Our augmentation: the preset's, the geometry and blur of Keras' chain, and everything."""
    often = [name for name in Augmentation.model_fields if name.endswith("_probability")]
    geometric = Augmentation(**dict.fromkeys(often, 0.0) | GEOMETRY)
    configs = {
        "ours, geometry and blur": geometric,
        "ours, as usual": Augmentation(),
        "ours, everything each time": Augmentation(**dict.fromkeys(often, 1.0)),
    }
    rng = np.random.default_rng(0)

    def method(config):
        augment = Augmenter(config, patch_px)

        def run():
            augment(image, labels, rng)
            return 1

        return run

    return {title: method(config) for title, config in configs.items()}


def keras_layers(image, labels, patch_px):
    """Keras 3's layers in a row, in a pipeline of one thread."""
    from napari_xnet.backend import keras

    if keras.backend.backend() != "tensorflow":
        return {}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = keras.layers
    # As our geometry: 15°, 2°, 1 %, a window of 60 to 100 % of the side.
    geometric = [
        layers.RandomFlip(seed=1),
        layers.RandomRotation(15 / 360, seed=2),
        layers.RandomShear(0.035, 0.035, fill_mode="reflect", seed=3),
        layers.RandomTranslation(0.01, 0.01, seed=4),
        layers.RandomZoom((-0.4, 0.0), seed=5),
        layers.Resizing(patch_px, patch_px),
    ]
    elastic = [layers.RandomElasticTransform(factor=1.0, scale=1.0, value_range=(-5, 5), seed=6)]
    blur = [layers.RandomGaussianBlur(1.0, 3, 0.4, value_range=(-5, 5), seed=7)]

    def method(chain):
        def augment(example):
            for layer in chain:
                example = layer(example, training=True)
            return example

        example = {
            "images": np.repeat(image[np.newaxis, ..., np.newaxis], BATCH, axis=0),
            "segmentation_masks": np.repeat(labels[np.newaxis, ..., np.newaxis], BATCH, axis=0),
        }
        options = tf.data.Options()
        options.threading.private_threadpool_size = 1
        options.threading.max_intra_op_parallelism = 1
        options.autotune.enabled = False
        stream = tf.data.Dataset.from_tensors(example).cache().repeat()
        batches = iter(stream.map(augment).with_options(options))

        def run():
            batch = next(batches)
            batch["images"].numpy()
            batch["segmentation_masks"].numpy()
            return BATCH

        return run

    return {
        "Keras layers, flip to zoom": method(geometric),
        "Keras layers, with elastic transform and blur": method(geometric + elastic + blur),
    }


def resampling(image, labels, patch_px):
    """Image and labels through one map of coordinates that is there already."""
    config = Augmentation(crop=(0.6, 1.0))
    rng = np.random.default_rng(0)
    centre = ((SIZE_PX - 1) / 2,) * 2
    coordinates = geometry.draw_coordinates(
        config, patch_px, 0.8 * SIZE_PX / patch_px, centre, True, rng
    )
    wide = coordinates.astype(np.float64)

    def numpy_gather():
        geometry.sample_image(image, coordinates, 1.0)
        geometry.sample_labels(labels, coordinates)
        return 1

    def scipy_map():
        map_coordinates(image, coordinates, np.float32, order=1, mode="reflect")
        map_coordinates(labels, coordinates, np.uint8, order=0, mode="constant")
        return 1

    def skimage_warp():
        keep = {"preserve_range": True, "clip": False}
        warp(image, wide, order=1, mode="symmetric", **keep)
        warp(labels, wide, order=0, mode="constant", **keep)
        return 1

    def opencv_remap():
        y, x = coordinates
        cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        return 1

    methods = {
        "resampling alone, ours": numpy_gather,
        "resampling alone, scipy map_coordinates": scipy_map,
        "resampling alone, skimage warp": skimage_warp,
    }
    if cv2 is not None:
        cv2.setNumThreads(1)
        methods["resampling alone, OpenCV remap"] = opencv_remap
    return methods


if __name__ == "__main__":
    main()
