"""Line charts as SVG: small, sharp at any size, and part of a page without any other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT = 380, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 44
_MOST_POINTS = 400
_TICKS = 5


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a chart; where y is NaN it has a gap."""

    x: ArrayLike
    y: ArrayLike
    name: str
    color: str
    dashed: bool = False


def line_chart(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] = (0.0, 1.0),
    x_ticks: Mapping[float, str] | None = None,
) -> str:
    """Draw lines with axes and a legend.

    Parameters
    ----------
    lines : sequence of Line
    x_label, y_label : str
    x_range, y_range : tuple of float
        Ends of the axes.
    x_ticks : mapping from float to str, optional
        What is written at which places, instead of round numbers.

    Returns
    -------
    str
        An SVG element.
    """
    across = _Axis(x_range, _LEFT, _WIDTH - _RIGHT)
    up = _Axis(y_range, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(y_label)} against {escape(x_label)}">'
    ]
    for value, text in (x_ticks or {value: f"{value:g}" for value in across.ticks()}).items():
        at = across(value)
        parts.append(f'<path class="grid" d="M{at:.1f} {up.start}V{up.end}"/>')
        parts.append(f'<text x="{at:.1f}" y="{up.start + 16}" class="x">{escape(text)}</text>')
    for value in up.ticks():
        at = up(value)
        parts.append(f'<path class="grid" d="M{across.start} {at:.1f}H{across.end}"/>')
        parts.append(f'<text x="{across.start - 6}" y="{at + 4:.1f}" class="y">{value:g}</text>')
    middle = (across.start + across.end) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" class="x">{escape(x_label)}</text>')
    middle = (up.start + up.end) / 2
    parts.append(
        f'<text transform="translate(14 {middle}) rotate(-90)" class="x">{escape(y_label)}</text>'
    )
    for line in lines:
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        path = _path(line, across, up)
        parts.append(f'<path class="line" stroke="{line.color}"{dash} d="{path}"/>')
    parts.append("</svg>")
    legend = "".join(
        f'<span><i style="background:{line.color}"></i>{escape(line.name)}</span>'
        for line in lines
        if line.name
    )
    return f"<figure>{''.join(parts)}<figcaption>{legend}</figcaption></figure>"


@dataclass(frozen=True)
class _Axis:
    """From values to places."""

    values: tuple[float, float]
    start: float
    end: float

    def __call__(self, value: float) -> float:
        low, high = self.values
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        low, high = self.values
        raw = (high - low) / _TICKS
        power = 10.0 ** np.floor(np.log10(raw))
        step = min((one * power for one in (1, 2, 5, 10)), key=lambda one: abs(one - raw))
        first = np.ceil(low / step - 1e-9)
        return [round(float(n * step), 10) + 0.0 for n in np.arange(first, high / step + 1e-9)]


def thinned(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take a few hundred points of a line, evenly along it, so that steep parts keep their shape.

    Parameters
    ----------
    x, y : array-like, shape (N,)
        From 0 to 1.
    """
    across, up = np.asarray(x, float), np.asarray(y, float)
    if len(across) <= _MOST_POINTS:
        return across, up
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up)))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _MOST_POINTS)))
    return across[kept], up[kept]


def _path(line: Line, across: _Axis, up: _Axis) -> str:
    x, y = thinned(line.x, line.y)
    commands, pen = [], "M"
    for one, other in zip(x, y, strict=True):
        if not np.isfinite(other):
            pen = "M"
            continue
        commands.append(f"{pen}{across(one):.1f} {up(other):.1f}")
        pen = "L"
    return "".join(commands)
