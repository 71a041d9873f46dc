from pathlib import Path

import pytest
from napari._app_model import get_app_model
from napari.settings import get_plugin_settings
from npe2 import PluginManifest

import napari_xnet
from napari_xnet.io.samples import NAMES


def test_manifest_is_valid_and_every_command_imports():
    path = Path(napari_xnet.__file__).with_name("napari.yaml")
    manifest = PluginManifest.from_file(path)
    manifest.validate_imports()


def test_distribution_offers_the_manifest():
    manifest = PluginManifest.from_distribution("napari-xnet")
    assert manifest.display_name == "XNet"
    assert manifest.package_version == napari_xnet.__version__


@pytest.mark.parametrize(
    ("menu", "command"), [("segment", "segment"), ("segment", "train"), ("measure", "evaluate")]
)
def test_docks_are_in_the_layers_menu(viewer, menu, command):
    items = get_app_model().menus.get_menu(f"napari/layers/{menu}")
    assert f"napari-xnet.{command}" in [item.command.id for item in items]


@pytest.mark.parametrize("name", NAMES)
def test_sample(viewer, name):
    image, reference = viewer.open_sample("napari-xnet", name)
    assert image.data.dtype == "uint16"
    assert reference.data.shape == image.data.shape
    assert set(reference.data.ravel()) == {1, 2, 3}


def test_preferences_page():
    settings = get_plugin_settings("napari-xnet")
    assert settings.segmentation.memory_mb == 512
    settings.segmentation.device = "cpu"
    assert "device: cpu" in settings.config_path.read_text()
