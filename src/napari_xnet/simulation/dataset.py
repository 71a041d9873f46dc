"""Many simulated radiographs as TIFF pairs in a folder, with a manifest."""

import csv
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile

from napari_xnet.errors import XNetError
from napari_xnet.io.atomic import atomic_path
from napari_xnet.io.labels import write_labels
from napari_xnet.simulation.anatomy import check_regions, make_scene, regions
from napari_xnet.simulation.ct import Volume, read_ct, remove_table
from napari_xnet.simulation.radiograph import SimulatedRadiograph, check_size, take, take_ct
from napari_xnet.simulation.scene import Scene

MANIFEST_FILE = "manifest.csv"
VIEWS = 16
"""Radiographs of one posed body: making that takes longer than a view of it."""
_Row = dict[str, str]
_FIELDS = ("name", "region", "source", "style", "kilovolts", "pixel_size_mm", "seed")


@dataclass(frozen=True)
class _Task:
    """One posed body, and the radiographs of it that are wanted."""

    folder: Path
    seed: int
    scene: int
    region: str
    views: int
    size_px: int
    ct: Path | None


def write_radiographs(
    folder: str | os.PathLike[str],
    count: int,
    region_names: Sequence[str] = (),
    seed: int = 0,
    size_px: int = 400,
    workers: int = 1,
    ct: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Simulate radiographs and write them with their labels.

    Parameters
    ----------
    folder : path-like
        Gets ``NUMBER_REGION.tif``, ``NUMBER_REGION_labels.tif`` and
        ``manifest.csv``. What it holds already is not made again.
    count : int
        Radiographs.
    region_names : sequence of str
        Parts of the body, in turn; all of them if empty.
    seed : int
        Same seed, same radiographs, whatever the number of workers.
    size_px : int
        Long side of the images.
    workers : int
        Processes.
    ct : path-like, optional
        CT that is projected, see `ct.read_ct`, instead of `region_names`.
    progress : callable, optional
        ``progress(done, total)`` in radiographs; what it raises stops the work.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    XNetError
        If a region is unknown, the CT cannot be read, a package is missing,
        or the folder cannot be written.
    """
    folder = Path(folder)
    if ct is not None:
        volume = Path(ct)
        names = [volume.name.partition(".")[0]]
        _read_volume(volume)  # or each process would find out
    else:
        volume = None
        names = list(region_names) or list(regions())
        check_regions(names)
    check_size(size_px)
    for name, value, least in (("count", count, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value < least:
            raise XNetError(f"The {name} must be at least {least}, not {value}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise XNetError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    tasks = [
        _Task(
            folder,
            seed,
            scene,
            names[scene % len(names)],
            min(VIEWS, count - first),
            size_px,
            volume,
        )
        for scene, first in enumerate(range(0, count, VIEWS))
    ]
    rows: dict[int, list[_Row]] = {}
    done = 0
    for scene, made in _make_all(tasks, workers):
        rows[scene] = made
        done += len(made)
        if progress:
            progress(done, count)
    manifest = folder / MANIFEST_FILE
    with atomic_path(manifest) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, _FIELDS)
        table.writeheader()
        table.writerows(itertools.chain.from_iterable(rows[scene] for scene in sorted(rows)))
    return manifest


def _make_all(tasks: Sequence[_Task], workers: int) -> Iterator[tuple[int, list[_Row]]]:
    if workers <= 1 or len(tasks) == 1:
        for task in tasks:
            yield task.scene, _make(task)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_make, task): task.scene for task in tasks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _make(task: _Task) -> list[_Row]:
    """Write the radiographs of one body that are not there yet; return their rows."""
    rows: list[_Row] = []
    scene: Scene | Volume | None = None
    for view in range(task.views):
        name = f"{task.scene * VIEWS + view:06d}_{task.region.replace(' ', '-')}"
        seed = f"{task.seed}-{task.scene}-{view}-{task.size_px}"
        row = _read_row(task.folder / name)
        if row.get("seed") != seed:
            if scene is None:
                rng = np.random.default_rng([task.seed, task.scene])
                scene = _read_volume(task.ct) if task.ct else make_scene(task.region, rng)
            rng = np.random.default_rng([task.seed, task.scene, view])
            if isinstance(scene, Scene):
                made = take(scene, task.size_px, rng)
            else:
                made = take_ct(scene, task.region, task.size_px, rng)
            row = _write(task.folder / name, made, seed)
        rows.append(row)
    return rows


@functools.lru_cache(maxsize=1)
def _read_volume(path: Path) -> Volume:
    return remove_table(read_ct(path))


def _write(stem: Path, made: SimulatedRadiograph, seed: str) -> _Row:
    """Write image and labels, the labels first; return the row of the manifest."""
    size = made.pixel_size_mm
    row = {
        "name": stem.name,
        "region": made.region,
        "source": made.source,
        "style": made.style,
        "kilovolts": f"{made.kilovolts:.1f}",
        "pixel_size_mm": f"{size:.5f}",
        "seed": seed,
    }
    labels = stem.with_name(f"{stem.name}_labels.tif")
    write_labels(labels, made.labels, pixel_size_mm=(size, size))
    with atomic_path(stem.with_name(f"{stem.name}.tif")) as temporary:
        tifffile.imwrite(
            temporary,
            made.image,
            photometric="minisblack",
            resolution=(10.0 / size, 10.0 / size),
            resolutionunit="CENTIMETER",
            software="napari-xnet",
            description=json.dumps(row),
            metadata=None,
        )
    return row


def _read_row(stem: Path) -> _Row:
    """Row of a radiograph that is there with its labels, else an empty one."""
    path = stem.with_name(f"{stem.name}.tif")
    if not (path.exists() and stem.with_name(f"{stem.name}_labels.tif").exists()):
        return {}
    try:
        row = json.loads(tifffile.tiffcomment(path))
        return {field: str(row[field]) for field in _FIELDS}
    except (ValueError, KeyError, TypeError, OSError):
        return {}
