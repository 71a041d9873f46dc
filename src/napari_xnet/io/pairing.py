"""Images of a folder with the labels and the groups that belong to them."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError
from napari_xnet.io import tiff
from napari_xnet.io.arrays import plane
from napari_xnet.io.labels import Provenance
from napari_xnet.io.layerdata import layer_name
from napari_xnet.io.reading import IMAGE_TYPES, is_result, read_image, read_labels

_LABELS: Final = "_labels"
_MASK_TYPES: Final = (*tiff.EXTENSIONS, ".png")
_DRAWING_TYPES: Final = (*_MASK_TYPES, ".jpg", ".jpeg")
_GROUP_COLUMNS: Final = ("group", "body_part")
_SHOWN_NAMES: Final = 3


@dataclass(frozen=True)
class PairedFiles:
    """An image file and its label file.

    Attributes
    ----------
    key : str
        Path of the image in its folder, without extension.
    image, labels : Path
    group : str
        Body part or the like.
    """

    key: str
    image: Path
    labels: Path
    group: str


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """A radiograph with its labels.

    Attributes
    ----------
    number : str
        Which one of a stack, such as ``[3]``; empty for a single one.
    image : array, shape (Y, X) or, in colour, (Y, X, 3 or 4)
    labels : ndarray of uint8, shape (Y, X)
        Values of `tissue.CLASSES`; 0 where nobody annotated.
    rgb : bool
    pixel_size_mm : float, optional
        Edge length of a pixel, the geometric mean if it is no square.
    others : bool
        Whether the file holds further images, which are not read.
    pages : int
        How many radiographs the image has.
    """

    number: str
    image: Any
    labels: NDArray[np.uint8]
    rgb: bool
    pixel_size_mm: float | None
    others: bool
    pages: int


def pair_files(
    images: Path, labels: Path, *, convention: str = "tissue", groups: Path | None = None
) -> tuple[list[PairedFiles], list[str]]:
    """Find the images of a folder that have labels by a person.

    ``X.tif`` (or any other type that we read) goes with ``X_labels.tif`` or
    ``X.tif`` of the folder of labels: in the sub-folder of the same name, or
    directly in it. If both folders are one, only with ``X_labels.tif``. Labels
    are TIFF or PNG files, drawings also JPEG files.

    Parameters
    ----------
    images : Path
        Folder; its sub-folders count too, and are the groups of their images.
    labels : Path
        Folder, may be the same.
    convention : {"tissue", "indices", "rgb"}
        What the values of the labels mean, see `io.conventions`.
    groups : Path, optional
        CSV file with the columns ``name`` (as the image file, with or without
        extension and sub-folder) and ``group`` or ``body_part``, in place of
        the sub-folders.

    Returns
    -------
    pairs : list of PairedFiles
        At least one, sorted.
    notes : list of str
        Sentences on what was left out, for the user.

    Raises
    ------
    ImageError
        If a folder does not exist, nothing fits together, or the groups do
        not fit to the images.
    """
    images, labels = Path(images), Path(labels)
    for folder in (images, labels):
        if not folder.is_dir():
            raise ImageError(f"There is no folder {folder}.")
    # JPEG changes values a little: colours stand it, numbers do not.
    types = _DRAWING_TYPES if convention == "rgb" else _MASK_TYPES
    found, unpaired = _match(images, labels, types)
    notes = []
    predicted = [files for files in found if Provenance.of(files.labels).is_predicted]
    if predicted:
        found = [files for files in found if files not in predicted]
        notes.append(
            f"Left out, since nobody has corrected what a model predicted: {len(predicted)} label "
            f"files ({_some([files.labels for files in predicted])}). Open and save those that are "
            "right."
        )
    if not found:
        raise ImageError(f"No labels in {labels} are a person's: {' '.join(notes)}")
    if unpaired:
        notes.append(
            f"Left out, since they have no labels: {len(unpaired)} of "
            f"{len(unpaired) + len(found)} images ({_some(unpaired)})."
        )
    if groups is not None:
        found, unknown = _grouped(found, unpaired, Path(groups))
        if unknown:
            notes.append(f"{Path(groups).name} names images that are not there: {_some(unknown)}.")
    return found, notes


def read_slices(files: PairedFiles, convention: str = "tissue") -> Iterator[LabelledSlice]:
    """Read an image with its labels, slice by slice.

    Parameters
    ----------
    files : PairedFiles
    convention : {"tissue", "indices", "rgb"}
        See `pair_files`.

    Yields
    ------
    LabelledSlice
        Images above 256 MB stay on disk, others are read.

    Raises
    ------
    ImageError
        If a file cannot be read, or image and labels differ in size.
    """
    radiograph = read_image(files.image)
    labels = read_labels(files.labels, convention)
    data = radiograph.data
    shape = data.shape[:-1] if radiograph.rgb else data.shape
    pages = math.prod(shape[:-2])
    if shape[-2:] != labels.shape[-2:] or labels.size != math.prod(shape):
        raise ImageError(
            f"{files.image.name} and {files.labels.name} differ in size: {_size(shape)} and "
            f"{_size(labels.shape)} pixels. Labels must have the size of their image: draw them "
            "on it, or export them anew."
        )
    planes = labels.reshape(pages, *labels.shape[-2:])
    size = radiograph.pixel_size_mm
    for number, position in enumerate(np.ndindex(shape[:-2])):
        yield LabelledSlice(
            "" if pages == 1 else f"[{number}]",
            plane(data, position),
            planes[number],
            radiograph.rgb,
            math.sqrt(math.prod(size)) if size else None,
            bool(radiograph.others),
            pages,
        )


def _match(
    images: Path, labels: Path, types: Iterable[str]
) -> tuple[list[PairedFiles], list[Path]]:
    """Find the labels of each image; also return the images that have none."""
    same = images.resolve() == labels.resolve()
    stored: dict[tuple[str, str], Path] = {}
    # Where labels are there in several types, the first of `types` counts.
    rank = {suffix: number for number, suffix in enumerate(types)}
    for path in sorted(_files(labels, rank), key=lambda path: rank[path.suffix.lower()]):
        for name in (layer_name(path), path.stem):
            stored.setdefault((_parent(path, labels), name), path)

    pairs: list[PairedFiles] = []
    unpaired: list[Path] = []
    owners: dict[Path, Path] = {}
    candidates = [path for path in _files(images, IMAGE_TYPES) if _is_image(path, images, labels)]
    for image in candidates:
        parent = _parent(image, images)
        stems = (layer_name(image), image.stem)
        names = [stem + _LABELS for stem in stems] + ([] if same else list(stems))
        places = [(place, name) for place in dict.fromkeys((parent, "")) for name in names]
        mask = next((stored[place] for place in places if place in stored), None)
        if mask is None:
            unpaired.append(image)
            continue
        if mask in owners:
            raise ImageError(
                f"{mask} would be the labels of both {owners[mask]} and {image}: "
                "give them names, or sub-folders, that differ."
            )
        owners[mask] = image
        key = f"{parent}/{stems[0]}" if parent else stems[0]
        pairs.append(PairedFiles(key, image, mask, parent.rpartition("/")[2]))
    if not candidates:
        raise ImageError(f"There is no TIFF, DICOM, PNG or JPEG image in {images}.")
    if not pairs:
        stem = layer_name(unpaired[0])
        wanted = f"{stem}{_LABELS}.tif" + ("" if same else f" or {stem}.tif")
        raise ImageError(
            f"No image of {images} has labels in {labels}: for {unpaired[0].name} that would be "
            f"{wanted}, for example."
        )
    return pairs, unpaired


def _files(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """Visible files of some types, sorted, those of sub-folders too."""
    wanted = set(suffixes)
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in wanted and not hidden and path.is_file():
            yield path


def _is_image(path: Path, images: Path, labels: Path) -> bool:
    if is_result(path):
        return False
    outer, inner = images.resolve(), labels.resolve()
    # The folder of labels may be a sub-folder of that of the images.
    below = inner != outer and inner.is_relative_to(outer)
    return not (below and (outer / path.relative_to(images)).is_relative_to(inner))


def _parent(path: Path, folder: Path) -> str:
    parent = path.parent.relative_to(folder).as_posix()
    return "" if parent == "." else parent


def _grouped(
    found: list[PairedFiles], unpaired: list[Path], path: Path
) -> tuple[list[PairedFiles], list[str]]:
    """Take the groups from a CSV file; also return its names that no image has."""
    table = _read_groups(path)
    known = {name for image in unpaired for name in (layer_name(image), image.stem, image.name)}
    grouped, missing = [], []
    for files in found:
        folder = files.key.rpartition("/")[0]
        own = [layer_name(files.image), files.image.stem, files.image.name]
        names = [f"{folder}/{name}" for name in own if folder] + own
        known.update(names)
        group = next((table[name] for name in names if name in table), None)
        if group is None:
            missing.append(files.image)
        else:
            grouped.append(replace(files, group=group))
    if missing:
        raise ImageError(
            f"{path} has no group for {_some(missing)}: add a row for each image, with its name "
            "as in the folder."
        )
    return grouped, [name for name in table if name.rpartition("/")[2] not in known]


def _read_groups(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ImageError(f"{path} is no text in UTF-8: save it as CSV UTF-8.") from error
    header = text.partition("\n")[0]
    # Spreadsheets of many countries write semicolons.
    delimiter = ";" if header.count(";") > header.count(",") else ","
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except csv.Error as error:
        raise ImageError(f"{path} is no CSV file: {error}.") from error
    columns = [title.strip().lower() for title in rows[0]] if rows else []
    title = next((title for title in _GROUP_COLUMNS if title in columns), None)
    if "name" not in columns or title is None:
        raise ImageError(
            f"{path} needs the columns name and group (or body_part), but it has "
            f"{', '.join(columns) or 'none'}."
        )
    at_name, at_group = columns.index("name"), columns.index(title)
    table: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) <= max(at_name, at_group):
            continue
        name, group = row[at_name].strip().replace("\\", "/"), row[at_group].strip()
        if table.setdefault(name, group) != group:
            raise ImageError(
                f'{path} has two groups for "{name}", {table[name]} and {group}: remove one.'
            )
    return table


def _some(items: list[Path] | list[str]) -> str:
    names = [item.name if isinstance(item, Path) else item for item in items]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _size(shape: Iterable[int]) -> str:
    return " x ".join(str(length) for length in shape)
