"""Holding: resources of one node that are set apart, with who has them; and the reservations of all nodes.

What is reserved and not used is on the snapshot as a pod that nothing can evict, so that nobody else is placed there. It
counts as one pod of its node.
"""

from __future__ import annotations

from sampan.base.errors import Conflict, InvalidArgument, NotFound
from sampan.schedule.offers.vector import Dimensions, Vector, least, minus, plus, within
from sampan.schedule.pod import Pod
from sampan.schedule.snapshot import Snapshot

_PRIORITY = (1 << 31) - 1
_NAMESPACE = "reservation"


class Holding:
    """`fixed`: what of it only the operator can give back; `used` by tasks, `out` in offers."""

    __slots__ = ("fixed", "out", "total", "used")

    def __init__(self, zero: Vector) -> None:
        self.total = self.fixed = self.used = self.out = zero

    def free(self) -> Vector:
        """Return what can be offered, [dimensions]; below 0 where less is left than is in use."""
        return minus(minus(self.total, self.used), self.out)


class Reservations:
    """`by_node`: of each node, by role."""

    def __init__(self, snapshot: Snapshot, dimensions: Dimensions) -> None:
        self._snapshot = snapshot
        self._dimensions = dimensions
        self.by_node: dict[str, dict[str, Holding]] = {}
        self.by_role: dict[str, Vector] = {}

    def grow(self, node: str, role: str, amounts: Vector, *, fixed: bool) -> None:
        """Set more apart. Raises Conflict where the node has less left, InvalidArgument for role `*`."""
        if role == "*":
            raise InvalidArgument("resources cannot be reserved for role *")
        self._snapshot.settle()
        row = self._snapshot.rows.get(node)
        if row is None:
            raise NotFound(f"no node {node}")
        left = tuple(int(column[row]) for column in self._dimensions.free(self._snapshot))
        if not within(amounts, left):
            raise Conflict(f"node {node} has less left than is to be reserved")
        holding = self.by_node.setdefault(node, {}).setdefault(role, Holding(self._dimensions.zero))
        holding.total = plus(holding.total, amounts)
        if fixed:
            holding.fixed = plus(holding.fixed, amounts)
        self.by_role[role] = plus(self.by_role.get(role, self._dimensions.zero), amounts)
        self.hold(node)

    def shrink(self, node: str, role: str, amounts: Vector, *, fixed: bool) -> None:
        """Give back what nobody uses. Raises Conflict where there is less of it."""
        holding = self.by_node.get(node, {}).get(role)
        if holding is None or not within(amounts, minus(holding.total, plus(holding.used, holding.out))):
            raise Conflict(f"node {node} has less that is reserved for {role} and not in use")
        static = least(holding.fixed, amounts) if fixed else self._dimensions.zero
        if not within(minus(amounts, static), minus(holding.total, holding.fixed)):
            raise Conflict(f"what is reserved for {role} on node {node} is reserved by the operator")
        holding.total = minus(holding.total, amounts)
        holding.fixed = minus(holding.fixed, static)
        self.by_role[role] = minus(self.by_role[role], amounts)
        if not any(holding.total):
            del self.by_node[node][role]
        self.hold(node)

    def use(self, node: str, role: str, amounts: Vector) -> None:
        """Count what a task uses of it; with negative amounts, what it uses no more."""
        holding = self.by_node[node][role]
        holding.used = plus(holding.used, amounts)

    def hold(self, node: str) -> None:
        """Put what is reserved and unused on the snapshot."""
        key = f"{_NAMESPACE}/{node}"
        if key in self._snapshot.pods:
            self._snapshot.remove(key)
        idle = self._dimensions.zero
        for holding in self.by_node.get(node, {}).values():
            idle = plus(idle, minus(holding.total, holding.used))
        if any(idle):
            shape = self._dimensions.shape(idle, _NAMESPACE)
            self._snapshot.add(Pod(key, shape, _PRIORITY, may_preempt=False), node)
