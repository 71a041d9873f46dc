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
    # name: region, seed, display
    "hand": ("hand", 6, "raw"),
    "knee": ("knee", 6, "clinical"),
    "foot": ("foot from the side", 0, "clinical"),
}
SIZE_PX = 900

home = Path(__file__).parents[1] / "src" / "napari_xnet" / "samples"
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else home
folder.mkdir(parents=True, exist_ok=True)
for name, (region, seed, display) in SAMPLES.items():
    made = simulate(region, seed, SIZE_PX, display)
    per_cm = 10.0 / made.pixel_size_mm
    image = folder / f"{name}.tif"
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
        description=f"Simulated radiograph of a {name}",
        metadata=None,
    )
    labels = folder / f"{name}_labels.tif"
    write_labels(labels, made.labels, pixel_size_mm=(made.pixel_size_mm, made.pixel_size_mm))
    for path in (image, labels):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
