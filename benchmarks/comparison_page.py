"""Write the results of `comparison.py` as a page of the documentation."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.evaluation import confusion
from napari_xnet.evaluation.bootstrap import interval
from napari_xnet.evaluation.charts import Line, line_chart

COLORS = {"xnet": "#0072b2", "unet": "#d55e00", "segnet": "#cc79a7", "xnet, fine-tuned": "#009e73"}
TITLES = {
    "simulated": "Simulated radiographs",
    "real": "Real radiographs",
}
_STYLE = """<style>
.chart text { font: 11px sans-serif; fill: currentColor; }
.chart .x { text-anchor: middle; } .chart .y { text-anchor: end; }
.chart .grid { stroke: #8884; fill: none; } .chart .line { fill: none; stroke-width: 2; }
.chart { max-width: 30rem; } figcaption span { margin-right: 1em; }
figcaption i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
</style>"""

Key = tuple[str, str, int]
Row = dict[str, Any]


def write_page(path: Path, rows: list[Row]) -> None:
    """Write tables and learning curves."""
    grouped: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        data, method, size, _ = row["key"]
        grouped[data, method, size].append(row)
    text = [
        "# XNet beside other methods",
        "Made by `python benchmarks/comparison.py FOLDER --radiographs DIR --page PAGE`, of which "
        "the first lines say what is trained on what, for how long, and tested on what. "
        "In brackets: where the mean lies in 95 % "
        "of all draws of as many images from the tests (bootstrap), seeds together. *False* is the "
        "share of what was taken for soft tissue that is none, *found* the share of soft tissue "
        "that was found: with the likeliest class, and with a threshold that was calibrated for "
        "0.5 % on other radiographs.",
        _STYLE,
    ]
    for data, title in TITLES.items():
        own = {key: found for key, found in grouped.items() if key[0] == data}
        if own:
            text += [f"## {title}", chart(own), table(own)]
    path.write_text("\n\n".join(text) + "\n", "utf-8")


def table(grouped: dict[Key, list[Row]]) -> str:
    """Make the table of one kind of data."""
    lines = [
        "| method | images | accuracy | macro F1 | AUC | false, found | calibrated | parameters "
        "| s per image |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (_, method, size), found in grouped.items():
        counts = images(found)
        before = [
            confusion.precision(counts.sum(axis=0))[1],
            confusion.recall(counts.sum(axis=0))[1],
        ]
        areas = np.mean([[one["auc"] for one in row["images"]] for row in found])
        pure = [row["pure"] for row in found if "pure" in row]
        after = [
            np.mean([one[key] for one in pure]) if pure else np.nan
            for key in ("false_share", "true_positive_rate")
        ]
        cells = [
            method,
            f"{size}" if size else "–",
            spread(counts, confusion.accuracy),
            spread(counts, lambda one: confusion.macro(confusion.dice(one))),
            number(areas),
            f"{1 - before[0]:.1%}, {before[1]:.0%}",
            f"{after[0]:.1%}, {after[1]:.0%}" if pure else "–",
            f"{found[0]['parameters']:,}" if "parameters" in found[0] else "–",
            f"{np.median([row['seconds'] for row in found]):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def chart(grouped: dict[Key, list[Row]]) -> str:
    """Draw accuracy against the number of training images."""
    lines = []
    for method, color in COLORS.items():
        sizes = sorted(size for _, name, size in grouped if name == method)
        if sizes:
            values = [
                float(confusion.accuracy(images(found).sum(axis=0)))
                for size in sizes
                for (_, name, other), found in grouped.items()
                if (name, other) == (method, size)
            ]
            lines.append(Line(np.log10(sizes), values, method, color))
    return line_chart(lines, "log10 of the training images", "accuracy", (0.6, 2.1), (0.4, 1.0))


def images(found: list[Row]) -> NDArray[np.float64]:
    """Shares of the pixels of each image, mean over seeds, shape (images, 3, 3)."""
    counts = np.array([[one["counts"] for one in row["images"]] for row in found])
    return (counts / counts.sum(axis=(-2, -1), keepdims=True)).mean(axis=0)


def spread(counts: NDArray[np.float64], score: Any) -> str:
    """Score of all images together, each counting the same, and its interval."""
    ((low, high),) = interval(counts, lambda sums: score(sums)[:, np.newaxis])
    return f"{score(counts.sum(axis=0)):.3f} ({low:.3f} to {high:.3f})"


def number(value: float) -> str:
    """Three digits, or a dash."""
    return f"{value:.3f}" if np.isfinite(value) else "–"
