"""Segment radiographs into open beam, soft tissue and bone with XNet.

The names below are imported when first used: ``import napari_xnet`` costs
milliseconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
