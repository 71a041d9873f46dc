"""Segment an image file into files."""

import math
import os
from collections.abc import Callable
from pathlib import Path

from napari_xnet.errors import ImageError
from napari_xnet.inference.segment import Options, Progress, segment
from napari_xnet.io import read_image, write_labels, write_probabilities
from napari_xnet.io.labels import may_be_corrected
from napari_xnet.models import Model


def output_paths(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], probabilities: bool = False
) -> list[Path]:
    """Files that `segment_file` writes.

    Parameters
    ----------
    path, folder, probabilities
        As in `segment_file`.

    Returns
    -------
    list of Path
    """
    kinds = ["labels", "probabilities"] if probabilities else ["labels"]
    return [Path(folder) / f"{Path(path).stem}_{kind}.tif" for kind in kinds]


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
        The files that were written.

    Raises
    ------
    ImageError
        If the file cannot be read, the results cannot be written, or there
        are labels already that a person may have corrected.
    """
    written = output_paths(path, folder, probabilities)
    if may_be_corrected(written[0]):
        raise ImageError(
            f"{written[0]} is there already and may hold corrections, since it was not written by "
            "this command: move it, or choose another folder."
        )
    radiograph = read_image(path)
    size = radiograph.pixel_size_mm
    result = segment(
        radiograph.data,
        model,
        rgb=radiograph.rgb,
        pixel_size_mm=math.sqrt(math.prod(size)) if size else None,
        options=options,
        progress=progress,
    )
    if note:
        for sentence in result.notes:
            note(f"    {sentence}")
        if radiograph.others:
            note(f"    The file holds more images; only the first was used: {radiograph.name}.")
    write_labels(written[0], result.labels, pixel_size_mm=size, predicted=True)
    if probabilities:
        planes = result.probabilities
        if planes.ndim > 4:
            planes = planes.reshape(len(planes), -1, *planes.shape[-2:])
        write_probabilities(written[1], planes, pixel_size_mm=size)
    return written
