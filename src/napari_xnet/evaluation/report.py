"""What an evaluation found: as numbers, as a table and as a page that explains them."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_xnet import tissue
from napari_xnet._version import __version__
from napari_xnet.errors import ImageError
from napari_xnet.evaluation import confusion
from napari_xnet.evaluation.confusion import Scores
from napari_xnet.evaluation.examples import Example
from napari_xnet.evaluation.page import make_page
from napari_xnet.evaluation.scores import Evaluation, named, soft_tissue_rates
from napari_xnet.evaluation.surface import TOLERANCE_PX
from napari_xnet.io.atomic import atomic_path
from napari_xnet.wording import several

SUFFIXES = (".json", ".csv", ".html")


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found.

    Attributes
    ----------
    scores : Evaluation
    about : dict from str to str
        What was evaluated: model, folders.
    worst : sequence of Example
    learning_curve : sequence of dict
        Rows with ``epoch``, ``loss``, ``val_loss``, ``dice``, ``val_dice`` of a training run.
    """

    scores: Evaluation
    about: Mapping[str, str] = field(default_factory=dict)
    worst: Sequence[Example] = ()
    learning_curve: Sequence[Mapping[str, float]] = ()

    @property
    def values(self) -> dict[str, Any]:
        """All numbers, as they are in ``report.json``: NaN is None there.

        ``accuracy``, ``f1``, ``iou``, ``precision``, ``recall``, ``auc`` and
        ``confusion_matrix`` (rows: true class) are of all labelled pixels of
        all images together; those of classes are keyed by class name.
        ``soft_tissue_false_positive_rate`` is the share of open beam and bone
        that was taken for soft tissue; ``soft_tissue_false_share`` is the
        share of what was taken for soft tissue that is none, the false
        positives of the XNet paper. ``mean_over_images`` weighs all images
        alike. ``confidence_95`` are bootstrap intervals over images.

        Raises
        ------
        ImageError
            If no image was evaluated.
        """
        scores = self.scores
        if not scores.images:
            raise ImageError("There is no image to evaluate.")
        counts = scores.counts
        dice, iou = confusion.dice(counts), confusion.iou(counts)
        precision, recall = confusion.precision(counts), confusion.recall(counts)
        values: dict[str, Any] = {
            "accuracy": confusion.accuracy(counts),
            "f1_macro": confusion.macro(dice),
            "iou_macro": confusion.macro(iou),
            "f1": named(dice),
            "iou": named(iou),
            "precision": named(precision),
            "recall": named(recall),
            "auc": named(scores.auc) if scores.has_probabilities else None,
            "auc_macro": confusion.macro(scores.auc) if scores.has_probabilities else None,
            "classes": list(tissue.NAMES),
            "confusion_matrix": counts.astype(int).tolist(),
            "confusion_matrix_of_rows": confusion.of_rows(counts).tolist(),
            **soft_tissue_rates(counts),
            "expected_calibration_error": scores.calibration_error
            if scores.has_probabilities
            else None,
            "boundaries": {
                name: self._boundaries(index) for index, name in enumerate(tissue.NAMES)
            },
            "mean_over_images": self._means(),
            "confidence_95": scores.intervals(),
            "n_images": len(scores.images),
            "n_pixels": int(counts.sum()),
        }
        about = {**self.about, "software": f"napari-xnet {__version__}"}
        cleaned: dict[str, Any] = _plain(values | {"about": about})
        return cleaned

    def __str__(self) -> str:
        """Tell the numbers that matter most, in a few lines."""
        values = self.values
        lines = [
            f"{several(values['n_images'], 'image')}, "
            f"{several(values['n_pixels'], 'labelled pixel')}",
            *(
                f"{title:20s} {_shown(values[key])}"
                for title, key in (
                    ("accuracy", "accuracy"),
                    ("F1, macro", "f1_macro"),
                    ("AUC, macro", "auc_macro"),
                )
            ),
            *(f"F1 {name:17s} {_shown(value)}" for name, value in values["f1"].items()),
            "soft tissue: "
            f"{_shown(values['soft_tissue_true_positive_rate'])} of it found, "
            f"{_shown(values['soft_tissue_false_share'])} of what was taken for it is none",
        ]
        return "\n".join(lines)

    def write(self, folder: str | os.PathLike[str], stem: str = "report") -> list[Path]:
        """Write ``report.json``, ``report.csv`` (a row for each image) and ``report.html``.

        The first two hold no pixels; the page shows the `worst` images.

        Parameters
        ----------
        folder : path-like
        stem : str
            Of the names of the files.

        Returns
        -------
        list of Path

        Raises
        ------
        ImageError
            If the folder or a file cannot be written.
        """
        folder = Path(folder)
        values = self.values
        texts = (
            json.dumps(values, indent=2, allow_nan=False) + "\n",
            self._table(),
            make_page(self, values),
        )
        paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
        make_folder(folder)
        try:
            for path, text in zip(paths, texts, strict=True):
                with atomic_path(path) as temporary:
                    temporary.write_text(text, "utf-8", newline="")
        except OSError as error:
            raise ImageError(
                f"The report cannot be written to {folder}: {error.strerror or error}. Choose "
                "another folder."
            ) from error
        return paths

    def rows(self) -> list[dict[str, Any]]:
        """One row for each image."""
        rows = []
        for one in self.scores.images:
            counts = one.counts
            row: dict[str, Any] = {
                "name": one.name,
                "group": one.group,
                "n_pixels": int(counts.sum()),
                "accuracy": one.accuracy,
                "f1_macro": confusion.macro_dice(counts),
                "auc_macro": confusion.macro(one.auc),
                "soft_tissue_false_share": 1 - confusion.precision(counts)[confusion.SOFT],
            }
            columns: dict[str, Sequence[float] | Scores] = {
                "f1": confusion.dice(counts),
                "precision": confusion.precision(counts),
                "recall": confusion.recall(counts),
                "auc": one.auc,
                "hausdorff95_px": [surface.hausdorff95_px for surface in one.surfaces],
                "mean_distance_px": [surface.mean_distance_px for surface in one.surfaces],
                "boundary_f1": [surface.boundary_f1 for surface in one.surfaces],
            }
            for title, values in columns.items():
                for name, value in named(values).items():
                    row[f"{title} {name}"] = value
            row["pixel_size_mm"] = one.pixel_size_mm
            rows.append(row)
        cleaned: list[dict[str, Any]] = _plain(rows)
        return cleaned

    def _table(self) -> str:
        rows = self.rows()
        text = io.StringIO()
        table = csv.DictWriter(text, rows[0])
        table.writeheader()
        table.writerows(rows)
        return text.getvalue()

    def _boundaries(self, index: int) -> dict[str, float]:
        """Means over the images in which the class has a border that was found."""
        found = list(self.scores.surfaces(index))
        there = [surface for surface, _ in found if np.isfinite(surface.boundary_f1)]
        result: dict[str, float] = {
            "n_images": len(there),
            "n_missed": sum(not np.isfinite(surface.hausdorff95_px) for surface in there),
            "tolerance_px": TOLERANCE_PX,
        }
        for key in ("hausdorff95_px", "mean_distance_px", "boundary_f1"):
            result[key] = _mean([getattr(surface, key) for surface in there])
        for key in ("hausdorff95", "mean_distance"):
            in_mm = [getattr(surface, f"{key}_px") * size for surface, size in found if size]
            result[f"{key}_mm"] = _mean(in_mm)
        return result

    def _means(self) -> dict[str, float]:
        """Scores in which each image counts the same."""
        rows = self.rows()
        means = {
            key: _mean([np.nan if row[key] is None else row[key] for row in rows])
            for key in ("accuracy", "f1_macro", "auc_macro")
        }
        shares = np.sum([one.counts / one.counts.sum() for one in self.scores.images], axis=0)
        return means | soft_tissue_rates(shares)


def _mean(values: Sequence[float]) -> float:
    known = [one for one in values if np.isfinite(one)]
    return float(np.mean(known)) if known else float("nan")


def _plain(value: Any) -> Any:
    """Only what JSON knows; NaN is null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def make_folder(folder: Path) -> None:
    """Make the folder of a report, if it is not there.

    Raises
    ------
    ImageError
        If that is not possible, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ImageError(
            f"The report cannot be written to {folder}: {error.strerror or error}. Choose "
            "another folder."
        ) from error
