"""CT: any volume of Hounsfield units, seen by a cone beam.

World frame of a volume: millimetres, x to the patient's left, y to the back,
z to the head, as in DICOM, if the file says how the patient lies; the centre
of voxel ``[0, 0, 0]`` is the origin.
"""

from napari_xnet.simulation.ct.projection import project_ct, random_ct_projection
from napari_xnet.simulation.ct.reading import read_ct
from napari_xnet.simulation.ct.table import remove_table
from napari_xnet.simulation.ct.volume import Volume, as_volume

__all__ = ["Volume", "as_volume", "project_ct", "random_ct_projection", "read_ct", "remove_table"]
