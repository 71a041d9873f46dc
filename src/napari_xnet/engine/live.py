"""Live segmentation in the engine: one session, which answers after each stroke."""

import datetime
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xnet._version import __version__
from napari_xnet.engine.messages import Stop
from napari_xnet.engine.reporter import Reporter
from napari_xnet.engine.tasks import changed_ns, loaded
from napari_xnet.errors import ModelError
from napari_xnet.inference import Options
from napari_xnet.live.answer import Answer
from napari_xnet.models import Model

if TYPE_CHECKING:
    from napari_xnet.live.session import LiveSession


@dataclass(frozen=True)
class LiveSettings:
    """What a session is about; another one begins when they change.

    Attributes
    ----------
    model : Path
        Folder of the model.
    options : Options
    session : str
        Tells one window from another.
    cache : Path
        Folder for descriptions.
    cache_mb : int
        How much may be there.
    """

    model: Path
    options: Options
    session: str
    cache: Path
    cache_mb: int


@dataclass(frozen=True, eq=False)
class LivePair:
    """A radiograph and what is painted on it.

    Attributes
    ----------
    key : hashable
    image : ndarray, optional
        Left out if the engine has seen it.
    painted : ndarray of uint8, shape (Y, X), optional
        None if nothing is.
    """

    key: Hashable
    image: NDArray[Any] | None = None
    painted: NDArray[np.uint8] | None = None


def live_answer(
    settings: LiveSettings,
    pair: LivePair,
    gone: tuple[Hashable, ...],
    with_uncertainty: bool,
    *,
    progress: Reporter,
) -> Answer:
    """Answer for the radiograph that is shown.

    Parameters
    ----------
    settings : LiveSettings
    pair : LivePair
    gone : tuple of hashable
        Keys of those that are not open any more.
    with_uncertainty : bool
    progress : Reporter

    Raises
    ------
    Forgotten
        If an image was left out that is not known.
    """
    session = _session(settings)
    for key in gone:
        session.forget(key)
    if pair.image is not None:
        session.describe(pair.key, pair.image, lambda: progress(0, 0, "Looking at the radiograph…"))
    session.paint(pair.key, pair.painted)
    return session.answer(pair.key, pair.painted, with_uncertainty)


class _Interrupted(Exception):
    pass


def live_prepare(settings: LiveSettings, pair: LivePair, *, progress: Reporter) -> Answer | None:
    """Look at a radiograph that may be shown next, and its paint, until told to stop.

    Returns
    -------
    Answer or None
        As the strokes are now; None if it was told to stop.
    """

    def check() -> None:
        if any(isinstance(value, Stop) for value in progress.told()):
            raise _Interrupted

    try:
        check()
        session = _session(settings)
        if pair.image is not None:
            session.describe(pair.key, pair.image, check)
        session.paint(pair.key, pair.painted)
        check()
        return session.answer(pair.key, pair.painted)
    except _Interrupted:
        return None


def live_keep(settings: LiveSettings, folder: Path, *, progress: Reporter) -> None:
    """Save the model of a session with what it learned from the strokes.

    Parameters
    ----------
    settings : LiveSettings
    folder : Path
        Of the new model; its last part is the name.
    progress : Reporter

    Raises
    ------
    ModelError
        If nothing is painted, or the folder cannot be written.
    """
    session = _session(settings)
    forest = session.forest()
    if forest is None:
        raise ModelError("Nothing is painted that could be kept: paint first.")
    base = session.model
    card = base.card.model_copy(
        update={
            "name": folder.name,
            "preprocessing": base.card.preprocessing.model_copy(
                update={"size_px": settings.options.size_px or base.card.preprocessing.size_px}
            ),
            "summary": "A network, and a classifier that was painted live.",
            "status": "final",
            "training": {
                "radiographs": session.painted_radiographs,
                "painted_px": session.painted_px(),
                "base": base.card.name,
                "base_sha256": base.card.weights_sha256,
            },
            "augmentation": {},
            "optimiser": {},
            "metrics": {},
            "soft_tissue": None,
            "versions": base.card.versions | {"napari-xnet": __version__},
            "date": datetime.date.today().isoformat(),
        }
    )
    Model(card, base.network, forest).save(folder)


# scikit-learn is not for napari's process, which imports this module to name its functions.
_sessions: dict[tuple[LiveSettings, int], "LiveSession"] = {}


def _session(settings: LiveSettings) -> "LiveSession":
    from napari_xnet.live.cache import DescriptionCache
    from napari_xnet.live.session import LiveSession

    key = (settings, changed_ns(settings.model))
    if key not in _sessions:
        _sessions.clear()
        cache = DescriptionCache(settings.cache, settings.cache_mb)
        _sessions[key] = LiveSession(loaded(settings.model), settings.options, cache)
    return _sessions[key]
