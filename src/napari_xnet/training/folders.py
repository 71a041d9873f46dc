"""Pairs from folders of images and labels, and from files of the published XNet code."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final

from napari_xnet.errors import ImageError
from napari_xnet.io.pairing import pair_files, read_slices
from napari_xnet.io.published import published_images
from napari_xnet.training.pairs import Pair

_NAME_LENGTH: Final = 60


@dataclass(frozen=True)
class PairsFound:
    """What was found to train on.

    Attributes
    ----------
    pairs : list of Pair
        At least one, with names that differ and are safe in file names.
    notes : list of str
        Sentences on what was left out, for the user.
    """

    pairs: list[Pair]
    notes: list[str]


def read_pairs(
    images: Path, labels: Path, *, convention: str = "tissue", groups: Path | None = None
) -> PairsFound:
    """Read the radiographs of a folder that have labels.

    See `io.pairing` for which files belong together. Stacks become one pair
    per slice, ``X[0]``, ``X[1]`` and so on.

    Parameters
    ----------
    images, labels, convention, groups
        See `io.pairing.pair_files`.

    Returns
    -------
    PairsFound
        Images without labels are left out, with a note. Images above 256 MB
        stay on disk, others are read.

    Raises
    ------
    ImageError
        If files do not fit together or cannot be read, or image and labels
        differ in size.
    """
    found, notes = pair_files(images, labels, convention=convention, groups=groups)
    names = _safe_names(one.key for one in found)
    pairs: list[Pair] = []
    for files, name in zip(found, names, strict=True):
        for one in read_slices(files, convention):
            pairs.append(Pair(name + one.number, one.image, one.labels, files.group))
        if one.others:
            notes.append(f"{files.image.name} holds more images; only the first is used.")
    return PairsFound(pairs, notes)


def read_published(path: Path) -> PairsFound:
    """Read the pairs of an HDF5 file of the published code; the body part is the group.

    Parameters
    ----------
    path : Path
        See `io.published.published_images`.

    Returns
    -------
    PairsFound
        Training and validation images, on the side of the split that the file
        says; test images are left out.

    Raises
    ------
    ImageError
        If the file cannot be read or does not fit.
    """
    path = Path(path)
    everything = list(published_images(path))
    found = [one for one in everything if one.part != "test"]
    if not found:
        raise ImageError(f"{path} holds neither training nor validation images.")
    validates = any(one.part == "val" for one in found)
    # Names in such files may be paths; those of Windows have both kinds of slashes.
    names = _safe_names(PureWindowsPath(one.file).stem or path.stem for one in found)
    pairs = [
        Pair(
            name,
            one.image,
            one.labels,
            one.body_part,
            # Without images to validate, the run chooses its own.
            "" if not validates else "validation" if one.part == "val" else "train",
        )
        for name, one in zip(names, found, strict=True)
    ]
    notes = []
    copies = sum(name.startswith("aug_") for name in names)
    if copies and not validates:
        notes.append(
            f"{copies} of the {len(pairs)} images are augmented copies (aug_…): validation is too "
            "favourable where copies of one radiograph are on both sides of the split."
        )
    if tests := len(everything) - len(found):
        notes.append(
            f"{tests} test images of {path.name} are left out: evaluate the model on them."
        )
    return PairsFound(pairs, notes)


def _safe_names(keys: Iterable[str]) -> list[str]:
    """Names that are allowed in file names everywhere, and differ even where case does not count.

    The end of long names is kept: numbers are there.
    """
    names: list[str] = []
    taken: set[str] = set()
    for key in keys:
        base = re.sub(r"[^\w.() +-]", "_", key)[-_NAME_LENGTH:].strip(". ") or "image"
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
