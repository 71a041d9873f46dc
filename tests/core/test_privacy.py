"""What is written holds nothing of the patient, and pixels only where they belong."""

import json

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_xnet.cli import main
from napari_xnet.io import write_labels

PATIENT = {
    "PatientName": "Secretname^Jane",
    "PatientID": "ID471147",
    "PatientBirthDate": "19510203",
    "PatientAddress": "Hiddenstreet",
    "StudyDate": "20240102",
    "StudyDescription": "Confidential",
    "InstitutionName": "Hospitalia",
    "ReferringPhysicianName": "Doctorow",
    "AccessionNumber": "A998877",
    "StationName": "Roomsix",
    "ImageComments": "Remarkable",
    "OperatorsName": "Handler",
    "DeviceSerialNumber": "SN445566",
}
TINY = {"epochs": 1, "sampling": {"steps": 1, "batch": 1}, "patch_px": 64}


def dicom(path, pixels):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    for name, value in PATIENT.items():
        setattr(dataset, name, value)
    dataset.Modality = "DX"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def named(data):
    """Which facts of the patient are in some bytes, also as DICOM or as JSON writes them."""
    text = data.decode("latin-1").lower()
    return [value for value in PATIENT.values() if value.partition("^")[0].lower() in text]


@pytest.fixture
def study(tmp_path, radiograph):
    """Two radiographs of one patient, with labels."""
    folder = tmp_path / "study"
    folder.mkdir()
    pixels = np.asarray(radiograph).astype(np.uint16)
    masks = 1 + np.digitize(pixels, np.quantile(pixels, (0.4, 0.8))).astype(np.uint8)
    for name in "ab":
        dicom(folder / f"{name}.dcm", pixels)
        write_labels(folder / f"{name}_labels.tif", masks)
    assert named((folder / "a.dcm").read_bytes()) == list(PATIENT.values())
    return folder


@pytest.mark.slow
def test_nothing_that_is_written_or_said_names_the_patient(study, tmp_path, capfd, own_models):
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY))
    out, report, runs = tmp_path / "out", tmp_path / "report", tmp_path / "runs"
    pairs = ["--images", str(study), "--labels", str(study)]
    train = ["train", *pairs, "--name", "mine", "--config", str(config), "--runs", str(runs)]
    assert main(train) == 0
    evaluate = ["evaluate", *pairs, "--model", "mine", "-o", str(report), "--calibrate", "0.3"]
    assert main([*evaluate, "--run", str(runs / "mine")]) == 0
    (study / "bad.dcm").write_bytes((study / "a.dcm").read_bytes()[:-200])
    call = ["segment", str(study), "-o", str(out), "--model", "mine", "--probabilities"]
    assert main([*call, "--workers", "1"]) == 1
    assert main(["models", "export", "mine", str(tmp_path / "mine.zip")]) == 0

    said = "".join(capfd.readouterr())
    assert named(said.encode()) == []
    folders = (out, report, runs, own_models)
    written = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"card.json", "log.csv", "run.json", "report.html", "failures.csv"} <= names
    for path in written:
        assert named(path.read_bytes()) == [], path


@pytest.mark.slow
def test_cards_logs_and_reports_without_pictures_hold_no_pixels(study, tmp_path, own_models):
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY))
    report, runs = tmp_path / "report", tmp_path / "runs"
    pairs = ["--images", str(study), "--labels", str(study)]
    train = ["train", *pairs, "--name", "mine", "--config", str(config), "--runs", str(runs)]
    assert main(train) == 0
    evaluate = ["evaluate", *pairs, "--model", "mine", "-o", str(report), "--no-pictures"]
    assert main(evaluate) == 0
    assert "data:image" not in (report / "report.html").read_text("utf-8")
    pixels = pydicom.dcmread(study / "a.dcm").pixel_array.ravel().tolist()
    row = pixels[len(pixels) // 2 :][:40]
    for path in (
        own_models / "mine" / "card.json",
        runs / "mine" / "card.json",
        runs / "mine" / "run.json",
        runs / "mine" / "log.csv",
        report / "report.json",
        report / "report.csv",
        report / "report.html",
    ):
        text = path.read_text("utf-8")
        assert ", ".join(map(str, row[:6])) not in text, path
        assert ",".join(map(str, row[:6])) not in text, path
        assert len(text) < 300_000
