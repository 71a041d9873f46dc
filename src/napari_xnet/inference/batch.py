"""Segment many image files: the next are read and the last are written while the network works."""

import csv
import functools
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from napari_xnet.errors import Cancelled, ImageError, reason
from napari_xnet.inference.files import (
    Target,
    edge_mm,
    notes_on,
    write_segmentation,
)
from napari_xnet.inference.segment import Prepared, call_px, finish, predict, segment
from napari_xnet.io import Radiograph, read_image
from napari_xnet.io.arrays import is_lazy
from napari_xnet.io.atomic import atomic_path
from napari_xnet.models import Model

_T = TypeVar("_T")

FileProgress = Callable[[Path, float], None]
"""Gets an image, and the share of it that is done."""

FAILURES_FILE = "failures.csv"
_MOST_NAMED = 10
_READ_AHEAD = 2
_WRITE_BEHIND = 2


@dataclass(frozen=True)
class Outcome:
    """What became of an image file.

    Attributes
    ----------
    image : Path
    written : tuple of Path
        Its results, the labels first.
    notes : tuple of str
        What the user should know about how it was read.
    error : str
        Why it failed; empty if it did not.
    was_there : bool
        Whether the results were there already.
    attempts : int
        How often it was tried.
    """

    image: Path
    written: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    was_there: bool = False
    attempts: int = 1


@dataclass
class Summary:
    """What became of many image files.

    Attributes
    ----------
    segmented, were_there : int
        How many.
    failures : list of Outcome
    """

    segmented: int = 0
    were_there: int = 0
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count an image."""
        if outcome.error:
            self.failures.append(outcome)
        elif outcome.was_there:
            self.were_there += 1
        else:
            self.segmented += 1

    @property
    def total(self) -> int:
        """How many images there were."""
        return self.segmented + self.were_there + len(self.failures)

    def __str__(self) -> str:
        """Say it in a sentence."""
        parts = [f"{self.segmented} of {self.total} images segmented"]
        if self.were_there:
            parts.append(f"{self.were_there} there already")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return f"{', '.join(parts)}."

    def reasons(self) -> list[tuple[str, int]]:
        """Why images failed, and how many for each reason, the most frequent first."""
        return Counter(_general(one) for one in self.failures).most_common()

    def write_failures(self, folder: Path) -> Path | None:
        """Write a table of what failed; one that an earlier run left is replaced or removed.

        Returns
        -------
        Path or None
            ``failures.csv`` with the columns image, reason and attempts; None
            if nothing failed.

        Raises
        ------
        ImageError
            If it cannot be written.
        """
        path = folder / FAILURES_FILE
        if not self.failures:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise ImageError(f"{path} cannot be removed: {error.strerror}.") from error
            return None
        with (
            atomic_path(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(["image", "reason", "attempts"])
            table.writerows((one.image, one.error, one.attempts) for one in self.failures)
        return path


def refuse_clashes(images: Sequence[Path]) -> None:
    """Refuse images of which the results would have one name.

    Raises
    ------
    ImageError
    """
    stems = Counter(image.stem.lower() for image in images)
    twice = [str(image) for image in images if stems[image.stem.lower()] > 1]
    if twice:
        more = f" and {len(twice) - _MOST_NAMED} more" if len(twice) > _MOST_NAMED else ""
        raise ImageError(
            f"These images would be written to one file: {', '.join(twice[:_MOST_NAMED])}{more}. "
            "Segment them into different folders."
        )


def segment_files(
    images: Sequence[Path],
    target: Target,
    load: Callable[[], Model],
    progress: FileProgress | None = None,
) -> Iterator[Outcome]:
    """Segment image files, each into files of its own.

    Results that are there already are kept, see `Target.has`. Of images whose
    working images have one size the network gets as many at once as
    ``options.memory_mb`` allows.

    Parameters
    ----------
    images : sequence of Path
    target : Target
    load : callable
        Returns the model; called when the first image needs it.
    progress : callable, optional
        Called with an image and the share of it that is done, at least before
        each call of the network; may raise `Cancelled` to stop. What is being
        written then is written to the end.

    Yields
    ------
    Outcome
        Of each image, in their order.

    Raises
    ------
    XNetError
        If the model cannot be loaded.
    """
    load = functools.cache(load)
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        arriving = _ahead(reading, lambda image: _arrive(image, target, load), images)
        results: Iterator[Future[Outcome]] = (
            one
            for batch in _batches(arriving, target, load)
            for one in _segment(batch, target, load, progress or _silent, writing)
        )
        yield from _behind(results)


@dataclass(frozen=True, eq=False)
class _Arrived:
    """An image that was read, or what became of it already."""

    image: Path
    radiograph: Radiograph | None = None
    prepared: Prepared | None = None
    """None if it is more than one radiograph, or too large for the memory."""
    outcome: Outcome | None = None
    fatal: Exception | None = None


def _arrive(image: Path, target: Target, load: Callable[[], Model]) -> _Arrived:
    try:
        if target.has(image):
            there = tuple(target.paths(image))
            return _Arrived(image, outcome=Outcome(image, there, was_there=True))
        radiograph = read_image(image)
        target.options.px_per_unit(1.0, edge_mm(radiograph))
    except Exception as error:
        return _Arrived(image, outcome=Outcome(image, error=reason(error)))
    try:
        model = load()
    except Exception as error:
        return _Arrived(image, fatal=error)
    try:
        axes = radiograph.data.ndim - radiograph.rgb
        if axes != 2 or is_lazy(radiograph.data):
            return _Arrived(image, radiograph)
        prepared = Prepared.of(radiograph.data, model.card, target.options)
    except Exception as error:
        return _Arrived(image, outcome=Outcome(image, error=reason(error)))
    return _Arrived(image, radiograph, prepared)


def _batches(
    arriving: Iterable[_Arrived], target: Target, load: Callable[[], Model]
) -> Iterator[list[_Arrived]]:
    """Put neighbours together whose working images have one size."""
    batch: list[_Arrived] = []
    for one in arriving:
        if one.fatal:
            raise one.fatal
        if batch and not _fits(one, batch, target, load):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _fits(one: _Arrived, batch: list[_Arrived], target: Target, load: Callable[[], Model]) -> bool:
    before = batch[-1].prepared
    if one.prepared is None or before is None:
        return False
    data = before.working.data
    most = call_px(load(), target.options) // data.size
    return one.prepared.working.data.shape == data.shape and len(batch) < most


def _segment(
    batch: list[_Arrived],
    target: Target,
    load: Callable[[], Model],
    progress: FileProgress,
    writing: ThreadPoolExecutor,
) -> list[Future[Outcome]]:
    first = batch[0]
    if first.outcome is not None:
        return [_already(first.outcome)]
    model = load()
    if first.prepared is None:
        return [_already(_segment_alone(first, target, model, progress))]
    several = [one.prepared for one in batch if one.prepared]
    try:
        found = predict(several, model, target.options, lambda: progress(first.image, 0.0))
    except Cancelled:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [_already(Outcome(first.image, error=reason(error)))]
        # One of them may be at fault.
        alone = (_segment([one], target, load, progress, writing) for one in batch)
        return list(itertools.chain.from_iterable(alone))

    def write(one: _Arrived, prepared: Prepared, number: int) -> Outcome:
        assert one.radiograph is not None
        try:
            edge = edge_mm(one.radiograph)
            result = finish(prepared, found[number], model, target.options, edge)
            written = write_segmentation(one.radiograph, result, one.image, target)
            return Outcome(one.image, tuple(written), notes_on(one.radiograph, result))
        except Exception as error:
            return Outcome(one.image, error=reason(error))

    return [
        writing.submit(write, one, prepared, number)
        for number, (one, prepared) in enumerate(zip(batch, several, strict=True))
    ]


def _segment_alone(one: _Arrived, target: Target, model: Model, progress: FileProgress) -> Outcome:
    """Segment a stack, or what must be read strip by strip."""
    assert one.radiograph is not None
    try:
        result = segment(
            one.radiograph.data,
            model,
            rgb=one.radiograph.rgb,
            pixel_size_mm=edge_mm(one.radiograph),
            options=target.options,
            progress=lambda done, total: progress(one.image, done / total),
        )
        written = write_segmentation(one.radiograph, result, one.image, target)
    except Cancelled:
        raise
    except Exception as error:
        return Outcome(one.image, error=reason(error))
    return Outcome(one.image, tuple(written), notes_on(one.radiograph, result))


def _silent(image: Path, share: float) -> None:
    pass


def _already(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Path], _T], images: Sequence[Path]
) -> Iterator[_T]:
    """Results in order; a few are made before they are asked for."""
    waiting: deque[Future[_T]] = deque()
    try:
        for image in images:
            waiting.append(pool.submit(work, image))
            if len(waiting) > _READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for one in waiting:
            one.cancel()


def _behind(results: Iterator[Future[_T]]) -> Iterator[_T]:
    """Results in order; a few may not be ready when the next one is begun."""
    waiting: deque[Future[_T]] = deque()
    for one in results:
        waiting.append(one)
        while waiting and (waiting[0].done() or len(waiting) > _WRITE_BEHIND):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _general(outcome: Outcome) -> str:
    """Return a reason without the names of the file, so that equal ones can be counted."""
    text = outcome.error
    for name in (str(outcome.image), outcome.image.name, outcome.image.stem):
        text = text.replace(name, "…")
    return text
