"""Which painted labels train a model, and which validate it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label

from napari_xnet.training.config import Split

Labels = NDArray[np.uint8]

_EIGHT = np.ones((3, 3), bool)
_LARGE = 0.05
"""A region that covers more of the image is a drawn mask, not a stroke: it is cut into cells."""
_CELLS = 6
"""Cells along the long side of an image."""
FEWEST_IMAGES = 4
"""From this many radiographs on, whole ones validate."""


@dataclass(frozen=True)
class _Item:
    """Something that trains or validates as a whole: a radiograph, or a painted region."""

    kinds: frozenset[Hashable]
    """Classes (int) and group (str) that it shows."""
    weight: float


def split(
    labels: Sequence[Labels],
    groups: Sequence[str],
    config: Split,
    seed: int = 0,
    parts: Sequence[str] = (),
) -> list[tuple[Labels, Labels]]:
    """Divide painted labels into those that train and those that validate.

    Parameters
    ----------
    labels : sequence of ndarray of uint8, shape (H, W)
        Of each radiograph; 0 is not annotated.
    groups : sequence of str
        Group of each; "" is none.
    config : Split
    seed : int
    parts : sequence of {"", "train", "validation"}, optional
        Where each radiograph goes; if any is given, nothing else decides,
        and those with "" train.

    Returns
    -------
    list of (ndarray of uint8, ndarray of uint8), each of shape (H, W)
        Labels that train and labels that validate; where one of them is not
        0, the other is. Every class, and by image every group, trains
        (except with folds); it also validates if there is more than one
        image, or region, that shows it and can be spared. Only if nothing
        could validate otherwise, a group may not train.

    Notes
    -----
    By region: each connected painted region, or cell of a grid where a
    region is large, goes to one side; training labels that touch a
    validation region are dropped.
    """
    if any(parts):
        return [
            (np.zeros_like(one), one) if part == "validation" else (one, np.zeros_like(one))
            for one, part in zip(labels, parts, strict=True)
        ]
    by = config.by
    if by == "auto":
        by = "image" if len(labels) >= FEWEST_IMAGES else "region"
    if by == "nothing":
        return [(one, np.zeros_like(one)) for one in labels]
    if by == "image":
        items = [
            _Item(_classes(one) | ({group} if group else set()), 1.0)
            for one, group in zip(labels, groups, strict=True)
        ]
        chosen = _choose(items, config, seed)
        if not chosen:  # each group has one radiograph: better to validate than to keep them all
            items = [_Item(_classes(one), 1.0) for one in labels]
            chosen = _choose(items, config, seed)
        return [
            (np.zeros_like(one), one) if number in chosen else (one, np.zeros_like(one))
            for number, one in enumerate(labels)
        ]
    maps = [_regions(one) for one in labels]
    items, owners = [], []
    for image, (one, regions) in enumerate(zip(labels, maps, strict=True)):
        for region, box in enumerate(find_objects(regions), start=1):
            inside = one[box][regions[box] == region]
            items.append(_Item(_classes(inside), float(inside.size)))
            owners.append((image, region))
    chosen = _choose(items, config, seed)
    validating: list[set[int]] = [set() for _ in labels]
    for number in chosen:
        image, region = owners[number]
        validating[image].add(region)
    painted = _values(labels)
    while True:
        result = [_sides(*one) for one in zip(labels, maps, validating, strict=True)]
        lost = painted - _values([trains for trains, _ in result])
        if not lost or config.folds:
            return result
        # All of a class lies where cells of a mask meet: those cells train after all.
        image = next(number for number, one in enumerate(labels) if lost & _values([one]))
        near = binary_dilation(np.isin(labels[image], list(lost)), _EIGHT)
        validating[image].difference_update(maps[image][near].tolist())


def _sides(
    labels: Labels, regions: NDArray[np.intp], validating: set[int]
) -> tuple[Labels, Labels]:
    validates = np.isin(regions, list(validating))
    touched = binary_dilation(validates, _EIGHT)
    return np.where(touched, 0, labels), np.where(validates, labels, 0)


def _classes(labels: Labels) -> frozenset[Hashable]:
    return frozenset(_values([labels]))


def _values(labels: Sequence[Labels]) -> set[int]:
    return {int(value) for one in labels for value in np.unique(one) if value}


def _regions(labels: Labels) -> NDArray[np.intp]:
    """Give numbers to the regions that stay together, from 1; 0 where nothing is painted."""
    regions, count = label(labels > 0, _EIGHT)
    side = max(1, -(-max(labels.shape) // _CELLS))
    rows, columns = (np.arange(size) // side for size in labels.shape)
    cells = rows[:, np.newaxis] * (columns[-1] + 1) + columns
    for number in np.flatnonzero(np.bincount(regions.ravel())[1:] > _LARGE * labels.size) + 1:
        large = regions == number
        regions[large] = count + 1 + cells[large]
        count += int(cells[-1, -1]) + 1
    # Numbers without gaps, so that there is one for each region.
    numbers = np.unique(regions, return_inverse=True)[1].reshape(labels.shape)
    return np.asarray(numbers + (regions.min() > 0), np.intp)


def _choose(items: Sequence[_Item], config: Split, seed: int) -> set[int]:
    """Numbers of the items that validate."""
    order = [int(number) for number in np.random.default_rng(seed).permutation(len(items))]
    if config.folds:
        return _fold(items, order, config.folds, config.fold)
    left: dict[Hashable, int] = {}
    for item in items:
        for kind in item.kinds:
            left[kind] = left.get(kind, 0) + 1
    chosen: set[int] = set()
    missing = {kind for kind, count in left.items() if count > 1}

    def take(number: int) -> None:
        chosen.add(number)
        missing.difference_update(items[number].kinds)
        for kind in items[number].kinds:
            left[kind] -= 1

    def free() -> list[int]:
        """Items that can be spared: each kind that they show keeps another one."""
        return [
            number
            for number in order
            if number not in chosen and all(left[kind] > 1 for kind in items[number].kinds)
        ]

    # First what shows something that does not validate yet; little of it rather than much.
    while useful := [number for number in free() if items[number].kinds & missing]:
        take(max(useful, key=lambda one: (len(items[one].kinds & missing), -items[one].weight)))
    wanted = config.validation * sum(item.weight for item in items)
    for number in order:
        weight = sum(items[one].weight for one in chosen)
        if weight + items[number].weight / 2 <= wanted and number in free():
            take(number)
    return chosen


def _fold(items: Sequence[_Item], order: list[int], folds: int, fold: int) -> set[int]:
    """Deal the items to the folds, those that show the same one after the other."""
    alike = sorted(order, key=lambda number: sorted(map(str, items[number].kinds)))
    return set(alike[fold::folds])
