"""The forms that most rules have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.plugin import Filter, Normal, Reach
from sampan.schedule.tally import Tally
from sampan.schedule.view import Nodes


class FixedFilter:
    """A mask over all nodes that no placement changes, with one reason."""

    reach = Reach.FIXED
    foresees = True

    def __init__(self, mask: Mask, reason: str) -> None:
        self._mask = mask
        self._reason = reason

    def passes(self, nodes: Nodes) -> Mask | None:
        return nodes.pick(self._mask)

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(self._reason, ~nodes.pick(self._mask))]


class FixedScore:
    """Raw points that no placement changes."""

    reach = Reach.FIXED
    foresees = True

    def __init__(self, raw: Floats, normal: Normal | None) -> None:
        self._raw = raw
        self.normal = normal

    def points(self, nodes: Nodes) -> Floats:
        return nodes.pick(self._raw)

    def counted(self) -> Mask | None:
        return None


class NobodyHere:
    """No pod of some sort may be on the node itself. `own`: how much a pod of the ask counts among them."""

    reach = Reach.NODE
    foresees = True

    def __init__(self, tally: Tally, own: int, reason: str, of: Mask | None = None) -> None:
        self._tally = tally
        self._own = own
        self._reason = reason
        self._of = of  # nodes that are concerned

    def passes(self, nodes: Nodes) -> Mask | None:
        found: Mask = nodes.pick(self._tally.counts) == 0
        if nodes.more is not None and self._own:
            found &= nodes.more == 0
        if self._of is not None:
            found |= ~nodes.pick(self._of)
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(self._reason, np.zeros(len(nodes), np.bool_) if found is None else ~found)]


class AllOf:
    """Filters of which all must pass; its reasons are those of the first that fails."""

    def __init__(self, parts: Sequence[Filter]) -> None:
        self._parts = parts
        self.reach = max(part.reach for part in parts)
        self.foresees = all(part.foresees for part in parts)

    def passes(self, nodes: Nodes) -> Mask | None:
        found: Mask | None = None
        for part in self._parts:
            mask = part.passes(nodes)
            if mask is not None:
                found = mask if found is None else found & mask
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        left = np.ones(len(nodes), np.bool_)
        found: list[tuple[str, Mask]] = []
        for part in self._parts:
            mask = part.passes(nodes)
            if mask is not None:
                found += [(reason, left & fails) for reason, fails in part.reasons(nodes)]
                left &= mask
        return found
