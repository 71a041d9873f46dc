"""Simulated radiographs with exact labels: anatomy, thickness maps, physics, labels."""

from napari_xnet.simulation.radiograph import SimulatedRadiograph, simulate
from napari_xnet.simulation.regions import REGIONS

__all__ = ["REGIONS", "SimulatedRadiograph", "simulate"]
