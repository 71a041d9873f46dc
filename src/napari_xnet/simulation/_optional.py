"""Packages that only the simulation needs."""

import importlib
from types import ModuleType

from napari_xnet.errors import XNetError


def require(name: str) -> ModuleType:
    """Import a package of the extra ``simulation``, or say how to install it.

    Parameters
    ----------
    name : str
        Name of the module.

    Raises
    ------
    XNetError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise XNetError(
            f"Simulating radiographs needs the package {error.name or name}. Install it with"
            ' pip install "napari-xnet[simulation]".'
        ) from error
