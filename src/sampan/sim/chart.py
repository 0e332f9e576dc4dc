"""Chart: lines over an axis, as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 300, 60, 16, 40, 44
_ROW = 18
"""Of names above a chart: it grows by that for each more."""
_COLOURS = ("#0b6e99", "#c2571a", "#3f7d20", "#8a3ffc", "#9f1853", "#6f6f6f", "#b8860b", "#2f4b7c")
_DASHES = ("", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 3"')
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


class Axis(NamedTuple):
    """`unit`: how much of the values is 1 on the axis."""

    name: str
    unit: float = 1.0


def time_axis(name: str, longest_s: float) -> Axis:
    """Return an axis for seconds, in the largest unit of which there are two at least."""
    unit, word = next((each for each in _UNITS if longest_s >= 2 * each[0]), _UNITS[-1])
    return Axis(f"{name}, {word}", unit)


def chart(title: str, lines: Mapping[str, Points], x: Axis, y: Axis, most: float | None = None) -> str:
    """Return a chart with a line for each name, the later above the earlier.

    Both axes begin at 0; `most`: the end of the y axis, where it is fixed. What y measures stands behind the title.
    """
    scaled = {name: [(at / x.unit, value / y.unit) for at, value in points] for name, points in lines.items()}
    wide = max((at for points in scaled.values() for at, _ in points), default=0.0) or 1.0
    high = most or max((value for points in scaled.values() for _, value in points), default=0.0) or 1.0
    high = max(high, ticks(high)[-1])

    names, rows = _legend(list(scaled))
    top, height = _TOP + _ROW * (rows - 1), _HEIGHT + _ROW * (rows - 1)

    def place(at: float, value: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / wide
        return across, top + (height - top - _BOTTOM) * (1 - min(value, high) / high)

    parts = [*_grid(place, wide, high)]
    for number, (name, points) in enumerate(scaled.items()):
        thick = min(1.6 + 0.9 * (len(scaled) - 1 - number), 4.0)  # so that one is seen below another that is the same
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in (place(*point) for point in points))
        parts.append(
            f'<polyline points="{path}" fill="none" {_stroke(number)} stroke-width="{thick:.1f}">'
            f"<title>{escape(name)}</title></polyline>"
        )
    of = f", {y.name}" if y.name else ""
    parts += names
    parts.append(f'<text x="{_WIDTH / 2}" y="{height - 8}" text-anchor="middle">{escape(x.name)}</text>')
    parts.append(f'<text x="8" y="14"><tspan font-weight="bold">{escape(title)}</tspan>{escape(of)}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" font-size="13" role="img" aria-label="{escape(title + of)}">'
        f"{''.join(parts)}</svg>"
    )


def _stroke(number: int) -> str:
    return f'stroke="{_COLOURS[number % len(_COLOURS)]}"{_DASHES[number // len(_COLOURS) % len(_DASHES)]}'


def _grid(place: Callable[[float, float], tuple[float, float]], wide: float, high: float) -> list[str]:
    parts = []
    for value in ticks(high):
        left, up = place(0.0, value)
        parts.append(f'<line x1="{left:.1f}" x2="{_WIDTH - _RIGHT}" y1="{up:.1f}" y2="{up:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{up + 4:.1f}" text-anchor="end">{value:,.10g}</text>')
    for at in ticks(wide):
        if at <= wide * 1.0001:
            across, up = place(at, 0.0)
            parts.append(f'<text x="{across:.1f}" y="{up + 18:.1f}" text-anchor="middle">{at:,.10g}</text>')
    return parts


def _legend(names: Sequence[str]) -> tuple[list[str], int]:
    """Return what tells the lines apart, and in how many rows it stands."""
    parts, across, row = [], float(_LEFT), 0
    for number, name in enumerate(names):
        needed = 40 + 7.5 * len(name)
        if across > _LEFT and across + needed > _WIDTH:
            across, row = float(_LEFT), row + 1
        down = 28 + _ROW * row
        parts.append(
            f'<line x1="{across:.0f}" x2="{across + 18:.0f}" y1="{down}" y2="{down}" {_stroke(number)} stroke-width="3"/>'
            f'<text x="{across + 23:.0f}" y="{down + 4}">{escape(name)}</text>'
        )
        across += needed
    return parts, row + 1


def ticks(most: float) -> list[float]:
    """Return round numbers from 0 on, four to nine of them, the last not below `most`."""
    step = 10 ** math.floor(math.log10(most / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if most / (step * factor) <= 8)
    return [number * step for number in range(math.ceil(most / step - 1e-9) + 1)]
