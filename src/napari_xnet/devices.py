"""What networks run on: name, fast number format, memory; the only code that differs by backend.

TensorFlow, JAX and PyTorch answer these questions each in their own way, and
Keras does not ask them.
"""

import contextlib
import ctypes
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_xnet.backend import keras

_CPU_INFO = Path("/proc/cpuinfo")
_FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
_AMPERE = (8, 0)
"""Compute capability of the first graphics cards by NVIDIA with bfloat16."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 2**26
"""What glibc comes to by itself, if it is not told otherwise (mallopt(3))."""

_OUT_OF_MEMORY = ("resource_exhausted", "resourceexhausted", "outofmemory", "out of memory")


def device_name() -> str:
    """Name of the device that networks run on, for people: "CPU", or that of the graphics card."""
    graphics = _graphics_card()
    return graphics[0] if graphics else "CPU"


def fastest_precision() -> str:
    """Keras dtype policy in which networks are computed.

    Returns
    -------
    {"mixed_bfloat16", "float32"}
        mixed_bfloat16 where the hardware computes it faster than float32:
        graphics cards from NVIDIA's Ampere on, and CPUs with AVX512-BF16 or
        AMX under TensorFlow or PyTorch (as far as Linux tells).
    """
    graphics = _graphics_card()
    if graphics:
        fast = graphics[1] >= _AMPERE
    else:
        fast = keras.backend.backend() != "jax" and bool(_FAST_BFLOAT16 & _cpu_flags())
    return "mixed_bfloat16" if fast else "float32"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a backend says that the memory of the device is used up."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY)


def compiled(network: "keras.Model") -> Callable[[Any], Any]:
    """Compile a network that does not learn, once for images of all sizes.

    Parameters
    ----------
    network : keras.Model
        From (batch, H, W, 1).

    Returns
    -------
    callable
        Of a batch, returns what the network says. Under TensorFlow it is a graph, whose steps
        are fused where they can be; XLA would compile anew for each size. JAX and PyTorch run the
        network step by step.
    """
    run: Callable[[Any], Any] = functools.partial(network, training=False)
    match keras.backend.backend():
        case "tensorflow":
            tf: Any = importlib.import_module("tensorflow")
            images = tf.TensorSpec((None, None, None, 1), tf.float32)
            # No control flow depends on values, and AutoGraph leaves files behind when killed.
            run = tf.function(run, input_signature=[images], autograph=False)
        case "torch":
            run = importlib.import_module("torch").no_grad()(run)
    return run


def limit_threads(count: int) -> None:
    """Let networks use so many processors; before the first one is built, or it has no effect.

    JAX takes what it finds.
    """
    match keras.backend.backend():
        case "tensorflow":
            threading: Any = importlib.import_module("tensorflow").config.threading
            with contextlib.suppress(RuntimeError):  # too late
                threading.set_intra_op_parallelism_threads(count)
                threading.set_inter_op_parallelism_threads(1)
        case "torch":
            importlib.import_module("torch").set_num_threads(count)


def keep_freed_memory() -> None:
    """Let this process keep what it frees for the next image, where it has glibc.

    Dask's workers are told to give all back at once; maps of a network would be asked for
    anew, page by page, with each image.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
        set_option(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _graphics_card() -> tuple[str, tuple[int, int]] | None:
    """Name and compute capability of the first graphics card, None without one."""
    name: str
    match keras.backend.backend():
        case "tensorflow":
            config: Any = importlib.import_module("tensorflow").config
            cards = config.list_physical_devices("GPU")
            if not cards:
                return None
            details = config.experimental.get_device_details(cards[0])
            name = details.get("device_name", "GPU")
            major, minor = details.get("compute_capability", (0, 0))
            return name, (int(major), int(minor))
        case "torch":
            cuda: Any = importlib.import_module("torch").cuda
            if not cuda.is_available():
                return None
            major, minor = cuda.get_device_capability()
            return cuda.get_device_name(), (int(major), int(minor))
        case "jax":
            device: Any = importlib.import_module("jax").devices()[0]
            if device.platform == "cpu":
                return None
            major, _, minor = str(getattr(device, "compute_capability", "0.0")).partition(".")
            return str(device.device_kind), (int(major), int(minor or 0))
    return None


def _cpu_flags() -> set[str]:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
