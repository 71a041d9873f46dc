"""The pieces that all networks are made of: Keras 3, channels last, any backend."""

from collections.abc import Callable, Sequence
from typing import Any

from napari_xnet.backend import keras

Tensor = Any
"""A symbolic Keras tensor, shape (batch, Y, X, channels)."""

Block = Callable[..., Tensor]
"""``block(tensor, filters, name)``, see `conv_block`."""

REDUCTION = 8
"""Factor between the input and the smallest feature map: three poolings by 2."""


def check_input_shape(input_shape: Sequence[int | None], filters: Sequence[int]) -> None:
    """Refuse sizes that three poolings cannot halve, and wrong numbers of widths.

    Parameters
    ----------
    input_shape : (Y, X, channels)
        Y and X in px or None; numbers must be multiples of 8.
    filters : sequence of 4 int
        Widths of the three encoder levels and of the flat part.

    Raises
    ------
    ValueError
        If either does not fit.
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (Y, X, channels), not {tuple(input_shape)}.")
    if any(size is not None and (size < REDUCTION or size % REDUCTION) for size in input_shape[:2]):
        raise ValueError(
            f"Height and width must be multiples of {REDUCTION}, not {tuple(input_shape[:2])}: "
            "pad the image."
        )
    if len(filters) != 4 or any(width < 1 for width in filters):
        raise ValueError(f"filters must be four positive numbers, not {tuple(filters)}.")


def conv_block(kernel_size: int = 3, l2: float = 0.0, dtype: str | None = None) -> Block:
    """Make the block that the networks repeat: convolution, batch normalisation, ReLU.

    Parameters
    ----------
    kernel_size : int
        Side of the convolution kernel in px.
    l2 : float
        L2 penalty on the kernel; 0 for none.
    dtype : str, optional
        Keras dtype policy such as ``"mixed_bfloat16"``; the global one if None.

    Returns
    -------
    callable
        ``block(tensor, filters, name)``, which adds the layers ``name_conv``,
        ``name_norm`` and ``name_relu``.
    """
    regularizer = keras.regularizers.L2(l2) if l2 else None

    def block(tensor: Tensor, filters: int, name: str) -> Tensor:
        tensor = keras.layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            kernel_regularizer=regularizer,
            dtype=dtype,
            name=f"{name}_conv",
        )(tensor)
        tensor = keras.layers.BatchNormalization(dtype=dtype, name=f"{name}_norm")(tensor)
        return keras.layers.ReLU(dtype=dtype, name=f"{name}_relu")(tensor)

    return block


def pool(tensor: Tensor) -> Tensor:
    """Halve height and width by the maximum of 2 × 2 px."""
    return keras.layers.MaxPooling2D(2, dtype=tensor.dtype)(tensor)


def upsample(tensor: Tensor) -> Tensor:
    """Double height and width by repeating each pixel."""
    return keras.layers.UpSampling2D(2, dtype=tensor.dtype)(tensor)


def concatenate(earlier: Tensor, later: Tensor) -> Tensor:
    """Join two maps of one size by their channels, the earlier map first."""
    return keras.layers.Concatenate(dtype=later.dtype)([earlier, later])


def classify(tensor: Tensor, classes: int, l2: float = 0.0, dtype: str | None = None) -> Tensor:
    """Class probabilities of each pixel: 1 × 1 convolution, then softmax in float32."""
    logits = keras.layers.Conv2D(
        classes,
        1,
        kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        dtype=dtype,
        name="head",
    )(tensor)
    return keras.layers.Softmax(dtype="float32", name="probabilities")(logits)
