"""Make the sample radiographs of the package: `src/napari_xnet/samples/`.

Usage: python recipes/samples.py [FOLDER]

Needs the extra `simulation`. The same versions of the packages give the same files.
"""

import sys
from pathlib import Path

import tifffile

from napari_xnet.io.labels import write_labels
from napari_xnet.simulation import simulate

SAMPLES = {
    # raw signal, bone dark; display, bone bright, with blades; display with a side marker
    "hand": {"seed": 0, "display": False},
    "knee": {"seed": 0, "collimated": True},
    "foot": {"seed": 0, "marker": True},
}
SIZE_PX = 900

home = Path(__file__).parents[1] / "src" / "napari_xnet" / "samples"
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else home
folder.mkdir(parents=True, exist_ok=True)
for region, options in SAMPLES.items():
    made = simulate(region, size_px=SIZE_PX, **options)
    per_cm = 10.0 / made.pixel_size_mm
    image = folder / f"{region}.tif"
    tifffile.imwrite(
        image,
        made.image,
        photometric="minisblack",
        compression="zlib",
        compressionargs={"level": 9},
        predictor=True,
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        software="napari-xnet",
        description=f"Simulated radiograph of a {region}",
        metadata=None,
    )
    labels = folder / f"{region}_labels.tif"
    write_labels(labels, made.labels, pixel_size_mm=(made.pixel_size_mm, made.pixel_size_mm))
    for path in (image, labels):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
