"""The work behind *Segment radiograph*: arrays in, the engine, arrays out; no layer, no Qt."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.engine import Engine, Progress
from napari_xnet.engine.tasks import Segmented, segment_image
from napari_xnet.errors import Cancelled
from napari_xnet.inference import Options
from napari_xnet.widgets.layers import Index, Radiographs

_CHUNK_BYTES = 2**26
_CHUNK_SLICES = 16
_COUNT_PX = 2**22


@dataclass(frozen=True)
class SegmentJob:
    """What to segment, and where the result goes.

    Attributes
    ----------
    image_id, image_name : str
        The image layer, which may be gone when the job ends.
    radiographs : Radiographs
        Its data.
    indices : list of tuple of int
        Which of its radiographs to segment.
    place : dict
        Where the layer lies in the world, see `layers.placement`.
    model : Path
        Folder of the model.
    options : Options
    adds_probabilities : bool
        Whether probabilities become layers.
    kept : frozenset of tuple of int
        Radiographs whose probabilities are kept in memory anyway.
    pixel_size_mm : float, optional
        Edge length of a pixel.
    """

    image_id: str
    image_name: str
    radiographs: Radiographs
    indices: list[Index]
    place: dict[str, Any]
    model: Path
    options: Options
    adds_probabilities: bool
    kept: frozenset[Index]
    pixel_size_mm: float | None


@dataclass
class SegmentResult:
    """Labels (and probabilities) of each radiograph of a job.

    Attributes
    ----------
    labels : dict from index to ndarray of uint8, shape (Y, X)
    probabilities : dict from index to ndarray of float32, shape (3, Y, X)
    pixels : Counter
        Number of pixels of each label value.
    notes : dict
        Its keys are what the user should know.
    seconds : float
        Time that the job took.
    working_scale : float
        Px of the working image per px of the radiographs.
    """

    labels: dict[Index, NDArray[np.uint8]] = field(default_factory=dict)
    probabilities: dict[Index, NDArray[np.float32]] = field(default_factory=dict)
    pixels: Counter[int] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)
    seconds: float = 0.0
    working_scale: float = 1.0

    def summary(self) -> str:
        """One sentence: the share of each class, and the time."""
        return f"{shares(self.pixels)} ({self.seconds:.1f} s)"


def shares(pixels: Counter[int]) -> str:
    """Say what share each class has."""
    total = pixels.total()
    return ", ".join(
        f"{one.name} {100 * pixels[one.value] / total:.0f}\N{NO-BREAK SPACE}%"
        for one in tissue.CLASSES
    )


def run(
    job: SegmentJob,
    engine: Engine,
    report: Callable[[Progress], None],
    cancel: threading.Event,
) -> SegmentResult:
    """Segment the radiographs of a job, a few at a time.

    Parameters
    ----------
    job : SegmentJob
    engine : Engine
    report : callable
        Called with each `Progress`, in radiographs of the whole job.
    cancel : threading.Event
        Set it to stop.

    Returns
    -------
    SegmentResult

    Raises
    ------
    XNetError
        If the job was cancelled, or cannot be done.
    """
    started = time.monotonic()
    result = SegmentResult()
    total = len(job.indices)

    def report_whole(news: Progress) -> None:
        before = len(result.labels)
        report(Progress(news.message, before + news.done, total) if news.total else news)

    def check() -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled.")

    for indices in _chunks(job):
        found: Segmented = engine.run(
            segment_image,
            _stack([job.radiographs.read(index, check) for index in indices]),
            job.model,
            job.radiographs.rgb,
            job.options,
            job.adds_probabilities or not job.kept.isdisjoint(indices),
            job.pixel_size_mm,
            report=report_whole,
            cancel=cancel,
        )
        result.labels.update(zip(indices, found.labels, strict=True))
        if found.probabilities is not None:
            for index, planes in zip(indices, found.probabilities.swapaxes(0, 1), strict=True):
                if job.adds_probabilities or index in job.kept:
                    # A copy of its own, or it would keep those of its neighbours.
                    result.probabilities[index] = np.ascontiguousarray(planes)
        result.pixels.update(count_labels(found.labels))
        result.notes.update(dict.fromkeys(found.notes))
        result.working_scale = found.working_scale
    result.seconds = time.monotonic() - started
    return result


def _stack(pages: list[NDArray[Any]]) -> NDArray[Any]:
    """Make a stack; of a single, perhaps large, page without a copy."""
    return pages[0][np.newaxis] if len(pages) == 1 else np.stack(pages)


def count_labels(labels: NDArray[np.uint8]) -> dict[int, int]:
    """Count the pixels of each value; in parts, since bincount needs eight times their memory."""
    counts = np.zeros(tissue.BONE.value + 1, np.int64)
    flat = labels.reshape(-1)
    for start in range(0, flat.size, _COUNT_PX):
        counts += np.bincount(flat[start : start + _COUNT_PX], minlength=len(counts))
    return dict(enumerate(counts.tolist()))


def _chunks(job: SegmentJob) -> Iterator[list[Index]]:
    data = job.radiographs.data
    pages = np.prod(job.radiographs.shape[:-2], dtype=float)
    page_bytes = np.prod(data.shape, dtype=float) * data.dtype.itemsize / max(1.0, pages)
    count = int(np.clip(_CHUNK_BYTES / max(1.0, page_bytes), 1, _CHUNK_SLICES))
    for start in range(0, len(job.indices), count):
        yield job.indices[start : start + count]
