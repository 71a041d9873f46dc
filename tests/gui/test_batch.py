"""A folder of images in *Segment radiograph*, in a real window with the real engine."""

import numpy as np
import pytest
import tifffile

from napari_xnet.io import read_labels
from napari_xnet.io.samples import sample_path


@pytest.fixture
def folder(tmp_path):
    """Three small radiographs, and a file that is none."""
    folder = tmp_path / "radiographs"
    folder.mkdir()
    hand = np.ascontiguousarray(tifffile.imread(sample_path("hand"))[::4, ::4])
    for number in range(3):
        # The network gets those of one size together: here they come one after the other.
        tifffile.imwrite(folder / f"hand{number}.tif", hand[:, 16 * number :])
    (folder / "broken.tif").write_bytes(b"no TIFF")
    return folder


@pytest.mark.slow
def test_a_folder_is_segmented_without_layers(viewer, dock, wait_until, folder, notifications):
    assert not dock["batch_run"].native.isVisible()
    dock.click("batch")
    assert dock["batch_run"].native.isVisible()
    dock.click("batch_run")
    assert any("No folder is chosen" in one for one in notifications)

    dock["batch_images"].value = folder
    assert dock["batch_labels"].value == folder / "labels"
    dock.click("batch_run")
    assert dock.is_running
    assert not dock["batch_run"].enabled
    wait_until(lambda: not dock.is_running)
    assert dock.status.startswith("3 of 4 images segmented, 1 failed.")
    assert any("1 image failed" in one for one in notifications)
    assert "broken.tif" in (folder / "labels" / "failures.csv").read_text()
    assert not viewer.layers
    one = read_labels(folder / "labels" / "hand1_labels.tif")
    assert one.shape == tifffile.imread(folder / "hand1.tif").shape
    assert set(np.unique(one)) <= {1, 2, 3}

    (folder / "broken.tif").unlink()
    (folder / "labels" / "hand0_labels.tif").unlink()
    dock.click("batch_run")
    wait_until(lambda: not dock.is_running)
    assert dock.status == "1 of 3 images segmented, 2 there already."
    assert not (folder / "labels" / "failures.csv").exists()


@pytest.mark.slow
def test_a_folder_can_be_cancelled_and_gone_on_with(dock, wait_until, folder):
    dock.click("batch")
    dock["batch_images"].value = folder
    dock.click("batch_run")
    wait_until(lambda: dock.status.startswith("Image 3 of 4"))
    dock.click("cancel")
    wait_until(lambda: not dock.is_running)
    assert dock.status == "Cancelled. Press Segment folder again to go on."
    dock.click("batch_run")
    wait_until(lambda: not dock.is_running)
    assert "there already" in dock.status
    assert len(list((folder / "labels").glob("*_labels.tif"))) == 3
