"""The work behind *Evaluate segmentation*: arrays in, scores and errors out; no layer, no Qt."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.engine import Engine, Progress
from napari_xnet.engine.tasks import Segmented, segment_image
from napari_xnet.errors import Cancelled, ImageError
from napari_xnet.evaluation import Report
from napari_xnet.evaluation.examples import Example, errors, keep_worst
from napari_xnet.evaluation.scores import Evaluation
from napari_xnet.inference import Options
from napari_xnet.widgets.layers import Index, Radiographs
from napari_xnet.wording import several

_PICTURES = 6


@dataclass(frozen=True)
class Comparison:
    """A reference and what is compared with it.

    Attributes
    ----------
    name : str
    reference : Radiographs
        Labels of a person.
    prediction : Radiographs, optional
        Labels to compare; if None, a model segments the image.
    image : Radiographs, optional
        For the model, and for pictures in the report.
    pixel_size_mm : float, optional
    image_name : str
    """

    name: str
    reference: Radiographs
    prediction: Radiographs | None
    image: Radiographs | None
    pixel_size_mm: float | None
    image_name: str


@dataclass(frozen=True)
class EvaluateJob:
    """What to evaluate.

    Attributes
    ----------
    comparisons : sequence of Comparison
    model : Path, optional
        Folder of the model.
    options : Options
        How it segments.
    about : dict from str to str
        See `evaluation.Report`.
    """

    comparisons: Sequence[Comparison]
    model: Path | None
    options: Options
    about: dict[str, str]


@dataclass
class EvaluateResult:
    """What came out.

    Attributes
    ----------
    report : Report
    errors : list of dict from index to ndarray of uint8, shape (Y, X)
        Of each comparison, see `evaluation.examples.errors`.
    """

    report: Report
    errors: list[dict[Index, NDArray[np.uint8]]] = field(default_factory=list)


def run(
    job: EvaluateJob,
    engine: Engine,
    report: Callable[[Progress], None],
    cancel: threading.Event,
) -> EvaluateResult:
    """Evaluate all radiographs of which something is annotated.

    Raises
    ------
    XNetError
        If the job was cancelled, or something cannot be compared.
    """

    def check() -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled.")

    scores, worst = Evaluation(), list[Example]()
    wrong: list[dict[Index, NDArray[np.uint8]]] = []
    places = [(one, index) for one in job.comparisons for index in one.reference.indices()]

    for done, (one, index) in enumerate(places):
        if not any(index):
            wrong.append({})

        def report_whole(news: Progress, done: int = done) -> None:
            report(replace(news, done=done, total=len(places)))

        report_whole(Progress(f"Evaluating {one.name}…"))
        labels = one.reference.read(index, check)
        if not labels.any():
            continue  # nobody annotated it
        image = None if one.image is None else one.image.read(index, check)
        if one.prediction is not None:
            predicted, probabilities = one.prediction.read(index, check), None
        else:
            assert one.image is not None
            assert image is not None
            found: Segmented = engine.run(
                segment_image,
                image,
                job.model,
                one.image.rgb,
                job.options,
                True,
                one.pixel_size_mm,
                report=report_whole,
                cancel=cancel,
            )
            predicted, probabilities = found.labels, found.probabilities
        name = one.name + "".join(f"[{number}]" for number in index)
        added = scores.add(
            labels, predicted, probabilities, name=name, pixel_size_mm=one.pixel_size_mm
        )
        wrong[-1][index] = errors(labels, predicted).astype(np.uint8)
        if image is not None:
            keep_worst(worst, _PICTURES, name, added.accuracy, image, labels, predicted)
    if not scores.images:
        raise ImageError("The reference is empty: paint on it, or choose another.")
    return EvaluateResult(Report(scores, job.about, worst), wrong)


def summary_table(values: dict[str, Any]) -> str:
    """Make rich text of the numbers that matter most, headed by what they are of."""
    share = _percent
    head = "".join(
        f"<th align='right'>{name.removeprefix('open ').removeprefix('soft ')}</th>"
        for name in values["classes"]
    )
    rows = [
        f"<tr><td>{true}</td>"
        + "".join(f"<td align='right'>{share(one)}</td>" for one in shares)
        + "</tr>"
        for true, shares in zip(values["classes"], values["confusion_matrix_of_rows"], strict=True)
    ]
    scores = [
        f"<tr><td>{title}</td>"
        + "".join(f"<td align='right'>{_number(values[key][name])}</td>" for name in values[key])
        + "</tr>"
        for title, key in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("F1", "f1"),
            ("IoU", "iou"),
            ("AUC", "auc"),
        )
        if values[key]
    ]
    distances = [one["hausdorff95_px"] for one in values["boundaries"].values()]
    boundary = [
        "<tr><td>95\N{NO-BREAK SPACE}% Hausdorff, px</td>"
        + "".join(f"<td align='right'>{_number(one, 1)}</td>" for one in distances)
        + "</tr>"
    ]
    no_borders = "<p>Strokes have no borders to compare: only whole labels have.</p>"
    about = values["about"]
    compared = about.get("prediction") or about.get("model", "")
    return (
        f"<p>{escape(compared)} compared with {escape(about['references'])}:<br>"
        f"<b>Accuracy {_number(values['accuracy'])}</b>, macro F1 {_number(values['f1_macro'])}"
        f"<br>{several(values['n_images'], 'radiograph')}, "
        f"{several(values['n_pixels'], 'labelled pixel')}</p>"
        f"<p>Soft tissue: {share(values['soft_tissue_true_positive_rate'])} of it found, "
        f"{share(values['soft_tissue_false_share'])} of what was taken for it is none.</p>"
        f"<table cellpadding='2'><tr><td>true ↓ predicted →</td>{head}</tr>{''.join(rows)}"
        f"<tr><td></td></tr>{''.join(scores + boundary)}</table>"
        f"{no_borders if distances == [None] * len(distances) else ''}"
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
