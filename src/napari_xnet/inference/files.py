"""Segment an image file into files."""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from napari_xnet.errors import ImageError
from napari_xnet.inference.segment import Options, Progress, Segmentation, segment
from napari_xnet.io import Radiograph, read_image, write_labels, write_probabilities
from napari_xnet.io.atomic import remove_leftovers
from napari_xnet.io.labels import Provenance
from napari_xnet.models import Model, ModelCard

_ABANDONED_S = 3600
"""No temporary file is written to for longer than that."""


def prepare_folder(folder: Path) -> None:
    """Make a folder for results, and remove what killed processes left in it.

    Raises
    ------
    ImageError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, older_than_s=_ABANDONED_S)
    except OSError as error:
        raise ImageError(
            f"The folder {folder} cannot be made: {error.strerror}. Choose another one."
        ) from error


@dataclass(frozen=True)
class Target:
    """Where results go, and how they are made.

    Attributes
    ----------
    folder : Path
    options : Options
    probabilities : bool
        Whether probabilities are written, too.
    recipe : str
        The same for targets that get the same labels, see `Target.of`.
    """

    folder: Path
    options: Options
    probabilities: bool
    recipe: str

    @classmethod
    def of(
        cls, folder: Path, model: ModelCard, options: Options, probabilities: bool = False
    ) -> Self:
        """Results of a model in a folder."""
        choices = asdict(options)
        del choices["memory_mb"]
        about = repr((model.fingerprint, sorted(choices.items()))).encode()
        return cls(folder, options, probabilities, hashlib.sha256(about).hexdigest()[:16])

    def paths(self, image: Path) -> list[Path]:
        """Files that are written for an image, the labels first."""
        kinds = ["labels", "probabilities"] if self.probabilities else ["labels"]
        return [self.folder / f"{image.stem}_{kind}.tif" for kind in kinds]

    def has(self, image: Path) -> bool:
        """Whether all that would be written for an image is there, whole and newer than the image.

        Raises
        ------
        ImageError
            If there are labels that a person may have corrected.
        """
        labels, *others = self.paths(image)
        found = Provenance.of(labels)
        if found.may_be_corrected:
            raise ImageError(
                f"{labels} is there already and may hold corrections, since it was not written by "
                "this command: move it, or choose another folder."
            )
        try:
            return (
                found.recipe == self.recipe
                and all(path.is_file() for path in others)
                and labels.stat().st_mtime >= image.stat().st_mtime
            )
        except OSError:
            return False


def write_segmentation(
    radiograph: Radiograph, result: Segmentation, image: Path, target: Target
) -> list[Path]:
    """Write what was found; each file appears whole or not at all.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ImageError
        If they cannot be written.
    """
    size = radiograph.pixel_size_mm
    labels, *others = paths = target.paths(image)
    for path in others:
        planes = result.probabilities
        if planes.ndim > 4:
            planes = planes.reshape(len(planes), -1, *planes.shape[-2:])
        write_probabilities(path, planes, pixel_size_mm=size)
    # The labels come last: they say that all is there.
    write_labels(labels, result.labels, pixel_size_mm=size, predicted=True, recipe=target.recipe)
    return paths


def edge_mm(radiograph: Radiograph) -> float | None:
    """Edge length of a pixel, if the file says it; of a square as large if it is oblong."""
    size = radiograph.pixel_size_mm
    return math.sqrt(math.prod(size)) if size else None


def notes_on(radiograph: Radiograph, result: Segmentation) -> tuple[str, ...]:
    """Sentences on how an image was read."""
    if not radiograph.others:
        return result.notes
    more = f"The file holds more images; only the first was used: {radiograph.name}."
    return (*result.notes, more)


def segment_file(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    model: Model,
    *,
    probabilities: bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Segment an image file; each result appears whole or not at all.

    Parameters
    ----------
    path : path
        TIFF, DICOM, PNG or JPEG file.
    folder : path
        Folder for ``<stem>_labels.tif`` (uint8, values 1 to 3, the height,
        width and page count of the image).
    model : Model
    probabilities : bool
        Also write ``<stem>_probabilities.tif`` (float32, class axis first).
    options : Options, optional
        How to segment.
    progress, note : callable, optional
        See `segment`; `note` is called with sentences on how the image was
        read.

    Returns
    -------
    list of Path
        The files that were written, the labels first.

    Raises
    ------
    ImageError
        If the file cannot be read, the results cannot be written, or there
        are labels already that a person may have corrected.
    """
    path = Path(path)
    target = Target.of(Path(folder), model.card, options or Options(), probabilities)
    target.has(path)
    radiograph = read_image(path)
    result = segment(
        radiograph.data,
        model,
        rgb=radiograph.rgb,
        pixel_size_mm=edge_mm(radiograph),
        options=target.options,
        progress=progress,
    )
    for sentence in notes_on(radiograph, result):
        if note:
            note(sentence)
    return write_segmentation(radiograph, result, path, target)
