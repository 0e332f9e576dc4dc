"""QueueTree: queues below queues (`a/b` is in `a`), each with weight, guarantee and limit, and what it uses.

A guarantee (elastic quota's min) is what a queue may always have; what nobody uses of it others borrow. A limit (max) is never passed. Work is
in the leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.schedule.offers.role import parent
from sampan.schedule.offers.vector import Dimensions, Vector, minus, plus, within
from sampan.schedule.shape import Amounts


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`limit`: resources that are not named have none. `longest_s`: how long a job may run that does not say."""

    name: str
    weight: float = 1.0
    guarantee: Amounts = ()
    limit: Amounts = ()
    longest_s: float | None = None


class Node:
    """A queue. `path`: itself and those above it, the topmost first."""

    __slots__ = ("children", "guarantee", "limit", "path", "spec", "used")

    def __init__(self, spec: QueueSpec, guarantee: Vector, limit: Vector) -> None:
        self.spec = spec
        self.guarantee = guarantee
        self.limit = limit
        self.used: Vector = (0,) * len(guarantee)
        self.children: list[Node] = []
        self.path: tuple[Node, ...] = ()


_UNLIMITED = 1 << 62


class QueueTree:
    """`capacity`: what all queues share, [dimensions]."""

    def __init__(self, specs: Iterable[QueueSpec], capacity: Vector, dimensions: Dimensions) -> None:
        self.capacity = capacity
        self.dimensions = dimensions
        self.used = dimensions.zero
        self.nodes: dict[str, Node] = {}
        self.tops: list[Node] = []
        for spec in sorted(specs, key=lambda one: one.name.split("/")):
            self._add(spec)
        self._check(self.tops, capacity, "the cluster")
        for node in self.nodes.values():
            if node.children:
                self._check(node.children, node.guarantee, f"queue {node.spec.name}")

    def _add(self, spec: QueueSpec) -> None:
        names = self.dimensions.names
        most = dict(spec.limit)
        limit = tuple(most.get(name, _UNLIMITED) for name in names)
        node = Node(spec, self.dimensions.vector(dict(spec.guarantee)), limit)
        if not spec.weight > 0 or spec.name in self.nodes or not within(node.guarantee, limit):
            raise InvalidArgument(f"queue {spec.name}: weight above 0, guarantee within limit, one of a name")
        above = parent(spec.name)
        if above and above not in self.nodes:
            raise InvalidArgument(f"queue {spec.name}: there is no queue {above}")
        if above:
            self.nodes[above].children.append(node)
            node.path = (*self.nodes[above].path, node)
        else:
            self.tops.append(node)
            node.path = (node,)
        self.nodes[spec.name] = node

    def _check(self, nodes: list[Node], most: Vector, whose: str) -> None:
        total = self.dimensions.zero
        for node in nodes:
            total = plus(total, node.guarantee)
        if not within(total, most):
            raise InvalidArgument(f"{whose} has less than its queues are guaranteed")

    @property
    def guarantees(self) -> bool:
        """Whether any queue is guaranteed anything."""
        return any(any(node.guarantee) for node in self.nodes.values())

    def leaf(self, name: str) -> Node:
        """Return a queue that takes work. Raises InvalidArgument for any other."""
        node = self.nodes.get(name)
        if node is None or node.children:
            raise InvalidArgument(f"{name} is not a queue that takes work")
        return node

    def take(self, leaf: Node, amounts: Vector) -> None:
        self.used = plus(self.used, amounts)
        for node in leaf.path:
            node.used = plus(node.used, amounts)

    def give(self, leaf: Node, amounts: Vector) -> None:
        self.used = minus(self.used, amounts)
        for node in leaf.path:
            node.used = minus(node.used, amounts)

    def room(self, amounts: Vector) -> bool:
        """Return whether the cluster has room for this."""
        return within(plus(self.used, amounts), self.capacity)

    def over_limit(self, leaf: Node, amounts: Vector) -> Node | None:
        """Return the queue whose limit is in the way."""
        return next((node for node in leaf.path if not within(plus(node.used, amounts), node.limit)), None)

    def share(self, node: Node, amounts: Vector) -> float:
        """Return the dominant share that amounts are of the cluster, divided by the queue's weight."""
        parts = [max(amount, 0) / most for amount, most in zip(amounts, self.capacity, strict=True) if most]
        return max(parts, default=0.0) / node.spec.weight

    def borrowed(self, node: Node) -> float:
        """Return the share of what a queue has beyond its guarantee."""
        return self.share(node, minus(node.used, node.guarantee))


def entitled(node: Node, amounts: Vector) -> bool:
    """Return whether a queue stays within its guarantee with this much more."""
    return all(
        asked == 0 or has + asked <= promised
        for has, asked, promised in zip(node.used, amounts, node.guarantee, strict=True)
    )


def can_return(node: Node, amounts: Vector) -> bool:
    """Return whether a queue keeps what it is guaranteed without this much."""
    return all(
        gone == 0 or has - gone >= promised
        for has, gone, promised in zip(node.used, amounts, node.guarantee, strict=True)
    )


def parting(one: Node, other: Node) -> tuple[Node, Node] | None:
    """Return the queues in which the paths of two leaves part; None: it is one leaf."""
    pairs = zip(one.path, other.path, strict=False)
    return next(((mine, theirs) for mine, theirs in pairs if mine is not theirs), None)
