"""Strokes where the result is worst: live segmentation beside other ways to learn from them.

Usage: python benchmarks/live_strokes.py FOLDER [-o TABLE.md] [--models DIR] [--methods ...]
           [--every N] [--seed S] [--convpaint-python PATH]

FOLDER holds ``X.tif``, ``X_labels.tif`` (0 is not scored) and ``radiographs.csv``
with the column body_part. Each method segments a radiograph, then gets strokes
in the largest regions where its own result is wrong, of the class that is
right there: 3 in all, then 6, 12 and 24; it sees its result again only at
these counts. Methods that know nothing before the first stroke begin with open
beam everywhere.

live           live segmentation, as in *Train XNet*
xnet quick     the preset ``quick``, trained on the strokes at each count
random forest  scikit-image's TrainableSegmenter with multiscale_basic_features
convpaint      napari-convpaint; --convpaint-python names a Python that has it

DIR holds a model ``without PART`` for each body part, which has never seen it;
without DIR all start from the default model, which knows most free radiographs.
Scored is the accuracy over the labelled pixels in full size, the mean over
radiographs. Each result is kept in TABLE.jsonl: the same call goes on.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, label
from small_data import Labels, Radiograph, Task, convpaint, full_size, inside, read, see, stand_in
from small_data import network as trained

import napari_xnet
from napari_xnet import tissue
from napari_xnet.imaging import working_labels
from napari_xnet.inference import Options
from napari_xnet.live.cache import DescriptionCache
from napari_xnet.live.session import LiveSession

COUNTS = (3, 6, 12, 24)
WIDTH = 0.01
"""Of a stroke, of the long side."""
LENGTH = 0.12
STEP_PX = 2.0
TURNS_RAD = np.deg2rad([0, 20, -20, 40, -40, 60, -60])

Segment = Callable[[Labels], Labels]
"""Labels of a radiograph from what is painted on it."""


def main() -> None:
    """Measure what was not measured before, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("live_strokes.md"))
    parser.add_argument("--models", type=Path)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS)[:3])
    parser.add_argument("--every", type=int, default=1, help="take every Nth radiograph")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--convpaint-python", type=Path)
    parser.add_argument("--convpaint-features", default="gaussian")
    call = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    kept = call.output.with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["method"], row["name"]) for row in rows}
    for one in read(call.folder)[:: call.every]:
        for method in call.methods:
            if (method, one.name) in done:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                base = str(call.models / f"without {one.part}") if call.models else "default"
                base = stand_in(base, Path(scratch) / "default")
                segment, start = METHODS[method](call, one, base)
                accuracies, seconds = paint(one, segment, start, call.seed)
            rows.append(
                {"method": method, "name": one.name, "accuracy": accuracies, "seconds": seconds}
            )
            with kept.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(method, one.name, np.round(accuracies, 4), f"{seconds:.2f} s", flush=True)
    text = table(rows)
    call.output.write_text(text, "utf-8")
    print(text)


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the radiographs that all methods segmented."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    names = [{row["name"] for row in rows if row["method"] == method} for method in methods]
    shared = set.intersection(*names)
    heads = " | ".join(map(str, (0, *COUNTS)))
    lines = [
        f"Mean accuracy on {len(shared)} radiographs after so many strokes; median seconds.",
        "",
        f"| method | {heads} | s |",
        "|---" * (len(COUNTS) + 3) + "|",
    ]
    for method in methods:
        found = [row for row in rows if row["method"] == method and row["name"] in shared]
        means = np.mean([row["accuracy"] for row in found], axis=0)
        seconds = np.median([row["seconds"] for row in found])
        numbers = " | ".join(f"{mean:.3f}" for mean in means)
        lines.append(f"| {method} | {numbers} | {seconds:.2g} |")
    return "\n".join(lines) + "\n"


def paint(one: Radiograph, segment: Segment, start: Labels, seed: int) -> tuple[list[float], float]:
    """Accuracies with no stroke and at each count, and the median time of an answer."""
    rng = np.random.default_rng(seed)
    painted = np.zeros_like(one.reference)
    known = one.reference > 0
    result, accuracies, seconds = start, [], []
    for before, count in zip((0, *COUNTS), (*COUNTS, None), strict=True):
        accuracies.append(float((result == one.reference)[known].mean()))
        if count is None:
            break
        wrong = (result != one.reference) & known
        for _ in range(count - before):
            stroke(wrong, one.reference, painted, rng)
        begin = time.perf_counter()
        result = segment(painted)
        seconds.append(time.perf_counter() - begin)
    return accuracies, float(np.median(seconds))


def stroke(
    wrong: NDArray[np.bool_], reference: Labels, painted: Labels, rng: np.random.Generator
) -> None:
    """Paint along the middle of the largest region of one class that is wrong; then it is done."""
    largest, value = None, 0
    for tissue_class in tissue.CLASSES:
        regions, number = label(wrong & (reference == tissue_class.value))
        if number:
            sizes = np.bincount(regions.ravel())[1:]
            if largest is None or sizes.max() > np.count_nonzero(largest):
                largest, value = regions == sizes.argmax() + 1, tissue_class.value
    if largest is None:
        return
    side = max(wrong.shape)
    depth = distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    place = np.array(np.unravel_index(depth.argmax(), depth.shape), float)
    heading = rng.uniform(0, 2 * np.pi)
    line = np.zeros(wrong.shape, bool)
    line[tuple(place.astype(int))] = True
    for _ in range(round(LENGTH * side / STEP_PX)):
        headings = heading + TURNS_RAD
        ways = place + STEP_PX * np.stack([np.sin(headings), np.cos(headings)], axis=1)
        cells = np.clip(np.round(ways).astype(int), 0, np.array(wrong.shape) - 1)
        depths = depth[cells[:, 0], cells[:, 1]]
        if depths.max() == 0:
            break
        best = int(depths.argmax())
        place, heading = ways[best], headings[best]
        line[tuple(cells[best])] = True
    brush = binary_dilation(line, iterations=max(1, round(WIDTH * side / 2)))
    painted[brush & (reference == value)] = value
    # Of a large region only what is near the stroke is done.
    reach = np.count_nonzero(largest) > (LENGTH * side) ** 2
    done = distance_transform_edt(~line) < LENGTH * side if reach else largest
    wrong &= ~done


def live(call: argparse.Namespace, one: Radiograph, base: str) -> tuple[Segment, Labels]:
    """Live segmentation."""
    session = LiveSession(
        napari_xnet.load_model(base), Options(), DescriptionCache(Path("unused"), limit_mb=0)
    )
    session.describe(one.name, one.image)

    def segment(painted: Labels) -> Labels:
        session.paint(one.name, painted)
        return session.answer(one.name, painted).labels

    return segment, session.answer(one.name).labels


def quick(call: argparse.Namespace, one: Radiograph, base: str) -> tuple[Segment, Labels]:
    """Train with the preset `quick`."""
    start = napari_xnet.segment(one.image, base).labels

    def segment(painted: Labels) -> Labels:
        if len(np.unique(painted[painted > 0])) == 1:  # it refuses to learn from one class
            return start
        ((labels,), _) = trained(task(one, painted), base, {"seed": call.seed})
        return labels

    return segment, start


def forest(call: argparse.Namespace, one: Radiograph, base: str) -> tuple[Segment, Labels]:
    """Ask scikit-image's segmenter."""
    from skimage.feature import multiscale_basic_features
    from skimage.future import TrainableSegmenter
    from sklearn.ensemble import RandomForestClassifier

    working = see(one.image)
    segmenter = TrainableSegmenter(
        RandomForestClassifier(n_estimators=100, n_jobs=-1, random_state=call.seed),
        functools.partial(multiscale_basic_features, sigma_min=1, sigma_max=16),
    )

    def segment(painted: Labels) -> Labels:
        segmenter.fit(inside(working), working_labels(painted, working))
        return full_size(segmenter.predict(inside(working)), working, one.image)

    return segment, np.full_like(one.reference, tissue.OPEN_BEAM.value)


def painted_by_convpaint(
    call: argparse.Namespace, one: Radiograph, base: str
) -> tuple[Segment, Labels]:
    """Ask napari-convpaint."""

    def segment(painted: Labels) -> Labels:
        classes = np.unique(painted[painted > 0])
        if len(classes) == 1:  # it refuses to learn from one
            return np.full_like(painted, classes[0])
        ((labels,), _) = convpaint(
            task(one, painted), call.convpaint_python, call.convpaint_features, call.seed
        )
        return labels

    return segment, np.full_like(one.reference, tissue.OPEN_BEAM.value)


def task(one: Radiograph, painted: Labels) -> Task:
    """Learn from strokes on a radiograph, segment the same."""
    return Task([one.image], [painted], [one.part], [one.image])


METHODS = {
    "live": live,
    "random forest": forest,
    "xnet quick": quick,
    "convpaint": painted_by_convpaint,
}


if __name__ == "__main__":
    main()
