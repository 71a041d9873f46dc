"""Radiographs from anatomy and physics, with exact labels. Needs the extra ``simulation``."""

from napari_xnet.simulation.anatomy import regions
from napari_xnet.simulation.dataset import write_radiographs
from napari_xnet.simulation.radiograph import SimulatedRadiograph, simulate

__all__ = ["SimulatedRadiograph", "regions", "simulate", "write_radiographs"]
