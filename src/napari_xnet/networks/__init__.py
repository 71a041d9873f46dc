"""Networks that segment a working image: Keras 3, any backend, channels last."""

from napari_xnet.networks.segnet import segnet
from napari_xnet.networks.unet import unet
from napari_xnet.networks.xnet import xnet

ARCHITECTURES = {"xnet": xnet, "segnet": segnet, "unet": unet}
"""Builder of each architecture by the name that model cards use."""

__all__ = ["ARCHITECTURES", "segnet", "unet", "xnet"]
