"""Scenes: what lies between source and detector, as closed surfaces of known materials."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_xnet.simulation.grid import FloatArray

Mixture = Mapping[str, float]
"""Share of the volume that each material fills, by the names of `physics.MATERIALS` or `SPONGY`."""

FAT: Mixture = {"fat": 1.0}
LEAN: Mixture = {"lean": 1.0}
BONE: Mixture = {"bone": 1.0}
AIR: Mixture = {}


SPONGY = "spongy"
"""In a mixture: mineralised bone of spongy bone, whose density is uneven; as a material, bone."""


def spongy(mineral: float) -> Mixture:
    """Spongy bone with some share of mineralised bone; the rest is marrow, which is fat."""
    return {SPONGY: mineral, "fat": 1.0 - mineral}


@dataclass(frozen=True, eq=False)
class Solid:
    """A closed surface, filled with one mixture of materials.

    Attributes
    ----------
    name : str
        Of the organ, for the curious.
    vertices_mm : ndarray of float32, shape (V, 3)
        World coordinates.
    faces : ndarray of int32, shape (F, 3)
        Corners of the triangles, counter-clockwise from outside.
    filling : mapping
        What is inside.
    displaces : mapping
        What would be there without it: a bone displaces muscle, marrow
        displaces the bone around it.
    """

    name: str
    vertices_mm: NDArray[np.float32]
    faces: NDArray[np.int32]
    filling: Mixture
    displaces: Mixture

    def moved(self, rotation: FloatArray, shift_mm: FloatArray) -> Self:
        """Turn it by a matrix, shape (3, 3), then shift it."""
        moved = self.vertices_mm @ np.asarray(rotation).T + shift_mm
        return replace(self, vertices_mm=moved.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Scene:
    """Part of a body, and how it is commonly viewed.

    Attributes
    ----------
    region : str
        Part of the body.
    source : str
        Where the anatomy comes from.
    solids : tuple of Solid
        Any order.
    axes : ndarray, shape (3, 3)
        Rows: directions in the world of the image's right, of its down, and
        of the beam, in the standard view.
    centre_mm : ndarray, shape (3,)
        What the standard view shows in the middle.
    field_mm : tuple of float
        Smallest and largest long side of what is shown, at the detector.
    turn_about : ndarray, shape (3,)
        World direction about which the part may be turned.
    turns_deg : tuple of (float, float)
        Ranges of turns that are common, one is chosen: AP, lateral, oblique.
    kilovolts : tuple of float
        Lowest and highest tube voltage in use.
    """

    region: str
    source: str
    solids: tuple[Solid, ...]
    axes: FloatArray
    centre_mm: FloatArray
    field_mm: tuple[float, float]
    turn_about: FloatArray = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    turns_deg: tuple[tuple[float, float], ...] = ((-180.0, 180.0),)
    kilovolts: tuple[float, float] = (45.0, 75.0)
