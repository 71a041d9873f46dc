"""All parts of bodies that can be simulated, by name, whatever the anatomy comes from."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from napari_xnet.errors import XNetError
from napari_xnet.simulation.anatomy import dog, human
from napari_xnet.simulation.scene import Scene

_MAKERS: Mapping[str, Callable[[str, np.random.Generator], Scene]] = MappingProxyType(
    dict.fromkeys(human.REGIONS, human.human_scene) | dict.fromkeys(dog.REGIONS, dog.dog_scene)
)


def regions() -> tuple[str, ...]:
    """Names of the parts of bodies that can be simulated with what is installed."""
    return tuple(human.REGIONS) + (tuple(dog.REGIONS) if dog.is_installed() else ())


def check_regions(names: Iterable[str]) -> None:
    """Refuse names that are no region.

    Raises
    ------
    XNetError
        If there is one.
    """
    for name in names:
        if name not in _MAKERS:
            raise XNetError(f'There is no region "{name}". Known are: {", ".join(_MAKERS)}.')


def make_scene(region: str, rng: np.random.Generator) -> Scene:
    """Pose a body at random and cut out a region.

    Parameters
    ----------
    region : str
        One of `regions`.
    rng : numpy.random.Generator
        Source of the pose, the shape and the density of the bones.

    Returns
    -------
    Scene

    Raises
    ------
    XNetError
        If there is no such region, or an optional package is missing.
    """
    check_regions([region])
    return _MAKERS[region](region, rng)
