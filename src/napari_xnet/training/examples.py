"""What the network trains on: working images with labels that train and labels that validate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_xnet import tissue
from napari_xnet.errors import TrainingError
from napari_xnet.io.atomic import atomic_path

BELIEVED = tissue.OPEN_BEAM.value + len(tissue.CLASSES)
"""Value of the first class where a base model believes it, and nobody painted: 4 to 6."""

REHEARSED = BELIEVED + len(tissue.CLASSES)
"""Value of the first class in what is rehearsed: 7 to 9."""

WRONG_POLARITY = REHEARSED + len(tissue.CLASSES)
"""Value of what is labelled, but shown the wrong way round."""


@dataclass(frozen=True, eq=False)
class Example:
    """A working image and its labels.

    Attributes
    ----------
    name, group : str
        Those of the pair.
    image : ndarray of float32, shape (H, W)
        Standardised; without padding.
    labels, validation : ndarray of uint8, shape (H, W)
        Labels that train and labels that validate, see `splitting.split`;
        `labels` may also hold beliefs, see `believe`.
    shadow : ndarray of bool, shape (H, W), optional
        That of the collimator, see `imaging.WorkingImage`.
    """

    name: str
    group: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    shadow: NDArray[np.bool_] | None = None

    def believe(self, probabilities: NDArray[np.float32], confidence: float) -> "Example":
        """Add what a base model is sure of where nobody painted.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (H, W, 3)
        confidence : float
            Smallest probability that counts.

        Returns
        -------
        Example
            Its `labels` also hold the values 4 to 6.
        """
        sure = probabilities.max(axis=-1) >= confidence
        open_ = (self.labels == tissue.UNLABELLED) & (self.validation == tissue.UNLABELLED)
        believed = probabilities.argmax(axis=-1) + BELIEVED
        labels = np.where(open_ & sure, believed, self.labels).astype(np.uint8)
        return replace(self, labels=labels)


def rehearsed(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tissue classes as the values 7 to 9: known exactly, and painted by nobody."""
    shift = REHEARSED - tissue.OPEN_BEAM.value
    return np.where(labels > tissue.UNLABELLED, labels + np.uint8(shift), labels)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as one NumPy archive.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    arrays = {
        f"{number:05d}/{key}": getattr(example, key)
        for number, example in enumerate(examples)
        for key in ("name", "group", "image", "labels", "validation", "shadow")
        if getattr(example, key) is not None
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote.

    Raises
    ------
    TrainingError
        If the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            numbers = sorted({key.partition("/")[0] for key in archive.files})
            return [
                Example(
                    name=str(archive[f"{number}/name"]),
                    group=str(archive[f"{number}/group"]),
                    image=archive[f"{number}/image"],
                    labels=archive[f"{number}/labels"],
                    validation=archive[f"{number}/validation"],
                    shadow=archive.get(f"{number}/shadow"),
                )
                for number in numbers
            ]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise TrainingError(f"The examples {path} of the run cannot be read: {error}.") from error
