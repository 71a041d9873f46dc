"""From class probabilities to labels."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, binary_propagation

from napari_xnet import tissue

_BEAM, _SOFT, _BONE = range(len(tissue.CLASSES))


def label(
    probabilities: NDArray[np.floating], soft_tissue_threshold: float | None = None
) -> NDArray[np.uint8]:
    """Label each pixel with a tissue class.

    Parameters
    ----------
    probabilities : ndarray of float, shape (3, ...)
        Class probabilities in the order of `tissue.CLASSES`.
    soft_tissue_threshold : float in [0, 1], optional
        Soft tissue where its probability is above this, elsewhere the
        likelier of open beam and bone [1]_: a high threshold gives purer, a
        low one more soft tissue. The likeliest class if None.

    Returns
    -------
    ndarray of uint8, shape (...)
        Values of `tissue.CLASSES`, 1 to 3.

    References
    ----------
    .. [1] J. Bullock, C. Cuesta-Lazaro, A. Quera-Bofarull, arXiv:1812.00548,
       section on post-processing.
    """
    if soft_tissue_threshold is None:
        index = probabilities.argmax(axis=0)
    else:
        hard = np.where(probabilities[_BONE] > probabilities[_BEAM], _BONE, _BEAM)
        index = np.where(probabilities[_SOFT] > soft_tissue_threshold, _SOFT, hard)
    return np.asarray(index + tissue.OPEN_BEAM.value, np.uint8)


def remove_bone_islands(probabilities: NDArray[np.floating], size_px: int) -> NDArray[np.floating]:
    """Take the bone out of islands too small to be one.

    Parameters
    ----------
    probabilities : ndarray of float, shape (Y, X, 3)
        Class probabilities in the order of `tissue.CLASSES`.
    size_px : int
        Regions that are likeliest bone and hold no square of this side are
        islands; what reaches such a square stays whole (opening by
        reconstruction).

    Returns
    -------
    ndarray of float, shape (Y, X, 3)
        The same, but with no probability of bone in the islands.
    """
    bone = probabilities.argmax(axis=-1) == _BONE
    # Bone that the frame cuts continues outside of it.
    padded = np.pad(bone, size_px, mode="edge")
    core = binary_opening(padded, np.ones((size_px, size_px), bool))
    inside = (slice(size_px, -size_px),) * 2
    islands = bone & ~binary_propagation(core, mask=padded)[inside]
    result = probabilities.copy()
    # Where bone was certain, nothing is known of the others: they get one half each.
    others = result[islands, :_BONE] + np.finfo(result.dtype).tiny
    result[islands, :_BONE] = others / others.sum(axis=-1, keepdims=True)
    result[islands, _BONE] = 0
    return result
