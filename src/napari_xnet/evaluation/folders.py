"""Evaluate a model, or finished predictions, on folders of images and labels."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError, reason
from napari_xnet.evaluation.examples import Example, keep_worst
from napari_xnet.evaluation.purity import Calibration
from napari_xnet.evaluation.scores import Evaluation
from napari_xnet.inference import Options, segment
from napari_xnet.io import read_labels, read_probabilities
from napari_xnet.io.layerdata import layer_name
from napari_xnet.io.pairing import LabelledSlice, PairedFiles, read_slices
from napari_xnet.models import Model

_LABEL_TYPES = (".tif", ".tiff", ".png")


@dataclass(frozen=True, eq=False)
class Predicted:
    """What is said of a radiograph."""

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None
    px_per_unit: float = 1.0


@dataclass(eq=False)
class Evaluated:
    """What came out of the evaluation of folders.

    Attributes
    ----------
    scores : Evaluation
    worst : list of Example
        The worst first.
    failures : dict from Path to str
        Images that could not be evaluated, and why.
    """

    scores: Evaluation = field(default_factory=Evaluation)
    worst: list[Example] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)


Predict = Callable[[PairedFiles, int, LabelledSlice], Predicted]
"""Finds what is said of a slice, of which the number in its stack is given."""


def model_predictions(model: Model, options: Options, probabilities: bool = True) -> Predict:
    """Let a model segment the images.

    Parameters
    ----------
    model : Model
    options : Options
    probabilities : bool
        Whether they are wanted.
    """

    def predict(files: PairedFiles, number: int, one: LabelledSlice) -> Predicted:
        size = one.pixel_size_mm
        result = segment(one.image, model, rgb=one.rgb, pixel_size_mm=size, options=options)
        return Predicted(
            result.labels,
            result.probabilities if probabilities else None,
            options.px_per_unit(result.working_scale, size),
        )

    return predict


def stored_predictions(folder: Path) -> Predict:
    """Read label files of the same names, as `napari-xnet segment` writes them.

    Probabilities count, too, where they lie beside the labels.

    Raises
    ------
    ImageError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}.")
    owners: dict[Path, Path] = {}

    @functools.lru_cache(maxsize=1)
    def read(path: Path, pages: int) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """Read all pages of labels, and of probabilities."""
        labels = read_labels(path)
        planes = labels.reshape(-1, *labels.shape[-2:])
        if len(planes) != pages:
            raise ImageError(f"{path} has {len(planes)} pages, its image has {pages}.")
        beside = path.with_name(path.stem.removesuffix("_labels") + "_probabilities.tif")
        if not beside.is_file():
            return planes, None
        probabilities = read_probabilities(beside)
        probabilities = probabilities.reshape(len(probabilities), -1, *probabilities.shape[-2:])
        if probabilities.shape[1:] != planes.shape:
            raise ImageError(
                f"{beside} is no probabilities of {path.name}: they differ in size. Segment anew, "
                "or move it away."
            )
        return planes, probabilities

    def predict(files: PairedFiles, number: int, one: LabelledSlice) -> Predicted:
        path = _stored(folder, files)
        if path.samefile(files.labels):
            raise ImageError(f"{path} is its own reference: give the folder of predictions.")
        if owners.setdefault(path, files.image) != files.image:
            raise ImageError(
                f"{path} would be the prediction of {owners[path]}, too: use sub-folders as those "
                "of the images."
            )
        labels, probabilities = read(path, one.pages)
        return Predicted(
            labels[number], None if probabilities is None else probabilities[:, number]
        )

    return predict


def _stored(folder: Path, files: PairedFiles) -> Path:
    """Find the prediction of an image."""
    parent = files.key.rpartition("/")[0]
    stems = dict.fromkeys((files.image.stem, layer_name(files.image)))
    places = [
        folder / place / f"{stem}{end}{suffix}"
        for place in dict.fromkeys((parent, ""))
        for stem in stems
        for end in ("_labels", "")
        for suffix in _LABEL_TYPES
    ]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ImageError(f"{folder} has no prediction for it, such as {places[0].name}.")
    return path


def evaluate_files(
    pairs: Sequence[PairedFiles],
    predict: Predict,
    *,
    convention: str = "tissue",
    calibration: Calibration | None = None,
    pictures: int = 6,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Compare predictions with labels, one image after the other; only counts stay in memory.

    Parameters
    ----------
    pairs : sequence of PairedFiles
        See `io.pairing.pair_files`.
    predict : callable
        `model_predictions` or `stored_predictions`.
    convention : {"tissue", "indices", "rgb"}
        What the values of the labels mean.
    calibration : Calibration, optional
        Gets each image, too.
    pictures : int
        How many of the worst images to keep as small pictures.
    progress : callable, optional
        Called as ``progress(done, total)``, in files; may raise to stop.

    Returns
    -------
    Evaluated
        An image that cannot be read or compared is among its `failures`, the
        others are evaluated.
    """
    result = Evaluated()
    for done, files in enumerate(pairs):
        if progress:
            progress(done, len(pairs))
        before = len(result.scores.images)
        try:
            for one, found, name in _predictions(files, predict, convention):
                _add(result, files, one, found, name, calibration, pictures)
        except Exception as error:
            # Whatever it is (a graphics card out of memory), the other images are done.
            why = reason(error)
            if count := len(result.scores.images) - before:
                why += f" Its first {count} pages count."
            result.failures[files.image] = why
    if progress:
        progress(len(pairs), len(pairs))
    return result


def _add(
    result: Evaluated,
    files: PairedFiles,
    one: LabelledSlice,
    found: Predicted,
    name: str,
    calibration: Calibration | None,
    pictures: int,
) -> None:
    scores = result.scores.add(
        one.labels,
        found.labels,
        found.probabilities,
        name=name,
        group=files.group,
        pixel_size_mm=one.pixel_size_mm,
    )
    if calibration and found.probabilities is not None:
        calibration.add(
            one.labels,
            found.probabilities,
            group=files.group,
            px_per_unit=found.px_per_unit,
        )
    keep_worst(result.worst, pictures, name, scores.accuracy, one.image, one.labels, found.labels)


def _predictions(
    files: PairedFiles, predict: Predict, convention: str
) -> Iterator[tuple[LabelledSlice, Predicted, str]]:
    for number, one in enumerate(read_slices(files, convention)):
        # What nobody has annotated yet takes time, but says nothing.
        if one.labels.any():
            yield one, predict(files, number, one), files.key + one.number
