"""How pure soft tissue is at each threshold, and which threshold a wanted purity takes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ImageError
from napari_xnet.evaluation import confusion
from napari_xnet.inference.postprocess import PostProcessing, clean, duels, label
from napari_xnet.models import Impurity, Purity, PurityCurve, SoftTissue

_LOGITS = np.arange(-2.0, 9.01, 0.25)
THRESHOLDS = tuple(float(one) for one in np.round(1 / (1 + np.exp(-_LOGITS)), 5))
"""Of the curve: narrow where probabilities are near 1."""


FEWEST = 3
"""Images of a group that it has a curve of its own from."""


@dataclass(frozen=True, eq=False)
class _Image:
    group: str
    counts: confusion.Counts
    """Shares of the labelled pixels, shape (thresholds, 3, 3)."""

    @property
    def has_soft_tissue(self) -> bool:
        return bool(self.counts[0, confusion.SOFT].any())


class Calibration:
    """Measures purity at all `THRESHOLDS`, one image after the other.

    Parameters
    ----------
    smallest_region : float
        See `PostProcessing`, in px of the working image; the card keeps it.
    """

    def __init__(self, smallest_region: float = 0.0) -> None:
        self.steps = PostProcessing(smallest_region=smallest_region)
        self._images: list[_Image] = []

    def add(
        self,
        labels: NDArray[Any],
        probabilities: NDArray[np.floating],
        *,
        group: str = "",
        px_per_unit: float = 1.0,
    ) -> None:
        """Label an image with all thresholds and compare.

        Parameters
        ----------
        labels : ndarray of int, shape (Y, X)
            What is true: values of `tissue.CLASSES`; 0 does not count.
        probabilities : ndarray of float, shape (3, Y, X)
        group : str
            Body part or the like.
        px_per_unit : float
            See `postprocess.clean`.
        """
        duelled = duels(probabilities) if self.steps.looks_at_regions else None
        counts = []
        for threshold in THRESHOLDS:
            predicted = label(probabilities, threshold)
            if duelled is not None:
                predicted = clean(predicted, duelled, self.steps, px_per_unit)
            counts.append(confusion.count(labels, predicted))
        total = counts[0].sum()
        if not total:
            raise ImageError("Nothing is annotated, so there is nothing to calibrate with.")
        # Images count alike, however large they are.
        self._images.append(_Image(group, np.array(counts) / total))

    def curve(self, groups: Sequence[str] | None = None) -> PurityCurve:
        """Purity at all thresholds.

        Parameters
        ----------
        groups : sequence of str, optional
            Whose images count; all if None.

        Raises
        ------
        ImageError
            If there is no such image, or none with soft tissue.
        """
        chosen = [one.counts for one in self._images if groups is None or one.group in groups]
        counts = np.sum(chosen, axis=0) if chosen else np.zeros((len(THRESHOLDS), 3, 3))
        return PurityCurve(
            images=len(chosen),
            points=tuple(map(_purity, THRESHOLDS, counts)),
        )

    def cross_validated(self, most: float, by: Impurity = "false_share") -> Purity:
        """Purity that was reached where the threshold came from the other groups alone.

        Parameters
        ----------
        most : float
            How large the impurity may be on those.
        by : {"false_share", "false_positive_rate"}
            Which one.

        Returns
        -------
        Purity
            Its threshold is the mean of those of the images.

        Raises
        ------
        ImageError
            If there is but one group, or no soft tissue.
        """
        groups = {one.group for one in self._images}
        if len(groups) < 2:
            raise ImageError("All images are of one group: there is no other to calibrate with.")
        thresholds, counts = [], []
        for group in sorted(groups):
            known = self.curve([other for other in groups if other != group])
            chosen = known.nearest(most, by)
            for one in self._images:
                if one.group == group:
                    thresholds.append(chosen.threshold)
                    counts.append(one.counts[THRESHOLDS.index(chosen.threshold)])
        return _purity(float(np.mean(thresholds)), np.sum(counts, axis=0))

    def result(self, false_share: float, data: str = "") -> SoftTissue:
        """Make what the model's card keeps.

        Parameters
        ----------
        false_share : float
            How much of what is taken for soft tissue may be none.
        data : str
            What was measured on.

        Raises
        ------
        ImageError
            See `curve`.
        """
        return SoftTissue(
            data=data,
            false_share=false_share,
            smallest_region=self.steps.smallest_region,
            curve=self.curve(),
            groups={
                group: self.curve([group])
                for group, count in sorted(self._sizes().items())
                if count >= FEWEST
            },
        )

    def small_groups(self) -> list[str]:
        """Return the groups with fewer than `FEWEST` images, which get no curve of their own."""
        return [group for group, count in sorted(self._sizes().items()) if count < FEWEST]

    def _sizes(self) -> "Counter[str]":
        """Count the images with soft tissue of each group."""
        return Counter(one.group for one in self._images if one.group and one.has_soft_tissue)


def _purity(threshold: float, counts: confusion.Counts) -> Purity:
    soft = confusion.SOFT
    if not counts[soft].sum() > 0:
        raise ImageError("No image has soft tissue: its purity cannot be calibrated.")
    rates = {
        # Where nothing is taken for soft tissue, nothing is so wrongly.
        "false_share": np.nan_to_num(1 - confusion.precision(counts)[soft]),
        "false_positive_rate": np.nan_to_num(confusion.false_positive_rate(counts)[soft]),
        "true_positive_rate": confusion.recall(counts)[soft],
    }
    return Purity(threshold=threshold, **{name: round(float(r), 6) for name, r in rates.items()})
