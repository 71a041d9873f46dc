"""Radiographs that come with the program: what a model must not forget, and rehearses."""

from napari_xnet.imaging import working_labels
from napari_xnet.io import read_image, read_labels
from napari_xnet.io.samples import NAMES, labels_path, sample_path
from napari_xnet.models import Preprocessing
from napari_xnet.training.examples import Example
from napari_xnet.training.orientation import turn


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
        Both `labels` and `validation` hold the exact labels.
    """
    examples = []
    for name in NAMES:
        working = preprocessing.working_image(read_image(sample_path(name)).data, size_px)
        labels = working_labels(read_labels(labels_path(name)), working)
        example = Example(name, "", working.unpadded, labels, labels, working.unpadded_shadow)
        examples.append(turn(example) if preprocessing.polarity == "bone bright" else example)
    return examples
