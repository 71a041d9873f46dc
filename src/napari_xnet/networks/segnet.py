"""The simplified SegNet that the XNet paper compares with."""

from collections.abc import Sequence

from napari_xnet.backend import keras
from napari_xnet.networks.blocks import check_input_shape, classify, conv_block, pool, upsample


def segnet(
    input_shape: Sequence[int | None] = (200, 200, 1),
    classes: int = 3,
    kernel_size: int = 3,
    filters: Sequence[int] = (64, 128, 256, 512),
    l2: float = 0.0,
    dtype: str | None = None,
) -> "keras.Model":
    """Build the simplified SegNet of the XNet paper: one encoder-decoder, no skips.

    SegNet itself [1]_ unpools with the positions of the maxima and has 13
    convolutions on each side; the paper's version [2]_ repeats pixels and has
    four.

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
    .. [1] V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet: A Deep
       Convolutional Encoder-Decoder Architecture for Image Segmentation",
       arXiv:1511.00561.
    .. [2] J. Bullock, C. Cuesta-Lazaro, A. Quera-Bofarull, arXiv:1812.00548.

    Examples
    --------
    >>> segnet().count_params()
    5466243
    """
    check_input_shape(input_shape, filters)
    narrow, middle, wide, flat = filters
    block = conv_block(kernel_size, l2, dtype)

    image = keras.Input(tuple(input_shape), name="radiograph")
    x = block(image, narrow, "enc1")
    x = block(pool(x), middle, "enc2")
    x = block(pool(x), wide, "enc3")
    x = block(pool(x), flat, "flat_a")
    x = block(x, flat, "flat_b")
    x = block(upsample(x), wide, "up1")
    x = block(upsample(x), middle, "up2")
    x = block(upsample(x), narrow, "up3")
    return keras.Model(image, classify(x, classes, l2, dtype), name="segnet")
