"""Segment radiographs: array in, labels and probabilities out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xnet import tissue
from napari_xnet.errors import ImageError
from napari_xnet.imaging import EdgeAwareUpsampling, WorkingImage, as_array
from napari_xnet.inference.postprocess import PostProcessing, clean, duels, label
from napari_xnet.models import (
    DEFAULT,
    POLARITIES,
    Model,
    ModelCard,
    Polarity,
    Preprocessing,
    load_model,
)

Progress = Callable[[float, int], None]
"""``progress(done, total)`` in slices and parts of them; may raise to stop the work."""


SIZE_RANGE_PX = (8, 8192)
"""Long sides that a working image may have."""

_LESS = 4
"""Factor by which the network gets less at once if the memory is used up."""


@dataclass(frozen=True, kw_only=True)
class Options(PostProcessing):
    """What can be chosen when a radiograph is segmented, besides `PostProcessing`.

    Attributes
    ----------
    size_px : int, optional
        Long side of the working image, that of the model's card if None.
    polarity : {"auto", "bone bright", "bone dark"}
        Which way round the radiograph is, where the model needs to know;
        ``"auto"``: the way of which it is surer, for each radiograph.
    memory_mb : int
        About how much memory the network may use at once, which bounds what
        it gets in one call.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    size_px: int | None = None
    polarity: Polarity = "auto"
    memory_mb: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest, largest = SIZE_RANGE_PX
        if self.size_px is not None and not smallest <= self.size_px <= largest:
            raise ValueError(
                f"The working size must be {smallest} to {largest} px, not {self.size_px}."
            )
        if self.polarity not in POLARITIES:
            raise ValueError(
                f'The polarity must be one of {", ".join(POLARITIES)}, not "{self.polarity}".'
            )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmented radiograph or stack.

    Attributes
    ----------
    labels : ndarray of uint8, shape (Y, X) or (..., Y, X)
        Values of `tissue.CLASSES`, 1 to 3.
    notes : tuple of str
        What the user should know about how the image was read.
    working_scale : float
        Px of the working image per px of the radiograph, at most 1.
    """

    labels: NDArray[np.uint8]
    notes: tuple[str, ...]
    working_scale: float
    _slices: tuple["_Slice", ...]

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities, shape (3, Y, X) or (3, ..., Y, X), summing to 1.

        In the order of `tissue.CLASSES`. Computed when first asked for, since
        they take 12 times the memory of the labels: the image is read once
        more, so it must not have changed.
        """
        shape = self.labels.shape
        result = np.empty((len(tissue.CLASSES), *shape), np.float32)
        pages = result.reshape(len(tissue.CLASSES), -1, *shape[-2:])
        for index, one in enumerate(self._slices):
            for rows, strip in one.strips():
                pages[:, index, rows] = strip
        return result


@dataclass(frozen=True, eq=False)
class Prepared:
    """A radiograph, and what the network sees of it.

    Attributes
    ----------
    image : array of any real dtype, shape (Y, X), or (Y, X, 3 or 4) in colour
    working : WorkingImage
    """

    image: Any
    working: WorkingImage

    @classmethod
    def of(cls, image: Any, model: ModelCard, options: Options) -> Self:
        """Prepare a radiograph for a model.

        Raises
        ------
        ImageError
            See `imaging.working_image`.
        """
        return cls(image, model.preprocessing.working_image(image, size_px_of(model, options)))


def predict(
    several: Sequence[Prepared],
    model: Model,
    options: Options,
    check: Callable[[], None] | None = None,
) -> list[NDArray[np.float16]]:
    """Ask the network about radiographs whose working images have one size.

    If the memory is used up, it gets less at once.

    Parameters
    ----------
    several : sequence of Prepared
    model : Model
    options : Options
    check : callable, optional
        Called before each call of the network; may raise to stop.

    Returns
    -------
    list of ndarray of float16, shape (H, W, 3)
        Of the working images without padding. Half precision, so that a
        stack's probabilities fit beside its labels.
    """
    workings = [one.working for one in several]
    batch = np.stack([working.data for working in workings])
    shadows = np.stack([working.shadow for working in workings])
    px = call_px(model, options)
    while True:
        try:
            predicted = model.predict(
                batch,
                options.polarity,
                shadows=shadows if shadows.any() else None,
                call_px=px,
                check=check,
            )
        except Exception as error:
            from napari_xnet.devices import is_out_of_memory

            if px < workings[0].data.size or not is_out_of_memory(error):
                raise
            px //= _LESS
        else:
            break
    contents = [working.content for working in workings]
    return [
        probabilities[:height, :width].astype(np.float16)
        for probabilities, (height, width) in zip(predicted, contents, strict=True)
    ]


def to_labels(
    one: Prepared,
    probabilities: NDArray[np.float16],
    options: Options,
    pixel_size_mm: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.uint8]:
    """Labels of a radiograph in its full size.

    Parameters
    ----------
    one : Prepared
    probabilities : ndarray of float16, shape (H, W, 3)
        See `predict`.
    options : Options
    pixel_size_mm : float, optional
        Edge length of a pixel, for sizes in mm.
    progress : callable, optional
        Gets the share that is done; may raise to stop.

    Returns
    -------
    ndarray of uint8, shape (Y, X)
    """
    labels = np.empty(one.working.shape, np.uint8)
    duelled = np.empty_like(labels) if options.looks_at_regions else None
    for rows, strip in EdgeAwareUpsampling(probabilities, one.working).strips(one.image):
        labels[rows] = label(strip, options.soft_tissue_threshold)
        if duelled is not None:
            duelled[rows] = duels(strip)
        if progress:
            progress(rows.stop / len(labels))
    if duelled is not None:
        px = options.px_per_unit(one.working.scale, pixel_size_mm)
        labels[:] = clean(labels, duelled, options, px)
    return labels


def finish(
    one: Prepared,
    probabilities: NDArray[np.float16],
    model: Model,
    options: Options,
    pixel_size_mm: float | None = None,
) -> "Segmentation":
    """Make the segmentation of a single radiograph of what `predict` returned."""
    labels = to_labels(one, probabilities, options, pixel_size_mm)
    size_px = size_px_of(model.card, options)
    part = _Slice(one.image, size_px, model.card.preprocessing, probabilities)
    return Segmentation(labels, one.working.notes, one.working.scale, (part,))


@dataclass(frozen=True, eq=False)
class _Slice:
    """One radiograph and the probabilities of its working image."""

    image: Any
    size_px: int
    preprocessing: Preprocessing
    probabilities: NDArray[np.float16]

    def strips(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        working = self.preprocessing.working_image(self.image, self.size_px)
        return EdgeAwareUpsampling(self.probabilities, working).strips(self.image)


def segment(
    image: ArrayLike,
    model: str | Path | Model = DEFAULT,
    *,
    rgb: bool | None = None,
    pixel_size_mm: float | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Segmentation:
    """Segment a radiograph, or a stack of them, into open beam, soft tissue and bone.

    Parameters
    ----------
    image : array of any real dtype, shape (Y, X) or (..., Y, X)
        Radiographs of either polarity. Also (Y, X, 3 or 4) and
        (..., Y, X, 3 or 4) in colour. Arrays that slice lazily (memory maps,
        dask, zarr) are read slice by slice and strip by strip.
    model : str, path or Model
        Name of a model, path of a model folder, or a loaded model.
    rgb : bool, optional
        Whether the last axis holds colours. If None, it does if the image has
        more than two axes and the last one has the length 3 or 4.
    pixel_size_mm : float, optional
        Edge length of a pixel, for sizes in mm.
    options : Options, optional
        All choices in one.
    progress : callable, optional
        Called as ``progress(done, total)``, in slices, before each call of the
        network and after each strip of rows; what it raises stops the work.
    **choices
        Fields of `Options` and `PostProcessing`: `soft_tissue_threshold`,
        `bone_cleanup`, `size_px` and so on.

    Returns
    -------
    Segmentation
        ``labels`` and, computed when asked for, ``probabilities``.

    Raises
    ------
    ImageError
        If the image is not a radiograph, see `imaging.working_image`; or if
        sizes are in mm, but nobody says how large a pixel is.
    ModelError
        If there is no such model, or it is damaged.
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> result = segment(np.random.default_rng(0).random((60, 40)))
    >>> result.labels.shape, result.probabilities.shape
    ((60, 40), (3, 60, 40))
    """
    if options is not None and choices:
        raise TypeError("Give either options or single choices, not both.")
    options = options or Options(**choices)
    options.px_per_unit(1.0, pixel_size_mm)  # or it would be refused only after the network
    pages, shape = _pages(as_array(image), rgb)
    if not isinstance(model, Model):
        model = load_model(model)

    labels = np.empty((len(pages), *shape[-2:]), np.uint8)
    notes: dict[str, None] = {}
    scale = 1.0
    done: list[_Slice] = []

    def report(share: float = 0.0) -> None:
        if progress:
            progress(len(done) + share, len(pages))

    for batch in _batches(pages, model, options):
        several = [Prepared.of(page, model.card, options) for page in batch]
        for one, found in zip(several, predict(several, model, options, report), strict=True):
            labels[len(done)] = to_labels(one, found, options, pixel_size_mm, report)
            notes.update(dict.fromkeys(one.working.notes))
            scale = one.working.scale
            size_px = size_px_of(model.card, options)
            done.append(_Slice(one.image, size_px, model.card.preprocessing, found))
    return Segmentation(labels.reshape(shape), tuple(notes), scale, tuple(done))


def _pages(image: Any, rgb: bool | None) -> tuple[list[Any], tuple[int, ...]]:
    """Radiographs in an image, and the shape of their labels."""
    shape = tuple(int(size) for size in image.shape)
    if rgb is None:
        rgb = len(shape) > 2 and shape[-1] in (3, 4)
    spatial = shape[:-1] if rgb else shape
    if len(spatial) < 2:
        raise ImageError(f"A radiograph has the shape (Y, X), a stack (N, Y, X), not {shape}.")
    if 0 in spatial:
        raise ImageError(f"The image is empty: its shape is {shape}.")
    if len(spatial) == 2:
        return [image], spatial
    return [_Page(image, index) for index in np.ndindex(*spatial[:-2])], spatial


class _Page:
    """One slice of a stack, read when its rows are."""

    def __init__(self, stack: Any, index: tuple[int, ...]) -> None:
        self._stack, self._index = stack, index
        self.shape, self.dtype = stack.shape[len(index) :], stack.dtype

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return np.asarray(self._stack[(*self._index, rows)])


def size_px_of(model: ModelCard, options: Options) -> int:
    """Long side of the working images."""
    return options.size_px or model.preprocessing.size_px


def call_px(model: Model, options: Options) -> int:
    """Pixels that the network may get at once."""
    # Measured: while Keras runs XNet it keeps as much as 30 maps of the first level.
    bytes_per_px = 30 * 4 * model.card.architecture.filters[0]
    return max(1, options.memory_mb * 2**20 // bytes_per_px)


def _batches(pages: list[Any], model: Model, options: Options) -> Iterator[list[Any]]:
    size_px = size_px_of(model.card, options)
    height, width = (min(size_px, side) for side in pages[0].shape[:2])
    count = max(1, call_px(model, options) // (height * width))
    for start in range(0, len(pages), count):
        yield pages[start : start + count]
