"""Time ways to run the network of the default model, side by side.

Usage: python benchmarks/engines.py [--repeat N] [--image FILE] [-o TABLE.md]

Each segments the same working image of a radiograph (the sample *hand*), asked as the model's
card says: at three sizes, mirrored. In one process and alternating, so that what else the machine
does weighs on all alike. Engines that are not installed are left out:

    pip install onnxruntime onnx tf2onnx openvino

Columns: the first result (building, compiling, warming up), the median of the others, how many
times that of the first row, and how many pixels get the label that the first row gives them.
"""

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_xnet.backend import keras
from napari_xnet.devices import compiled, fastest_precision
from napari_xnet.imaging import EdgeAwareUpsampling, WorkingImage
from napari_xnet.inference.postprocess import label
from napari_xnet.io import read_image
from napari_xnet.io.samples import sample_path
from napari_xnet.models import Model, load_model
from napari_xnet.models.prediction import predict
from napari_xnet.networks.folding import folded

Network = Callable[..., Any]


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--image", type=Path, default=sample_path("hand"))
    parser.add_argument("-o", "--output", type=Path)
    call = parser.parse_args()
    model = load_model()
    image = read_image(call.image).data
    working = model.card.preprocessing.working_image(image)
    with tempfile.TemporaryDirectory() as scratch:
        networks = engines(model, Path(scratch))
        seconds: dict[str, list[float]] = {name: [] for name in networks}
        labels = {}
        for number in range(call.repeat + 1):
            for name, make in networks.items():
                start = time.perf_counter()
                if number == 0:
                    networks[name] = functools.partial(returned, make())
                found = predict(
                    networks[name](), working.data[np.newaxis], model.card.preprocessing
                )
                seconds[name].append(time.perf_counter() - start)
                if number == 0:
                    labels[name] = full_size(found[0], working, image)
                print(f"{name} {seconds[name][-1]:.2f} s", flush=True)
    text = table(seconds, labels)
    print(text)
    if call.output:
        call.output.write_text(text, "utf-8")


def returned(value: Network) -> Network:
    """Return what was made before."""
    return value


def engines(model: Model, scratch: Path) -> dict[str, Callable[[], Network]]:
    """Ways to run a network by name, each made when it is called."""
    found: dict[str, Callable[[], Network]] = {
        "`model(x)`": lambda: model.network,
        "`model.predict(x)`": lambda: by_predict(model),
        "folded": lambda: folded(model.network, "float32"),
        "folded, bfloat16": lambda: folded(model.network, "mixed_bfloat16"),
    }
    if keras.backend.backend() == "tensorflow":
        found["a graph"] = lambda: compiled(model.network)
        found["a graph, folded"] = lambda: compiled(folded(model.network, "float32"))
        found["a graph, folded, bfloat16"] = lambda: compiled(
            folded(model.network, "mixed_bfloat16")
        )
        found["a graph by XLA, folded"] = lambda: by_xla(model)
        try:
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
        except ImportError:
            pass
        else:
            found["ONNX Runtime"] = lambda: by_onnx(model, scratch)
        try:
            import openvino  # noqa: F401
        except ImportError:
            pass
        else:
            found["OpenVINO"] = lambda: by_openvino(model, scratch, "f32")
            found["OpenVINO, bfloat16"] = lambda: by_openvino(model, scratch, "bf16")
    return found


def by_predict(model: Model) -> Network:
    """Keras' own loop over batches, compiled."""
    return lambda batch: model.network.predict(batch, verbose=0, batch_size=len(batch))


def by_xla(model: Model) -> Network:
    """Compile by XLA, once for each size."""
    import tensorflow as tf

    network = folded(model.network, "float32")
    return tf.function(lambda batch: network(batch, training=False), jit_compile=True)


def by_onnx(model: Model, scratch: Path) -> Network:
    """ONNX Runtime, on as many threads as there are processors."""
    import onnxruntime

    path = scratch / "network.onnx"
    model.network.export(path, format="onnx", verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: np.asarray(batch, np.float32)})[0]


def by_openvino(model: Model, scratch: Path, precision: str) -> Network:
    """OpenVINO, which folds batch normalisation into convolutions."""
    import openvino

    path = scratch / "saved"
    if not path.exists():
        model.network.export(path, format="tf_saved_model", verbose=False)
    network = openvino.Core().compile_model(
        openvino.convert_model(path),
        "CPU",
        {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"},
    )
    return lambda batch: network(np.asarray(batch, np.float32))[0]


def full_size(probabilities: np.ndarray, working: WorkingImage, image: np.ndarray) -> np.ndarray:
    """Labels of the radiograph, as users get them."""
    height, width = working.content
    upsampling = EdgeAwareUpsampling(probabilities[:height, :width], working)
    return np.concatenate([label(strip) for _, strip in upsampling.strips(image)])


def table(seconds: dict[str, list[float]], labels: dict[str, np.ndarray]) -> str:
    """Lay it out as Markdown."""
    first = next(iter(seconds))
    reference = float(np.median(seconds[first][1:]))
    lines = ["| engine | first result | seconds | times | same labels |", "|---|---|---|---|---|"]
    for name, times in seconds.items():
        median = float(np.median(times[1:]))
        same = float((labels[name] == labels[first]).mean())
        lines.append(
            f"| {name} | {times[0]:.1f} | {median:.2f} | {median / reference:.2f} | {same:.3%} |"
        )
    lines += ["", f"On this machine the plugin computes a folded graph in {fastest_precision()}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
