"""Read the HDF5 files of the published XNet code: images, one-hot labels, body parts, names.

References
----------
.. [1] Bullock, Cuesta-Lázaro and Quera-Bofarull, XNet: a convolutional neural network (CNN)
   implementation for medical X-ray image segmentation suitable for small datasets, Proc. SPIE
   10953, 2019.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.io.arrays import EAGER_BYTES
from napari_xnet.io.conventions import from_one_hot

PARTS: Final = ("train", "val", "test")

_CHANNELS: Final = len(tissue.CLASSES)
_BLOCK_BYTES: Final = 32 * 2**20
_GREATEST_BYTES: Final = 16 * 2**30
"""Of all images and labels once they are read: 85 000 images of the size that the paper uses."""
_GREATEST_RATIO: Final = 1100
"""Deflate, the codec of HDF5, packs at most 1032 to 1."""


@dataclass(frozen=True, eq=False)
class PublishedImage:
    """One image of such a file.

    Attributes
    ----------
    image : ndarray of float32, shape (Y, X)
    labels : ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`.
    body_part, file : str
        As the file has them, "" if it has none. Names begin with ``aug_``
        where the image is an augmented copy of another.
    part : {"train", "val", "test"}
        What the authors used it for.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    body_part: str
    file: str
    part: str


def published_images(path: str | os.PathLike[str]) -> Iterator[PublishedImage]:
    """Yield the images of an HDF5 file of the published code, a few read at a time.

    Parameters
    ----------
    path : path-like
        File with the datasets ``train_img`` (N, Y, X, 1), ``train_label``
        (N, Y, X, 3) or (N, Y * X, 3) and, if it has them,
        ``train_bodypart`` and ``train_file`` (N) of byte strings. The same
        for ``val`` and ``test``; not all three need be there.

    Yields
    ------
    PublishedImage
        In the order of `PARTS`; the whole file is checked before the first.

    Raises
    ------
    ImageError
        If the file cannot be read, or its datasets are missing, do not fit
        to each other or are too large.
    """
    path = Path(path)
    with _opened(path) as file:
        parts = [_Part(file, name, path) for name in PARTS if f"{name}_img" in file]
        if not sum(len(part) for part in parts):
            raise ImageError(
                f"{path.name} holds no images of the published XNet code: there must be "
                f"a dataset {', '.join(f'{name}_img' for name in PARTS[:-1])} or {PARTS[-1]}_img."
            )
        if sum(part.pixels for part in parts) * 5 > _GREATEST_BYTES:
            raise ImageError(
                f"{path.name}: the images take more than {_GREATEST_BYTES // 2**30} GB. "
                "Split the file into smaller ones."
            )
        for part in parts:
            yield from part.images()


class _Part:
    """The datasets of one of `PARTS`, checked."""

    def __init__(self, file: Any, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._images = _dataset(file, f"{name}_img", path)
        self._labels = _dataset(file, f"{name}_label", path)
        shape, labels = self._images.shape, self._labels.shape
        if len(shape) != 4 or shape[-1] != 1 or 0 in shape[1:]:
            raise ImageError(
                f"{path.name}: {name}_img has the shape {shape}, but (N, Y, X, 1) is expected."
            )
        count, height, width, _ = shape
        if labels not in (
            (count, height, width, _CHANNELS),
            (count, height * width, _CHANNELS),
        ):
            raise ImageError(
                f"{path.name}: {name}_label has the shape {labels}, which does not fit to "
                f"{name}_img with {shape}; expected is {(count, height, width, _CHANNELS)}."
            )
        for one in (self._images, self._labels):
            if one.dtype.kind not in "biuf":
                raise ImageError(
                    f"{path.name}: {one.name.strip('/')} holds {one.dtype}, but numbers are "
                    "expected."
                )
        self._body_parts = _texts(file, f"{name}_bodypart", count, path)
        self._files = _texts(file, f"{name}_file", count, path)

    def __len__(self) -> int:
        return int(self._images.shape[0])

    @property
    def pixels(self) -> int:
        return int(self._images.size)

    def images(self) -> Iterator[PublishedImage]:
        count, height, width, _ = self._images.shape
        # Chunks of HDF5 reach over several images: one by one each would be unpacked many times.
        each = height * width * (self._images.dtype.itemsize + 3 * self._labels.dtype.itemsize)
        step = max(1, _BLOCK_BYTES // each)
        for start in range(0, count, step):
            some = slice(start, start + step)
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                images = self._images[some][..., 0].astype(np.float32, copy=False)
            one_hot = self._labels[some].reshape(-1, height, width, _CHANNELS)
            try:
                labels = from_one_hot(one_hot)
            except ImageError as error:
                raise ImageError(f"{self._path.name}, {self._name}_label: {error}") from error
            for index, (image, label) in enumerate(zip(images, labels, strict=True), start):
                yield PublishedImage(
                    image, label, self._body_parts[index], self._files[index], self._name
                )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; turn all that can go wrong with its content into one `ImageError`."""
    import h5py

    try:
        with path.open("rb"):  # h5py's own messages name neither the file nor the reason
            pass
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if not h5py.is_hdf5(path):
        raise ImageError(f"{path.name} is no HDF5 file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{path.name}: not enough memory to read the images.") from error
    # What h5py raises for damaged files depends on where they are damaged.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ImageError(
            f"{path.name}: the HDF5 file is truncated or damaged, or packed in an unknown way. "
            "Export or copy it again."
        ) from error


def _dataset(file: Any, name: str, path: Path) -> Any:
    """Return a dataset whose pixels can be in the file, which the header may deny."""
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ImageError(f"{path.name}: the dataset {name} is missing.")
    if found.file.filename != file.filename or found.external or found.is_virtual:
        # Where that other file is missing, HDF5 silently gives zeros.
        raise ImageError(f"{path.name}: {name} lies in another file. Copy it into this one.")
    stored = path.stat().st_size
    if found.nbytes > max(EAGER_BYTES, _GREATEST_RATIO * stored):
        size = " x ".join(str(length) for length in found.shape)
        raise ImageError(
            f"{path.name}: {name} declares {size} values but the file holds only {stored} bytes. "
            "Export or copy it again."
        )
    return found


def _texts(file: Any, name: str, count: int, path: Path) -> list[str]:
    import h5py

    if name not in file:
        return [""] * count
    found = _dataset(file, name, path)
    if found.shape != (count,) or h5py.check_string_dtype(found.dtype) is None:
        raise ImageError(
            f"{path.name}: {name} must hold {count} strings, one for each image, but it has "
            f"the shape {found.shape} and the type {found.dtype}."
        )
    return [bytes(text).decode("utf-8", "replace").strip("\0 ") for text in found[:]]
