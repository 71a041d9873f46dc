"""*Simulate radiographs* in a real window."""

import nibabel
import numpy as np
import pytest

from napari_xnet.simulation.anatomy import regions
from napari_xnet.widgets.painted import is_tissue
from napari_xnet.widgets.simulate import ALL


@pytest.fixture
def dock(open_dock):
    return open_dock("Simulate radiographs")


def finish(dock, wait_until) -> None:
    dock.click("run")
    assert dock.is_running
    wait_until(lambda: not dock.is_running, 120)


def test_region_becomes_labelled_radiographs(viewer, dock, wait_until):
    assert dock["anatomy"].value == ALL
    wait_until(lambda: len(dock["anatomy"].choices) == 1 + len(regions()), 20)
    dock["anatomy"].value = "dog tail"
    dock["count"].value, dock["size_px"].value = 2, 96
    finish(dock, wait_until)
    names = ["dog tail 1", "dog tail 1_labels", "dog tail 2", "dog tail 2_labels"]
    assert [layer.name for layer in viewer.layers] == names
    for image, labels in zip(viewer.layers[::2], viewer.layers[1::2], strict=True):
        assert max(image.data.shape) == 96
        assert image.data.shape == labels.data.shape
        assert is_tissue(labels)
        np.testing.assert_array_equal(image.scale, labels.scale)
    assert [layer.visible for layer in viewer.layers] == [False, False, True, True]
    assert dock.status.startswith("Made 2 radiographs with labels.")

    kept = [layer.data for layer in viewer.layers]
    finish(dock, wait_until)
    for layer, data in zip(viewer.layers[4:], kept, strict=True):
        np.testing.assert_array_equal(layer.data, data)


def test_ct_that_is_open_is_chosen_and_projected(viewer, dock, wait_until, notifications):
    _, y, x = np.mgrid[:40, :40, :40] - 19.5
    hu = np.where(np.hypot(y, x) < 15, 40, -1000).astype(np.int16)
    hu[np.hypot(y, x) < 5] = 1200
    layer = viewer.add_image(hu, name="arm")
    wait_until(lambda: dock["anatomy"].value is layer, 5)
    dock["count"].value, dock["size_px"].value = 1, 96
    dock.click("run")
    assert "does not say how large its voxels are" in notifications[0]
    assert not dock.is_running

    layer.scale = (2.0, 2.0, 2.0)
    finish(dock, wait_until)
    made = viewer.layers["arm 1_labels"]
    assert {2, 3} <= set(np.unique(made.data))

    layer.scale, layer.units = (2000.0,) * 3, "um"  # the same size, said otherwise
    finish(dock, wait_until)
    same = viewer.layers[-1]
    np.testing.assert_array_equal(same.data, made.data)
    assert same.scale == pytest.approx(made.scale, rel=1e-4)

    layer.data = hu + 2000
    finish(dock, wait_until)
    assert "does not hold Hounsfield units" in notifications[-1]
    assert dock.status.startswith("Nothing was made. arm does not hold Hounsfield units")


def test_nifti_file_is_opened_and_projected(viewer, dock, wait_until, tmp_path):
    _, y, x = np.mgrid[:40, :40, :40] - 19.5
    hu = np.where(np.hypot(y, x) < 15, 40, -1000).astype(np.int16)
    hu[np.hypot(y, x) < 5] = 1200
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), np.diag([1.5, 1.5, 2.0, 1.0]))
    nibabel.save(image, tmp_path / "arm.nii.gz")
    (layer,) = viewer.open(tmp_path / "arm.nii.gz", plugin="napari-xnet")
    assert layer.scale == pytest.approx((2.0, 1.5, 1.5))
    assert dock["anatomy"].value is layer
    dock["count"].value, dock["size_px"].value = 1, 96
    finish(dock, wait_until)
    assert {2, 3} <= set(np.unique(viewer.layers["arm 1_labels"].data))
    assert not layer.visible  # it would lie across the radiograph


def test_cancel_adds_nothing(viewer, dock, wait_until):
    dock["count"].value = 50
    dock.click("run")
    dock.click("cancel")
    wait_until(lambda: not dock.is_running, 5)
    assert dock.status == "Cancelled: no layer was added."
    assert not viewer.layers
