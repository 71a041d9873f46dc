"""Time the first result of a fresh process, and the memory that it takes.

Usage: python benchmarks/startup.py [--repeat N]

Each row is a process of its own, started --repeat times in turn: median of the seconds, and the
most memory (resident, of the process itself). Linux only.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import resize

from napari_xnet.io.samples import sample_path

MEMORY = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
"""
CALL = "import sys; sys.argv = ['napari-xnet', *sys.argv[1:]]; from napari_xnet.cli import main"


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    call = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hand = tifffile.imread(sample_path("hand"))
        large = resize(hand, (1500, 1500), order=1, preserve_range=True).astype(np.uint16)
        tifffile.imwrite(folder / "large.tif", large)
        rows: dict[str, tuple[str, list[str]]] = {
            "`import napari_xnet`": ("import napari_xnet", []),
            "`napari-xnet models list`": (f"{CALL}; main()", ["models", "list"]),
            "`napari-xnet segment`, one image of 1500 × 1500": (
                f"{CALL}; main()",
                ["segment", str(folder / "large.tif"), "--workers", "1", "-o"],
            ),
        }
        seconds: dict[str, list[float]] = {name: [] for name in rows}
        memory: dict[str, list[int]] = {name: [] for name in rows}
        for number in range(call.repeat):
            for name, (code, arguments) in rows.items():
                # Each into a folder of its own, or there would be nothing to do.
                last = [str(folder / f"out{number}")] if arguments[-1:] == ["-o"] else []
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", f"{code}\n{MEMORY}", *arguments, *last],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                seconds[name].append(time.perf_counter() - start)
                memory[name].append(int(done.stdout.splitlines()[-1]))
    print("| | seconds | memory (MB) |\n|---|---|---|")
    for name in rows:
        print(f"| {name} | {statistics.median(seconds[name]):.2f} | {max(memory[name])} |")


if __name__ == "__main__":
    main()
