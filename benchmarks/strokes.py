"""Scribbles as a person paints them, drawn inside reference labels: shared by the benchmarks.

Usage: python benchmarks/strokes.py FOLDER -o PICTURES [--share 0.02] [--seed N]

FOLDER holds ``X.tif`` and ``X_labels.tif``; for each, ``PICTURES/X.png`` shows
the scribbles on the radiograph, in the colours of the classes.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from napari_xnet import tissue

WIDTH = 0.007
"""Width of a stroke, of the long side."""

LENGTH = (0.1, 0.3)
"""Length of a stroke, of the long side."""

STROKES = 3
"""A class is painted with at least about so many."""

BEND_RAD = 0.1
"""Standard deviation of the change of direction from one dab of the brush to the next."""

TURNS_RAD = np.deg2rad([0, 20, -20, 40, -40, 60, -60])
"""Where a stroke looks for a way on when it meets a border, in this order."""

CANDIDATES = 6
"""Random places of which a stroke starts at the one that is farthest from all others."""


def scribbles(
    reference: NDArray[np.integer], share: float = 0.02, seed: int = 0
) -> NDArray[np.uint8]:
    """Paint smooth strokes into the regions of a reference, about as much of each class.

    Parameters
    ----------
    reference : ndarray of int, shape (Y, X)
        Values of `tissue.CLASSES`, 0 where nothing is known.
    share : float in (0, 1]
        Painted pixels of all pixels; less where the regions are too thin.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (Y, X)
        The reference's value under a stroke, else 0. Strokes keep half their
        width away from borders; a class that is nowhere two strokes wide is
        left out, each other has one at least.
    """
    rng = np.random.default_rng(seed)
    drawing = _Drawing(reference)
    wanted = share * reference.size
    active = [one.value for one in tissue.CLASSES if drawing.places[one.value].size]
    while active:
        done = sum(n for value, n in drawing.painted.items() if value not in active)
        fair = (wanted - done) / len(active)
        value = min(active, key=drawing.painted.__getitem__)
        if drawing.painted[value] >= fair:
            break
        most = min(fair, drawing.painted[value] + max(1, fair / STROKES))
        if not drawing.stroke(value, most, rng):
            active.remove(value)
    return drawing.labels


class _Drawing:
    """Labels that grow by strokes.

    Attributes
    ----------
    labels : ndarray of uint8, shape (Y, X)
    places : dict from int to ndarray of int
        Of each class, the flat indices where the middle of the brush may be.
    painted : dict from int to int
        Painted pixels of each class.
    """

    def __init__(self, reference: NDArray[np.integer]) -> None:
        self.labels = np.zeros(reference.shape, np.uint8)
        self._reference = reference
        self._long = max(reference.shape)
        self._radius = max(0.5, WIDTH * self._long / 2)
        reach = np.arange(-int(self._radius), int(self._radius) + 1)
        y, x = np.meshgrid(reach, reach, indexing="ij")
        inside = y**2 + x**2 <= self._radius**2
        self._brush = y[inside], x[inside]
        allowed = _distance_to_border(reference) >= 2 * self._radius
        self._allowed = np.where(allowed, reference, tissue.UNLABELLED)
        self.places = {
            one.value: np.flatnonzero(self._allowed == one.value) for one in tissue.CLASSES
        }
        self.painted = dict.fromkeys(self.places, 0)
        self._visited: dict[int, list[tuple[float, float]]] = {value: [] for value in self.places}

    def stroke(self, value: int, most: float, rng: np.random.Generator) -> bool:
        """Draw one, until it is long enough, `most` pixels of the class are painted or it is stuck.

        Returns whether there was room for it.
        """
        at = self._start(value, rng)
        if at is None:
            return False
        dab = max(1.0, self._radius)
        heading = rng.uniform(0, 2 * np.pi)
        bend = 0.0
        for number in range(max(1, int(rng.uniform(*LENGTH) * self._long / dab))):
            self._dab(value, at)
            if number % 8 == 0:
                self._visited[value].append(at)
            if self.painted[value] >= most:
                break
            # A bend that drifts makes curves; independent turns would make zigzags.
            bend = 0.8 * bend + 0.6 * rng.normal(0, BEND_RAD)
            for turn in TURNS_RAD:
                direction = heading + bend + turn
                on = at[0] + dab * np.sin(direction), at[1] + dab * np.cos(direction)
                if self._may(value, on):
                    at, heading = on, direction
                    break
            else:
                break
        return True

    def _start(self, value: int, rng: np.random.Generator) -> tuple[float, float] | None:
        """Find a place for the next stroke that is not painted and far from the others."""
        places = rng.choice(self.places[value], CANDIDATES)
        free = places[self.labels.ravel()[places] == tissue.UNLABELLED]
        if not free.size:
            free = self.places[value][self.labels.ravel()[self.places[value]] == 0][:1]
        if not free.size:
            return None
        points = np.stack(np.unravel_index(free, self.labels.shape), axis=1).astype(float)
        others = self._visited[value]
        if not others:
            return tuple(points[0])
        away = np.linalg.norm(points[:, np.newaxis] - np.array(others), axis=2).min(axis=1)
        return tuple(points[away.argmax()])

    def _may(self, value: int, at: tuple[float, float]) -> bool:
        y, x = round(at[0]), round(at[1])
        height, width = self.labels.shape
        return 0 <= y < height and 0 <= x < width and self._allowed[y, x] == value

    def _dab(self, value: int, at: tuple[float, float]) -> None:
        y, x = self._brush[0] + round(at[0]), self._brush[1] + round(at[1])
        inside = (y >= 0) & (y < self.labels.shape[0]) & (x >= 0) & (x < self.labels.shape[1])
        y, x = y[inside], x[inside]
        fresh = (self._reference[y, x] == value) & (self.labels[y, x] == tissue.UNLABELLED)
        self.labels[y[fresh], x[fresh]] = value
        self.painted[value] += int(np.count_nonzero(fresh))


def _distance_to_border(reference: NDArray[np.integer]) -> NDArray[np.floating]:
    """Distance of each pixel to the next one that touches another value, in px.

    One transform serves all classes.
    """
    border = np.zeros(reference.shape, bool)
    for first, second in (
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:, 1:], np.s_[:, :-1]),
    ):
        differs = reference[first] != reference[second]
        border[first] |= differs
        border[second] |= differs
    if not border.any():
        return np.full(reference.shape, np.inf)
    return distance_transform_edt(~border)


def main() -> None:
    """Save a picture of each radiograph with its scribbles."""
    from PIL import Image, ImageColor
    from radiographs import labelled_radiographs

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    call.output.mkdir(parents=True, exist_ok=True)

    colours = {one.value: ImageColor.getrgb(one.color) for one in tissue.CLASSES}
    for name, image, reference in labelled_radiographs(call.folder):
        labels = scribbles(reference, call.share, call.seed)
        low, high = np.percentile(image, (0.5, 99.5))
        grey = np.clip((image - low) / max(high - low, 1e-9), 0, 1) * 255
        picture = np.repeat(grey[..., np.newaxis], 3, axis=2).astype(np.uint8)
        for value, colour in colours.items():
            picture[labels == value] = colour
        Image.fromarray(picture).save(call.output / f"{name}.png")
        shares = ", ".join(
            f"{one.name} {np.mean(labels == one.value):.2%}" for one in tissue.CLASSES
        )
        print(f"{name}: {shares}", flush=True)


if __name__ == "__main__":
    main()
