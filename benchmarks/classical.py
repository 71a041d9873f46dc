"""Segmentation without learning, as the XNet paper compares with: by intensity and position.

Each function takes a working image in which bone is bright, ndarray of float32, shape (Y, X),
and returns labels, ndarray of uint8: 1 open beam, 2 soft tissue, 3 bone. The darkest third of
what it finds is open beam, the brightest bone.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from skimage.filters import threshold_li, threshold_multiotsu
from skimage.segmentation import random_walker

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]

_SEED = 0
_POSITION = 0.5
"""Weight of the position beside the intensity, both in standard deviations."""
_SURE = 0.25
"""Share of each class, the most typical pixels, that the random walker starts from."""


def multi_otsu(image: Image) -> Labels:
    """Find two thresholds between three classes of least variance."""
    return _between(image, threshold_multiotsu(image, classes=3))


def minimum_cross_entropy(image: Image) -> Labels:
    """Find the body by Li's threshold, and bone in the body by another one."""
    body = threshold_li(image)
    return _between(image, [body, threshold_li(image[image > body])])


def k_means(image: Image) -> Labels:
    """Cluster pixels by intensity and position."""
    rows, columns = np.indices(image.shape)
    scale = max(image.shape) / np.sqrt(12)
    features = np.stack(
        [
            (image - image.mean()) / image.std(),
            _POSITION * (rows - rows.mean()) / scale,
            _POSITION * (columns - columns.mean()) / scale,
        ],
        axis=-1,
    ).reshape(-1, 3)
    centres, found = kmeans2(features, 3, minit="++", rng=_SEED)
    rank = np.argsort(np.argsort(centres[:, 0]))
    return (rank[found] + 1).reshape(image.shape).astype(np.uint8)


def walker(image: Image) -> Labels:
    """Let a random walker start from the most typical pixels of multi-Otsu's classes."""
    labels = multi_otsu(image)
    markers = np.zeros_like(labels)
    for value in (1, 2, 3):
        mine = labels == value
        distance = np.abs(image - np.median(image[mine]))
        markers[mine & (distance <= np.quantile(distance[mine], _SURE))] = value
    return random_walker(image, markers, beta=130, mode="bf").astype(np.uint8)


METHODS = {
    "multi-Otsu": multi_otsu,
    "k-means": k_means,
    "entropy": minimum_cross_entropy,
    "random walker": walker,
}


def _between(image: Image, thresholds) -> Labels:
    return (np.digitize(image, thresholds) + 1).astype(np.uint8)
