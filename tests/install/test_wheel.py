"""The wheel, installed as a user would into a fresh environment, segments the demo."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_wheel_in_a_fresh_environment_runs_the_demo(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "-q", wheel], check=True)

    no_display = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH")
    }
    demo = subprocess.run(
        [programs / "napari-xnet", "demo"],
        cwd=tmp_path,
        env=no_display | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
    )

    assert demo.returncode == 0, demo.stderr
    tiff, png = (Path(line) for line in demo.stdout.splitlines())
    assert set(np.unique(tifffile.imread(tiff))) == {1, 2, 3}
    assert png.stat().st_size > 10_000
    assert "Traceback" not in demo.stderr
