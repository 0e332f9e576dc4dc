"""Proposal: moves in the order in which they are legal, and who stays behind, with why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

UNLIMITED = 1 << 30
NO_MORE = "the budget of moves is used up"
NODE_FULL = "as many pods as may leave the node at once are leaving it"
DISRUPTED = "its disruption budget allows no more disruptions now"


class Move(NamedTuple):
    """A pod ends on `source`, and its replacement fits on `target` then. `why`: the aim; `gains`: what is better after it."""

    pod: str
    source: str
    target: str
    why: str
    gains: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """At most `moves`, and at most `off_one_node` of them off any node. Disruption budgets are the snapshot's.

    `fixed`: pods that may not move, with why.
    """

    moves: int = UNLIMITED
    off_one_node: int = UNLIMITED
    fixed: Mapping[str, str] = {}


class Proposal(NamedTuple):
    """`left`: pods that the aim would have moved, with why they stay. `reached`: what was asked for is so after the moves.

    `keep_off`: nodes to which no replacement may go, or it would be in vain.
    """

    moves: tuple[Move, ...]
    left: dict[str, str]
    reached: bool
    keep_off: tuple[str, ...] = ()
