"""Table: results as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.bars import BARS, PEER, reached
from bench.result import Result


def results(lines: Iterable[Result]) -> str:
    """Return the lines of one or more measures as a table."""
    head = ["measure", "runtime", "unit", "sampan", "p99", "peer", "value", "p99", "ratio", "runs"]
    return _grid(head, [_row(line) for line in lines])


def compare(lines: Iterable[Result]) -> str:
    """Return the lines that stand beside dockerd or alone, judged, in the order of the bars."""
    order = list(BARS)
    beside = (line for line in lines if line.measure in BARS and (not line.peer or line.peer.startswith(PEER)))
    judged = sorted(beside, key=lambda line: order.index(line.measure))
    head = ["measure", "runtime", "unit", "sampan", "p99", "peer", "value", "p99", "ratio", "runs", "reach", "reached"]
    return _grid(head, [[*_row(line), BARS[line.measure].reach, _verdict(line)] for line in judged])


def _verdict(line: Result) -> str:
    verdict = {True: "yes", False: "NO", None: "-"}[reached(line)]
    return verdict + (" (quick)" if line.quick else "")


def _row(line: Result) -> list[str]:
    return [
        line.measure,
        line.runtime or "-",
        line.unit,
        _number(line.value),
        _number(line.p99),
        line.peer or "-",
        _number(line.peer_value),
        _number(line.peer_p99),
        _ratio(line.ratio),
        str(line.runs),
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    """Return "1/12.3" for a part and "8.1x" for a multiple: the way in which the goals are written."""
    if not value:
        return "-"
    return f"1/{1 / value:.1f}" if value < 1 else f"{value:.2f}x"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
