"""U-Net, with its skip connections."""

from collections.abc import Sequence

from napari_xnet.backend import keras
from napari_xnet.networks.blocks import (
    Tensor,
    check_input_shape,
    classify,
    concatenate,
    conv_block,
    pool,
)


def unet(
    input_shape: Sequence[int | None] = (200, 200, 1),
    classes: int = 3,
    kernel_size: int = 3,
    filters: Sequence[int] = (64, 128, 256, 512),
    l2: float = 0.0,
    dtype: str | None = None,
) -> "keras.Model":
    """Build a U-Net after Ronneberger et al. [1]_.

    Two convolutions at each level, 2 × 2 up-convolutions, and each level of
    the encoder concatenated to the decoder's. It differs from [1]_ in same
    padding, batch normalisation and three levels below the first instead of
    four. The U-Net in XNet's published repository has no skip connections,
    so its figures are not those of a U-Net.

    Parameters
    ----------
    input_shape, classes, kernel_size, filters, l2, dtype
        As in `xnet`.

    Returns
    -------
    keras.Model
        From (batch, Y, X, channels) to class probabilities (batch, Y, X,
        classes), float32.

    Raises
    ------
    ValueError
        If Y or X is no multiple of 8, or `filters` are not four.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks
       for Biomedical Image Segmentation", MICCAI 2015, arXiv:1505.04597.
    """
    check_input_shape(input_shape, filters)
    block = conv_block(kernel_size, l2, dtype)

    def double_block(x: Tensor, width: int, name: str) -> Tensor:
        return block(block(x, width, f"{name}a"), width, f"{name}b")

    def up_convolution(x: Tensor, width: int, name: str) -> Tensor:
        return keras.layers.Conv2DTranspose(
            width,
            2,
            strides=2,
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
            dtype=dtype,
            name=name,
        )(x)

    *levels, bottom = filters
    image = keras.Input(tuple(input_shape), name="radiograph")
    x, skips = image, []
    for depth, width in enumerate(levels, start=1):
        x = double_block(x, width, f"enc{depth}")
        skips.append(x)
        x = pool(x)
    x = double_block(x, bottom, "bottom")
    for depth, width in reversed(list(enumerate(levels, start=1))):
        x = concatenate(skips.pop(), up_convolution(x, width, f"up{depth}"))
        x = double_block(x, width, f"dec{depth}")
    return keras.Model(image, classify(x, classes, l2, dtype), name="unet")
