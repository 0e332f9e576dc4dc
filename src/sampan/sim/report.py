"""Report: one HTML page without anything from outside: a chart of lines and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from sampan.sim.arrivals import Floats

_WIDTH, _HEIGHT, _EDGE = 760, 380, 44
_COLOURS = ("#0b6e99", "#c2571a", "#3f7d20", "#8a3ffc", "#9f1853", "#6f6f6f")
_STYLE = "body{font:15px/1.5 sans-serif;max-width:820px;margin:2em auto}td,th{padding:.2em .8em;text-align:right}td:first-child,th:first-child{text-align:left}"


def page(title: str, rows: Sequence[Sequence[str]], curves: Mapping[str, Floats], axes: tuple[str, str]) -> str:
    """Return a page with a table, the first row its head, and a line for each curve: its value at each whole x from 0 on.

    Values are percentages; nan leaves a gap that the line crosses. `axes` names x and y.
    """
    head, *body = rows
    table = _row(head, "th") + "".join(_row(row, "td") for row in body)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{_chart(curves, axes)}<table>{table}</table></html>\n"
    )


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _chart(curves: Mapping[str, Floats], axes: tuple[str, str]) -> str:
    most = max((len(curve) - 1 for curve in curves.values()), default=1) or 1
    wide, high = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE
    parts = []
    for percent in range(0, 101, 20):
        y = _EDGE + high * (1 - percent / 100)
        parts.append(f'<line x1="{_EDGE}" x2="{_EDGE + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>')
    parts += [
        f'<text x="{_EDGE + wide * x / most:.1f}" y="{_HEIGHT - _EDGE + 18}" text-anchor="middle">{x}</text>'
        for x in range(0, most + 1, 20)
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(
            f"{_EDGE + wide * x / most:.1f},{_EDGE + high * (1 - y / 100):.1f}"
            for x, y in enumerate(curve.tolist())
            if y == y  # noqa: PLR0124  not nan
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{_EDGE + 12}" y="{_EDGE + 16 + 18 * number}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(axes[0])}</text>')
    parts.append(f'<text x="{_EDGE}" y="{_EDGE - 14}">{escape(axes[1])}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="13" role="img">{"".join(parts)}</svg>'
