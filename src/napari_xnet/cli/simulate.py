"""``napari-xnet simulate``."""

import argparse
import os
import sys
from pathlib import Path

from napari_xnet.cli.terminal import DONE
from napari_xnet.errors import XNetError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    simulate = commands.add_parser(
        "simulate",
        help="make radiographs with exact labels",
        description="Write DIR/NUMBER_REGION.tif, its _labels.tif and DIR/manifest.csv: "
        "radiographs simulated from anatomy, or from a CT. The same call goes on where it was "
        "interrupted. Needs pip install 'napari-xnet[simulation]'.",
    )
    simulate.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="folder for the radiographs"
    )
    simulate.add_argument(
        "--count", required=True, type=int, metavar="N", help="how many radiographs"
    )
    simulate.add_argument(
        "--region",
        nargs="+",
        default=(),
        metavar="REGION",
        help="parts of the body, such as hand, knee, 'dog paw'; all of them if not given",
    )
    simulate.add_argument(
        "--ct",
        type=Path,
        metavar="PATH",
        help="project this CT: NIfTI, a folder with a DICOM series, or a TIFF stack, in HU",
    )
    simulate.add_argument(
        "--spacing-mm",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="distance of the CT's voxels, instead of what the file says",
    )
    simulate.add_argument(
        "--visible-human",
        type=Path,
        metavar="DIR",
        help="legs and hips of the Visible Humans: folder of their VH_F_*.glb or VH_M_*.glb",
    )
    simulate.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="of the random numbers: the same seed, the same radiographs (default: %(default)s)",
    )
    simulate.add_argument(
        "--size-px",
        type=int,
        default=400,
        metavar="PX",
        help="long side of the images (default: %(default)s)",
    )
    simulate.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=os.cpu_count() or 1,
        help="processes (default: one for each processor)",
    )
    simulate.set_defaults(run=_simulate)


def _simulate(call: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_xnet.simulation import write_radiographs

    if call.ct and call.region:
        raise XNetError("Give either --ct or --region: a CT shows what it shows.")
    if call.ct and call.visible_human:
        raise XNetError("Give either --ct or --visible-human.")
    if call.spacing_mm and not call.ct:
        raise XNetError("--spacing-mm belongs to --ct.")
    with tqdm(total=call.count, unit="image", file=sys.stderr, disable=None) as bar:
        manifest = write_radiographs(
            call.output,
            call.count,
            call.region,
            seed=call.seed,
            size_px=call.size_px,
            workers=call.workers,
            ct=call.ct,
            spacing_mm=call.spacing_mm,
            visible_human=call.visible_human,
            progress=lambda done, total: bar.update(done - bar.n),
        )
    print(manifest)
    return DONE
