"""Segment one image, a stack, a folder; post-processing."""

from napari_xnet.inference.postprocess import PostProcessing
from napari_xnet.inference.segment import SIZE_RANGE_PX, Options, Segmentation, segment

__all__ = ["SIZE_RANGE_PX", "Options", "PostProcessing", "Segmentation", "segment"]
