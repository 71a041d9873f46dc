"""Many simulated radiographs as TIFF pairs in a folder, with a manifest."""

import contextlib
import csv
import hashlib
import itertools
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import tifffile

import napari_xnet
from napari_xnet.errors import XNetError
from napari_xnet.io.atomic import atomic_path, remove_leftovers
from napari_xnet.io.labels import write_labels
from napari_xnet.simulation.anatomy import check_regions, make_scene, regions
from napari_xnet.simulation.anatomy.visible_human import sexes
from napari_xnet.simulation.bodies import Body, plan_bodies
from napari_xnet.simulation.ct import Volume, read_ct, remove_table
from napari_xnet.simulation.radiograph import SimulatedRadiograph, check_size, take, take_ct
from napari_xnet.simulation.scene import Scene

MANIFEST_FILE = "manifest.csv"
_Row = dict[str, str]
_FIELDS = ("name", "region", "source", "style", "kilovolts", "pixel_size_mm", "seed")


@dataclass(frozen=True)
class _Task:
    """One posed body, and where its radiographs go."""

    body: Body
    folder: Path
    size_px: int
    ct: Path | None
    spacing_mm: tuple[float, float, float]
    visible_human: Path | None
    source: str

    def name(self, view: int) -> str:
        return f"{self.body.first + view:06d}_{self.body.region.replace(' ', '-')}"

    def key(self, view: int) -> str:
        """Tell radiographs apart that have the same name."""
        whole = (self.body.seed, self.body.number, view, self.size_px, self.source)
        return "-".join(map(str, whole))


def write_radiographs(
    folder: str | os.PathLike[str],
    count: int,
    region_names: Sequence[str] = (),
    seed: int = 0,
    size_px: int = 400,
    workers: int = 1,
    ct: str | os.PathLike[str] | None = None,
    spacing_mm: Sequence[float] | None = None,
    visible_human: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Simulate radiographs and write them with their labels.

    Parameters
    ----------
    folder : path-like
        Gets ``NUMBER_REGION.tif``, ``NUMBER_REGION_labels.tif`` and
        ``manifest.csv``. What it holds already is not made again.
    count : int
        Radiographs. Up to 16 show the same posed body from different sides,
        see `plan_bodies`.
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
    spacing_mm : sequence of float, optional
        Distance of its voxels along z, y and x; instead of what the file says.
    visible_human : path-like, optional
        Folder of the Visible Humans, see `anatomy.visible_human`, whose
        `region_names` are meant then.
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
    check_size(size_px)
    for name, value, least in (("count", count, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value < least:
            raise XNetError(f"The {name} must be at least {least}, not {value}.")
    with contextlib.ExitStack() as stack:
        spacing, shared, human = (1.0, 1.0, 1.0), None, None
        if ct is not None:
            names = [Path(ct).resolve().name.partition(".")[0]]
            volume = remove_table(read_ct(ct, spacing_mm))
            shared = stack.enter_context(_shared(volume))
            spacing, source = volume.spacing_mm, _fingerprint(volume)
        else:
            names = list(region_names) or list(regions(visible_human))
            check_regions(names, visible_human)
            source = napari_xnet.__version__
            if visible_human is not None:
                human = Path(visible_human)
                source += "".join(sexes(human))
        stack.enter_context(_made(folder))
        tasks = [
            _Task(body, folder, size_px, shared, spacing, human, source)
            for body in plan_bodies(names, count, seed)
        ]
        _check_folder(folder, tasks)
        remove_leftovers(folder)
        rows: dict[int, list[_Row]] = {}
        done = 0
        for number, made in _make_all(tasks, workers):
            rows[number] = made
            done += len(made)
            if progress:
                progress(done, count)
    manifest = folder / MANIFEST_FILE
    with atomic_path(manifest) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, _FIELDS)
        table.writeheader()
        table.writerows(itertools.chain.from_iterable(rows[number] for number in sorted(rows)))
    return manifest


@contextlib.contextmanager
def _shared(volume: Volume) -> Iterator[Path]:
    """Lay a CT where all processes can look at it, so that it is read and in memory but once."""
    with tempfile.TemporaryDirectory(prefix="napari-xnet-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "ct.npy"
        try:
            np.save(path, volume.hu)
        except OSError as error:
            raise XNetError(
                f"The CT cannot be copied to {folder}: {error.strerror}. TMPDIR chooses another "
                "folder."
            ) from error
        yield path


def _fingerprint(volume: Volume) -> str:
    content = hashlib.sha256(volume.hu.data)
    content.update(str(volume.spacing_mm).encode())
    return content.hexdigest()[:12]


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; take it away if it is still empty after a failure."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise XNetError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def _check_folder(folder: Path, tasks: Sequence[_Task]) -> None:
    """Refuse a folder with radiographs that the manifest would not list."""
    wanted = {task.name(view) for task in tasks for view in range(task.body.views)}
    others = sorted(
        path.stem
        for path in folder.glob("[0-9]*_*.tif")
        if path.stem.removesuffix("_labels") not in wanted and _read_row(path.with_suffix(""))
    )
    if others:
        raise XNetError(
            f"The folder {folder} holds radiographs of another simulation, such as {others[0]}: "
            "give an empty one, or the same regions and the same count as before."
        )


def _make_all(tasks: Sequence[_Task], workers: int) -> Iterator[tuple[int, list[_Row]]]:
    if workers <= 1 or len(tasks) == 1:
        for task in tasks:
            yield task.body.number, _make(task)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        waiting = {pool.submit(_make, task): task.body.number for task in tasks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise XNetError(
                "A process ended by itself, perhaps because memory ran out: what is written "
                "stays, the same call goes on. Give fewer workers; and a script that asks for "
                'several must do so below if __name__ == "__main__".'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Do not stay alone when the program is killed."""

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _make(task: _Task) -> list[_Row]:
    """Write the radiographs of one body that are not there yet; return their rows."""
    rows: list[_Row] = []
    scene: Scene | Volume | None = None
    for view in range(task.body.views):
        name, seed = task.name(view), task.key(view)
        row = _read_row(task.folder / name)
        if row.get("seed") != seed:
            if scene is None:
                scene = _read_body(task)
            rng = task.body.rng(view)
            if isinstance(scene, Scene):
                made = take(scene, task.size_px, rng)
            else:
                made = take_ct(scene, task.body.region, task.size_px, rng)
            row = _write(task.folder / name, made, seed)
        rows.append(row)
    return rows


def _read_body(task: _Task) -> Scene | Volume:
    if task.ct:
        return Volume(np.load(task.ct, mmap_mode="r"), task.spacing_mm)
    return make_scene(task.body.region, task.body.rng(), task.visible_human)


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
