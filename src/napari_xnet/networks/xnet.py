"""XNet, the network of Bullock, Cuesta-Lazaro and Quera-Bofarull."""

from collections.abc import Sequence

from napari_xnet.backend import keras
from napari_xnet.networks.blocks import (
    check_input_shape,
    classify,
    concatenate,
    conv_block,
    pool,
    upsample,
)


def xnet(
    input_shape: Sequence[int | None] = (200, 200, 1),
    classes: int = 3,
    kernel_size: int = 3,
    filters: Sequence[int] = (64, 128, 256, 512),
    l2: float = 0.0,
    dtype: str | None = None,
) -> "keras.Model":
    """Build XNet: two encoder-decoders in a row that share their fine feature maps.

    Parameters
    ----------
    input_shape : (Y, X, channels)
        Shape of one working image; Y and X are multiples of 8 or None (any).
    classes : int
        Number of tissue classes.
    kernel_size : int
        Side of the convolution kernels in px; the paper compares 3 and 5.
    filters : sequence of 4 int
        Widths of the three encoder levels and of the flat part.
    l2 : float
        L2 penalty on the kernel of each convolution. The paper has it, its
        published code lost it.
    dtype : str, optional
        Keras dtype policy, ``"float32"`` or ``"mixed_bfloat16"`` for example;
        the softmax is in float32 whatever it is.

    Returns
    -------
    keras.Model
        From (batch, Y, X, channels) to class probabilities (batch, Y, X,
        classes), float32. The published code flattens its output to
        (batch, Y·X, classes).

    Raises
    ------
    ValueError
        If Y or X is no multiple of 8, or `filters` are not four.

    References
    ----------
    .. [1] J. Bullock, C. Cuesta-Lazaro, A. Quera-Bofarull, "XNet: A
       convolutional neural network (CNN) implementation for medical X-Ray
       image segmentation suitable for small datasets", arXiv:1812.00548,
       Fig. 2.

    Examples
    --------
    >>> xnet().count_params()
    11742275
    """
    check_input_shape(input_shape, filters)
    narrow, middle, wide, flat = filters
    block = conv_block(kernel_size, l2, dtype)

    image = keras.Input(tuple(input_shape), name="radiograph")
    encoder1 = block(image, narrow, "enc1")
    encoder2 = block(pool(encoder1), middle, "enc2")
    encoder3 = block(pool(encoder2), wide, "enc3")
    x = block(pool(encoder3), flat, "flat1a")
    x = block(x, flat, "flat1b")

    x = concatenate(encoder3, block(upsample(x), wide, "up1a"))
    x = concatenate(encoder2, block(upsample(x), middle, "up1b"))

    down1 = block(x, middle, "down1")
    down2 = block(pool(down1), wide, "down2")
    x = block(pool(down2), flat, "flat2a")
    x = block(x, flat, "flat2b")

    x = concatenate(down2, block(upsample(x), wide, "up2a"))
    x = concatenate(down1, block(upsample(x), middle, "up2b"))
    x = concatenate(encoder1, block(upsample(x), narrow, "up2c"))
    return keras.Model(image, classify(x, classes, l2, dtype), name="xnet")
