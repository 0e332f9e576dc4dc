"""The vocabulary of plugins, kube-scheduler's: PreFilter, Filter, PreScore, Score, Reserve, Permit, Bind.

A plugin looks at an ask once (`prefilter`, `prescore`) and returns a rule, which is asked about nodes as often as needed, or
None when the ask does not concern it. Reserve is `Snapshot.assume`, Permit the gangs of place.py; Bind belongs to whoever
called `place`.

Points are 0 to 100, times the plugin's weight. They are added as whole multiples of 2**-20, so that a sum is the same in
whatever order it is made, and two nodes are equal when they differ by less than a millionth of a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol, runtime_checkable

from sampan.base.errors import InvalidArgument
from sampan.schedule.arrays import Floats, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes

GRAIN = float(1 << 20)
"""Grains in a point."""


class PluginFailed(InvalidArgument):
    """A plugin that is not ours gave no answer, or none that can be used; the text says whose, where and why."""


class Reach(IntEnum):
    """What a placement can change of a rule's answers."""

    FIXED = 0  # nothing: only nodes themselves do
    NODE = 1  # that node's
    DOMAIN = 2  # those of the nodes in that node's domain
    CLUSTER = 3  # any


class Filter(Protocol):
    """`foresees`: reckons with `Nodes.more`; asked only of rules with reach NODE."""

    @property
    def reach(self) -> Reach: ...

    @property
    def foresees(self) -> bool: ...

    def passes(self, nodes: Nodes) -> Mask | None:
        """Return on which nodes the ask may run, [nodes]; None: on all. With reach above NODE: asked of all rows, or of one."""

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        """Return why not: each reason with the nodes it holds for, [nodes]; at least one for each node that fails."""


class Score(Protocol):
    """`normal`: how points come of what `points` returned and its extremes over the nodes that passed; None: as they are."""

    @property
    def reach(self) -> Reach: ...

    @property
    def foresees(self) -> bool: ...

    @property
    def normal(self) -> Normal | None: ...

    def points(self, nodes: Nodes) -> Floats:
        """Return 0 to 100 for each node, or what `normal` makes that of, [nodes]."""

    def counted(self) -> Mask | None:
        """Return which nodes the extremes are of, [all nodes]; the others get 0 points. None: all."""


class Normal(IntEnum):
    """How raw points become 0 to 100, of the least and the greatest of the nodes that passed (0 included where it says so)."""

    SHARE = 0  # raw / greatest
    REVERSED = 1  # 1 - raw / greatest
    SPAN = 2  # (raw - least) / (greatest - least), 0 where they are equal
    EVEN = 3  # (greatest + least - raw) / greatest


def normalised(kind: Normal, raw: Floats, least: float, greatest: float) -> Floats:
    """Return 0 to 100 for each raw value. Spec: kube-scheduler's NormalizeScore of the plugin that uses it."""
    if kind is Normal.SPAN:
        return (raw - least) * (100.0 / (greatest - least)) if greatest > least else raw * 0.0
    if kind is Normal.SHARE:
        return raw * (100.0 / greatest) if greatest > 0 else raw * 0.0
    if kind is Normal.REVERSED:
        return 100.0 - raw * (100.0 / greatest) if greatest > 0 else raw * 0.0 + 100.0
    return (greatest + least - raw) * (100.0 / greatest) if greatest > 0 else raw * 0.0 + 100.0


class Plugin(Protocol):
    """`reach`: the widest that any of its rules has."""

    @property
    def name(self) -> str: ...

    @property
    def reach(self) -> Reach: ...


class FilterPlugin(Plugin, Protocol):
    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Filter | None: ...


class ScorePlugin(Plugin, Protocol):
    def prescore(self, ask: Ask, snapshot: Snapshot) -> Score | None: ...


@runtime_checkable
class Narrowing(Protocol):
    """A filter plugin that may know the few nodes that can pass at all (kube-scheduler's PreFilterResult)."""

    def candidates(self, ask: Ask, snapshot: Snapshot) -> Rows | None:
        """Return the rows that may pass, in order; None when they are not few."""
