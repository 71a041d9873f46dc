"""Draw XNet, U-Net and SegNet for `method/xnet.md`: images/architectures.svg.

Usage: python docs/architecture_figure.py
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

FIGURE = Path(__file__).parent / "images" / "architectures.svg"

STEP, LEVEL, TOP, LEFT = 52, 44, 46, 120
BOX = 20
HEIGHTS = (40, 30, 22, 16)
COLOURS = ("#009E73", "#56B4E9", "#E69F00", "#CC79A7")

# Levels of the blocks in a row, and which earlier block a later one also sees.
NETWORKS: dict[str, tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = {
    "XNet": (
        (0, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 0),
        ((2, 5), (1, 6), (8, 11), (7, 12), (0, 13)),
    ),
    "U-Net": ((0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1, 0, 0), ((5, 8), (3, 10), (1, 12))),
    "SegNet": ((0, 1, 2, 3, 3, 2, 1, 0), ()),
}


def main() -> None:
    """Write the figure."""
    rows = [list(network(name, *what)) for name, what in NETWORKS.items()]
    height = TOP + len(HEIGHTS) * LEVEL
    width = LEFT + 14 * STEP + 30
    parts = [
        f'<g transform="translate(0 {number * height})">{"".join(row)}</g>'
        for number, row in enumerate(rows)
    ]
    FIGURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {len(rows) * height + 34}" '
        'font-family="sans-serif" font-size="13" role="img" '
        'aria-label="XNet goes down and up twice, U-Net and SegNet once">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}'
        f"{legend(len(rows) * height + 14)}</svg>\n",
        "utf-8",
    )


def network(
    name: str, levels: tuple[int, ...], skips: tuple[tuple[int, int], ...]
) -> Iterator[str]:
    """Yield the shapes of one network."""
    yield f'<text x="12" y="{TOP + 6}" font-size="17" font-weight="bold">{name}</text>'
    places = [(LEFT + number * STEP, TOP + level * LEVEL) for number, level in enumerate(levels)]
    for start, end in skips:
        (x0, y), (x1, _) = places[start], places[end]
        rise = 27 if levels[start] == 0 else 20
        yield (
            f'<path d="M{x0} {y - 12} C{x0 + 14} {y - rise - 8}, {x1 - 14} {y - rise - 8}, '
            f'{x1} {y - 12}" fill="none" stroke="#999999" stroke-dasharray="4 3"/>'
        )
    for (x0, y0), (x1, y1) in itertools.pairwise(places):
        yield f'<path d="M{x0} {y0} L{x1} {y1}" stroke="#333333" stroke-width="1.5"/>'
    for (x, y), level in zip(places, levels, strict=True):
        height = HEIGHTS[level]
        yield (
            f'<rect x="{x - BOX / 2}" y="{y - height / 2}" width="{BOX}" height="{height}" rx="3" '
            f'fill="{COLOURS[level]}" stroke="#333333"/>'
        )


def legend(y: int) -> str:
    """Say what the colours are."""
    parts = []
    for level, colour in enumerate(COLOURS):
        x = LEFT + level * 150
        size = "full size" if level == 0 else f"1/{2**level} of the size"
        parts.append(
            f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{colour}" '
            f'stroke="#333333"/><text x="{x + 18}" y="{y}">{size}</text>'
        )
    return "".join(parts)


if __name__ == "__main__":
    main()
