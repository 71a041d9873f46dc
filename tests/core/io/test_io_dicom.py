"""DICOM radiographs: values, sizes, windows; nothing about the patient."""

import sys

import numpy as np
import pydicom
import pytest
from napari.layers import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from napari_xnet.errors import ImageError
from napari_xnet.io.dicom import get_reader, read_dicom

GRAY = np.random.default_rng(4).integers(0, 4096, (23, 31), dtype=np.uint16)
STACK = np.stack([GRAY, GRAY[::-1]])


def write(path, pixels=GRAY, **elements):
    """Write a DICOM file of a radiograph, with a patient."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "Doe-4711"
    dataset.StudyDate = "20240102"
    dataset.InstitutionName = "Doe Hospital"
    dataset.Modality = "DX"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def only(path):
    """Return the one layer of a file; napari must take it."""
    ((data, meta, kind),) = read_dicom(path)
    assert kind == "image"
    Image(data, **meta)
    return data, meta


@pytest.mark.parametrize("modality", ["CR", "DX", "RF"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_values_as_stored(tmp_path, modality, photometric):
    path = write(tmp_path / "x.dcm", Modality=modality, PhotometricInterpretation=photometric)
    data, meta = only(path)
    np.testing.assert_array_equal(data, GRAY)
    assert data.dtype == np.uint16
    assert meta["name"] == "x"
    assert meta["metadata"]["photometric"] == photometric
    assert meta["colormap"] == {"MONOCHROME1": "gray_r", "MONOCHROME2": "gray"}[photometric]
    assert meta["metadata"]["modality"] == modality
    assert meta["metadata"]["bits"] == 12
    assert (meta["scale"], meta["units"]) == ((1, 1), ("pixel", "pixel"))


def test_frames_spacing_and_acquisition(tmp_path):
    path = write(
        tmp_path / "x.dcm",
        STACK,
        Modality="RF",
        PixelSpacing=[0.3, 0.4],
        ImagerPixelSpacing=[0.1, 0.2],
        KVP="60",
        BodyPartExamined="HAND",
        ViewPosition="PA",
    )
    data, meta = only(path)
    np.testing.assert_array_equal(data, STACK)
    assert meta["scale"] == (1, 0.1, 0.2)
    assert meta["units"] == ("pixel", "mm", "mm")
    metadata = meta["metadata"]
    assert metadata["pixel_spacing"] == "ImagerPixelSpacing"
    assert (metadata["kvp"], metadata["body_part"], metadata["view"]) == (60, "HAND", "PA")


def test_nothing_about_the_patient(tmp_path):
    data, meta = only(write(tmp_path / "x.dcm"))
    assert "Doe" not in repr(meta)
    assert "2024" not in repr(meta)
    assert isinstance(data, np.ndarray)


def test_pixel_spacing_is_the_second_choice(tmp_path):
    _, meta = only(write(tmp_path / "x.dcm", PixelSpacing=[0.3, 0.4], ImagerPixelSpacing=[0, 0]))
    assert meta["scale"] == (0.3, 0.4)


def test_rescale(tmp_path):
    data, _ = only(write(tmp_path / "x.dcm", RescaleSlope="0.5", RescaleIntercept="-10"))
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, GRAY * 0.5 - 10)
    data, _ = only(write(tmp_path / "y.dcm", RescaleSlope="1", RescaleIntercept="0"))
    assert data.dtype == np.uint16


def test_window(tmp_path):
    path = write(tmp_path / "x.dcm", WindowCenter=[2000, 9], WindowWidth=[1001, 9])
    assert only(path)[1]["contrast_limits"] == (1499.5, 2499.5)
    useless = write(tmp_path / "y.dcm", WindowCenter=-5000, WindowWidth=100)
    low, high = only(useless)[1]["contrast_limits"]
    assert 0 <= low < high <= 4096


@pytest.mark.parametrize("modality", ["CT", "MR", ""])
def test_other_modalities(tmp_path, modality):
    path = write(tmp_path / "x.dcm", Modality=modality)
    with pytest.raises(ImageError, match=rf"{modality or 'unknown'}.*CR, DX, RF"):
        read_dicom(path)


def test_colour_images(tmp_path):
    with pytest.raises(ImageError, match="colour"):
        read_dicom(write(tmp_path / "x.dcm", SamplesPerPixel=3))


def test_damaged_files(tmp_path):
    path = write(tmp_path / "x.dcm")
    data = path.read_bytes()
    path.write_bytes(data[:-500])
    with pytest.raises(ImageError, match=r"holds only|truncated"):
        read_dicom(path)
    path.write_bytes(b"no dicom" * 50)
    with pytest.raises(ImageError, match="not a DICOM file"):
        read_dicom(path)
    with pytest.raises(ImageError, match="No such file"):
        read_dicom(tmp_path / "missing.dcm")


def test_absurd_sizes(tmp_path):
    with pytest.raises(ImageError, match="declares"):
        read_dicom(write(tmp_path / "x.dcm", Rows=65535, Columns=65535, NumberOfFrames=10**6))


def test_no_image(tmp_path):
    path = write(tmp_path / "x.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(ImageError, match="no image"):
        read_dicom(path)


def test_undecodable_compression(tmp_path):
    path = write(tmp_path / "x.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = pydicom.encaps.encapsulate([bytes(100)])
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"x\.dcm: .*(damaged|decoder)"):
        read_dicom(path)


def test_missing_pydicom(tmp_path, monkeypatch):
    path = write(tmp_path / "x.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError) as caught:
        read_dicom(path)
    assert str(caught.value) == ('Reading DICOM needs pydicom: pip install "napari-xnet[dicom]"')


def test_reader_command(tmp_path):
    named = str(write(tmp_path / "x.dcm"))
    nameless = str(write(tmp_path / "IM0001"))
    (tmp_path / "README").write_text("text")
    assert get_reader(str(tmp_path / "README")) is None
    assert get_reader(str(tmp_path / "missing")) is None
    assert get_reader("x.tif") is None
    np.testing.assert_array_equal(get_reader(nameless)(nameless)[0][0], GRAY)
    assert get_reader(nameless)(nameless)[0][1]["name"] == "IM0001"
    ((data, meta, _),) = get_reader([named, nameless])([named, nameless])
    assert data.shape == (2, *GRAY.shape)
    assert len(meta["scale"]) == 3
    other = str(write(tmp_path / "y.dcm", GRAY[:5]))
    with pytest.raises(ImageError, match="does not fit"):
        get_reader([named, other])([named, other])
