"""Many image files in one process: resumed, read ahead, written behind."""

import csv
import os
import shutil
import time

import numpy as np
import pytest
import tifffile

from napari_xnet.errors import Cancelled, ModelError
from napari_xnet.inference import Options, batch, segment
from napari_xnet.inference.batch import Outcome, Summary, segment_files
from napari_xnet.inference.files import Target, prepare_folder
from napari_xnet.io import read_labels, write_labels


@pytest.fixture
def images(tmp_path, radiograph):
    """Five radiographs, of two sizes, and a stack."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abc":
        tifffile.imwrite(folder / f"{name}.tif", np.roll(radiograph, ord(name), axis=1))
    tifffile.imwrite(folder / "d.tif", radiograph[:, :40])
    tifffile.imwrite(
        folder / "e.tif", np.stack([radiograph, radiograph[::-1]]), photometric="minisblack"
    )
    return sorted(folder.iterdir())


@pytest.fixture
def target(tmp_path, small_model):
    (tmp_path / "out").mkdir()
    return Target.of(tmp_path / "out", small_model.card, Options())


def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path):
    old, young, result = (
        tmp_path / name for name in (f".{'a' * 12}.tif", ".b1b1b1b1b1b1", "x.tif")
    )
    for path in (old, young, result):
        path.write_bytes(b"half")
    hours_ago = time.time() - 7300
    for path in (old, result):
        os.utime(path, (hours_ago, hours_ago))
    prepare_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([young, result])
    prepare_folder(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()


def test_each_image_gets_what_it_would_get_alone(images, target, small_model):
    outcomes = list(segment_files(images, target, lambda: small_model))
    assert [one.image for one in outcomes] == images
    assert not any(one.error or one.was_there for one in outcomes)
    for one in outcomes:
        expected = segment(tifffile.imread(one.image), small_model, rgb=False).labels
        np.testing.assert_array_equal(read_labels(one.written[0]), expected)


def test_images_of_one_size_are_given_to_the_network_together(
    images, target, small_model, monkeypatch
):
    sizes = []
    predict = small_model.predict

    def watch(batch, *arguments, **options):
        sizes.append(len(batch))
        return predict(batch, *arguments, **options)

    monkeypatch.setattr(small_model, "predict", watch)
    list(segment_files(images[:4], target, lambda: small_model))
    assert max(sizes) > 1
    assert sum(sizes) == 4


def test_what_is_there_is_kept_and_needs_no_model(images, target, small_model):
    first = list(segment_files(images, target, lambda: small_model))
    written = [path for one in first for path in one.written]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written}

    def refuse():
        raise AssertionError("the model was loaded")

    second = list(segment_files(images, target, refuse))
    assert all(one.was_there and one.written for one in second)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written} == before


@pytest.mark.parametrize("how", ["gone", "cut", "older", "other options", "other model", "planes"])
def test_what_is_not_there_whole_is_made_again(
    images, target, small_model, make_model, tmp_path, how
):
    image, model = images[0], small_model
    (first,) = segment_files([image], target, lambda: model)
    (labels,) = first.written
    match how:
        case "gone":
            labels.unlink()
        case "cut":
            labels.write_bytes(labels.read_bytes()[:100])
        case "older":
            os.utime(labels, (1, 1))
        case "other options":
            options = Options(soft_tissue_threshold=0.4)
            target = Target.of(target.folder, model.card, options)
        case "other model":
            model = make_model(seed=3)
            model.save(tmp_path / "other")
            target = Target.of(target.folder, model.card, Options())
        case "planes":
            target = Target.of(target.folder, model.card, Options(), probabilities=True)
    (second,) = segment_files([image], target, lambda: model)
    assert not second.was_there
    assert all(path.is_file() for path in second.written)
    expected = segment(tifffile.imread(image), model, options=target.options).labels
    np.testing.assert_array_equal(read_labels(labels), expected)


def test_more_memory_for_the_network_is_no_reason_to_begin_again(images, target, small_model):
    list(segment_files(images[:1], target, lambda: small_model))
    other = Target.of(target.folder, small_model.card, Options(memory_mb=64))
    assert other.has(images[0])


def test_labels_of_a_person_stay(images, target, small_model, radiograph):
    path = target.paths(images[0])[0]
    write_labels(path, np.ones(radiograph.shape, np.uint8))
    before = path.read_bytes()
    outcomes = list(segment_files(images[:2], target, lambda: small_model))
    assert "may hold corrections" in outcomes[0].error
    assert not outcomes[1].error
    assert path.read_bytes() == before


def test_an_image_that_cannot_be_read_does_not_stop_the_others(images, target, small_model):
    images[1].write_bytes(b"II*\0 and no more")
    outcomes = list(segment_files(images, target, lambda: small_model))
    assert [bool(one.error) for one in outcomes] == [False, True, False, False, False]


def test_an_image_at_which_the_network_fails_does_not_stop_its_batch(
    images, target, small_model, monkeypatch
):
    poison = tifffile.imread(images[1])
    predict = small_model.predict
    prepared = small_model.card.preprocessing.working_image(poison).data

    def fail(batch, *arguments, **options):
        if any(np.array_equal(one, prepared) for one in batch):
            raise RuntimeError("the card is too hot\nand so on")
        return predict(batch, *arguments, **options)

    monkeypatch.setattr(small_model, "predict", fail)
    outcomes = list(segment_files(images[:4], target, lambda: small_model))
    errors = [one.error for one in outcomes]
    assert errors == ["", "RuntimeError: the card is too hot", "", ""]


def test_without_a_model_nothing_is_done(images, target):
    def fail():
        raise ModelError("It is damaged.")

    with pytest.raises(ModelError, match="It is damaged"):
        list(segment_files(images, target, fail))
    assert not list(target.folder.iterdir())


def test_it_can_be_cancelled_and_goes_on_where_it_was(images, target, small_model):
    seen = []

    def cancel(image, share):
        seen.append(image)
        if image == images[3]:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        list(segment_files(images, target, lambda: small_model, cancel))
    assert seen
    assert not list(target.folder.glob(".*"))
    there = {path.name for path in target.folder.iterdir()}
    assert "d_labels.tif" not in there
    outcomes = list(segment_files(images, target, lambda: small_model))
    assert {one.written[0].name for one in outcomes if one.was_there} == there


def test_no_more_is_read_than_is_needed_soon(images, target, small_model, monkeypatch):
    """The memory does not grow with the number of images."""
    many = []
    for number in range(30):
        many.append(images[0].with_name(f"many{number:02d}.tif"))
        shutil.copy(images[0], many[-1])
    read = []
    real = batch.read_image

    def watch(path):
        read.append(path)
        return real(path)

    monkeypatch.setattr(batch, "read_image", watch)
    options = Options(memory_mb=1)
    target = Target.of(target.folder, small_model.card, options)
    results = segment_files(many, target, lambda: small_model)
    next(results)
    time.sleep(0.5)
    assert len(read) < 12
    results.close()


def test_a_summary_counts_and_lists_what_failed(tmp_path):
    summary = Summary()
    summary.add(Outcome(tmp_path / "a.tif", error="a.tif is no TIFF file.", attempts=2))
    summary.add(Outcome(tmp_path / "b.tif", error="b.tif is no TIFF file."))
    summary.add(Outcome(tmp_path / "c.tif", error='It says "no", and, well, no.'))
    summary.add(Outcome(tmp_path / "d.tif", was_there=True))
    summary.add(Outcome(tmp_path / "e.tif"))
    assert str(summary) == "1 of 5 images segmented, 1 there already, 3 failed."
    assert summary.reasons()[0] == ("… is no TIFF file.", 2)
    path = summary.write_failures(tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["image"] for row in table] == [str(tmp_path / f"{name}.tif") for name in "abc"]
    assert [row["attempts"] for row in table] == ["2", "1", "1"]
    assert table[2]["reason"] == 'It says "no", and, well, no.'
    assert Summary().write_failures(tmp_path) is None
    assert not path.exists()
