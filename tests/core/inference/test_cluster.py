"""Many image files on Dask workers: real processes, which are killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import numpy as np
import psutil
import pytest
import tifffile

from napari_xnet.cli import main
from napari_xnet.errors import EngineError
from napari_xnet.inference import Options, cluster, segment
from napari_xnet.inference.files import Target
from napari_xnet.io import read_labels

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory, radiograph):
    """Radiographs that differ, and one that is none."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        tifffile.imwrite(folder / f"{number:03d}.tif", np.roll(radiograph, 3 * number, axis=1))
    (folder / "bad.tif").write_bytes(b"no TIFF")
    return folder


@pytest.fixture(scope="module")
def images(folder):
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def model(tmp_path_factory, small_model):
    path = tmp_path_factory.mktemp("models") / "small"
    small_model.save(path)
    return path


@pytest.fixture
def target(tmp_path, small_model, model):
    (tmp_path / "out").mkdir()
    return Target.of(tmp_path / "out", small_model.card, Options())


@pytest.fixture(scope="module")
def pool():
    with cluster.local_pool(2) as client:
        yield client


def check(outcomes, target, small_model):
    """All but the bad one are there, and are what they would be alone."""
    assert len(outcomes) == COUNT + 1
    failed = [one for one in outcomes if one.error]
    assert [one.image.name for one in failed] == ["bad.tif"]
    assert failed[0].attempts == 2
    assert len(list(target.folder.glob("*_labels.tif"))) == COUNT
    for one in outcomes[::7]:
        if not one.error:
            expected = segment(tifffile.imread(one.image), small_model).labels
            np.testing.assert_array_equal(read_labels(one.written[0]), expected)


@pytest.mark.slow
def test_workers_segment_and_a_second_run_finds_all_done(pool, images, target, model, small_model):
    check(list(cluster.segment_on(pool, images, target, model, group=4)), target, small_model)
    assert len(pool.nthreads()) == 2
    before = {path: path.stat().st_mtime_ns for path in target.folder.iterdir()}
    again = list(cluster.segment_on(pool, images, target, model, group=4))
    assert all(one.was_there for one in again if not one.error)
    assert {path: path.stat().st_mtime_ns for path in target.folder.iterdir()} == before


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(pool, images, target, model, small_model):
    outcomes = []
    for outcome in cluster.segment_on(pool, images, target, model, group=2):
        if not outcomes:
            pids = pool.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)
        outcomes.append(outcome)
    check(outcomes, target, small_model)


@pytest.mark.slow
def test_an_image_that_kills_workers_is_named_and_the_others_are_done(
    images, target, model, tmp_path
):
    poison = tmp_path / "poison.tif"
    poison.write_bytes(images[0].read_bytes())

    class Deadly(distributed.WorkerPlugin):
        """Makes reading of one image kill the process, as faulty native code would."""

        name = "deadly"

        def setup(self, worker):
            from napari_xnet.inference import batch

            read = batch.read_image
            batch.read_image = lambda path: os._exit(1) if path == poison else read(path)

    with cluster.local_pool(2) as pool:  # a pool of its own, as the plugin stays
        pool.register_plugin(Deadly())
        some = [*images[:3], poison]
        outcomes = list(cluster.segment_on(pool, some, target, model, group=4))
    failed = {one.image: one.error for one in outcomes if one.error}
    assert list(failed) == [poison]
    assert "died" in failed[poison]
    assert len(outcomes) == 4


@pytest.mark.slow
def test_a_damaged_model_is_said_at_once(pool, images, target, model, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in model.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(Exception, match="damaged"):
        list(cluster.segment_on(pool, images, target, broken))
    assert not list(target.folder.iterdir())


@contextlib.contextmanager
def process(*command):
    child = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield child
    finally:
        for one in (*psutil.Process(child.pid).children(recursive=True), child):
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                one.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def scheduler(tmp_path):
    """Address of a scheduler that runs as a process of its own."""
    file = tmp_path / "scheduler.json"
    command = ["dask", "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    with process(*command, "--scheduler-file", str(file)) as child:
        end = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < end
            assert child.poll() is None
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]


@pytest.mark.slow
def test_the_command_line_uses_a_cluster(
    scheduler, folder, model, tmp_path, monkeypatch, capfd, small_model
):
    monkeypatch.chdir(folder)
    worker = ["dask", "worker", scheduler, "--no-dashboard", "--nthreads", "1"]
    call = ["segment", "*.tif", "-o", str(tmp_path / "out"), "--model", str(model)]
    local = str(tmp_path)
    with (
        process(*worker, "--local-directory", local),
        process(*worker, "--local-directory", local),
    ):
        assert main([*call, "--scheduler", scheduler]) == 1
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    assert len(out.splitlines()) == COUNT
    assert all(Path(line).is_absolute() and Path(line).is_file() for line in out.splitlines())
    assert f"{COUNT} of {COUNT + 1} images segmented, 1 failed." in err
    assert "bad.tif" in (tmp_path / "out" / "failures.csv").read_text()


@pytest.mark.slow
def test_a_cluster_that_is_gone_in_the_middle_is_said(scheduler, images, target, model):
    with process("dask", "worker", scheduler, "--no-dashboard", "--nthreads", "1"):
        outcomes = []
        with cluster.connected(scheduler) as client:
            for outcome in cluster.segment_on(client, images, target, model, group=2):
                if not outcomes:
                    (child,) = [
                        one
                        for one in psutil.Process().children()
                        if "scheduler" in " ".join(one.cmdline())
                    ]
                    child.kill()
                outcomes.append(outcome)
    assert {one.image for one in outcomes} == set(images)
    lost = [one for one in outcomes if "connection" in one.error]
    assert lost
    for one in outcomes:
        if not one.error:
            assert one.written[0].is_file()


def test_no_scheduler_and_no_workers_are_said(scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_S", 2)
    monkeypatch.setattr(cluster, "_NO_WORKER_S", 1)
    with (
        pytest.raises(EngineError, match="There is no Dask scheduler at"),
        cluster.connected("tcp://127.0.0.1:1"),
    ):
        pass
    with (
        pytest.raises(EngineError, match="has no workers"),
        cluster.connected(scheduler),
    ):
        pass


@pytest.mark.slow
def test_the_command_line_starts_a_pool(folder, model, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    call = ["segment", "*.tif", "-o", str(tmp_path), "--model", str(model), "--workers", "2"]
    assert main(call) == 1
    out, err = capfd.readouterr()
    assert "Starting 2 workers" in err
    assert "Traceback" not in err
    assert len(out.splitlines()) == COUNT
    assert len(list(tmp_path.glob("*_labels.tif"))) == COUNT
    assert main(call) == 1
    assert f"0 of {COUNT + 1} images segmented, {COUNT} there already, 1 failed." in (
        capfd.readouterr().err
    )


def test_a_pool_is_no_larger_than_it_pays(monkeypatch):
    assert cluster.pool_size(1) == 1
    assert cluster.pool_size(cluster.GROUP + 1) <= 2
    monkeypatch.setattr(cluster, "CPU_COUNT", 64)
    monkeypatch.setattr(cluster, "MEMORY_LIMIT", 2**33)
    assert cluster.pool_size(10_000) == 4
