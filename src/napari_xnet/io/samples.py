"""The sample data of *File > Open Sample > XNet*: simulated radiographs with their labels."""

from pathlib import Path

from napari_xnet.io.layerdata import LayerData
from napari_xnet.io.tiff import read_tiff

NAMES = ("hand", "knee", "foot")
"""Made by ``recipes/samples.py``."""

_FOLDER = Path(__file__).parent.parent / "samples"


def sample_path(name: str) -> Path:
    """Path of the radiograph of a sample, a TIFF file."""
    return _FOLDER / f"{name}.tif"


def labels_path(name: str) -> Path:
    """Path of the exact labels of a sample, a TIFF file."""
    return _FOLDER / f"{name}_labels.tif"


def open_sample(name: str) -> list[LayerData]:
    """Layers of a sample: the radiograph and, hidden, its exact labels.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    list of LayerData
    """
    image, labels = read_tiff(sample_path(name)), read_tiff(labels_path(name))
    for layer in labels:
        layer[1].update(name=f"{name} reference", visible=False)
    return [*image, *labels]


def hand() -> list[LayerData]:
    """Open the simulated hand."""
    return open_sample("hand")


def knee() -> list[LayerData]:
    """Open the simulated knee."""
    return open_sample("knee")


def foot() -> list[LayerData]:
    """Open the simulated foot."""
    return open_sample("foot")
