"""Batches of augmented examples, the same for the same seed, epoch and step."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.models import Preprocessing
from napari_xnet.training.augmentation import Augmenter
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.examples import WRONG_POLARITY, Example, rehearsed

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Images and targets, each (B, P, P, 1); the targets are those of `losses`."""

_ORDER, _PATCH, _FIXED, _REHEARSAL, _CLASS = range(5)
"""Streams of random numbers that must not meet."""


class Sampler:
    """Draw batches of patches from examples.

    Every random number depends on seed, epoch, step and position in the
    batch alone: a run that is interrupted goes on with the same batches.

    Parameters
    ----------
    examples : sequence of Example
        Only those with labels that train are drawn.
    config : TrainingConfig
    patch_px : int
        Side of the patches.
    preprocessing : Preprocessing
        How the working images were made, and at which sizes the network will
        be asked about them: patches show them at those.
    rehearsal : sequence of Example
        If there are any, one of them is added to each batch.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        config: TrainingConfig,
        patch_px: int,
        preprocessing: Preprocessing,
        rehearsal: Sequence[Example] = (),
    ) -> None:
        self._examples = [one for one in examples if _painted(one.labels).any()]
        self._rehearsal = list(rehearsal)
        self._config = config
        self._patch_px = patch_px
        self._augment = Augmenter(
            config.augmentation, patch_px, preprocessing.scaling, preprocessing.scales
        )
        self._pixels = [_pixels_by_class(one.labels) for one in self._examples]
        self._deck = self._make_deck(range(len(self._examples)))
        self._decks = {
            one.value: self._make_deck(showing)
            for one in tissue.CLASSES
            if (showing := [n for n, painted in enumerate(self._pixels) if one.value in painted])
        }

    @property
    def examples(self) -> int:
        """Radiographs that are drawn from."""
        return len(self._examples)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        batch = self._config.sampling.batch
        return self._config.sampling.steps or -(-len(self._deck) // batch)

    def batch(self, epoch: int, step: int, size: int | None = None) -> Batch:
        """Draw a batch.

        Parameters
        ----------
        epoch, step : int
            From 1, and from 0.
        size : int, optional
            Examples in the batch, that of the config if None.

        Returns
        -------
        images, targets : ndarray of float32, shape (size, P, P, 1)
            With rehearsal one more.
        """
        size = size or self._config.sampling.batch
        # A batch that had to shrink leaves patches out rather than repeat those of before.
        first = ((epoch - 1) * self.steps + step) * max(size, self._config.sampling.batch)
        patches = [self._patch(number) for number in range(first, first + size)]
        if self._rehearsal:
            rng = self._rng(_REHEARSAL, epoch, step)
            one = self._rehearsal[int(rng.integers(len(self._rehearsal)))]
            patch, known = self._augment(one.image, one.labels, rng)
            # Only now: to the augmentation they are labels like all others.
            patches.append((patch, rehearsed(known)))
        images, labels = zip(*patches, strict=True)
        return (
            np.stack(images)[..., np.newaxis],
            np.stack(labels)[..., np.newaxis].astype(np.float32),
        )

    def batches(self, epoch: int, size: int | None = None) -> Iterator[Batch]:
        """Batches of an epoch; each is made in a thread while the one before is learned."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            upcoming = thread.submit(self.batch, epoch, 0, size)
            for step in range(1, self.steps + 1):
                batch = upcoming.result()
                if step < self.steps:
                    upcoming = thread.submit(self.batch, epoch, step, size)
                yield batch

    def _make_deck(self, numbers: Sequence[int]) -> NDArray[np.intp]:
        """Numbers of the examples that are gone through in shuffled order, over and over.

        To even out groups, the examples of small ones come several times;
        those without a group are no group.
        """
        fixed = self._config.augmentation.fixed_per_group
        if not (self._config.sampling.balance_groups or fixed):
            return np.array(numbers)
        groups: dict[str, list[int]] = {}
        for number in numbers:
            groups.setdefault(self._examples[number].group, []).append(number)
        size = max(fixed or 0, *(len(members) for name, members in groups.items() if name), 0)
        return np.concatenate(
            [
                np.resize(members, size if name else max(fixed or 0, len(members)))
                for name, members in groups.items()
            ]
        )

    def _patch(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the patch with this number, counted over the whole run."""
        kind = self._class(number)
        deck = self._deck if kind is None else self._decks[kind]
        turn, position = divmod(number, len(deck))
        card = int(self._rng(_ORDER, turn).permutation(len(deck))[position])
        if self._config.augmentation.fixed_per_group:
            rng = self._rng(_FIXED, card)
        else:
            rng = self._rng(_PATCH, number)
        index = int(deck[card])
        example = self._examples[index]
        place = self._place(index, kind, rng)
        patch, labels = self._augment(example.image, example.labels, rng, place)
        if rng.random() < self._config.sampling.wrong_polarity:
            return -patch, np.where(labels > 0, np.uint8(WRONG_POLARITY), labels)
        return patch, labels

    def _class(self, number: int) -> int | None:
        """Which of the painted classes a patch is to show: each comes equally often."""
        # What is made in advance is the same whenever it comes.
        if not self._config.sampling.balance_classes or self._config.augmentation.fixed_per_group:
            return None
        kinds = list(self._decks)
        turn, position = divmod(number, len(kinds))
        return kinds[int(self._rng(_CLASS, turn).permutation(len(kinds))[position])]

    def _place(
        self, index: int, kind: int | None, rng: np.random.Generator
    ) -> tuple[float, float] | None:
        """Draw a painted pixel for a patch to show."""
        if not self._config.sampling.balance_classes:
            return None
        by_class = self._pixels[index]
        if kind is None:
            kind = list(by_class)[int(rng.integers(len(by_class)))]
        pixels = by_class[kind]
        pixel = int(pixels[rng.integers(len(pixels))])
        y, x = np.unravel_index(pixel, self._examples[index].labels.shape)
        return float(y), float(x)

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, *stream])


def _painted(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (labels >= tissue.OPEN_BEAM.value) & (labels <= tissue.BONE.value)


def _pixels_by_class(labels: NDArray[np.uint8]) -> dict[int, NDArray[np.int32]]:
    """Flat indices of the painted pixels of each class that is there."""
    # Half the memory, which counts with thousands of radiographs.
    found = {
        one.value: np.flatnonzero(labels == one.value).astype(np.int32) for one in tissue.CLASSES
    }
    return {value: pixels for value, pixels in found.items() if len(pixels)}
