"""The models on this computer: the default model and those that users made or imported."""

import itertools
import lzma
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import platformdirs

from napari_xnet.errors import ModelError
from napari_xnet.io.atomic import atomic_path
from napari_xnet.models.card import LARGEST_CARD_BYTES, ModelCard
from napari_xnet.models.model import CARD_FILE, FOREST_FILE, WEIGHTS_FILE, Model, write_folder

DEFAULT = "default"
_DEFAULT_FOLDER = Path(__file__).with_name("default")
_RESERVED = {"none"}
"""What the base of a training run is called if it has none."""
_LONGEST = 64
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 ._-]{{0,{_LONGEST - 1}}}")


def models_folder() -> Path:
    """Folder of the user's models.

    ``NAPARI_XNET_MODELS`` if that environment variable is set, else the
    folder for application data of the operating system.
    """
    chosen = os.environ.get("NAPARI_XNET_MODELS")
    return Path(chosen) if chosen else platformdirs.user_data_path("napari-xnet") / "models"


def list_models(folder: str | Path | None = None) -> list[str]:
    """Names of the models that can be loaded, the default model first.

    Parameters
    ----------
    folder : path, optional
        Folder of the user's models, `models_folder` if None.

    Returns
    -------
    list of str
    """
    folder = Path(folder) if folder else models_folder()
    try:
        own = sorted(path.parent.name for path in folder.glob(f"*/{CARD_FILE}"))
    except OSError:
        own = []
    return [DEFAULT, *(name for name in own if _NAME.fullmatch(name) and name != DEFAULT)]


def find_model(model: str | Path, folder: str | Path | None = None) -> Path:
    """Folder of a model.

    Parameters
    ----------
    model : str or path
        Name of a model, or path of a model folder.
    folder : path, optional
        Folder of the user's models, `models_folder` if None.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    if model == DEFAULT:
        return _DEFAULT_FOLDER
    if _NAME.fullmatch(str(model)):
        named = (Path(folder) if folder else models_folder()) / model
        if (named / CARD_FILE).is_file():
            return named
    if (Path(model) / CARD_FILE).is_file():
        return Path(model)
    raise ModelError(
        f'There is no model "{model}". The models here are: {", ".join(list_models(folder))}.'
    )


def check_new_name(name: str, folder: str | Path | None = None) -> None:
    """Refuse what cannot be the name of a new model.

    Parameters
    ----------
    name : str
    folder : path, optional
        Folder of the user's models, `models_folder` if None.

    Raises
    ------
    ModelError
        If it is no name, or a model has it.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f'"{name}" cannot be the name of a model: use up to 64 letters, digits, spaces, dots, '
            "hyphens and underscores, and begin with a letter or digit."
        )
    if name in _RESERVED:
        raise ModelError(f'"{name}" means "from scratch": choose another name.')
    if _is_taken(name, folder):
        raise ModelError(f'There is a model "{name}" already: choose another name.')


def free_name(name: str, folder: str | Path | None = None) -> str:
    """Return a name that no model has: the given one, or that with a number, cut if too long.

    Parameters
    ----------
    name : str
    folder : path, optional
        Folder of the user's models, `models_folder` if None.
    """
    endings = (f"-{number}" for number in itertools.count(2))
    names = itertools.chain([name], (name[: _LONGEST - len(end)] + end for end in endings))
    return next(one for one in names if not _is_taken(one, folder))


def _is_taken(name: str, folder: str | Path | None) -> bool:
    # Also by what is no model, or differs in case where the file system does not care.
    return name == DEFAULT or ((Path(folder) if folder else models_folder()) / name).exists()


def load_model(model: str | Path = DEFAULT, folder: str | Path | None = None) -> Model:
    """Load a model by name or path.

    Parameters
    ----------
    model : str or path
        Name of a model, or path of a model folder.
    folder : path, optional
        Folder of the user's models, `models_folder` if None.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    """
    return Model.load(find_model(model, folder))


def show_model(model: str | Path, folder: str | Path | None = None) -> ModelCard:
    """Read the card of a model, without its weights."""
    return ModelCard.read(find_model(model, folder) / CARD_FILE)


def check_changeable(model: str | Path, folder: str | Path | None = None) -> Path:
    """Return the folder of a model, but refuse the one of the package.

    Raises
    ------
    ModelError
        If it is that one, or there is none.
    """
    target = find_model(model, folder)
    if target == _DEFAULT_FOLDER:
        raise ModelError(
            f'The model "{DEFAULT}" belongs to the package and stays as it is. Make a copy: '
            f"napari-xnet models export {DEFAULT} mine.zip, then models import mine.zip."
        )
    return target


def write_card(model: str | Path, card: ModelCard, folder: str | Path | None = None) -> None:
    """Replace the card of a model, of which the weights stay.

    Parameters
    ----------
    model : str or path
    card : ModelCard
    folder : path, optional
        See `find_model`.

    Raises
    ------
    ModelError
        See `check_changeable`; or the card cannot be written.
    """
    path = check_changeable(model, folder) / CARD_FILE
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(card.to_json(), "utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror or error}.") from error


def export_model(model: str | Path, path: str | Path) -> Path:
    """Write a model as one ZIP file, to take it to another computer.

    Parameters
    ----------
    model : str or path
    path : path
        File to write; ``.zip`` is appended if it is missing.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    XNetError
        If there is no such model, or the file cannot be written.
    """
    source = find_model(model)
    path = Path(path)
    if path.is_dir():
        path = path / source.name
    if path.suffix != ".zip":
        path = path.with_name(path.name + ".zip")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in (CARD_FILE, WEIGHTS_FILE, FOREST_FILE):
            if name != FOREST_FILE or (source / name).exists():
                archive.write(source / name, name)
    return path


def import_model(path: str | Path) -> str:
    """Add a model to the user's models.

    Parameters
    ----------
    path : path
        A ZIP file made by `export_model`, or a model folder.

    Returns
    -------
    str
        Name of the model, by which it can be loaded.

    Raises
    ------
    ModelError
        If it is not a model, is damaged, or a model of its name is there.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"There is no file {path}.")
    name = path.stem if path.is_file() else path.name
    if not _NAME.fullmatch(name) or name in {DEFAULT, *_RESERVED}:
        raise ModelError(
            f'"{name}" cannot be the name of a model: rename {path.name}, to letters and digits.'
        )
    target = models_folder() / name
    if target.exists():
        raise ModelError(
            f'There is a model "{name}" already: remove it first, or rename {path.name}.'
        )
    files = _read_folder(path) if path.is_dir() else _read_archive(path)
    card = ModelCard.parse(files[CARD_FILE], path).model_copy(update={"name": name})
    files[CARD_FILE] = card.to_json().encode()
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, name)
        write_folder(trial, files)
        Model.load(trial)
    write_folder(target, files)
    return name


def remove_model(name: str) -> None:
    """Delete one of the user's models.

    Raises
    ------
    ModelError
        If there is no such model, or it is the default model.
    """
    if name == DEFAULT:
        raise ModelError("The default model is part of napari-xnet and cannot be removed.")
    if name not in list_models():
        raise ModelError(f'There is no model "{name}" in {models_folder()}.')
    try:
        shutil.rmtree(models_folder() / name)
    except OSError as error:
        raise ModelError(f'The model "{name}" cannot be removed: {error.strerror}.') from error


def _read_folder(path: Path) -> dict[str, bytes]:
    try:
        return _read_members(path, lambda name: (path / name).open("rb"))
    except OSError as error:
        raise ModelError(f"{path} is not a model folder: {error.strerror}.") from error


def _read_archive(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_members(path, archive.open)
    except (
        OSError,
        EOFError,
        KeyError,  # a member is missing
        NotImplementedError,  # an unknown kind of compression
        RuntimeError,  # a password
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise ModelError(f"{path} is not an exported model: {error}.") from error


def _read_members(path: Path, open_member: Callable[[str], IO[bytes]]) -> dict[str, bytes]:
    """Read card and weights, no more of them than a model can have."""

    def read(name: str, limit: int) -> bytes:
        with open_member(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ModelError(f"{name} in {path} is too large for a model.")
        return data

    data = read(CARD_FILE, LARGEST_CARD_BYTES)
    card = ModelCard.parse(data, path)
    weights = read(WEIGHTS_FILE, card.architecture.largest_weights_bytes)
    files = {CARD_FILE: data, WEIGHTS_FILE: weights}
    if card.classifier:
        files[FOREST_FILE] = read(FOREST_FILE, card.classifier.largest_bytes)
    return files
