"""What networks run on."""

import os
import platform
import signal
import subprocess
import sys

import pytest

from napari_xnet import devices


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu avx512f avx512_bf16", "mixed_bfloat16"),
        ("fpu amx_tile amx_bf16", "mixed_bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_precision_follows_the_processor(tmp_path, monkeypatch, flags, precision):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\nflags : fpu\n")
    monkeypatch.setattr(devices, "_CPU_INFO", path)
    monkeypatch.setattr(devices, "_graphics_card", lambda: None)
    assert devices.fastest_precision() == precision


def test_where_the_processor_is_not_told_training_is_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "missing")
    monkeypatch.setattr(devices, "_graphics_card", lambda: None)
    assert devices.fastest_precision() == "float32"


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), "float32"), ((8, 0), "mixed_bfloat16")]
)
def test_precision_follows_the_graphics_card(monkeypatch, capability, precision):
    monkeypatch.setattr(devices, "_graphics_card", lambda: ("card", capability))
    assert devices.fastest_precision() == precision
    assert devices.device_name() == "card"


def test_this_machine_has_a_device_with_a_name():
    assert devices.device_name()


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: OOM when allocating tensor"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("no room for 3 axes"), False),
    ],
)
def test_out_of_memory_is_recognised(error, is_memory):
    assert devices.is_out_of_memory(error) == is_memory


if platform.libc_ver()[0] == "glibc":

    def test_freed_memory_is_kept_for_the_next_image():
        code = (
            "import resource, numpy as np; from napari_xnet.devices import keep_freed_memory\n"
            "def faults():\n"
            "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "    for _ in range(20): np.ones(2**21)\n"  # 16 MiB, 4096 pages of 4 KiB
            "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
            "np.ones(2**21); given_back = faults(); keep_freed_memory(); faults()\n"
            "print(given_back, faults())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"},  # as Dask starts its workers
            capture_output=True,
            text=True,
            check=True,
        )
        given_back, kept = map(int, done.stdout.split())
        assert kept < given_back / 4


_SEGMENT_AND_DIE = """
import os, signal
import numpy as np
import napari_xnet as nx
nx.segment(np.random.default_rng(0).random((64, 64), dtype="float32"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes end otherwise on Windows")
def test_a_killed_process_leaves_no_files(tmp_path):
    died = subprocess.run(
        [sys.executable, "-c", _SEGMENT_AND_DIE],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
        capture_output=True,
    )
    assert died.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
