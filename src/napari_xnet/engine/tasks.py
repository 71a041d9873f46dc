"""What the window asks of the engine."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet.errors import ModelError
from napari_xnet.inference import Options, segment
from napari_xnet.inference.segment import Progress
from napari_xnet.models import DEFAULT, Model, find_model
from napari_xnet.models.model import CARD_FILE


def warm_up() -> None:
    """Load Keras and run the default model once, so that the first request need not.

    Raises
    ------
    EngineError
        If Keras cannot be loaded.
    """
    folder = find_model(DEFAULT)
    _load(folder, _changed_ns(folder)).predict(np.zeros((1, 64, 64), np.float32))


def segment_image(
    image: NDArray[Any],
    model: Path,
    rgb: bool,
    options: Options,
    probabilities: bool,
    progress: Progress,
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, tuple[str, ...]]:
    """Segment with a model that stays loaded until another is asked for.

    Parameters
    ----------
    image, rgb, options, progress
        See `napari_xnet.inference.segment`.
    model : Path
        Folder of the model.
    probabilities : bool
        Whether to return them.

    Returns
    -------
    labels : ndarray of uint8
    probabilities : ndarray of float32, or None
    notes : tuple of str
    """
    loaded = _load(model, _changed_ns(model))
    result = segment(image, loaded, rgb=rgb, options=options, progress=progress)
    return result.labels, result.probabilities if probabilities else None, result.notes


def _changed_ns(folder: Path) -> int:
    try:
        return (folder / CARD_FILE).stat().st_mtime_ns
    except OSError as error:
        raise ModelError(f"The model folder {folder} is gone: {error.strerror}.") from error


@functools.lru_cache(maxsize=1)
def _load(folder: Path, changed_ns: int) -> Model:
    """Load a model, again only if its card has changed since."""
    return Model.load(folder)
