"""What needs a napari process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xnet.io.samples import sample_path

HERE = Path(__file__).parent


@pytest.fixture
def run(tmp_path):
    def run(script: str, *arguments: object) -> str:
        environment = os.environ | {"NAPARI_CONFIG": str(tmp_path / "napari.yaml")}
        process = subprocess.run(
            [sys.executable, HERE / script, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert process.returncode == 0, process.stderr[-2000:]
        return process.stdout

    return run


def assert_responsive(measure) -> None:
    """A timer is never more than 0.2 s late; the best of five, because machines are shared."""
    delays = []
    for _ in range(5):
        delays.append(float(measure().splitlines()[-1]))
        if delays[-1] <= 0.2:
            return
    pytest.fail(f"the timer was late by {delays} s")


@pytest.mark.slow
def test_window_stays_responsive_during_the_first_run(run, tmp_path):
    path = tmp_path / "hand.npy"
    np.save(path, tifffile.imread(sample_path("hand")))
    assert_responsive(lambda: run("responsiveness.py", path))


def test_segment_in_the_process_of_a_window_does_not_crash(run):
    assert run("shared_process.py").splitlines()[-1] == "(64, 64)"
