"""Networks that do not learn any more, in fewer steps."""

from typing import Any

import numpy as np

from napari_xnet.backend import keras


def folded(network: "keras.Model", dtype: str) -> "keras.Model":
    """Copy a network, with each batch normalisation made part of the convolution before it.

    Both are linear, once the statistics are fixed (Jacob et al. 2018, arXiv 1712.05877,
    section 3.2), so that the copy says the same with half of the steps.

    Parameters
    ----------
    network : keras.Model
        Made of `blocks`; it stays as it is.
    dtype : str
        Keras dtype policy of the copy, ``"float32"`` or ``"mixed_bfloat16"``; its first and last
        layer keep theirs.

    Returns
    -------
    keras.Model
        From the same input to the same output; not for training.
    """
    unchanged = {network.layers[0].name, network.layers[-1].name}

    def copy(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name not in unchanged:
            config["dtype"] = dtype
        return type(layer).from_config(config)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.BatchNormalization):
            return inputs[0]
        return layer(*inputs, **options)

    layers = keras.Model(network.input, network.output)  # without loss and optimiser
    found = keras.models.clone_model(layers, clone_function=copy, call_function=call)
    for layer in network.layers:
        values = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization) or not values:
            continue
        block = layer.name.removesuffix("_conv")
        if block != layer.name:
            norm = network.get_layer(f"{block}_norm")
            gamma, beta, mean, variance = norm.get_weights()
            factor = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = values
            values = [kernel * factor, (bias - mean) * factor + beta]
        found.get_layer(layer.name).set_weights(values)
    return found
