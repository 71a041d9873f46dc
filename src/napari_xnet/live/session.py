"""Several radiographs that strokes are painted on, and the classifier that follows them."""

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.imaging import guides, working_labels
from napari_xnet.inference import Options
from napari_xnet.inference.postprocess import label
from napari_xnet.live.answer import Answer, Forgotten
from napari_xnet.live.cache import DescriptionCache
from napari_xnet.live.description import Description, fingerprint
from napari_xnet.live.guidance import next_places, uncertainty
from napari_xnet.live.strokes import Learned, Samples, learn
from napari_xnet.models import Model
from napari_xnet.models.forest import Forest

_MEMORY_BYTES = 2**29
"""How much descriptions may take; the others are on disk."""
_GUIDE_PX = 2**25
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(eq=False)
class _Known:
    image: NDArray[Any]
    description: Description

    @property
    def nbytes(self) -> int:
        return int(self.image.nbytes) + self.description.nbytes


class LiveSession:
    """Radiographs by key, what is painted on them, and a classifier of all that.

    Parameters
    ----------
    model : Model
        Its network describes the pixels, its opinion is the prior.
    options : Options
        Of which `size_px` and `polarity` count.
    cache : DescriptionCache
    """

    def __init__(self, model: Model, options: Options, cache: DescriptionCache) -> None:
        self.model = model
        self._options = options
        self._cache = cache
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._painted: dict[Hashable, NDArray[np.uint8]] = {}
        self._strokes: dict[Hashable, Samples] = {}
        self._opinions: dict[Hashable, Samples] = {}
        self._pixels: tuple[Description, NDArray[np.float32]] | None = None
        self._guides: tuple[Description, list[tuple[int, NDArray[np.floating]]]] | None = None

    def describe(
        self, key: Hashable, image: NDArray[Any], check: Callable[[], None] | None = None
    ) -> None:
        """Describe a radiograph, or find what is known of it.

        Parameters
        ----------
        key : hashable
        image : ndarray of any real dtype, shape (Y, X), or (Y, X, 3 or 4) in colour
        check : callable, optional
            Called often; what it raises stops the work.

        Raises
        ------
        ImageError
            See `imaging.working_image`.
        """
        name = fingerprint(image, self.model, self._options)
        description = self._cache.get(
            name, lambda: Description.of(image, self.model, self._options, check)
        )
        self._known[key] = _Known(image, description)
        self._known.move_to_end(key)
        while len(self._known) > 1 and self._memory() > _MEMORY_BYTES:
            self._known.popitem(last=False)

    def paint(self, key: Hashable, labels: NDArray[np.uint8] | None) -> None:
        """Say what is painted on a radiograph, instead of what was said before.

        Parameters
        ----------
        key : hashable
        labels : ndarray of uint8, shape (Y, X), optional
            Values of `tissue.CLASSES`, 0 where nothing is painted; None if
            nothing is.

        Raises
        ------
        Forgotten
        """
        description = self._find(key).description
        if labels is None:
            labels = np.zeros(description.working.shape, np.uint8)
        working = working_labels(labels, description.working)
        self._painted[key] = working
        self._strokes.pop(key, None)
        if working.any():
            self._strokes[key] = Samples.painted(description, working)
            self._opinions[key] = Samples.opinions(description)

    def forget(self, key: Hashable) -> None:
        """Forget a radiograph and what is painted on it."""
        for known in (self._known, self._painted, self._strokes, self._opinions):
            known.pop(key, None)

    def answer(
        self,
        key: Hashable,
        painted: NDArray[np.uint8] | None = None,
        with_uncertainty: bool = False,
    ) -> Answer:
        """Segment a radiograph as the strokes on all of them say.

        Parameters
        ----------
        key : hashable
        painted : ndarray of uint8, shape (Y, X), optional
            What is painted on it; the answer has it as it is.
        with_uncertainty : bool

        Returns
        -------
        Answer

        Raises
        ------
        Forgotten
        """
        known = self._find(key)
        description = known.description
        probabilities = description.probabilities
        if self._strokes:
            more = [] if key in self._strokes else [Samples.opinions(description)]
            found = self._learn(more, key).predict(self._pixels_of(description), _WORKERS)
            probabilities = found.reshape(probabilities.shape)
        labels = np.empty(description.working.shape, np.uint8)
        unsure = np.empty_like(labels) if with_uncertainty else None
        upsampling = description.upsampling(probabilities)

        def fill(guide: tuple[int, NDArray[np.floating]]) -> None:
            rows, planes = upsampling.strip(*guide)
            labels[rows] = label(planes)
            if unsure is not None:
                unsure[rows] = np.round(255 * uncertainty(planes, axis=0))

        strips = self._guides_of(known)
        with ThreadPoolExecutor(_WORKERS) as pool:
            # A pool takes all at once: those of a huge radiograph would not fit into memory.
            for _ in pool.map(fill, strips) if isinstance(strips, list) else map(fill, strips):
                pass
        if painted is not None:
            np.copyto(labels, painted, where=painted > 0)
        nothing = np.zeros(probabilities.shape[:2], np.uint8)
        places = np.array(next_places(probabilities, self._painted.get(key, nothing)), float)
        centres = (places.reshape(-1, 2) + 0.5) / description.working.scale - 0.5
        return Answer(labels, unsure, tuple(map(tuple, centres.tolist())), bool(self._strokes))

    def forest(self) -> Forest | None:
        """Return the classifier of all strokes; None if there is none."""
        if not self._strokes:
            return None
        return self._learn([]).as_forest()

    def painted_px(self) -> dict[str, int]:
        """Count the pixels of working images that are painted, by class."""
        counts = np.zeros(1 + len(tissue.CLASSES), int)
        for labels in self._painted.values():
            counts += np.bincount(labels.reshape(-1), minlength=len(counts))
        return {one.name: int(counts[one.value]) for one in tissue.CLASSES}

    @property
    def painted_radiographs(self) -> int:
        """How many have strokes."""
        return len(self._strokes)

    def _learn(self, more: list[Samples], key: Hashable = None) -> Learned:
        opinions = [self._opinions[one] for one in self._strokes]
        own = list(self._strokes).index(key) if key in self._strokes else None
        return learn(list(self._strokes.values()), opinions + more, _WORKERS, own)

    def _find(self, key: Hashable) -> _Known:
        if key not in self._known:
            raise Forgotten("This radiograph is not in memory.")
        return self._known[key]

    def _pixels_of(self, description: Description) -> NDArray[np.float32]:
        """Features in single precision: kept for the radiograph that is worked on."""
        if self._pixels is None or self._pixels[0] is not description:
            self._pixels = (description, description.pixels)
        return self._pixels[1]

    def _guides_of(self, known: _Known) -> Iterable[tuple[int, NDArray[np.floating]]]:
        """Edges to follow: kept for the radiograph that is worked on, unless it is huge."""
        if self._guides is None or self._guides[0] is not known.description:
            found = guides(known.image, known.description.working)
            if math.prod(known.description.working.shape) > _GUIDE_PX:
                return found
            self._guides = known.description, list(found)
        return self._guides[1]

    def _memory(self) -> int:
        return sum(one.nbytes for one in self._known.values())
