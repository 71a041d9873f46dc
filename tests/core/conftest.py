"""What the tests of the core share: one TensorFlow, one loaded model of each size, no Qt."""

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "core",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("core")

SMALL_FILTERS = (4, 8, 8, 8)


def _crowded():
    # napari's pytest plugin imports Qt into every session: what counts is whether Qt runs.
    widgets = sys.modules.get("qtpy.QtWidgets")
    return (
        "tensorflow" in sys.modules
        and widgets is not None
        and widgets.QApplication.instance() is not None
    )


@pytest.fixture(autouse=True)
def no_qt_beside_tensorflow():
    """TensorFlow and a viewer crash in one process: name the test that brings them together."""
    before = _crowded()
    yield
    if _crowded() and not before:
        pytest.fail("TensorFlow and Qt run in one process: tests of windows have their own.")


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    """An empty model folder, so that no test sees or touches the models of the user."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_XNET_MODELS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch):
    """A folder for training runs that is not the user's; it does not exist yet."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("NAPARI_XNET_RUNS", str(folder))
    return folder


@pytest.fixture(scope="session")
def default_model():
    from napari_xnet.models import load_model

    return load_model()


@pytest.fixture(scope="session")
def make_model():
    """A function that makes a small model with random weights."""
    from napari_xnet.backend import keras
    from napari_xnet.models import Architecture, Model, ModelCard
    from napari_xnet.models.model import build

    def make(architecture="xnet", filters=SMALL_FILTERS, seed=0, **preprocessing):
        keras.utils.set_random_seed(seed)
        card = ModelCard(
            name="small",
            architecture=Architecture(name=architecture, filters=filters),
            preprocessing={"size_px": 64, **preprocessing},
        )
        return Model(card, build(card))

    return make


@pytest.fixture(scope="session")
def small_model(make_model):
    """A model that no test changes."""
    return make_model()


@pytest.fixture(scope="session")
def radiograph():
    """A rough, tapering limb: beam around soft tissue around bone; uint16, bone bright."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:150, :110]
    distance = np.abs(x - 55 - 0.1 * (y - 75))
    image = 2000 + 3000 * (distance < 40 - 0.07 * y) + 4000 * (distance < 12)
    return (image + rng.normal(0, 60, image.shape)).astype(np.uint16)
