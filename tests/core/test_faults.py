"""Bad days: what users see, and that nothing is lost, when the machine fails them."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xnet.errors import ImageError
from napari_xnet.inference import Options, segment
from napari_xnet.inference.batch import segment_files
from napari_xnet.inference.files import Target
from napari_xnet.io import arrays, read_image, read_labels
from napari_xnet.models import export_model, load_model

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="how Linux limits a process")


@pytest.fixture
def model(tmp_path, small_model):
    small_model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def images(tmp_path, radiograph):
    (tmp_path / "in").mkdir()
    for name in "abc":
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", radiograph)
    return sorted((tmp_path / "in").iterdir())


def call(arguments, before="", prefix=(), **environment):
    """Run the command line in a process of its own, after some code."""
    code = f"""
        import sys
        {before}
        from napari_xnet.cli import main
        sys.exit(main(sys.argv[1:]))
    """
    command = [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=200
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def without_rights():
    """Root may write anywhere: take that from it, as other users have not got it."""
    if os.geteuid() != 0:
        return []
    lost = "-dac_override,-dac_read_search"
    return ["setpriv", "--inh-caps", lost, "--bounding-set", lost]


@pytest.mark.slow
@LINUX
def test_a_full_disk_is_said_and_the_run_goes_on_later(tmp_path, images, model):
    # No file may become longer than 500 bytes: writing fails in the middle.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))"
    out = tmp_path / "out"
    arguments = ["segment", *images, "-o", out, "--model", model, "--workers", "1"]
    code, stdout, err = call(arguments, limit)
    assert code == 1
    assert err.count("could not be written: File too large") >= 3
    assert not stdout
    assert [path for path in out.iterdir() if path.suffix == ".tif"] == []
    code, stdout, err = call(arguments)
    assert code == 0
    assert len(stdout.splitlines()) == 3


@pytest.mark.slow
@LINUX
def test_a_folder_that_may_not_be_written_is_said(tmp_path, images, model):
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    arguments = ["segment", images[0], "-o", out, "--model", model]
    code, _, err = call(arguments, prefix=without_rights())
    assert code == 1
    assert "may not be written" in err
    assert not list(out.iterdir())


@pytest.mark.slow
@LINUX
def test_a_home_that_cannot_be_written_and_no_display_do_not_matter(tmp_path, images, model):
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    no_home = {"HOME": str(home), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    no_home |= {f"XDG_{kind}_HOME": str(home / kind) for kind in ("DATA", "CONFIG", "CACHE")}
    arguments = ["segment", images[0], "-o", tmp_path / "out", "--model", model]
    code, _, err = call(arguments, prefix=without_rights(), **no_home)
    assert code == 0, err
    assert not list(home.iterdir())


def test_a_folder_that_goes_in_the_middle_of_a_batch_is_said(tmp_path, images, small_model):
    out = tmp_path / "out"
    out.mkdir()
    target = Target.of(out, small_model.card, Options(memory_mb=1))
    outcomes = []
    for outcome in segment_files(images * 4, target, lambda: small_model):
        if not outcomes:
            out.rename(tmp_path / "elsewhere")
        outcomes.append(outcome)
    assert len(outcomes) == 12
    assert "does not exist" in outcomes[-1].error


def test_a_file_that_is_cut_while_it_is_open_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "EAGER_BYTES", 0)  # as if it were larger than that
    image = np.arange(3000 * 2000, dtype=np.uint16).reshape(3000, 2000)
    path = tmp_path / "large.tif"
    tifffile.imwrite(path, image)
    data = read_image(path).data
    assert arrays.is_lazy(data)
    np.testing.assert_array_equal(data[100:200], image[100:200])
    across = np.moveaxis(data, 0, 1)
    with path.open("r+b") as file:
        file.truncate(1000)
    for part in (data, across):
        with pytest.raises(ImageError, match="changed while it was open"):
            part[-10:]


def test_a_file_that_is_replaced_while_it_is_open_stays_what_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "EAGER_BYTES", 0)
    image = np.arange(300 * 200, dtype=np.uint16).reshape(300, 200)
    path = tmp_path / "large.tif"
    tifffile.imwrite(path, image)
    data = read_image(path).data
    tifffile.imwrite(tmp_path / "new.tif", image[:5, :5])
    (tmp_path / "new.tif").replace(path)
    np.testing.assert_array_equal(data[10:300], image[10:300])


def test_memory_that_does_not_suffice_gives_the_network_less(radiograph, make_model, monkeypatch):
    from tensorflow.errors import ResourceExhaustedError

    model = make_model()
    expected = segment(radiograph, model).labels
    asked = []
    predict = model.predict

    def limited(images, *arguments, call_px, **options):
        asked.append(call_px)
        if call_px > images[0].size:
            raise ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return predict(images, *arguments, call_px=call_px, **options)

    monkeypatch.setattr(model, "predict", limited)
    np.testing.assert_array_equal(segment(radiograph, model).labels, expected)
    assert asked == sorted(asked, reverse=True)
    assert len(asked) > 1

    monkeypatch.setattr(model, "predict", lambda *_, **__: limited(np.zeros((1, 0)), call_px=1))
    with pytest.raises(ResourceExhaustedError):
        segment(radiograph, model)


@pytest.mark.slow
def test_a_broken_tensorflow_is_said_and_files_can_be_read(tmp_path, images, model):
    broken = tmp_path / "broken" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libsomething.so: cannot open')")
    path = str(broken.parent)
    arguments = ["segment", *images, "-o", tmp_path / "out", "--model", model, "--workers", "1"]
    code, _, err = call(arguments, PYTHONPATH=path, KERAS_BACKEND="tensorflow")
    assert code == 2
    assert "Keras could not be loaded on tensorflow (libsomething.so: cannot open)" in err
    assert "pip install" in err
    reads = "from napari_xnet.io import read_image; print(read_image(sys.argv[2]).data.shape)"
    code, stdout, _ = call(["models", "list"], PYTHONPATH=path)
    assert code == 0
    assert "default" in stdout
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {reads}", "-", str(images[0])],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(read_image(images[0]).data.shape)


@pytest.mark.slow
def test_two_processes_that_add_one_model_leave_one_whole_model(tmp_path, model):
    archive = export_model(model, tmp_path / "shared.zip")
    barrier = threading.Barrier(3)

    def add():
        barrier.wait()
        return call(["models", "import", archive])

    with ThreadPoolExecutor(3) as pool:
        results = [one.result() for one in [pool.submit(add) for _ in range(3)]]
    codes = sorted(code for code, _, _ in results)
    assert codes[0] == 0
    for code, _, err in results:
        assert code == 0 or "already" in err
    assert load_model("shared").card.name == "shared"
    assert [path.name for path in Path(os.environ["NAPARI_XNET_MODELS"]).iterdir()] == ["shared"]


@pytest.mark.parametrize("name", ["Röntgen 手 – №1", "a" * 200, "-o", "100 %", "it's [1]"])
def test_odd_names_are_names(tmp_path, radiograph, small_model, name):
    folder = tmp_path / "Aufnahmen ✋" / ("deep" * 30) / ("deeper" * 20)
    folder.mkdir(parents=True)
    image = folder / f"{name}.tif"
    tifffile.imwrite(image, radiograph)
    target = Target.of(folder, small_model.card, Options())
    (outcome,) = segment_files([image], target, lambda: small_model)
    assert not outcome.error
    assert outcome.written[0].name == f"{name}_labels.tif"
    np.testing.assert_array_equal(
        read_labels(outcome.written[0]), segment(radiograph, small_model).labels
    )


def test_a_name_that_is_too_long_for_its_result_is_said(tmp_path, radiograph, small_model):
    image = tmp_path / f"{'a' * 250}.tif"
    tifffile.imwrite(image, radiograph)
    target = Target.of(tmp_path, small_model.card, Options())
    (outcome,) = segment_files([image], target, lambda: small_model)
    assert "too long" in outcome.error
