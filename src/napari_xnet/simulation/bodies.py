"""Which posed bodies a seed stands for, and where the chance of each begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_VIEWS = 16
"""Radiographs of one posed body: making that takes longer than a view of it."""
FEWEST_BODIES = 2
"""Of each region, as long as there are as many radiographs."""


@dataclass(frozen=True)
class Body:
    """A posed body, and the radiographs of it that are wanted.

    Attributes
    ----------
    region : str
        Part of the body, or name of a CT.
    seed, number : int
        Of all bodies, and which of them.
    first, views : int
        Number of its first radiograph, and how many there are.
    """

    region: str
    seed: int
    number: int
    first: int
    views: int

    def rng(self, view: int | None = None) -> np.random.Generator:
        """Return the random numbers of the body itself, or of one of its views."""
        key = (self.number,) if view is None else (self.number, view)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def plan_bodies(regions: Sequence[str], count: int, seed: int) -> list[Body]:
    """Choose whose radiographs to take; whoever simulates asks here, so that all get the same.

    Parameters
    ----------
    regions : sequence of str
        In turn.
    count : int
        Radiographs.
    seed : int

    Returns
    -------
    list of Body
        Of each, at most `MOST_VIEWS`; fewer if there were less than
        `FEWEST_BODIES` of a region otherwise.
    """
    views = min(MOST_VIEWS, max(1, count // (FEWEST_BODIES * len(regions))))
    return [
        Body(regions[number % len(regions)], seed, number, first, min(views, count - first))
        for number, first in enumerate(range(0, count, views))
    ]
