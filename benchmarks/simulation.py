"""Measure how many labelled radiographs one processor simulates in a second.

Usage: OMP_NUM_THREADS=1 python benchmarks/simulation.py [--count N] [--size-px S]

Writes them to a temporary folder, as `napari-xnet simulate` does; all regions in turn.
What a process does only once (loading, surfaces of the bones, spectra) falls on the first few,
one of each region, which are measured apart.
"""

import argparse
import tempfile
import time

from napari_xnet.simulation import regions, write_radiographs
from napari_xnet.simulation.bodies import FEWEST_BODIES, MOST_VIEWS


def main() -> None:
    """Print two numbers."""
    names = regions()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=MOST_VIEWS * FEWEST_BODIES * len(names))
    parser.add_argument("--size-px", type=int, default=400)
    call = parser.parse_args()
    for title, count, seed in (("first", len(names), 0), ("next", call.count, 1)):
        rate = count / measure(count, call.size_px, seed)
        print(f"{title} {count}: {rate:.1f} radiographs per second", flush=True)


def measure(count: int, size_px: int, seed: int) -> float:
    """Seconds for some radiographs."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_radiographs(folder, count, seed=seed, size_px=size_px, workers=1)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
