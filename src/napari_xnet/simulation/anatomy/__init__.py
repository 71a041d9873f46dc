"""All parts of bodies that can be simulated, by name, whatever the anatomy comes from."""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from napari_xnet.errors import XNetError
from napari_xnet.simulation.anatomy import dog, human
from napari_xnet.simulation.anatomy import visible_human as visible
from napari_xnet.simulation.scene import Scene

Folder = str | os.PathLike[str]

_MAKERS: Mapping[str, Callable[[str, np.random.Generator], Scene]] = MappingProxyType(
    dict.fromkeys(human.REGIONS, human.human_scene) | dict.fromkeys(dog.REGIONS, dog.dog_scene)
)


def regions(visible_human: Folder | None = None) -> tuple[str, ...]:
    """Names of the parts of bodies that can be simulated with what is installed.

    Parameters
    ----------
    visible_human : path-like, optional
        Folder of the Visible Humans, whose regions are meant then.
    """
    if visible_human is not None:
        return visible.REGIONS
    return tuple(human.REGIONS) + (tuple(dog.REGIONS) if dog.is_installed() else ())


def check_regions(names: Iterable[str], visible_human: Folder | None = None) -> None:
    """Refuse names that are no region.

    Raises
    ------
    XNetError
        If there is one, or the folder holds no Visible Human.
    """
    known = _MAKERS if visible_human is None else visible.REGIONS
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, 1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise XNetError(f'There is no region "{name}".{hint} Known are: {", ".join(known)}.')
    if visible_human is not None:
        visible.sexes(visible_human)


def make_scene(region: str, rng: np.random.Generator, visible_human: Folder | None = None) -> Scene:
    """Pose a body at random and cut out a region.

    Parameters
    ----------
    region : str
        One of `regions`.
    rng : numpy.random.Generator
        Source of the pose, the shape and the density of the bones.
    visible_human : path-like, optional
        Folder of the Visible Humans, instead of the other bodies.

    Returns
    -------
    Scene

    Raises
    ------
    XNetError
        If there is no such region, or an optional package is missing.
    """
    if visible_human is not None:
        return visible.visible_human_scene(visible_human, region, rng)
    check_regions([region])
    return _MAKERS[region](region, rng)
