"""Bars: what each measure is to reach, from the table of the speed goals. Pure data and one judgement."""

from __future__ import annotations

from typing import NamedTuple

from bench.result import Result


class Bar(NamedTuple):
    """A goal beside the first peer, or an absolute one where `absolute` is set. `higher` means that more is better."""

    reach: str
    ratio: float | None = None
    higher: bool = False
    p99_ratio: float | None = None
    absolute: float | None = None


BARS: dict[str, Bar] = {
    "run-cli": Bar("<= 1/4 of dockerd", 1 / 4),
    "create-start": Bar("<= 1/7 of dockerd, p99 <= 1/3", 1 / 7, p99_ratio=1 / 3),
    "cycle": Bar("<= 1/7 of dockerd", 1 / 7),
    "cycle-8": Bar(">= 6x dockerd's rate", 6, higher=True),
    "hundred": Bar("<= 1/8 of dockerd's time", 1 / 8),
    "memory-100": Bar("<= 1/3 of dockerd", 1 / 3),
    "exec": Bar("<= 1/2 of dockerd", 1 / 2),
    "exec-api": Bar("<= 1/2 of dockerd", 1 / 2),
    "restart-100": Bar("<= 1.0 s", absolute=1.0),
    "load-200mb": Bar(">= 1.5x dockerd's rate", 1.5, higher=True),
}
"""In the order in which they are told."""
RUNTIME, PEER = "crun", "dockerd"
"""Bars are for this runtime beside any peer of this name. Others are told beside them without a verdict."""


def reached(result: Result) -> bool | None:
    """Return whether the bar of this measure is reached; None when there is none for this runtime or beside this peer."""
    bar = BARS.get(result.measure)
    if bar is None or result.runtime not in ("", RUNTIME):
        return None
    if bar.absolute is not None:
        return result.value <= bar.absolute
    if bar.ratio is None or result.ratio is None or not result.peer.startswith(PEER):
        return None
    good = result.ratio >= bar.ratio if bar.higher else result.ratio <= bar.ratio
    if bar.p99_ratio is not None and result.p99 is not None and result.peer_p99:
        good = good and result.p99 / result.peer_p99 <= bar.p99_ratio
    return good
