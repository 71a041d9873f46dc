"""Human anatomy: the skeleton of myo-sim, posed, with flesh around it."""

from napari_xnet.simulation.anatomy.human.regions import REGIONS
from napari_xnet.simulation.anatomy.human.scene import human_scene

__all__ = ["REGIONS", "human_scene"]
