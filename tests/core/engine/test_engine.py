"""The engine: a real child process that runs, fails, is cancelled, is killed, and comes back."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures
from pathlib import Path

import numpy as np
import psutil
import pytest
import xnet_engine_tasks as tasks

from napari_xnet.engine import Engine, Progress, Stop, shared_engine, training_engine
from napari_xnet.engine.tasks import segment_image, train_run
from napari_xnet.errors import Cancelled, EngineError, ImageError, ModelError
from napari_xnet.inference import Options, segment
from napari_xnet.models import find_model, load_model
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.events import EpochEnd, Prediction, Started, Step, Watch
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import Run, create_run

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
}
SHARED = 2**16
"""From this many bytes on, arrays travel through shared memory."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where engines put their folders; its name is short, for the sake of sockets."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("t")
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def engine(folder):
    engine = Engine(ENVIRONMENT)
    yield engine
    engine.stop()
    assert engine.pid is None


@pytest.fixture
def left(folder):
    """A function that names the folders that are there now and were not before the test."""
    before = set(folder.glob("napari-xnet-*"))
    return lambda: set(folder.glob("napari-xnet-*")) - before


class Asked:
    """A request that runs in a thread, as the window's do."""

    def __init__(self, engine, function, *args, **kwargs):
        self.cancel = threading.Event()
        self.news = []
        self._running = threading.Event()
        self._outcome = futures.Future()

        def work():
            try:
                result = engine.run(
                    function, *args, report=self._report, cancel=self.cancel, **kwargs
                )
            except BaseException as error:
                self._outcome.set_exception(error)
            else:
                self._outcome.set_result(result)

        threading.Thread(target=work, daemon=True).start()

    def _report(self, news):
        assert isinstance(news, Progress)
        self.news.append(news)
        if news.total:  # it comes from the function itself
            self._running.set()

    def until_running(self):
        assert self._running.wait(60)

    def result(self):
        return self._outcome.result(60)


def wait_for(condition, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# ------------------------------------------------------------------ requests and results


def test_the_engine_starts_when_it_is_needed_and_says_what_it_does(engine):
    assert engine.pid is None
    news = []
    result = engine.run(tasks.pid, report=lambda one: news.append(one.message))
    assert result == engine.pid != os.getpid()
    assert list(dict.fromkeys(news)) == ["Starting the engine…", "Loading TensorFlow…"]
    news.clear()
    assert engine.run(tasks.count, 3, 0, report=news.append) == 3
    steps = [one for one in news if one.total]
    assert steps == [Progress("Working…", step, 3) for step in (1, 2, 3)]
    # It has started and loaded already.
    assert not {"Starting the engine…", "Loading TensorFlow…"} & {one.message for one in news}


@pytest.mark.parametrize("probabilities", [False, True])
def test_the_engine_segments_as_this_process_does(engine, default_model, radiograph, probabilities):
    stack = np.stack([radiograph, radiograph[::-1], radiograph[:, ::-1]])
    news = []
    labels, returned, notes, scale = engine.run(
        segment_image,
        stack,
        find_model("default"),
        False,
        Options(),
        probabilities,
        report=news.append,
    )
    expected = segment(stack, default_model)
    assert scale == expected.working_scale
    np.testing.assert_array_equal(labels, expected.labels)
    assert labels.dtype == np.uint8
    assert notes == ()
    if probabilities:
        np.testing.assert_allclose(returned, expected.probabilities, atol=1e-3)
        assert returned.dtype == np.float32
    else:
        assert returned is None
    done = [one.done for one in news if one.total]
    assert done == sorted(done)
    assert done[-1] == 3


@pytest.mark.parametrize("size", [0, 1, SHARED - 1, SHARED, SHARED + 1, 3_000_001])
@pytest.mark.parametrize("dtype", ["u1", "?"])
def test_arrays_of_any_size_arrive_and_return(engine, size, dtype):
    array = np.arange(size).astype(dtype)
    ((returned,), _) = engine.run(tasks.echo, array)
    np.testing.assert_array_equal(returned, array)
    assert returned.dtype == array.dtype
    assert returned.flags.writeable


LARGE = np.random.default_rng(0).random((300, 200, 3))


@pytest.mark.parametrize(
    "array",
    [
        LARGE[::2, ::-3],
        LARGE.T,
        np.asfortranarray(LARGE),
        LARGE[..., 0],
        np.broadcast_to(np.float32(3), (300, 300)),
        LARGE.astype(">f4"),
        LARGE.astype(np.float16),
        np.array(3.5),
    ],
    ids=["strided", "transposed", "fortran", "channel", "broadcast", "big-endian", "half", "0d"],
)
def test_arrays_of_any_layout_arrive(engine, array):
    shape, dtype, data, writeable = engine.run(tasks.describe, array)
    assert (shape, dtype, data) == (array.shape, array.dtype.str, array.tobytes())
    assert writeable


def test_the_engine_does_not_change_the_array_of_the_window(engine):
    array = np.zeros(10**6, np.uint8)
    ((returned,), _) = engine.run(tasks.echo, array)
    returned[:] = 1
    assert not array.any()


def test_many_arrays_and_keywords_arrive_together(engine):
    small, large = np.arange(5), np.arange(10**5)
    args, kwargs = engine.run(tasks.echo, small, [large, "text"], key={"a": large})
    np.testing.assert_array_equal(args[0], small)
    np.testing.assert_array_equal(args[1][0], large)
    np.testing.assert_array_equal(kwargs["key"]["a"], large)


def test_shared_files_are_gone_once_they_are_read(engine, folder):
    engine.run(tasks.echo, np.zeros(10**6))
    (own,) = folder.glob("napari-xnet-*")
    assert set(os.listdir(own)) <= {"log.txt", "socket"}


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize("name", ["ImageError", "ModelError", "EngineError", "XNetError"])
def test_errors_of_the_core_arrive_as_they_are(engine, name):
    with pytest.raises(Exception, match=r"^What is wrong and what to do\.$") as raised:
        engine.run(tasks.fail, name, "What is wrong and what to do.")
    assert type(raised.value).__name__ == name
    assert raised.value.args == ("What is wrong and what to do.",)


def test_real_errors_of_the_core_arrive(engine, tmp_path):
    before = engine.pid
    options = (False, Options(), False)
    with pytest.raises(ImageError, match="no finite number"):
        engine.run(segment_image, np.full((9, 9), np.nan), find_model("default"), *options)
    with pytest.raises(ModelError, match="is gone"):
        engine.run(segment_image, np.zeros((9, 9)), tmp_path / "no model", *options)
    assert engine.run(tasks.pid) == before


def test_other_errors_arrive_as_errors_of_the_engine(engine):
    with pytest.raises(EngineError, match="not enough memory"):
        engine.run(tasks.fail, "MemoryError", "")
    with pytest.raises(EngineError, match="The engine failed: ZeroDivisionError: by zero"):
        engine.run(tasks.fail, "ZeroDivisionError", "by zero")
    assert engine.run(tasks.echo, 1) == ((1,), {})


# ------------------------------------------------------------------ cancel


def test_cancel_stops_a_stack_and_keeps_the_engine(engine, radiograph):
    stack = np.broadcast_to(radiograph, (2000, *radiograph.shape))
    options = Options(size_px=32, memory_mb=1)
    # The first call of a network may take longer than the engine is waited for.
    engine.run(segment_image, stack[:1], find_model("default"), False, options, False)
    before = engine.pid
    asked = Asked(engine, segment_image, stack, find_model("default"), False, options, False)
    asked.until_running()
    asked.cancel.set()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        asked.result()
    assert time.monotonic() - start < 2
    assert asked.news[-1].done < 2000
    assert engine.run(tasks.pid) == before


def test_cancel_is_heard_while_news_keep_coming(engine):
    asked = Asked(engine, tasks.count, 1000, 0.005)  # 5 s, news each 5 ms
    asked.until_running()
    asked.cancel.set()
    with pytest.raises(Cancelled):
        asked.result()
    assert engine.run(tasks.echo, 1) == ((1,), {})


def test_cancel_before_the_start_runs_nothing(engine):
    before = engine.pid
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.run(tasks.sleep, 60, cancel=cancel)
    assert engine.run(tasks.pid) == before


def test_requests_wait_for_each_other(engine):
    first = Asked(engine, tasks.count, 30, 0.02)
    first.until_running()
    second, third = Asked(engine, tasks.echo, 2), Asked(engine, tasks.echo, 3)
    wait_for(lambda: second.news and third.news)
    assert second.news[0].message == third.news[0].message == "Waiting for the engine…"
    second.cancel.set()
    with pytest.raises(Cancelled):
        second.result()
    assert first.result() == 30
    assert third.result() == ((3,), {})


def test_a_request_whose_listener_fails_does_not_answer_the_next_one(engine):
    def fail(news):
        if news.total:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.run(tasks.count, 20, 0.02, report=fail)
    assert engine.run(tasks.echo, "mine") == (("mine",), {})


# ------------------------------------------------------------------ sudden ends


@pytest.mark.slow
def test_an_engine_that_ignores_cancel_is_replaced_and_a_killed_one_too(engine):
    before = engine.pid
    asked = Asked(engine, tasks.sleep, 600)
    asked.until_running()
    asked.cancel.set()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        asked.result()
    assert time.monotonic() - start < 2
    assert gone(before)

    # The new one is loading already.
    second = engine.pid
    assert second not in (None, before)
    asked = Asked(engine, tasks.sleep, 600)
    asked.until_running()
    psutil.Process(second).kill()
    with pytest.raises(EngineError, match=r"The engine (was )?ended") as raised:
        asked.result()
    assert "Your layers are untouched; run again" in str(raised.value)
    assert "\n" not in str(raised.value)

    assert engine.run(tasks.pid) not in (before, second, os.getpid())


def test_an_engine_killed_while_it_waits_leaves_nothing_behind(left):
    engine = Engine(ENVIRONMENT)
    engine.start()
    psutil.Process(engine.pid).kill()
    wait_for(lambda: engine.pid is None)
    engine.start()
    assert engine.pid is not None
    engine.stop()
    assert engine.pid is None
    assert not left()


def test_a_temporary_folder_that_does_not_do_is_one_clear_error(folder, monkeypatch):
    long = folder / ("x" * 120)
    long.mkdir()
    for bad in (folder / "not there", long):
        monkeypatch.setattr(tempfile, "tempdir", str(bad))
        with pytest.raises(EngineError, match="temporary folder"):
            Engine(ENVIRONMENT).start()
    assert not list(long.iterdir())


@pytest.mark.slow
def test_a_changed_environment_waits_for_the_running_request(engine):
    asked = Asked(engine, tasks.count, 50, 0.02)
    asked.until_running()
    before = engine.pid
    engine.environment = ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    engine.start()
    assert asked.result() == 50
    assert engine.run(tasks.pid) not in (before, None)
    engine.environment = ENVIRONMENT


@pytest.mark.slow
def test_a_vanished_folder_is_one_error_and_the_next_request_works(left):
    engine = Engine(ENVIRONMENT)
    engine.run(tasks.pid)
    (own,) = left()
    shutil.rmtree(own)
    with pytest.raises(EngineError, match=r"[Rr]un again"):
        engine.run(tasks.echo, np.zeros(10**6))
    assert engine.run(tasks.echo, 1) == ((1,), {})
    engine.stop()


def test_start_and_stop_can_be_repeated(left):
    engine = Engine(ENVIRONMENT)
    engine.stop()
    engine.start()
    first = engine.pid
    engine.start()
    assert engine.pid == first
    engine.stop()
    engine.stop()
    assert gone(first)
    assert not left()


@pytest.mark.slow
def test_another_environment_is_another_process(left):
    engine = Engine(ENVIRONMENT)
    engine.start()
    first = engine.pid
    engine.environment["OMP_NUM_THREADS"] = "1"
    assert engine.run(tasks.pid) != first
    assert gone(first)
    engine.stop()
    assert not left()


def test_a_broken_framework_is_one_clear_error_each_time(left):
    engine = Engine(ENVIRONMENT | {"KERAS_BACKEND": "nonsense"})
    try:
        for _ in range(2):
            with pytest.raises(EngineError) as raised:
                engine.run(tasks.echo, 1)
            assert "Keras could not be loaded on nonsense" in str(raised.value)
            assert "\n" not in str(raised.value)
    finally:
        engine.stop()
    assert not left()


# ------------------------------------------------------------------ telling, and training


@pytest.mark.slow
def test_the_running_function_hears_what_it_is_told(engine):
    asked = Asked(engine, tasks.hear, "end")
    asked.until_running()
    values = ["first", ("second", 2), "end"]
    for value in values:
        engine.tell(value)
    assert asked.result() == values


def test_what_is_told_while_nothing_runs_is_dropped(engine):
    Engine(ENVIRONMENT).tell("nobody")  # there is no process even
    engine.run(tasks.pid)
    engine.tell("too early")
    asked = Asked(engine, tasks.hear, "end")
    asked.until_running()
    engine.tell("end")
    assert asked.result() == ["end"]


def test_what_was_told_to_one_request_does_not_reach_the_next(engine):
    asked = Asked(engine, tasks.count, 20, 0.02)  # it does not listen
    asked.until_running()
    engine.tell("for the other")
    assert asked.result() == 20
    asked = Asked(engine, tasks.hear, "end")
    asked.until_running()
    engine.tell("end")
    assert asked.result() == ["end"]


@pytest.fixture
def training(small_model, own_models, radiograph):
    """A run that would take hours."""
    small_model.save(own_models / "own")
    labels = np.zeros(radiograph.shape, np.uint8)
    for row in (20, 110):
        labels[row : row + 15, 3:6], labels[row : row + 15, 30:33] = 1, 2
        labels[row : row + 15, 54:57] = 3
    config = TrainingConfig(patch_px=32, epochs=10_000, sampling={"batch": 1, "steps": 2})
    return create_run(
        "mine",
        [Pair("a", radiograph, labels)],
        config,
        base="own",
        models_folder=own_models,
    )


@pytest.mark.slow
def test_training_tells_shows_the_watched_image_and_stops_on_demand(engine, training, radiograph):
    asked = Asked(engine, train_run, training.folder)
    asked.until_running()
    engine.tell(Watch("layer", radiograph))
    wait_for(lambda: any(isinstance(one.detail, Prediction) for one in asked.news), 60)
    engine.tell(Stop())
    summary = asked.result()
    assert summary.stopped
    assert load_model("mine", training.record.models_folder)
    assert Run.open(training.folder).record.model == "mine"

    events = [one.detail for one in asked.news if one.detail is not None]
    assert isinstance(events[0], Started)
    kinds = {type(one) for one in events}
    assert {Started, Step, EpochEnd, Prediction} <= kinds
    prediction = next(one for one in events if isinstance(one, Prediction))
    assert prediction.key == "layer"
    assert prediction.labels.shape == radiograph.shape
    done = [one.done for one in asked.news if one.total]
    assert done == sorted(done)
    assert {one.total for one in asked.news if one.total} == {20_000}


def test_cancelled_training_can_go_on(engine, training):
    asked = Asked(engine, train_run, training.folder)
    wait_for(lambda: any(isinstance(one.detail, EpochEnd) for one in asked.news), 60)
    start = time.monotonic()
    asked.cancel.set()
    with pytest.raises(Cancelled):
        asked.result()
    assert time.monotonic() - start < 2
    run = Run.open(training.folder)
    assert not run.record.finished
    assert run.history()


def test_training_has_an_engine_of_its_own():
    assert training_engine() is training_engine()
    assert shared_engine() is shared_engine()
    assert training_engine() is not shared_engine()
    # Nobody started them here.
    assert training_engine().pid is shared_engine().pid is None


PARENT = """
import json, sys
from napari_xnet.engine import Engine
from napari_xnet.engine.tasks import segment_image

def report(news):
    if news.message == "Loading TensorFlow…":
        loaded = sorted({"tensorflow", "keras"} & set(sys.modules))
        print(json.dumps([engine.pid, loaded]), flush=True)
        sys.stdin.read()  # until the test kills this process

engine = Engine()
engine.run(segment_image, None, None, False, None, False, report=report)
"""


def test_the_engine_ends_with_its_parent_which_never_loads_tensorflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("p")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=os.environ | {"TMPDIR": str(folder), "TEMP": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        pid, loaded = json.loads(parent.stdout.readline())
        assert loaded == []
        assert not gone(pid)
        assert list(folder.glob("napari-xnet-*"))
    finally:
        parent.kill()
        parent.communicate()
    wait_for(lambda: gone(pid))
    assert not list(folder.glob("napari-xnet-*"))


@pytest.mark.slow
def test_an_engine_that_ends_by_itself_says_how(engine):
    """The last test: it leaves no engine."""
    with pytest.raises(EngineError, match="ended with code 3"):
        engine.run(tasks.leave)
    assert engine.pid is None
