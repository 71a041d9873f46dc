"""The report as one HTML page that needs no other file and explains its numbers."""

import string
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xnet import tissue
from napari_xnet.evaluation import roc
from napari_xnet.evaluation.charts import Line, line_chart
from napari_xnet.evaluation.confusion import CLASSES
from napari_xnet.evaluation.pictures import data_url
from napari_xnet.wording import several

if TYPE_CHECKING:
    from napari_xnet.evaluation.examples import Example
    from napari_xnet.evaluation.report import Report

_MOST_ROWS = 500
_GREY = "#888888"


def make_page(report: "Report", values: dict[str, Any]) -> str:
    """Return the page of a report; `values` are its numbers."""
    sections = [
        _summary(values),
        _matrix(values),
        _classes(values),
        _soft_tissue(values),
        _curves(report),
        _learning(report),
        _worst(report.worst),
        _images(report.rows()),
    ]
    about = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>"
        for key, value in values["about"].items()
    )
    return _PAGE.substitute(about=about, sections="\n".join(filter(None, sections)))


def _summary(values: dict[str, Any]) -> str:
    intervals, means = values["confidence_95"], values["mean_over_images"]
    tiles = [
        ("Accuracy", "accuracy", "of the labelled pixels got the right class"),
        ("F1, macro", "f1_macro", "mean overlap (Dice) of the classes, 1 is perfect"),
        ("AUC, macro", "auc_macro", "how well the probabilities rank the pixels, 1 is perfect"),
        ("False soft tissue", "soft_tissue_false_share",
         "of what was taken for soft tissue is open beam or bone"),
    ]  # fmt: skip
    images = values["n_images"]
    parts = []
    for title, key, meaning in tiles:
        low, high = (images > 1 and intervals.get(key)) or (None, None)
        between = f"{_number(low)} to {_number(high)}" if low is not None else ""
        parts.append(
            f"<div class='tile'><b>{title}</b><strong>{_number(values[key])}</strong>"
            f"<small>{between}</small><span>{meaning}</span></div>"
        )
    together = "."
    if images > 1:
        together = (
            ", all together. Below each number: where it lies in 95 % of all draws of as many "
            "images from these (bootstrap). If each image counts the same: accuracy "
            f"{_number(means['accuracy'])}, F1 {_number(means['f1_macro'])}, AUC "
            f"{_number(means['auc_macro'])}, false soft tissue "
            f"{_percent(means['soft_tissue_false_share'], 2)}."
        )
    return (
        f"<div class='tiles'>{''.join(parts)}</div><p class='note'>{several(images, 'image')}, "
        f"{several(values['n_pixels'], 'labelled pixel')}{together}</p>"
    )


def _matrix(values: dict[str, Any]) -> str:
    head = "".join(f"<th>{name}</th>" for name in tissue.NAMES)
    rows = []
    for name, counts, shares in zip(
        tissue.NAMES,
        values["confusion_matrix"],
        values["confusion_matrix_of_rows"],
        strict=True,
    ):
        cells = "".join(
            f"<td style='background:rgba(0,114,178,{0.8 * (share or 0):.2f})'>"
            f"<b>{_percent(share)}</b><small>{count:,}</small></td>"
            for count, share in zip(counts, shares, strict=True)
        )
        rows.append(f"<tr><th>{name}</th>{cells}</tr>")
    return (
        "<h2>Which class was taken for which</h2><p>Each row is a true class, each column what was "
        "predicted; shares of the row, and pixels.</p><table class='matrix'><tr><th>true \\ "
        f"predicted</th>{head}</tr>{''.join(rows)}</table>"
    )


def _classes(values: dict[str, Any]) -> str:
    columns = (
        ("precision", "of what was taken for it, the share that is right"),
        ("recall", "of what is of the class, the share that was found"),
        ("f1", "overlap: F1, or Dice"),
        ("iou", "overlap: intersection over union"),
        ("auc", "area under the ROC curve"),
    )
    distances = [
        ("hausdorff95_px", "95 % Hausdorff, px", 1),
        ("mean_distance_px", "mean distance, px", 2),
        ("boundary_f1", "boundary F1", 3),
    ]
    if any(one["mean_distance_mm"] is not None for one in values["boundaries"].values()):
        distances[2:2] = [
            ("hausdorff95_mm", "95 % Hausdorff, mm", 2),
            ("mean_distance_mm", "mean distance, mm", 2),
        ]
    head = "".join(f"<th title='{meaning}'>{title}</th>" for title, meaning in columns)
    head += "".join(f"<th>{title}</th>" for _, title, _ in distances)
    rows = "".join(
        f"<tr><th>{_swatch(one)}{one.name}</th>"
        + "".join(f"<td>{_number((values[key] or {}).get(one.name))}</td>" for key, _ in columns)
        + "".join(
            f"<td>{_number(values['boundaries'][one.name][key], digits)}</td>"
            for key, _, digits in distances
        )
        + "</tr>"
        for one in tissue.CLASSES
    )
    borders = values["boundaries"].values()
    missed = sum(one["n_missed"] for one in borders)
    tolerance = values["boundaries"][tissue.NAMES[0]]["tolerance_px"]
    seen = ", ".join(f"{name} {one['n_images']}" for name, one in values["boundaries"].items())
    return (
        f"<h2>Each class</h2><table><tr><th></th>{head}</tr>{rows}</table>"
        "<p class='note'>Precision: of what was taken for the class, the share that is right. "
        "Recall: of the class, the share that was found. The others compare borders in full "
        "resolution, means over images: 95 % of all border pixels are no farther from the other "
        "border; how far they are in the mean; how many have the other within "
        f"{tolerance:g} px. Where nobody annotated, a border may be: distances are not larger than "
        "to there. Borders that were missed altogether have no distance, but a boundary F1 of 0; "
        f"their number: {missed}. Images with a border of the class: {seen}; labels that are "
        "strokes in places have hardly any.</p>"
    )


def _soft_tissue(values: dict[str, Any]) -> str:
    rows = (
        ("Found", "soft_tissue_true_positive_rate",
         "of all soft tissue was found (true positives of the XNet paper; recall)"),
        ("False share", "soft_tissue_false_share",
         "of what was taken for soft tissue is open beam or bone (false positives of the XNet "
         "paper; 1 − precision)"),
        ("False-positive rate", "soft_tissue_false_positive_rate",
         "of all open beam and bone was taken for soft tissue"),
    )  # fmt: skip
    intervals = values["confidence_95"]
    lines = "".join(
        f"<tr><th>{title}</th><td>{_percent(values[key], 2)}</td><td>"
        + (
            f"{_percent(intervals[key][0], 2)} to {_percent(intervals[key][1], 2)}"
            if values["n_images"] > 1 and intervals[key][0] is not None
            else ""
        )
        + f"</td><td class='text'>{meaning}</td></tr>"
        for title, key, meaning in rows
    )
    return f"<h2>Purity of soft tissue</h2><table>{lines}</table>"


def _curves(report: "Report") -> str:
    scores = report.scores
    if not scores.has_probabilities:
        return ""
    lines = [Line((0, 1), (0, 1), "", _GREY, dashed=True)]
    for index in range(CLASSES):
        false, true = roc.curve(scores.histogram, index)
        one = tissue.CLASSES[index]
        lines.append(Line(false, true, f"{one.name}, AUC {_number(scores.auc[index])}", one.color))
    curves = line_chart(lines, "false-positive rate", "true-positive rate")
    pixels, confidence, right = scores.reliability
    seen = pixels > 0
    reliable = line_chart(
        [
            Line((0, 1), (0, 1), "as it should be", _GREY, dashed=True),
            Line(
                confidence[seen] / pixels[seen],
                right[seen] / pixels[seen],
                f"this model, error {_number(scores.calibration_error)}",
                "#0072b2",
            ),
        ],
        "how sure it was",
        "how often it was right",
    )
    return (
        "<h2>Probabilities</h2><p>Left: each class against the others (ROC), the nearer to the "
        "upper left corner the better. Right: whether the model is right as often as its "
        "probabilities say; below the dashed line it is too sure of itself.</p><div "
        f"class='charts'>{curves}{reliable}</div>"
    )


def _learning(report: "Report") -> str:
    rows = report.learning_curve
    if not rows:
        return ""
    epochs = [row["epoch"] for row in rows]
    span = (min(epochs), max(epochs)) if len(set(epochs)) > 1 else (epochs[0] - 1, epochs[0] + 1)
    charts = []
    for key, title in (("loss", "loss"), ("dice", "Dice")):
        series = {"training": key, "validation": f"val_{key}"}
        values = {
            name: np.array([row[column] for row in rows], float) for name, column in series.items()
        }
        known = np.concatenate(list(values.values()))
        known = known[np.isfinite(known)]
        top = float(known.max()) * 1.05 if len(known) and key == "loss" else 1.0
        lines = [
            Line(epochs, one, name, color)
            for (name, one), color in zip(values.items(), ("#0072b2", "#d55e00"), strict=True)
        ]
        charts.append(line_chart(lines, "epoch", title, span, (0.0, top or 1.0)))
    return f"<h2>How it learned</h2><div class='charts'>{''.join(charts)}</div>"


def _worst(examples: "Sequence[Example]") -> str:
    if not examples:
        return ""
    legend = "".join(f"<span>{_swatch(one)}{one.name}</span>" for one in tissue.CLASSES)
    rows = "".join(
        f"<div class='row'><p>{escape(one.name)}<br>accuracy {_number(one.accuracy)}</p>"
        + "".join(
            f"<figure><img src='{data_url(picture)}' alt='{title}'><figcaption>{title}"
            "</figcaption></figure>"
            for title, picture in (
                ("radiograph", one.radiograph),
                ("reference", one.reference),
                ("prediction", one.prediction),
                ("errors", one.errors),
            )
        )
        + "</div>"
        for one in examples
    )
    return (
        f"<h2>The worst images</h2><p>{legend}<br>Errors are shown in the colour of what was "
        f"wrongly predicted.</p>{rows}"
    )


def _images(rows: list[dict[str, Any]]) -> str:
    keys = ("accuracy", "f1_macro", "auc_macro", "soft_tissue_false_share")
    shown = sorted(rows, key=lambda row: row["accuracy"])[:_MOST_ROWS]
    lines = "".join(
        f"<tr><th>{escape(row['name'])}</th><td class='text'>{escape(row['group'])}</td>"
        + "".join(f"<td>{_number(row[key])}</td>" for key in keys)
        + "</tr>"
        for row in shown
    )
    more = f" The {_MOST_ROWS} worst of {len(rows)};" if len(rows) > _MOST_ROWS else ""
    return (
        f"<h2>Each image</h2><p class='note'>The worst first.{more} All numbers of all images are "
        "in report.csv.</p><table><tr><th>image</th><th>group</th><th>accuracy</th><th>F1, macro"
        f"</th><th>AUC, macro</th><th>false soft tissue</th></tr>{lines}</table>"
    )


def _swatch(one: tissue.TissueClass) -> str:
    return f"<i style='background:{one.color}'></i>"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


_PAGE = string.Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Segmentation report</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td.text { text-align: left; }
th { font-weight: 500; }
.matrix td { text-align: center; }
.matrix small { display: block; opacity: .75; }
.tiles, .charts, .row { display: flex; flex-wrap: wrap; gap: 1rem; }
.tiles { margin-top: 1.5rem; }
.tile { flex: 1 1 12rem; border: 1px solid #8884; border-radius: .5rem; padding: .8rem 1rem; }
.tile > * { display: block; }
.tile strong { font-size: 1.9rem; line-height: 1.2; }
.tile span, .note, small, figcaption { font-size: .85rem; opacity: .8; }
.charts figure { flex: 1 1 20rem; max-width: 30rem; margin: 0; }
.chart text { font: 11px system-ui, sans-serif; fill: currentColor; }
.chart .x { text-anchor: middle; } .chart .y { text-anchor: end; }
.chart .grid { stroke: #8884; fill: none; } .chart .line { fill: none; stroke-width: 2; }
figcaption span { margin-right: 1rem; }
figcaption span, td:not(.text) { white-space: nowrap; }
i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .4em 0 .2em; }
.row { margin: .8rem 0; align-items: flex-start; }
.row p { flex: 1 1 8rem; margin: 0; overflow-wrap: anywhere; }
.row figure { margin: 0; flex: 1 1 10rem; } .row img { max-width: 100%; max-height: 20rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
</style>
<h1>Segmentation report</h1>
<dl>$about</dl>
$sections
<p class="note">Pixels that nobody annotated do not count. napari-xnet is a research tool, not a
medical device.</p>
</html>
""")
