"""CTs of a cylinder of flesh with a rod of bone, read from all formats and projected."""

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile

from napari_xnet.errors import ImageError
from napari_xnet.simulation import ct
from napari_xnet.simulation.ct import layer as ct_layer
from napari_xnet.simulation.radiograph import label_map
from napari_xnet.simulation.scenery import plain_scenery

SPACING = (2.0, 1.0, 1.0)
FRONT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def phantom(table=False, rod_hu=1900):
    """Cylinder along z, radius 30 mm, of muscle; in its middle a rod of radius 8 mm."""
    z, y, x = np.mgrid[:40, :90, :100].astype(float)
    away = np.hypot(y - 40.5, x - 50.5)
    hu = np.full(z.shape, -1000, np.int16)
    hu[away < 30.0] = 45
    hu[away < 8.0] = rod_hu
    hu[z < 8] = np.where(hu[z < 8] == rod_hu, 45, hu[z < 8])
    if table:
        hu[:, 71:74, 5:95] = 200
    return hu


def middle(mm, name):
    rows, columns = mm[name].shape
    return float(
        mm[name][rows // 2 - 1 : rows // 2 + 1, columns // 2 - 1 : columns // 2 + 1].mean()
    )


CENTRE = np.array([50.5, 40.5, 40.0])


@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0, 90.0])
def test_thickness_of_a_cylinder(angle):
    volume = ct.Volume(phantom(), SPACING)
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    inside = ct.project_ct(volume, FRONT @ turn.T, (80.0, 60.0), 160, 1000.0, CENTRE)
    assert inside.mm["bone"].shape == (120, 160)
    assert middle(inside.mm, "bone") == pytest.approx(16.0, abs=1.6)
    assert middle(inside.mm, "lean") == pytest.approx(44.0, abs=3.0)
    assert middle(inside.mm, "titanium") == 0.0


def test_oblique_rays_are_longer():
    volume = ct.Volume(np.full((60, 20, 200), 45, np.int16), (2.0, 1.0, 1.0))
    inside = ct.project_ct(volume, FRONT, (190.0, 40.0), 95, 300.0)
    row = inside.mm["lean"][inside.mm["lean"].shape[0] // 2]
    assert row[47] == pytest.approx(20.0, abs=0.3)
    slant = np.hypot(1.0, 80.0 / 300.0)
    assert row[7] / row[47] == pytest.approx(slant, rel=0.01)


def test_field_is_magnified():
    volume = ct.Volume(phantom(), SPACING)
    inside = ct.project_ct(volume, FRONT, (80.0, 60.0), 400, 200.0, CENTRE, gap_mm=20.0)
    across = (inside.mm["bone"][150] > 1.0).sum() * 0.2
    # The detector lies 20 mm behind the volume, 70 mm behind the rod.
    assert across == pytest.approx(16.0 * 200.0 / 130.0, abs=2.0)


@pytest.mark.parametrize(
    ("hu", "material", "share"),
    [
        (-740, "lung", 1.0),
        (-100, "fat", 1.0),
        (45, "lean", 1.0),
        (980, "bone", 0.5),
        (3050, "titanium", 1.0),
    ],
)
def test_materials(hu, material, share):
    volume = ct.Volume(np.full((20, 40, 40), hu, np.int16), (1.0, 1.0, 1.0))
    inside = ct.project_ct(volume, FRONT, (10.0, 10.0), 10, 1000.0)
    assert middle(inside.mm, material) == pytest.approx(40.0 * share, rel=0.03)


def test_metal_is_labelled_as_bone():
    hu = phantom(rod_hu=3050)
    inside = ct.project_ct(ct.Volume(hu, SPACING), FRONT, (80.0, 60.0), 160, 1000.0, CENTRE)
    labels = label_map(inside, plain_scenery(inside))
    assert labels[60, 80] == 3
    assert labels[60, 30] == 2


def test_table_is_removed():
    bare = ct.remove_table(ct.Volume(phantom(table=True), (2.0, 2.0, 2.0)))
    assert (bare.hu[:, 71:75, :30] == -1000).all()
    assert (bare.hu[:, 71:75] == -1000).mean() > 0.6
    inside = phantom() > -300
    assert (bare.hu[inside] == phantom()[inside]).mean() > 0.99


@pytest.mark.parametrize("thick", [12, 16, 20])
def test_fingers_stay_when_the_table_goes(thick):
    hu = np.full((120, 80, 180), -1000, np.int16)
    hu[60:, 20:45, 10:110] = 45  # palm
    for left in range(12, 110, 26):
        hu[5:60, 28 : 28 + thick, left : left + thick] = 45
    body = hu > -300
    hu[:, 50:53] = 200
    bare = ct.remove_table(ct.Volume(hu, (1.0, 1.0, 1.0)))
    assert (bare.hu[body] == 45).mean() > 0.99
    assert (bare.hu[:, 50:53] == -1000).mean() > 0.9


def test_few_slices_are_a_ct(tmp_path):
    volume = ct.Volume(phantom()[10:12], SPACING)
    inside, _ = ct.random_ct_projection(volume, 64, np.random.default_rng(0))
    assert inside.mm["lean"].max() > 10


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")], bool])
def test_voxels_that_are_no_numbers(dtype):
    with pytest.raises(ImageError, match="colours or complex numbers"):
        ct.as_volume(np.zeros((8, 8, 8), dtype), SPACING)


def test_nothing_but_air():
    empty = ct.Volume(np.full((10, 10, 10), -1000, np.int16), SPACING)
    with pytest.raises(ImageError, match="air"):
        ct.remove_table(empty)


def test_random_projections_differ_but_repeat():
    volume = ct.Volume(phantom(), SPACING)
    first, again, other = (
        ct.random_ct_projection(volume, 64, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0].mm["bone"], again[0].mm["bone"])
    assert max(first[1].shape) == 64
    assert first[0].mm["bone"].shape == first[1].shape
    assert first[1].pixel_size_mm != other[1].pixel_size_mm
    assert first[0].mm["lean"].max() > 20.0


def test_source_inside_the_volume():
    with pytest.raises(ImageError, match="source"):
        ct.project_ct(ct.Volume(phantom(), SPACING), FRONT, (50.0, 50.0), 20, 60.0)


def test_nifti(tmp_path):
    hu = phantom()
    # From the right, front and feet: x and y run against those of NIfTI.
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    for name in ("one.nii", "two.nii.gz"):
        image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, tmp_path / name)
        volume = ct.read_ct(tmp_path / name)
        np.testing.assert_array_equal(volume.hu, hu)
        assert volume.spacing_mm == pytest.approx(SPACING)


def test_nifti_damaged(tmp_path):
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="damaged"):
        ct.read_ct(tmp_path / "bad.nii.gz")
    with pytest.raises(ImageError, match="does not exist"):
        ct.read_ct(tmp_path / "none.nii")


def test_tiff(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path,
        phantom(),
        imagej=True,
        resolution=(1 / SPACING[2], 1 / SPACING[1]),
        metadata={"spacing": SPACING[0], "unit": "mm", "axes": "ZYX"},
    )
    volume = ct.read_ct(path)
    np.testing.assert_array_equal(volume.hu, phantom())
    assert volume.spacing_mm == pytest.approx(SPACING)


def test_tiff_without_spacing(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, phantom(), photometric="minisblack")
    with pytest.raises(ImageError, match="spacing"):
        ct.read_ct(path)
    assert ct.read_ct(path, SPACING).spacing_mm == SPACING
    with pytest.raises(ImageError, match="above 0"):
        ct.read_ct(path, (1.0, 0.0, 1.0))


def test_values_that_are_no_hounsfield_units(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, (phantom() + 1000).astype(np.uint16), photometric="minisblack")
    with pytest.raises(ImageError, match="Hounsfield"):
        ct.read_ct(path, SPACING)


def test_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("no CT")
    with pytest.raises(ImageError, match="NIfTI"):
        ct.read_ct(tmp_path / "notes.txt")
    with pytest.raises(ImageError, match="no CT slices"):
        ct.read_ct(tmp_path)


def write_series(folder, hu, order, flip=False):
    uid = pydicom.uid.generate_uid()
    for number in order:
        one = pydicom.Dataset()
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        one.SOPInstanceUID = pydicom.uid.generate_uid()
        one.SeriesInstanceUID, one.Modality = uid, "CT"
        across, place = (-1, 99) if flip else (1, 0)
        one.ImageOrientationPatient = [across, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [place, 0, SPACING[0] * number]
        one.PixelSpacing = [SPACING[1], SPACING[2]]
        one.Rows, one.Columns = hu.shape[1:]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        pixels = hu[number, :, ::-1] if flip else hu[number]
        one.PixelData = (pixels + 1024).astype("<u2").tobytes()
        one.save_as(folder / f"{(7 * number) % 41}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("flip", [False, True])
def test_dicom(tmp_path, flip):
    hu = phantom()
    hu[:, 40, 60] = 700  # left is not right
    write_series(tmp_path, hu, range(40), flip)
    volume = ct.read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm == pytest.approx(SPACING)


def test_dicom_with_missing_slices(tmp_path):
    write_series(tmp_path, phantom(), [*range(10), *range(14, 40)])
    with pytest.raises(ImageError, match="missing"):
        ct.read_ct(tmp_path)


def test_ct_as_a_layer(tmp_path):
    hu, series = phantom(), tmp_path / "series.1"
    series.mkdir()
    write_series(series, hu, range(40))
    image = nibabel.Nifti1Image(
        hu.transpose(2, 1, 0), np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    )
    nibabel.save(image, tmp_path / "Leg.v2.nii.gz")
    for path, name in ((series, "series.1"), (tmp_path / "Leg.v2.nii.gz", "Leg.v2")):
        ((data, meta, kind),) = ct_layer.get_reader(str(path))(str(path))
        np.testing.assert_array_equal(data, hu)
        assert (kind, meta["name"], meta["units"]) == ("image", name, ("mm",) * 3)
        assert meta["scale"] == pytest.approx(SPACING)


def test_other_folders_and_files_are_left_to_others(tmp_path):
    (tmp_path / "notes.txt").write_text("no CT")
    assert ct_layer.get_reader(str(tmp_path)) is None
    assert ct_layer.get_reader(str(tmp_path / "notes.txt")) is None
    write_series(tmp_path, phantom(), [0])
    assert ct_layer.get_reader([str(tmp_path)])
    radiograph = tmp_path / "0.dcm"
    head = pydicom.dcmread(radiograph)
    head.Modality = "DX"
    head.save_as(radiograph)
    assert ct_layer.get_reader(str(tmp_path)) is None
