"""HDF5 files of the published code: what was stored comes back, and nothing else is believed."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xnet.errors import ImageError
from napari_xnet.io import published
from napari_xnet.io.published import published_images


def write(path, counts, shape=(6, 5), *, dtype="f8", flat=False, seed=0, **options):
    """Write a file as the published scripts do; return the images and labels of each part."""
    rng = np.random.default_rng(seed)
    stored = {}
    with h5py.File(path, "w") as file:
        for part, count in counts.items():
            images = rng.random((count, *shape, 1)).astype(dtype)
            labels = rng.integers(1, 4, (count, *shape), dtype=np.uint8)
            one_hot = np.eye(3)[labels - 1]
            if flat:
                one_hot = one_hot.reshape(count, -1, 3)
            parts = np.array([f"part{i % 2}" for i in range(count)], "S10")
            files = np.array([f"{part}_{i}.tif" for i in range(count)], "S60")
            file.create_dataset(f"{part}_img", data=images, **options)
            file.create_dataset(f"{part}_label", data=one_hot, **options)
            file.create_dataset(f"{part}_bodypart", data=parts)
            file.create_dataset(f"{part}_file", data=files)
            stored[part] = images[..., 0], labels
    return stored


@pytest.fixture
def edited(tmp_path):
    """A function that writes a good file, changes it, and returns its path."""

    def make(edit):
        write(tmp_path / "x.h5", {"train": 3})
        with h5py.File(tmp_path / "x.h5", "a") as file:
            edit(file)
        return tmp_path / "x.h5"

    return make


@given(
    counts=st.dictionaries(st.sampled_from(["train", "val", "test"]), st.integers(1, 5)).filter(
        bool
    ),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    dtype=st.sampled_from(["f4", "f8", "u1"]),
    flat=st.booleans(),
    options=st.sampled_from([{}, {"compression": "gzip"}, {"chunks": True}]),
    images_in_a_block=st.integers(1, 3),
)
def test_round_trip(tmp_path, counts, shape, dtype, flat, options, images_in_a_block):
    stored = write(tmp_path / "x.h5", counts, shape, dtype=dtype, flat=flat, **options)
    each = shape[0] * shape[1] * (np.dtype(dtype).itemsize + 24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "_BLOCK_BYTES", images_in_a_block * each)
        found = list(published_images(tmp_path / "x.h5"))
    assert len(found) == sum(counts.values())
    for part, (images, labels) in stored.items():
        of_part = [one for one in found if one.part == part]
        for index, (one, image, label) in enumerate(zip(of_part, images, labels, strict=True)):
            assert one.image.dtype == np.float32
            assert one.labels.dtype == np.uint8
            np.testing.assert_array_equal(one.image, image.astype(np.float32))
            np.testing.assert_array_equal(one.labels, label)
            assert one.body_part == f"part{index % 2}"
            assert one.file == f"{part}_{index}.tif"


def test_body_parts_and_names_may_be_missing(edited):
    def edit(file):
        del file["train_bodypart"], file["train_file"]

    found = list(published_images(edited(edit)))
    assert [(one.body_part, one.file) for one in found] == [("", "")] * 3


def test_strings_of_any_length(edited):
    def edit(file):
        del file["train_file"]
        file["train_file"] = np.array(["händ", "b", ""], h5py.string_dtype())

    assert [one.file for one in published_images(edited(edit))] == ["händ", "b", ""]


def test_unlabelled_pixels_of_one_hot_labels(edited):
    def edit(file):
        file["train_label"][1, 2, 3] = 0

    labels = np.stack([one.labels for one in published_images(edited(edit))])
    assert np.argwhere(labels == 0).tolist() == [[1, 2, 3]]


def test_values_that_float32_cannot_hold(edited):
    def edit(file):
        file["train_img"][0, 0, 0] = 1e300

    first, *others = published_images(edited(edit))
    assert np.isinf(first.image).sum() == 1
    assert all(np.isfinite(one.image).all() for one in others)


def replace(name, data):
    def edit(file):
        del file[name]
        if data is not None:
            file.create_dataset(name, **data)

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (replace("train_label", None), "the dataset train_label is missing"),
        (replace("train_img", None), "no images of the published XNet code"),
        (replace("train_img", {"data": np.zeros((3, 6, 5))}), r"\(3, 6, 5\), but \(N, Y, X, 1\)"),
        (replace("train_img", {"data": np.zeros((3, 6, 5, 3))}), r"but \(N, Y, X, 1\)"),
        (replace("train_img", {"data": np.zeros((2, 6, 5, 1))}), "does not fit to train_img"),
        (replace("train_label", {"data": np.zeros((3, 5, 6, 3))}), r"expected is \(3, 6, 5, 3\)"),
        (replace("train_label", {"data": np.zeros((3, 29, 3))}), "does not fit"),
        (replace("train_label", {"data": np.full((3, 6, 5, 3), 2)}), "train_label: One-hot"),
        (replace("train_img", {"data": np.zeros((3, 6, 5, 1), "S3")}), "numbers are expected"),
        (replace("train_img", {"data": np.zeros((3, 6, 5, 1), "c8")}), "numbers are expected"),
        (replace("train_file", {"data": np.zeros(2, "S60")}), "train_file must hold 3 strings"),
        (replace("train_bodypart", {"data": np.zeros(3)}), "train_bodypart must hold 3 strings"),
        (replace("train_img", {"data": h5py.Empty("f4")}), "train_img is missing"),
        (replace("train_img", {"data": np.zeros((0, 6, 5, 1))}), "does not fit"),
    ],
)
def test_datasets_that_do_not_fit_are_refused(edited, edit, text):
    path = edited(edit)
    with pytest.raises(ImageError, match=f"^{path.name}.*{text}"):
        list(published_images(path))


def test_a_group_is_no_dataset(edited):
    def edit(file):
        del file["train_label"]
        file.create_group("train_label")

    with pytest.raises(ImageError, match="train_label is missing"):
        list(published_images(edited(edit)))


def test_a_later_part_is_checked_before_the_first_image(edited):
    def edit(file):
        file["test_img"] = np.zeros((2, 6, 5, 1))

    with pytest.raises(ImageError, match="test_label is missing"):
        next(published_images(edited(edit)))


@pytest.mark.parametrize("chunks", [None, (1, 1000, 1000, 1)])
def test_sizes_that_the_file_cannot_hold(edited, chunks):
    def edit(file):
        for name, channels in (("train_img", 1), ("train_label", 3)):
            del file[name]
            shape = (10**6, 1000, 1000, channels)
            file.create_dataset(name, shape, "f4", chunks=chunks)

    with pytest.raises(ImageError, match="declares 1000000 x 1000 x 1000 x 1 values but"):
        list(published_images(edited(edit)))


def test_more_than_a_sane_amount(edited, monkeypatch):
    monkeypatch.setattr(published, "_GREATEST_BYTES", 3 * 6 * 5 * 5 - 1)
    with pytest.raises(ImageError, match="Split the file"):
        list(published_images(edited(lambda file: None)))


def test_pixels_in_another_file_are_not_read(edited, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(3 * 6 * 5 * 8))
    external = {"shape": (3, 6, 5, 1), "dtype": "f8"}
    external["external"] = [(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
    with pytest.raises(ImageError, match="train_img lies in another file"):
        list(published_images(edited(replace("train_img", external))))


def test_a_link_to_another_file_is_not_followed(edited, tmp_path):
    write(tmp_path / "other.h5", {"train": 3})

    def edit(file):
        del file["train_img"]
        file["train_img"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "train_img")

    with pytest.raises(ImageError, match="train_img lies in another file"):
        list(published_images(edited(edit)))


def test_files_that_are_no_hdf5(tmp_path):
    with pytest.raises(ImageError, match=r"x\.h5 cannot be opened: No such file"):
        list(published_images(tmp_path / "x.h5"))
    (tmp_path / "x.h5").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"^x\.h5 is no HDF5 file"):
        list(published_images(tmp_path / "x.h5"))
    with pytest.raises(ImageError, match="cannot be opened"):
        list(published_images(tmp_path))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file(tmp_path, kept):
    write(tmp_path / "x.h5", {"train": 40, "val": 9}, compression="gzip")
    whole = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "x.h5").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ImageError, match=r"^x\.h5.*damaged"):
        list(published_images(tmp_path / "x.h5"))


@given(st.integers(0, 2**32 - 1))
def test_damage_is_an_image_error_or_harmless(tmp_path, seed):
    rng = np.random.default_rng(seed)
    write(tmp_path / "x.h5", {"train": 3}, compression="gzip")
    data = bytearray((tmp_path / "x.h5").read_bytes())
    for position in rng.integers(8, len(data), 30):
        data[position] = rng.integers(256)
    (tmp_path / "x.h5").write_bytes(data)
    try:
        found = list(published_images(tmp_path / "x.h5"))
    except ImageError:
        return
    for one in found:
        assert one.labels.max() <= 3
