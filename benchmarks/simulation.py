"""Measure how many labelled radiographs one processor simulates in a second.

Usage: OMP_NUM_THREADS=1 python benchmarks/simulation.py [--count N] [--size-px S]

Writes them to a temporary folder, as `napari-xnet simulate` does; all regions in turn.
What a process does only once (loading, surfaces of the bones, spectra) is measured apart.
"""

import argparse
import tempfile
import time

from napari_xnet.simulation import regions, write_radiographs
from napari_xnet.simulation.dataset import VIEWS


def main() -> None:
    """Print two numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=VIEWS * len(regions()))
    parser.add_argument("--size-px", type=int, default=400)
    call = parser.parse_args()
    seconds = [measure(call.count, call.size_px, seed) for seed in (0, 1)]
    print(f"first {call.count}: {call.count / seconds[0]:.1f} radiographs per second")
    print(f"next {call.count}: {call.count / seconds[1]:.1f} radiographs per second")


def measure(count: int, size_px: int, seed: int) -> float:
    """Seconds for some radiographs."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_radiographs(folder, count, seed=seed, size_px=size_px, workers=1)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
