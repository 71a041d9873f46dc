"""Random changes of an example that leave its meaning as it is: more data from few radiographs."""

from napari_xnet.training.augmentation.augmenter import Augmenter

__all__ = ["Augmenter"]
