"""Radiographs that come with the program: what a model must not forget, and rehearses."""

import numpy as np

from napari_xnet import tissue
from napari_xnet.imaging import working_labels
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import NAMES, labels_path, sample_path
from napari_xnet.models import Preprocessing
from napari_xnet.training.examples import REHEARSED, Example


def rehearsal_examples(preprocessing: Preprocessing, size_px: int | None = None) -> list[Example]:
    """Make examples of the samples.

    Parameters
    ----------
    preprocessing : Preprocessing
        That of the model.
    size_px : int, optional
        Long side of the working images, that of the preprocessing if None.

    Returns
    -------
    list of Example
        `labels` holds the exact labels as 7 to 9, since nobody painted them;
        `validation` holds them as they are.
    """
    examples = []
    for name in NAMES:
        working = preprocessing.working_image(read_image(sample_path(name)).data, size_px)
        inside = tuple(slice(size) for size in working.content)
        labels = working_labels(read_labels(labels_path(name)), working)[inside]
        shifted = np.where(labels > 0, labels - tissue.OPEN_BEAM.value + REHEARSED, 0)
        examples.append(Example(name, "", working.data[inside], shifted.astype(np.uint8), labels))
    return examples
