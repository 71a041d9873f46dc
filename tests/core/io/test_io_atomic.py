"""Files appear complete or not at all."""

import errno

import pytest

from napari_xnet.errors import ImageError
from napari_xnet.io.atomic import atomic_path


def test_the_file_appears_at_the_end(tmp_path):
    target = tmp_path / "x.tif"
    target.write_bytes(b"old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "x.tif"
    target.write_bytes(b"old")

    def interrupted():
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "may not be written"),
        (errno.EROFS, "may not be written"),
        (errno.EIO, "could not be written"),
    ],
)
def test_system_errors_are_explained(tmp_path, number, text):
    def failing():
        with atomic_path(tmp_path / "x.tif") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(number, "why")

    with pytest.raises(ImageError, match=text):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ImageError, match="nowhere"), atomic_path(tmp_path / "nowhere" / "x.tif"):
        pytest.fail("the block must not run")


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "x.tif").mkdir()
    with (
        pytest.raises(ImageError, match="could not be written"),
        atomic_path(tmp_path / "x.tif") as temporary,
    ):
        temporary.write_bytes(b"new")


def test_names_of_the_greatest_length(tmp_path):
    target = tmp_path / ("x" * 251 + ".tif")
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
