"""Segment many image files on Dask workers: a pool on this machine, or a cluster.

Needs the extra ``cluster`` (distributed), here and on the workers.
"""

import contextlib
import dataclasses
import logging
import math
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, WorkerPlugin, as_completed, get_worker
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker
from distributed.system import MEMORY_LIMIT

from napari_xnet._version import __version__
from napari_xnet.errors import EngineError, XNetError, reason
from napari_xnet.inference.batch import Outcome, segment_files
from napari_xnet.inference.files import Target
from napari_xnet.models import Model

GROUP = 8
"""Images that a worker gets at once, at most."""
_SHARES = 8
"""Groups that each thread gets in all, at least, so that all are busy until the end."""
_IN_FLIGHT = 3
"""Groups for each thread of the workers: the next ones are there when one is done."""
_ATTEMPTS = 2
_WORKER_BYTES = 2**31
"""Memory that a worker needs: TensorFlow, the network's maps, a few radiographs."""
_DEATHS = 2
"""Of workers over the same images; then these are tried one by one."""
_CONNECT_S = 20
_NO_WORKER_S = 60
_LOST = "The connection to the workers was lost: give the same command again to go on."


def pool_size(images: int) -> int:
    """How many workers of this machine are worth starting for so many images."""
    by_memory = MEMORY_LIMIT // _WORKER_BYTES
    return max(1, int(min(CPU_COUNT, by_memory, math.ceil(images / GROUP))))


@contextlib.contextmanager
def local_pool(workers: int, threads: int | None = None) -> Iterator[Client]:
    """Start workers on this machine.

    With a graphics card there is one, for they would share it, too.

    Parameters
    ----------
    workers : int
    threads : int, optional
        For the network of each; they share the processors if None.

    Yields
    ------
    Client
    """
    with (
        _quiet(),
        dask.config.set({"distributed.scheduler.allowed-failures": _DEATHS - 1}),
        LocalCluster(
            n_workers=1 if shutil.which("nvidia-smi") else workers,
            threads_per_worker=threads or max(1, CPU_COUNT // workers),
            dashboard_address="127.0.0.1:0",  # any port, so that several pools do not clash
            # What a worker may use depends on the sizes of its images, not on how many there are.
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as pool,
        Client(pool) as client,
    ):
        if len(pool.workers) < workers and client.submit(_device).result() == "CPU":
            pool.scale(workers)
        yield client


@contextlib.contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """Connect to the scheduler of a cluster.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``tcp://10.0.0.1:8786``.

    Yields
    ------
    Client

    Raises
    ------
    EngineError
        If there is none, it has no workers, or they have another version of
        this package.
    """
    with _quiet():
        try:
            client = Client(scheduler, timeout=_CONNECT_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"There is no Dask scheduler at {scheduler}: start one with "
                '"dask scheduler", or check the address.'
            ) from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_NO_WORKER_S)
            except TimeoutError as error:
                raise EngineError(
                    f"The scheduler at {scheduler} has no workers: start some with "
                    f'"dask worker {scheduler}".'
                ) from error
            _check_versions(client)
            yield client


def segment_on(
    client: Client,
    images: Sequence[Path],
    target: Target,
    model: Path,
    *,
    group: int | None = None,
) -> Iterator[Outcome]:
    """Segment image files on workers, each into files of its own.

    The workers read and write the files themselves; the model is sent to
    them. What a worker did not finish because it died is done by another
    one; what failed is tried once more, elsewhere if there is another worker.

    Parameters
    ----------
    client : Client
    images : sequence of Path
    target : Target
    model : Path
        Folder of the model.
    group : int, optional
        Images that a worker gets at once; if None, few where there are few.

    Yields
    ------
    Outcome
        Of each image, as they come.

    Raises
    ------
    XNetError
        If the model cannot be loaded on the first worker that tries.
    """
    plugin = _Networks(target.recipe, {path.name: path.read_bytes() for path in model.iterdir()})
    left = dict.fromkeys(images)
    try:
        if group is None:
            threads = sum(client.nthreads().values())
            group = min(GROUP, 1 + len(images) // (_SHARES * max(1, threads)))
        client.register_plugin(plugin)
        for outcome in _outcomes(client, images, target, plugin.name, group):
            del left[outcome.image]
            yield outcome
        client.unregister_worker_plugin(plugin.name)
    except CommClosedError:
        yield from (Outcome(image, error=_LOST) for image in left)


def _outcomes(
    client: Client, images: Sequence[Path], target: Target, plugin: str, group: int
) -> Iterator[Outcome]:
    starts = range(0, len(images), group)
    waiting = iter([tuple(images[start : start + group]) for start in starts])
    running: dict[str, tuple[tuple[Path, ...], int]] = {}
    finished = as_completed()

    def submit(some: tuple[Path, ...], attempt: int = 1, avoid: str = "") -> None:
        others = [address for address in client.nthreads() if address != avoid] if avoid else []
        future = client.submit(
            _segment_group,
            plugin,
            some,
            target,
            workers=others or None,
            allow_other_workers=bool(others),
            pure=False,
        )
        running[future.key] = some, attempt
        finished.add(future)

    def fill() -> None:
        threads = sum(client.nthreads().values())
        while len(running) < _IN_FLIGHT * max(1, threads):
            some = next(waiting, None)
            if some is None:
                return
            submit(some)

    is_proven = False
    try:
        fill()
        for future in finished:
            some, attempt = running.pop(future.key)
            worker, outcomes, error = _result_of(future)
            if client.status != "running":
                raise CommClosedError
            if isinstance(error, XNetError) and not is_proven:
                raise error
            is_proven |= error is None
            if error is not None:
                outcomes = [Outcome(one, error=_why(error)) for one in some]
            for outcome in outcomes:
                if outcome.error and attempt < _ATTEMPTS:
                    submit((outcome.image,), attempt + 1, worker)
                else:
                    yield dataclasses.replace(outcome, attempts=attempt)
            fill()
    finally:
        if client.status == "running":
            client.cancel(list(finished.futures))


class _Networks(WorkerPlugin):
    """Brings a model to each worker, also to those that come later."""

    def __init__(self, recipe: str, files: dict[str, bytes]) -> None:
        self.name = f"napari-xnet-{recipe}"
        self._files = files
        self._model: Model | None = None

    def setup(self, worker: Any) -> None:
        self._threads = worker.state.nthreads
        self._loading = threading.Lock()

    def model(self) -> Model:
        """Load the model, once."""
        with self._loading:
            if self._model is None:
                from napari_xnet.devices import keep_freed_memory, limit_threads

                keep_freed_memory()
                limit_threads(self._threads)
                with tempfile.TemporaryDirectory() as scratch:
                    for name, data in self._files.items():
                        Path(scratch, name).write_bytes(data)
                    self._model = _OneAtATime.load(scratch)
            return self._model


class _OneAtATime(Model):
    """Groups that a worker has in several threads share the memory that the network may use."""

    _lock = threading.Lock()

    def predict(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return super().predict(*arguments, **options)


def _segment_group(
    plugin: str, images: tuple[Path, ...], target: Target
) -> tuple[str, list[Outcome]]:
    worker = get_worker()
    networks: _Networks = worker.plugins[plugin]
    return worker.address, list(segment_files(images, target, networks.model))


def _result_of(future: Future) -> tuple[str, list[Outcome], Exception | None]:
    """Worker and outcomes of a group, or what was raised instead."""
    try:
        worker, outcomes = future.result()
    except Exception as error:
        return "", [], error
    return worker, outcomes, None


def _why(error: Exception) -> str:
    if isinstance(error, KilledWorker):
        return "Each worker that tried it died: perhaps its memory did not suffice."
    return reason(error)


def _device() -> str:
    from napari_xnet.devices import device_name

    return device_name()


def _version() -> str:
    return __version__


def _check_versions(client: Client) -> None:
    try:
        versions = client.run(_version)
    except Exception as error:
        raise EngineError(
            "The workers cannot use napari-xnet: install it, with the extra cluster, in their "
            f"environment, too ({reason(error)})."
        ) from error
    others = set(versions.values()) - {__version__}
    if others:
        raise EngineError(
            f"This is napari-xnet {__version__}, but the workers have {', '.join(sorted(others))}: "
            "install the same version everywhere."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Dask say nothing of workers that come and go: what matters is in the outcomes."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
