"""Measure batches of radiographs on workers of this machine.

Usage: python benchmarks/batch.py scaling [--count 48] [--size-px 1500]
       python benchmarks/batch.py many [--count 2000] [--size-px 200] [--workers 2]

The radiographs are the sample *hand*, enlarged or reduced, each shifted by another number of px.

scaling: images per second of 1 and of 2 workers whose networks have one thread each, and their
ratio; workers are started, and have loaded the model, before time is taken. Since a worker reads
and writes while its network works, it uses more than one processor if it finds one idle: so the
same again with each bound to a processor of its own. Then a worker of two
is killed in the middle of a batch, and the batch is given again: how many images are there, and how
many were made in the second round.

many: segments many, a few of them broken, and prints the memory of all processes as it goes on, and
what the table of failures says.
"""

import argparse
import csv
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import tifffile
from skimage.transform import resize

from napari_xnet.inference import Options
from napari_xnet.inference.batch import Summary
from napari_xnet.inference.cluster import local_pool, segment_on
from napari_xnet.inference.files import Target
from napari_xnet.io.samples import sample_path
from napari_xnet.models import DEFAULT, find_model, show_model

LINES = 20
"""Of memory that `many` prints."""
BROKEN = 5


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("scaling", "many"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--size-px", type=int)
    parser.add_argument("--workers", type=int, default=2)
    call = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        {"scaling": scaling, "many": many}[call.what](call, Path(scratch))


def scaling(call: argparse.Namespace, scratch: Path) -> None:
    """Print images per second, and what became of a batch of which a worker was killed."""
    images = radiographs(scratch / "images", call.count or 48, call.size_px or 1500)
    for bound in (False, True):
        rates = []
        for workers in (1, 2):
            with local_pool(workers, threads=1) as client:
                if bound:
                    for number, worker in enumerate(client.scheduler_info()["workers"]):
                        client.run(bind, number, workers=[worker])
                goal = target(scratch / f"warm{workers}{bound}")
                list(segment_on(client, images[: 4 * workers], goal, find_model(DEFAULT), group=1))
                goal = target(scratch / f"out{workers}{bound}")
                start, busy = time.perf_counter(), sum(psutil.cpu_times()[:3])
                outcomes = list(segment_on(client, images, goal, find_model(DEFAULT)))
                seconds = time.perf_counter() - start
                busy = (sum(psutil.cpu_times()[:3]) - busy) / seconds
                assert not any(one.error for one in outcomes)
            rates.append(len(images) / seconds)
            how = "each bound to a processor" if bound else "as they come"
            print(
                f"{workers} workers, {how}: {rates[-1]:.2f} images per second, "
                f"{busy:.2f} processors busy",
                flush=True,
            )
        print(f"ratio {rates[1] / rates[0]:.2f}")

    with local_pool(2, threads=1) as client:
        goal = target(scratch / "killed")
        failed = 0
        outcomes = segment_on(client, images, goal, find_model(DEFAULT), group=4)
        for done, outcome in enumerate(outcomes, start=1):
            failed += bool(outcome.error)
            if done == len(images) // 2:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        there = len(list(goal.folder.glob("*_labels.tif")))
        print(f"a worker killed: {there} of {len(images)} there, {failed} failed")
        for path in images[::10]:
            goal.paths(path)[0].unlink()
        again = Summary()
        for outcome in segment_on(client, images, goal, find_model(DEFAULT), group=4):
            again.add(outcome)
        print(f"again, with {len(images[::10])} results removed: {again}")


def bind(processor: int) -> None:
    """Let this process run on one processor alone."""
    me = psutil.Process()
    me.cpu_affinity([me.cpu_affinity()[processor]])


def many(call: argparse.Namespace, scratch: Path) -> None:
    """Print memory, and the summary."""
    images = radiographs(scratch / "images", call.count or 2000, call.size_px or 200)
    for path in images[:: len(images) // BROKEN][:BROKEN]:
        path.write_bytes(path.read_bytes()[:1000])
    goal = target(scratch / "out")
    summary = Summary()
    start = time.perf_counter()
    with local_pool(call.workers) as client:
        for outcome in segment_on(client, images, goal, find_model(DEFAULT)):
            summary.add(outcome)
            if summary.total % max(1, len(images) // LINES) == 0:
                print(f"{summary.total} images: {memory_mb():.0f} MB", flush=True)
    minutes = (time.perf_counter() - start) / 60
    path = summary.write_failures(goal.folder)
    with path.open(encoding="utf-8", newline="") as file:
        listed = [row["image"] for row in csv.DictReader(file)]
    broken = sorted(map(str, images[:: len(images) // BROKEN][:BROKEN]))
    print(f"{summary} In {minutes:.1f} min.")
    print(f"failures.csv names the {len(broken)} broken ones: {sorted(listed) == broken}")
    print(f"label files: {len(list(goal.folder.glob('*_labels.tif')))}")


def radiographs(folder: Path, count: int, size_px: int) -> list[Path]:
    """Write shifted copies."""
    folder.mkdir()
    hand = resize(
        tifffile.imread(sample_path("hand")), (size_px, size_px), order=1, preserve_range=True
    ).astype(np.uint16)
    paths = []
    for number in range(count):
        paths.append(folder / f"hand{number:05d}.tif")
        tifffile.imwrite(paths[-1], np.roll(hand, number, axis=number % 2))
    return paths


def target(folder: Path) -> Target:
    """Labels of the default model in a new folder."""
    folder.mkdir()
    return Target.of(folder, show_model(DEFAULT), Options())


def memory_mb() -> float:
    """Memory of this process and those that it started, what they share counted once."""
    me = psutil.Process()
    return sum(one.memory_full_info().pss for one in (me, *me.children(recursive=True))) / 2**20


if __name__ == "__main__":
    main()
