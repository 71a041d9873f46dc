"""Files in, files out: radiographs, labels and probabilities, without napari and Qt."""

from napari_xnet.io.labels import write_labels, write_labels_layer, write_probabilities
from napari_xnet.io.reading import Radiograph, read, read_image, read_labels, read_probabilities
from napari_xnet.io.tiff import read_tiff

__all__ = [
    "Radiograph",
    "read",
    "read_image",
    "read_labels",
    "read_probabilities",
    "read_tiff",
    "write_labels",
    "write_labels_layer",
    "write_probabilities",
]
