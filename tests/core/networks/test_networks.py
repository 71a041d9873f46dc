"""The networks are those of the paper: layers, order, sizes and numbers of parameters."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xnet.backend import keras
from napari_xnet.networks import ARCHITECTURES, segnet, unet, xnet

SMALL = (4, 8, 16, 32)
OTHER_BACKENDS = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]

XNET_BLOCKS = {  # name: (channels in, channels out) at SMALL
    "enc1": (1, 4),
    "enc2": (4, 8),
    "enc3": (8, 16),
    "flat1a": (16, 32),
    "flat1b": (32, 32),
    "up1a": (32, 16),
    "up1b": (16 + 16, 8),
    "down1": (8 + 8, 8),
    "down2": (8, 16),
    "flat2a": (16, 32),
    "flat2b": (32, 32),
    "up2a": (32, 16),
    "up2b": (16 + 16, 8),
    "up2c": (8 + 8, 4),
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    return ARCHITECTURES[request.param]((None, None, 1), filters=SMALL)


def inputs_of(network, layer_class):
    """Names of the layers that each layer of a class takes, in the order it takes them."""
    found = []
    for layer in network.get_config()["layers"]:
        if layer["class_name"] == layer_class:
            (argument,) = layer["inbound_nodes"][0]["args"]
            tensors = argument if isinstance(argument, (list, tuple)) else [argument]
            found.append(tuple(tensor["config"]["keras_history"][0] for tensor in tensors))
    return found


@pytest.mark.parametrize(
    ("build", "choices", "count"),
    [
        (xnet, {}, 11_742_275),
        (xnet, {"kernel_size": 5}, 32_583_747),
        (xnet, {"filters": (16, 32, 64, 128)}, 737_555),
        (segnet, {}, 5_466_243),
    ],
)
def test_number_of_parameters_is_the_published_one(build, choices, count):
    assert build((200, 200, 1), classes=3, **choices).count_params() == count


def test_xnet_has_the_published_blocks_in_the_published_order():
    network = xnet((64, 64, 1), filters=SMALL)
    named = [
        layer.name
        for layer in network.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.BatchNormalization))
        or layer.name.endswith("_relu")
    ]
    expected = [f"{block}_{part}" for block in XNET_BLOCKS for part in ("conv", "norm", "relu")]
    assert named == [*expected, "head"]
    for block, (channels, filters) in XNET_BLOCKS.items():
        convolution = network.get_layer(f"{block}_conv")
        assert convolution.kernel.shape == (3, 3, channels, filters), block
        assert convolution.padding == "same"
        assert convolution.use_bias
    assert network.get_layer("head").kernel.shape == (1, 1, 4 + 4, 3)
    assert network.layers[-1].name == "probabilities"


def test_xnet_works_at_the_published_resolutions():
    network = xnet((64, 48, 1), filters=SMALL)
    side = {name: network.get_layer(f"{name}_conv").output.shape[1] for name in XNET_BLOCKS}
    assert list(side.values()) == [64, 32, 16, 8, 8, 16, 32, 32, 16, 8, 8, 16, 32, 64]


def test_xnet_concatenates_the_earlier_map_first():
    assert inputs_of(xnet((64, 64, 1), filters=SMALL), "Concatenate") == [
        ("enc3_relu", "up1a_relu"),
        ("enc2_relu", "up1b_relu"),
        ("down2_relu", "up2a_relu"),
        ("down1_relu", "up2b_relu"),
        ("enc1_relu", "up2c_relu"),
    ]


def test_xnet_pools_and_upsamples_by_two():
    network = xnet((64, 64, 1), filters=SMALL)
    assert inputs_of(network, "MaxPooling2D") == [
        (f"{name}_relu",) for name in ("enc1", "enc2", "enc3", "down1", "down2")
    ]
    upsampling = [one for one in network.layers if isinstance(one, keras.layers.UpSampling2D)]
    assert len(upsampling) == 5
    assert {(one.size, one.interpolation) for one in upsampling} == {((2, 2), "nearest")}


def test_segnet_has_no_skip_connections():
    assert inputs_of(segnet((64, 64, 1), filters=SMALL), "Concatenate") == []


def test_unet_has_a_skip_connection_at_each_level():
    assert inputs_of(unet((64, 64, 1), filters=SMALL), "Concatenate") == [
        ("enc3b_relu", "up3"),
        ("enc2b_relu", "up2"),
        ("enc1b_relu", "up1"),
    ]


@settings(max_examples=6)
@given(height=st.integers(1, 8), width=st.integers(1, 8), count=st.integers(1, 2))
def test_output_is_one_distribution_for_each_pixel(network, height, width, count):
    rng = np.random.default_rng(height)
    images = rng.normal(0, 3, (count, 8 * height, 8 * width, 1)).astype(np.float32)
    result = keras.ops.convert_to_numpy(network(images, training=False))
    assert result.shape == (count, 8 * height, 8 * width, 3)
    assert result.dtype == np.float32
    assert result.min() >= 0
    np.testing.assert_allclose(result.sum(axis=-1), 1, atol=1e-5)


def test_classes_are_counted_by_the_last_axis():
    assert xnet((16, 24, 2), classes=5, filters=SMALL).output.shape == (None, 16, 24, 5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_probabilities_stay_float32_in_mixed_precision(name):
    network = ARCHITECTURES[name]((16, 16, 1), filters=SMALL, dtype="mixed_bfloat16")
    assert {one.compute_dtype for one in network.layers if "Conv2D" in type(one).__name__} == {
        "bfloat16"
    }
    assert {str(variable.dtype) for variable in network.weights} == {"float32"}
    images = np.random.default_rng(0).normal(0, 3, (2, 16, 16, 1)).astype(np.float32)
    result = keras.ops.convert_to_numpy(network(images, training=False))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("name", "convolutions"), [("xnet", 15), ("segnet", 9), ("unet", 18)])
def test_l2_penalises_the_kernel_of_every_convolution(name, convolutions):
    network = ARCHITECTURES[name]((16, 16, 1), filters=SMALL, l2=0.01)
    kernels = [one.kernel for one in network.layers if "Conv2D" in type(one).__name__]
    assert len(kernels) == len(network.losses) == convolutions
    squares = sum(float((np.asarray(kernel) ** 2).sum()) for kernel in kernels)
    np.testing.assert_allclose(float(sum(network.losses)), 0.01 * squares, rtol=1e-4)
    assert not ARCHITECTURES[name]((16, 16, 1), filters=SMALL).losses


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(200, 201, 1), (4, 8, 1), (0, 8, 1), (None, 12, 1), (-8, 8, 1)])
def test_sizes_that_cannot_be_pooled_are_refused(name, shape):
    with pytest.raises(ValueError, match="multiples of 8"):
        ARCHITECTURES[name](shape, filters=SMALL)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("filters", [(4, 8, 16), (4, 8, 16, 32, 64), (4, 0, 16, 32), ()])
def test_wrong_widths_are_refused(name, filters):
    with pytest.raises(ValueError, match="four positive numbers"):
        ARCHITECTURES[name]((16, 16, 1), filters=filters)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_input_shape_without_channels_is_refused(name):
    with pytest.raises(ValueError, match=r"\(Y, X, channels\)"):
        ARCHITECTURES[name]((16, 16), filters=SMALL)


if OTHER_BACKENDS:

    @pytest.mark.parametrize("backend", OTHER_BACKENDS)
    def test_networks_run_on_other_backends(backend):
        code = (
            "import numpy as np; from napari_xnet.backend import keras;"
            "from napari_xnet.networks import ARCHITECTURES;"
            f"assert keras.backend.backend() == {backend!r};"
            "x = np.zeros((1, 16, 24, 1), 'float32');"
            "print(*(keras.ops.convert_to_numpy(f((None, None, 1), filters=(4, 8, 8, 8))(x)).shape"
            " for f in ARCHITECTURES.values()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count("(1, 16, 24, 3)") == len(ARCHITECTURES)
