"""Train a model from arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from napari_xnet.errors import TrainingError
from napari_xnet.imaging import as_array
from napari_xnet.io.conventions import convert
from napari_xnet.models import DEFAULT, Model, load_model
from napari_xnet.models.store import free_name
from napari_xnet.training.config import TrainingConfig
from napari_xnet.training.config import preset as preset_config
from napari_xnet.training.events import Report
from napari_xnet.training.execution import execute
from napari_xnet.training.pairs import Pair
from napari_xnet.training.run import NONE, create_run


def train(
    images: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    base: str | Path | None = DEFAULT,
    *,
    name: str | None = None,
    preset: str = "quick",
    config: TrainingConfig | dict[str, Any] | None = None,
    groups: Sequence[str] | None = None,
    convention: str = "tissue",
    folder: str | Path | None = None,
    report: Report | None = None,
    progress: bool = True,
) -> Model:
    """Train a model on radiographs and their (partly) painted labels.

    Parameters
    ----------
    images : sequence of array of any real dtype, shape (Y, X)
        Or (Y, X, 3 or 4) in colour. An array of shape (N, Y, X) is such a
        sequence; it can also be one of a sequence, with labels of that shape.
    labels : sequence of array of int, shape (Y, X)
        1 open beam, 2 soft tissue, 3 bone; 0 is not annotated and carries no
        loss. Or as `convention` says.
    base : str or path, optional
        Model to start from; None or ``"none"`` for random weights.
    name : str, optional
        Name under which the model is saved; "trained", with a number if there
        is one, if None.
    preset : {"quick", "full", "paper"}
        See `config.preset`; of "paper", the default base is none.
    config : TrainingConfig or dict, optional
        Instead of the preset; of a dict, only the keys that differ from it.
    groups : sequence of str, optional
        Body part or the like of each image; groups are evened out.
    convention : {"tissue", "indices", "rgb"}
        What the values of the labels mean, see `io.conventions`: drawings
        have the shape (Y, X, 3 or 4).
    folder : path, optional
        Where the folder of the run goes, `run.runs_folder` if None.
    report : callable, optional
        Called with each event of the run, see `events`.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    Model

    Raises
    ------
    XNetError
        See `run.create_run` and `execute`.

    Examples
    --------
    >>> model = train([image], [scribbles])  # doctest: +SKIP
    >>> napari_xnet.segment(image, model).labels  # doctest: +SKIP
    """
    if len(images) != len(labels) or (groups is not None and len(groups) != len(images)):
        raise TrainingError(
            f"There are {len(images)} images, {len(labels)} label images"
            + (f" and {len(groups)} groups" if groups is not None else "")
            + ": give as many of each."
        )
    if convention != "tissue":
        labels = [convert(one, convention) for one in labels]
    names = [""] * len(images) if groups is None else groups
    pairs = [
        pair
        for number, (image, one, group) in enumerate(zip(images, labels, names, strict=True))
        for pair in _slices(Pair(f"image {number}", as_array(image), as_array(one), str(group)))
    ]
    if preset == "paper" and base == DEFAULT:
        base = NONE
    if not isinstance(config, TrainingConfig):
        config = TrainingConfig.parse(config or {}, preset_config(preset))
    run = create_run(
        name or free_name("trained"),
        pairs,
        config,
        base=NONE if base is None else base,
        preset=preset,
        folder=Path(folder) if folder else None,
    )
    if progress:
        from napari_xnet.training.console import ProgressBar

        with ProgressBar(report) as bar:
            summary = execute(run, bar)
    else:
        summary = execute(run, report)
    return load_model(summary.model)


def _slices(pair: Pair) -> Iterator[Pair]:
    """Take a stack apart."""
    if pair.image.ndim < 2:
        raise TrainingError(
            "Images and labels are sequences of arrays: for one radiograph, train([image], "
            "[labels])."
        )
    if pair.labels.ndim != 3 or pair.image.shape[:3] != pair.labels.shape:
        yield pair
        return
    for number, (image, labels) in enumerate(zip(pair.image, pair.labels, strict=True)):
        yield replace(pair, name=f"{pair.name}[{number}]", image=image, labels=labels)
