"""Which labels go with which image, whatever the folders look like, and what is said otherwise."""

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from napari_xnet.errors import ImageError
from napari_xnet.io import arrays, write_labels
from napari_xnet.training.folders import read_pairs, read_published

SHAPE = (12, 9)


def gray(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 60000, shape, dtype=np.uint16)


def classes(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 4, shape, dtype=np.uint8)


def store(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".tif", ".tiff"):
        tifffile.imwrite(path, data, photometric="rgb" if data.shape[-1] == 3 else "minisblack")
    else:
        Picture.fromarray(data).save(path)


def names(found):
    return [pair.name for pair in found.pairs]


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    return tmp_path / "images", tmp_path / "labels"


@pytest.mark.parametrize("labels_name", ["x_labels.tif", "x.tif", "x.TIFF", "x_labels.png"])
@pytest.mark.parametrize("image_name", ["x.tif", "x.png", "x.TIF", "x.ome.tif"])
def test_a_pair_of_two_folders(folders, image_name, labels_name):
    images, labels = folders
    store(images / image_name, gray(0))
    store(labels / labels_name, classes(0))
    found = read_pairs(images, labels)
    (pair,) = found.pairs
    np.testing.assert_array_equal(pair.image, gray(0))
    np.testing.assert_array_equal(pair.labels, classes(0))
    assert pair.labels.dtype == np.uint8
    assert (pair.name, pair.group, found.notes) == ("x", "", [])


def test_labels_of_segment_for_an_ome_file(folders):
    images, labels = folders
    store(images / "x.ome.tif", gray(0))
    write_labels(labels / "x.ome_labels.tif", classes(0))
    assert names(read_pairs(images, labels)) == ["x"]


def test_a_dicom_image(folders):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = SHAPE
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = gray(0).tobytes()
    images, labels = folders
    dataset.save_as(images / "x.dcm", enforce_file_format=True)
    store(labels / "x.tif", classes(0))
    (pair,) = read_pairs(images, labels).pairs
    np.testing.assert_array_equal(pair.image, gray(0))


def test_one_folder_for_both(tmp_path):
    for number, name in enumerate("ab"):
        store(tmp_path / f"{name}.tif", gray(number))
        write_labels(tmp_path / f"{name}_labels.tif", classes(number))
    store(tmp_path / "c.tif", gray(3))
    store(tmp_path / "a_probabilities.tif", gray(3))
    found = read_pairs(tmp_path, tmp_path / "." / "")
    assert names(found) == ["a", "b"]
    for number, pair in enumerate(found.pairs):
        np.testing.assert_array_equal(pair.image, gray(number))
        np.testing.assert_array_equal(pair.labels, classes(number))
    assert found.notes == ["Left out, since they have no labels: 1 of 3 images (c.tif)."]


def test_an_image_is_not_its_own_labels(tmp_path):
    store(tmp_path / "a.tif", classes(0))
    with pytest.raises(ImageError, match=r"would be a_labels\.tif, for example"):
        read_pairs(tmp_path, tmp_path)


def test_labels_in_a_sub_folder_of_the_images(tmp_path):
    store(tmp_path / "a.tif", gray(0))
    store(tmp_path / "masks" / "a.tif", classes(0))
    found = read_pairs(tmp_path, tmp_path / "masks")
    assert names(found) == ["a"]
    assert found.notes == []
    np.testing.assert_array_equal(found.pairs[0].labels, classes(0))


def test_images_in_a_sub_folder_of_the_labels(tmp_path):
    store(tmp_path / "images" / "a.tif", gray(0))
    store(tmp_path / "a.tif", classes(0))
    assert names(read_pairs(tmp_path / "images", tmp_path)) == ["a"]


def test_sub_folders_are_groups_and_keep_names_apart(folders):
    images, labels = folders
    for number, name in enumerate(["foot/1", "hand/1", "hand/left/2", "3"]):
        store(images / f"{name}.tif", gray(number))
        store(labels / f"{name}_labels.tif", classes(number))
    pairs = read_pairs(images, labels).pairs
    assert {pair.name: pair.group for pair in pairs} == {
        "3": "",
        "foot_1": "foot",
        "hand_1": "hand",
        "hand_left_2": "left",
    }
    for number, name in enumerate(["foot_1", "hand_1", "hand_left_2", "3"]):
        (pair,) = (pair for pair in pairs if pair.name == name)
        np.testing.assert_array_equal(pair.image, gray(number))
        np.testing.assert_array_equal(pair.labels, classes(number))


def test_images_in_sub_folders_with_all_labels_in_one(folders):
    images, labels = folders
    store(images / "hand" / "1.tif", gray(0))
    store(labels / "1.tif", classes(0))
    assert read_pairs(images, labels).pairs[0].group == "hand"
    store(images / "foot" / "1.tif", gray(1))
    with pytest.raises(ImageError, match=r"1\.tif would be the labels of both .*foot.*hand"):
        read_pairs(images, labels)


def test_names_that_would_be_one_file_differ(folders):
    images, labels = folders
    for name in ("a/1", "a_1", "A_1"):
        store(images / f"{name}.png", gray(0))
        store(labels / f"{name}.tif", classes(0))
    found = names(read_pairs(images, labels))
    assert sorted(name.lower() for name in found) == ["a_1", "a_1-2", "a_1-3"]


def test_the_labels_suffix_comes_first_and_hidden_files_do_not_count(folders):
    images, labels = folders
    store(images / "x.tif", gray(0))
    store(images / "._x.tif", gray(1))
    store(images / ".trash" / "y.tif", gray(1))
    store(labels / "x.tif", classes(1))
    store(labels / "x_labels.png", classes(2))
    store(labels / "x_labels.tif", classes(0))
    found = read_pairs(images, labels)
    assert found.notes == []
    (pair,) = found.pairs
    np.testing.assert_array_equal(pair.labels, classes(0))


def test_a_colour_image(folders):
    images, labels = folders
    colour = gray(0, (*SHAPE, 3)).astype(np.uint8)
    store(images / "x.png", colour)
    store(labels / "x.tif", classes(0))
    np.testing.assert_array_equal(read_pairs(images, labels).pairs[0].image, colour)


@given(
    pages=st.lists(st.integers(1, 3), max_size=2),
    colour=st.booleans(),
    lazy=st.booleans(),
)
def test_stacks_become_one_pair_a_slice(tmp_path, pages, colour, lazy):
    shape = (*pages, *SHAPE, 3) if colour else (*pages, *SHAPE)
    image = gray(0, shape).astype(np.uint8) if colour else gray(0, shape)
    labels = classes(0, (*pages, *SHAPE))
    store(tmp_path / "images" / "x.tif", image)
    write_labels((tmp_path / "x.tif"), labels)
    with pytest.MonkeyPatch.context() as patch:
        if lazy:
            patch.setattr(arrays, "EAGER_BYTES", 10)
        pairs = read_pairs(tmp_path / "images", tmp_path).pairs
        assert all(isinstance(pair.labels, np.ndarray) for pair in pairs)
        assert all(arrays.is_lazy(pair.image) == lazy for pair in pairs)
        count = len(pairs)
        assert count == int(np.prod(pages))
        expected = [f"x[{index}]" for index in range(count)] if count > 1 else ["x"]
        assert [pair.name for pair in pairs] == expected
        stored = np.stack([np.asarray(pair.image) for pair in pairs])
    np.testing.assert_array_equal(stored, image.reshape(stored.shape))
    np.testing.assert_array_equal(
        np.stack([pair.labels for pair in pairs]), labels.reshape(-1, *SHAPE)
    )


@pytest.mark.parametrize(
    ("image", "mask", "text"),
    [
        (SHAPE, (12, 8), r"x\.tif and x_labels\.tif differ in size: 12 x 9 and 12 x 8 pixels"),
        (SHAPE, SHAPE[::-1], "12 x 9 and 9 x 12"),
        ((4, *SHAPE), (2, *SHAPE), "4 x 12 x 9 and 2 x 12 x 9"),
        ((4, *SHAPE), SHAPE, "4 x 12 x 9 and 12 x 9"),
        ((*SHAPE, 3), (9, 3), "12 x 9 and 9 x 3"),
    ],
)
def test_sizes_that_differ(folders, image, mask, text):
    images, labels = folders
    store(images / "x.tif", gray(0, image))
    write_labels(labels / "x_labels.tif", classes(0, mask))
    with pytest.raises(ImageError, match=text):
        read_pairs(images, labels)


def test_masks_of_indices(folders):
    images, labels = folders
    store(images / "x.tif", gray(0))
    store(labels / "x.png", classes(0) % 3)
    (pair,) = read_pairs(images, labels, convention="indices").pairs
    np.testing.assert_array_equal(pair.labels, classes(0) % 3 + 1)
    store(labels / "x.png", classes(0))
    with pytest.raises(ImageError, match=r'^x\.png: The mask has the value 3.*choose "tissue"'):
        read_pairs(images, labels, convention="indices")


@pytest.mark.parametrize("name", ["x.png", "x_labels.tif", "x.jpg"])
def test_drawings(folders, name):
    images, labels = folders
    store(images / "x.tif", gray(0, (32, 48)))
    # Blocks of 16 pixels: JPEG stores colours at half the resolution.
    expected = np.kron([[1, 2, 3], [3, 0, 1]], np.ones((16, 16), np.uint8)).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 255, 255], [255, 255, 0], [0, 0, 255]], np.uint8)
    store(labels / name, colors[expected])
    (pair,) = read_pairs(images, labels, convention="rgb").pairs
    differs = pair.labels != expected
    assert differs.mean() < (0.05 if name == "x.jpg" else 1e-9)
    assert (pair.labels[differs] == 0).all()  # borders that JPEG blurs
    if name != "x.jpg":
        with pytest.raises(ImageError, match=f'{name} is a drawing.*choose the convention "rgb"'):
            read_pairs(images, labels)


def test_jpeg_files_are_no_masks_of_numbers(folders):
    images, labels = folders
    store(images / "x.tif", gray(0))
    store(labels / "x.jpg", classes(0))
    with pytest.raises(ImageError, match=r"No image of .* has labels in"):
        read_pairs(images, labels)


def test_an_unknown_convention(folders):
    images, labels = folders
    store(images / "x.tif", gray(0))
    store(labels / "x.tif", classes(0))
    with pytest.raises(ImageError, match='no convention "guess"'):
        read_pairs(images, labels, convention="guess")


def test_nothing_to_find(folders, tmp_path):
    images, labels = folders
    with pytest.raises(ImageError, match=r"There is no folder .*nowhere"):
        read_pairs(tmp_path / "nowhere", labels)
    with pytest.raises(ImageError, match=r"There is no folder .*nowhere"):
        read_pairs(images, tmp_path / "nowhere")
    with pytest.raises(ImageError, match=r"no TIFF, DICOM, PNG or JPEG image in .*images"):
        read_pairs(images, labels)
    store(images / "x.png", gray(0))
    with pytest.raises(ImageError, match=r"for x\.png that would be x_labels\.tif or x\.tif"):
        read_pairs(images, labels)


def test_damaged_files_are_named(folders):
    images, labels = folders
    store(images / "x.tif", gray(0))
    (labels / "x.tif").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"x\.tif: this is not a TIFF file"):
        read_pairs(images, labels)


@pytest.fixture
def grouped(folders, tmp_path):
    """A function that reads three pairs with the groups of a CSV text."""
    images, labels = folders
    for name in ("a", "b", "hand/c.1"):
        store(images / f"{name}.png", gray(0))
        store(labels / f"{name}.tif", classes(0))
    store(images / "d.png", gray(0))

    def read(text, encoding="utf-8"):
        (tmp_path / "groups.csv").write_bytes(text.encode(encoding))
        found = read_pairs(images, labels, groups=tmp_path / "groups.csv")
        return {pair.name: pair.group for pair in found.pairs}, found.notes[1:]

    return read


@pytest.mark.parametrize(
    "text",
    [
        "name,group\na,knee\nb,füße\nc.1,\n",
        "view,name,body_part\nAP,a,knee\n\nAP,b,füße\nAP,hand/c.1,\n",
        'Name ; Group\r\n a ; knee\r\nb.png;"füße"\r\nhand\\c.1.png;\r\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_groups_of_a_csv_file(grouped, text, encoding):
    groups, notes = grouped(text, encoding)
    assert groups == {"a": "knee", "b": "füße", "hand_c.1": ""}
    assert notes == []


def test_groups_of_images_that_are_not_there_are_noted(grouped):
    groups, notes = grouped("name,group\na,x\nb,y\nc.1,z\nd,x\ne,x\nf.png,y\n")
    assert groups == {"a": "x", "b": "y", "hand_c.1": "z"}
    assert notes == ["groups.csv names images that are not there: e, f.png."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,group\na,x\nc.1,x\n", r"no group for b\.png: add a row"),
        ("name,group\n", r"no group for a\.png, b\.png, c\.1\.png"),
        ("name,view\na,x\n", r"needs the columns name and group \(or body_part\).*has name, view"),
        ("image,group\na,x\n", "needs the columns.*has image, group"),
        ("", "needs the columns.*has none"),
        ("name,group\na,x\na,y\n", 'two groups for "a", x and y'),
        ("name,group\na," + "x" * 200_000, "no CSV file"),
    ],
)
def test_groups_that_do_not_fit(grouped, text, message):
    with pytest.raises(ImageError, match=message):
        grouped(text)


def test_group_files_that_cannot_be_read(grouped, folders, tmp_path):
    with pytest.raises(ImageError, match="no text in UTF-8"):
        grouped("name,group\na,füße\n", "latin-1")
    with pytest.raises(ImageError, match=r"missing\.csv cannot be opened: No such file"):
        read_pairs(*folders, groups=tmp_path / "missing.csv")


def write_published(path, files, parts=("train",)):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part in parts:
            labels = rng.integers(1, 4, (len(files), *SHAPE))
            file[f"{part}_img"] = rng.random((len(files), *SHAPE, 1))
            file[f"{part}_label"] = np.eye(3)[labels - 1]
            file[f"{part}_bodypart"] = np.array(["knee", "hand"] * len(files), "S10")[: len(files)]
            file[f"{part}_file"] = np.array(files, "S60")


def test_a_published_file(tmp_path):
    files = ["knee 1.tif", "C:\\data\\hand.2.png", "../../etc/passwd", ""]
    write_published(tmp_path / "set.h5", files, ("train", "test", "val"))
    found = read_published(tmp_path / "set.h5")
    once = ["knee 1", "hand.2", "passwd", "set"]
    assert names(found) == [*once, *(f"{name}-2" for name in once)]
    assert [pair.group for pair in found.pairs] == ["knee", "hand"] * 4
    assert [pair.part for pair in found.pairs] == ["train"] * 4 + ["validation"] * 4
    assert found.notes == ["4 test images of set.h5 are left out: evaluate the model on them."]
    with h5py.File(tmp_path / "set.h5") as file:
        images = np.concatenate([file["train_img"], file["val_img"]])[..., 0]
        labels = np.concatenate([file["train_label"], file["val_label"]]).argmax(-1) + 1
    np.testing.assert_array_equal([p.image for p in found.pairs], images.astype(np.float32))
    np.testing.assert_array_equal([p.labels for p in found.pairs], labels)


def test_a_published_file_of_test_images_alone_is_refused(tmp_path):
    write_published(tmp_path / "set.h5", ["a.tif", "b.tif"], ("test",))
    with pytest.raises(ImageError, match="neither training nor validation images"):
        read_published(tmp_path / "set.h5")


def test_augmented_copies_of_a_published_file_are_mentioned_where_the_run_splits(tmp_path):
    write_published(tmp_path / "x.h5", ["a.tif", "aug_a.tif", "aug_a.tif"])
    found = read_published(tmp_path / "x.h5")
    assert names(found) == ["a", "aug_a", "aug_a-2"]
    assert {pair.part for pair in found.pairs} == {""}
    (note,) = found.notes
    assert note.startswith("2 of the 3 images are augmented copies")


@given(st.lists(st.text(max_size=80), min_size=1, max_size=8))
def test_names_of_published_files_are_unique_and_safe(tmp_path, files):
    stored = [text.encode()[:60] for text in files]
    write_published(tmp_path / "x.h5", stored)
    found = names(read_published(tmp_path / "x.h5"))
    assert len({name.casefold() for name in found}) == len(files)
    for index, name in enumerate(found):
        assert set(name).isdisjoint('/\\:*?"<>|\0\n')
        assert name == name.strip(". ") != ""
        (tmp_path / f"{name}_{index}.txt").write_text("")


def test_predictions_that_nobody_corrected_are_left_out(tmp_path):
    image, labels = np.zeros((8, 9), np.uint16), np.ones((8, 9), np.uint8)
    for name, predicted in (("a", True), ("b", False)):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
        write_labels(tmp_path / f"{name}_labels.tif", labels, predicted=predicted)
    found = read_pairs(tmp_path, tmp_path)
    assert names(found) == ["b"]
    assert any("a_labels.tif" in note and "corrected" in note for note in found.notes)

    (tmp_path / "b_labels.tif").unlink()
    with pytest.raises(ImageError, match="corrected"):
        read_pairs(tmp_path, tmp_path)
