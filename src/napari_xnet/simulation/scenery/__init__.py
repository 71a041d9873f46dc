"""Scenery: all in the beam that is not the body, from the collimator to screws and cables."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xnet.simulation.grid import FloatArray
from napari_xnet.simulation.scenery import around, collimator, implants, lead
from napari_xnet.simulation.scenery.stage import BODY_MM, Stage
from napari_xnet.simulation.view import Thickness

_MARKED, _IMPLANTED, _CAST, _BANDAGED = 0.5, 0.11, 0.05, 0.04
_CABLED, _CLIPPED, _PADDED, _WEDGED, _WRITTEN = 0.07, 0.05, 0.18, 0.02, 0.1
"""How often each is there; half of the images have none but perhaps a marker."""


@dataclass(frozen=True, eq=False)
class Scenery:
    """What else than the body shapes a radiograph.

    Attributes
    ----------
    light : ndarray of float32, shape (Y, X)
        Light field of the collimator, 0 to 1; what its blades let pass is in it.
    mm : dict
        From a name of `physics.MATERIALS` to ndarray of float32, shape
        (Y, X): thickness that is added to the beam.
    covered : ndarray of bool, shape (Y, X)
        Where implants lie in the body.
    overlay : ndarray of float32, shape (Y, X)
        Share of each pixel that letters in the displayed image cover, 0 to 1.
    overlay_grey : float
        Their grey value, 0 to 1.
    """

    light: FloatArray
    mm: dict[str, FloatArray]
    covered: NDArray[np.bool_]
    overlay: FloatArray
    overlay_grey: float = 1.0


def plain_scenery(inside: Thickness) -> Scenery:
    """Leave the body alone in an open beam.

    Parameters
    ----------
    inside : Thickness
        Of the body; gives the shape.
    """
    shape = inside.spongy_mm.shape
    nothing = np.zeros(shape, np.float32)
    return Scenery(np.ones(shape, np.float32), {}, np.zeros(shape, bool), nothing)


def random_scenery(inside: Thickness, pixel_size_mm: float, rng: np.random.Generator) -> Scenery:
    """Choose what surrounds a body as it happens in practice.

    Parameters
    ----------
    inside : Thickness
        Of the body.
    pixel_size_mm : float
        Edge length of a pixel.
    rng : numpy.random.Generator

    Returns
    -------
    Scenery
    """
    stage = Stage(inside, pixel_size_mm)
    light = collimator.light(stage, rng)
    for chance, furnish in (
        (_IMPLANTED, implants.implant),
        (_CAST, around.cast),
        (_BANDAGED, around.bandage),
        (_CABLED, around.cable),
        (_CLIPPED, around.clips),
        (_PADDED, around.pad),
        (_WEDGED, around.step_wedge),
        (_MARKED, lead.mark),
    ):
        if rng.random() < chance:
            furnish(stage, rng)
    overlay, grey = np.zeros(stage.shape, np.float32), 1.0
    if rng.random() < _WRITTEN:
        grey = lead.write(overlay, stage, rng)
    covered = stage.metal & (stage.total_mm >= BODY_MM)
    return Scenery(light, stage.mm, covered, overlay, grey)
