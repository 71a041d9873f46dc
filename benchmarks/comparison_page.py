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
_INTRODUCTION = """*XNet*, *U-Net* and *SegNet* have the width of the default model, see working
images of 200 px, as in the XNet paper, and begin with random weights; U-Net and SegNet train for as
long as XNet takes for 400 steps of 8 augmented patches, which on two cores are minutes. They are
not trained to the end, and are not meant to be: what a user with a laptop can expect is what is
asked for. *xnet, fine-tuned* goes on, with the preset *quick*, from a network that has learned from
simulated radiographs: that is what *Train XNet* does.

Means over images, in brackets where the mean lies in 95 % of all draws of as many images from the
tests (bootstrap; seeds together). *False* is the share of what was taken for soft tissue that is
none (the false positives of the paper), *found* the share of soft tissue that was found: with the
likeliest class; and *calibrated*, with a threshold that was to leave 0.5 % on other radiographs."""
_DATA = {
    "simulated": """Trained on simulated radiographs of man, tested on 60 of the *dog*, an anatomy
that no network here has seen; calibrated on 24 others of man. This is the hardest kind of test:
what is asked is what carries over.""",
    "real": """16 labelled real radiographs of eight body parts (not part of the project), four
folds over body parts: each is tested by networks that know neither the part nor the patient, and
learned from the others; *all* are 9 to 14. Thresholds come from the other parts' tests.""",
}
ALL = 1000
"""Size that stands for all there are."""
TITLES = {
    "simulated": "Simulated radiographs",
    "real": "Real radiographs",
}
_STYLE = """<style>
.chart text { font: 11px sans-serif; fill: currentColor; }
.chart .x { text-anchor: middle; } .chart .y { text-anchor: end; }
.chart .grid { stroke: #8884; fill: none; } .chart .line { fill: none; stroke-width: 2; }
.md-typeset .chart { width: 26rem; max-width: 100%; } figcaption span { margin-right: 1em; }
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
        "Made by `python benchmarks/comparison.py FOLDER --radiographs DIR --page PAGE`, with "
        f"{len({row['key'][3] for row in rows})} seeds. " + _INTRODUCTION,
        _STYLE,
    ]
    for data, title in TITLES.items():
        own = {key: found for key, found in grouped.items() if key[0] == data}
        if own:
            curve = [chart(own)] if len(sizes_of(own)) > 1 else []
            text += [f"## {title}", _DATA[data], *curve, table(own), *differences(own)]
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
            size_name(size),
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
    ticks = {float(np.log10(size)): str(size) for size in sizes_of(grouped)}
    return line_chart(lines, "training images", "accuracy", (0.6, 2.1), (0.5, 0.9), ticks)


def differences(grouped: dict[Key, list[Row]]) -> list[str]:
    """Say by how much XNet is ahead of others on the same images, and where that is certain."""
    lines = ["| accuracy of | minus that of | images | difference |", "|---|---|---|---|"]
    ahead = behind = total = 0
    data = next(iter(grouped))[0]
    for own, other in COMPARED:
        for size in sizes_of(grouped):
            if (data, own, size) not in grouped or (data, other, size) not in grouped:
                continue
            both = np.stack([images(grouped[data, name, size]) for name in (own, other)], axis=1)
            ((low, high),) = interval(both, lambda sums: advantage(sums)[:, np.newaxis])
            value = advantage(both.sum(axis=0, keepdims=True))[0]
            found = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
            lines.append(f"| {own} | {other} | {size_name(size)} | {found} |")
            total, ahead, behind = total + 1, ahead + (low > 0), behind + (high < 0)
    said = (
        f"Differences on the same images: of {total} comparisons {ahead} are in favour of the "
        f"first, {behind} of the second, and in {total - ahead - behind} the interval holds zero."
    )
    return [said, "\n".join(lines)] if total else []


COMPARED = (
    ("xnet", "unet"),
    ("xnet", "segnet"),
    ("xnet, fine-tuned", "xnet"),
    ("xnet, fine-tuned", "segnet"),
    ("xnet, fine-tuned", "unet"),
)


def advantage(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accuracy of the first minus that of the second, shape (draws, 2, 3, 3) to (draws,)."""
    first, second = (confusion.accuracy(sums[:, number]) for number in (0, 1))
    return np.asarray(first - second)


def sizes_of(grouped: dict[Key, list[Row]]) -> list[int]:
    """Sizes of training sets for which networks were trained from random weights."""
    return sorted({size for _, name, size in grouped if name == "xnet"})


def size_name(size: int) -> str:
    """Name the size of a training set."""
    return {0: "–", ALL: "all"}.get(size, str(size))


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
