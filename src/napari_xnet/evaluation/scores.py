"""Scores of one image and of many: nothing but counts is kept of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.evaluation import confusion, roc
from napari_xnet.evaluation.bootstrap import interval
from napari_xnet.evaluation.reliability import Reliability, expected_calibration_error, reliability
from napari_xnet.evaluation.surface import SurfaceScores, surface_scores


@dataclass(frozen=True, eq=False)
class ImageScores:
    """How well one image was segmented.

    Attributes
    ----------
    name, group : str
    counts : ndarray of float64, shape (3, 3)
        See `confusion.count`.
    surfaces : list of SurfaceScores
        Of each class.
    auc : ndarray of float64, shape (3,)
        NaN without probabilities, or where a class or all others are missing.
    pixel_size_mm : float, optional
    """

    name: str
    group: str
    counts: confusion.Counts
    surfaces: list[SurfaceScores]
    auc: NDArray[np.float64]
    pixel_size_mm: float | None

    @property
    def accuracy(self) -> float:
        """Share of the labelled pixels whose class was found."""
        return float(confusion.accuracy(self.counts))


class Evaluation:
    """Compares segmentations with labels, one image after the other.

    Memory grows by some kilobytes with each image.
    """

    def __init__(self) -> None:
        self.images: list[ImageScores] = []
        self.histogram = np.zeros((confusion.CLASSES, confusion.CLASSES, roc.BINS))
        self.reliability: Reliability = np.zeros_like(reliability(np.zeros(0), np.zeros((3, 0))))
        self._coarse: list[NDArray[np.uint32]] = []

    def add(
        self,
        labels: NDArray[Any],
        predicted: NDArray[Any],
        probabilities: NDArray[np.floating] | None = None,
        *,
        name: str = "",
        group: str = "",
        pixel_size_mm: float | None = None,
    ) -> ImageScores:
        """Compare an image.

        Parameters
        ----------
        labels : ndarray of int, shape (Y, X)
            What is true: values of `tissue.CLASSES`; pixels of 0 are not
            annotated and do not count.
        predicted : ndarray of int, shape (Y, X)
            Values of `tissue.CLASSES`.
        probabilities : ndarray of float, shape (3, Y, X), optional
            For AUC and calibration.
        name, group : str
        pixel_size_mm : float, optional
            Edge length of a pixel, for distances in mm.

        Returns
        -------
        ImageScores

        Raises
        ------
        ImageError
            If sizes differ, values are none of ours, or nothing is annotated.
        """
        _check(labels, predicted, probabilities, name or "The image")
        seen = np.full(confusion.CLASSES, np.nan)
        if probabilities is not None:
            histogram = roc.histogram(labels, probabilities)
            seen = roc.auc(histogram)
            self.histogram += histogram
            self._coarse.append(roc.coarse(histogram))
            self.reliability += reliability(labels, probabilities)
        counts = confusion.count(labels, predicted)
        scores = ImageScores(
            name, group, counts, surface_scores(labels, predicted), seen, pixel_size_mm
        )
        self.images.append(scores)
        return scores

    @property
    def counts(self) -> confusion.Counts:
        """All pixels by true and predicted class, shape (3, 3)."""
        total: confusion.Counts = np.sum([one.counts for one in self.images], axis=0)
        return total

    @property
    def has_probabilities(self) -> bool:
        """Whether all images came with probabilities."""
        return 0 < len(self._coarse) == len(self.images)

    @property
    def auc(self) -> NDArray[np.float64]:
        """Area under the ROC curve of each class against the rest, all pixels together."""
        return roc.auc(self.histogram)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, all pixels together."""
        return expected_calibration_error(self.reliability)

    def intervals(self) -> dict[str, Any]:
        """95 % confidence intervals over images, by the names of the scores.

        Returns
        -------
        dict
            Of lower and upper ends, ndarray of float64, shape (2,); those of
            classes are dicts by name. NaN where more than a twentieth of
            the draws have no score.
        """
        counts = np.stack([one.counts for one in self.images])
        ends: dict[str, Any] = {}
        ends |= dict(zip(_OVERALL, interval(counts, _overall), strict=True))
        for name, scores in _CLASS_SCORES.items():
            ends[name] = named(interval(counts, scores))
        if self.has_probabilities:
            areas = interval(np.stack(self._coarse), _areas)
            ends |= {"auc": named(areas[:-1]), "auc_macro": areas[-1]}
        return ends

    def surfaces(self, index: int) -> Iterator[tuple[SurfaceScores, float | None]]:
        """Distances of a class in each image, and the images' pixel sizes."""
        return ((one.surfaces[index], one.pixel_size_mm) for one in self.images)


def soft_tissue_rates(counts: confusion.Counts) -> dict[str, Any]:
    """Purity of soft tissue, in the words of a report.

    Parameters
    ----------
    counts : ndarray, shape (..., 3, 3)

    Returns
    -------
    dict from str to float, or ndarray of shape (...)
    """
    soft = confusion.SOFT
    return {
        "soft_tissue_true_positive_rate": confusion.recall(counts)[..., soft],
        "soft_tissue_false_positive_rate": confusion.false_positive_rate(counts)[..., soft],
        "soft_tissue_false_share": 1 - confusion.precision(counts)[..., soft],
    }


_OVERALL = (
    "accuracy",
    "f1_macro",
    "iou_macro",
    "soft_tissue_true_positive_rate",
    "soft_tissue_false_positive_rate",
    "soft_tissue_false_share",
)


def _overall(counts: confusion.Counts) -> NDArray[np.float64]:
    """Scores in the order of `_OVERALL`, shape (..., 6)."""
    scores = {
        "accuracy": confusion.accuracy(counts),
        "f1_macro": confusion.macro(confusion.dice(counts)),
        "iou_macro": confusion.macro(confusion.iou(counts)),
        **soft_tissue_rates(counts),
    }
    return np.stack([scores[name] for name in _OVERALL], axis=-1)


def _areas(histogram: roc.Histogram) -> NDArray[np.float64]:
    """AUC of the classes, and their mean, shape (..., 4)."""
    areas = roc.auc(histogram)
    return np.column_stack([areas, confusion.macro(areas)])


_CLASS_SCORES = {
    "f1": confusion.dice,
    "iou": confusion.iou,
    "precision": confusion.precision,
    "recall": confusion.recall,
}


def named(values: Sequence[Any] | NDArray[Any]) -> dict[str, Any]:
    """Values of the classes by name."""
    return dict(zip(tissue.NAMES, values, strict=True))


def _check(labels: Any, predicted: Any, probabilities: Any, name: str) -> None:
    if labels.ndim != 2 or labels.shape != predicted.shape:
        raise ImageError(
            f"{name}: the prediction has {_size(predicted)} pixels, the reference "
            f"{_size(labels)}: they must be of one image."
        )
    if probabilities is not None:
        shape = (confusion.CLASSES, *labels.shape)
        if probabilities.shape != shape:
            raise ImageError(
                f"{name}: the probabilities have the shape {probabilities.shape}, not {shape}."
            )
        if not (probabilities.min() >= 0 and probabilities.max() <= 1):  # so NaN is refused, too
            raise ImageError(f"{name}: probabilities must be numbers from 0 to 1.")
    for what, values in (("reference", labels), ("prediction", predicted)):
        if values.dtype.kind not in "iub":
            raise ImageError(f"{name}: the {what} holds {values.dtype}, but labels are integers.")
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= tissue.BONE.value:
            raise ImageError(
                f"{name}: the {what} has values from {values.min()} to {values.max()}, but labels "
                "are 1 open beam, 2 soft tissue, 3 bone, and 0 where nobody annotated."
            )
    known = labels != tissue.UNLABELLED
    if not known.any():
        raise ImageError(f"{name}: the reference is empty, nothing is annotated.")
    if (predicted[known] == tissue.UNLABELLED).any():
        raise ImageError(
            f"{name}: the prediction has no class (0) where the reference has one; predictions "
            "have a class everywhere."
        )


def _size(array: Any) -> str:
    return " x ".join(str(length) for length in array.shape)
