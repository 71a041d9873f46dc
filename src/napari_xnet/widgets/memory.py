"""What a form remembers from one session to the next."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from magicgui.widgets.bases import ValueWidget

from napari_xnet.errors import XNetError
from napari_xnet.io.atomic import atomic_path


def remember(form: str, widgets: Mapping[str, ValueWidget[Any]]) -> None:
    """Store the values of some widgets; that this fails is no reason to stop.

    Parameters
    ----------
    form : str
        Name of the form.
    widgets : mapping from str to widget
        The widgets by the name under which their value is stored.
    """
    _write(form, {name: widget.value for name, widget in widgets.items()})


def store(form: str, values: Mapping[str, Any]) -> None:
    """Store some values of a form that may not be open; the others stay as they are.

    Parameters
    ----------
    form : str
        Name of the form.
    values : mapping from str to value
        By the name of the widget, as in `remember`.
    """
    _write(form, _read(form) | dict(values))


def recall(form: str, widgets: Mapping[str, ValueWidget[Any]]) -> None:
    """Give widgets the values they had; those that do not fit any more stay as they are.

    Parameters
    ----------
    form, widgets
        As in `remember`.
    """
    values = _read(form)
    for name, widget in widgets.items():
        if name in values:
            with contextlib.suppress(ValueError, TypeError):
                widget.value = values[name]


def _file(form: str) -> Path:
    return platformdirs.user_config_path("napari-xnet") / f"{form}.json"


def _read(form: str) -> dict[str, Any]:
    try:
        values = json.loads(_file(form).read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(form: str, values: Mapping[str, Any]) -> None:
    path = _file(form)
    with contextlib.suppress(OSError, XNetError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(values, indent=2))
