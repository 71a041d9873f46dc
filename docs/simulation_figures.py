"""Make the pictures of `simulation.md`: the stages of one radiograph, and a hundred at random.

Usage: python docs/simulation_figures.py

Needs the extra `simulation`.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_xnet import tissue
from napari_xnet.simulation.anatomy import make_scene, regions
from napari_xnet.simulation.bodies import plan_bodies
from napari_xnet.simulation.display import clinical_display
from napari_xnet.simulation.exposure import Exposure, expose
from napari_xnet.simulation.radiograph import label_map, take
from napari_xnet.simulation.scenery import plain_scenery
from napari_xnet.simulation.view import standard_view, thickness

FOLDER = Path(__file__).parent / "images"
SEED = 7
STAGE_PX, TILE_PX, SIDE = 260, 120, 10


def main() -> None:
    """Write both pictures."""
    stages().save(FOLDER / "simulation-stages.png")
    sheet().save(FOLDER / "simulation-sheet.jpg", quality=80)


def stages() -> Image.Image:
    """Thickness of each material, the signal, the display and the labels of a hand."""
    (body,) = plan_bodies(["hand"], 1, SEED)
    scene = make_scene("hand", body.rng())
    view = standard_view(scene, STAGE_PX)
    inside = thickness(scene, view)
    scenery = plain_scenery(inside)
    rng = body.rng(0)
    signal = expose(inside, scenery.light, Exposure(), view.detector.pixel_size_mm, rng)
    shown = clinical_display(signal, scenery.light, view.detector.pixel_size_mm).image
    parts = {f"{name}, mm": inside.mm[name] for name in ("fat", "lean", "bone")}
    parts |= {"signal": signal, "display": shown}
    tiles = [titled(name, Image.fromarray(stretched(part))) for name, part in parts.items()]
    tiles.append(titled("labels", Image.fromarray(coloured(label_map(inside, scenery)))))
    return mosaic(tiles, STAGE_PX, len(tiles) // 2)


def sheet() -> Image.Image:
    """Radiographs of all regions in turn, with all that is random."""
    tiles = []
    for body in plan_bodies(regions(), SIDE**2, SEED):
        made = take(make_scene(body.region, body.rng()), 2 * TILE_PX, body.rng(0))
        tiles.append(Image.fromarray(stretched(made.image)))
    return mosaic(tiles, TILE_PX, SIDE)


def stretched(image: np.ndarray) -> np.ndarray:
    """Scale to 8 bits."""
    low, high = float(image.min()), float(image.max())
    return np.uint8(255 * (image - low) / max(high - low, 1e-9))


def coloured(labels: np.ndarray) -> np.ndarray:
    """Show labels in the colours of the classes."""
    colours = np.zeros((4, 3), np.uint8)
    for one in tissue.CLASSES:
        colours[one.value] = tuple(bytes.fromhex(one.color.removeprefix("#")))
    return colours[labels]


def titled(text: str, image: Image.Image) -> Image.Image:
    """Write a title into a corner."""
    image = image.convert("RGB")
    ImageDraw.Draw(image).text((6, 4), text, fill=(255, 200, 60), font_size=16)
    return image


def mosaic(tiles: list[Image.Image], side_px: int, columns: int) -> Image.Image:
    """Put images side by side in squares."""
    rows = -(-len(tiles) // columns)
    whole = Image.new("RGB", (columns * side_px, rows * side_px), (40, 40, 40))
    for number, tile in enumerate(tiles):
        tile.thumbnail((side_px, side_px))
        row, column = divmod(number, columns)
        left = column * side_px + (side_px - tile.width) // 2
        whole.paste(tile, (left, row * side_px + (side_px - tile.height) // 2))
    return whole


if __name__ == "__main__":
    main()
