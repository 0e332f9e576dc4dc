"""Shares: whose turn it is, by hierarchical weighted dominant-resource fairness.

A dominant share is the largest part of any resource that one has, divided by its weight. Of siblings in the tree the one with the
least share is first, the smaller name of equals; so the turn goes from the root down. A role that has frameworks of its own and
roles below it stands among these with its frameworks, as one more child of weight 1.

Spec: Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011); Mesos hierarchical roles.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import add, or_, truediv

from sampan.schedule.offers.framework import Subscription
from sampan.schedule.offers.role import parent, with_ancestors
from sampan.schedule.offers.vector import Vector

Entry = tuple[float, int, "Branch"]
_NONE = float("inf")
"""A share of what the cluster has none of is 0."""


class Branch:
    """A role, a role's frameworks, or (with a subscription) one of them.

    `bits`: the numbers of the subscriptions from here down, one bit each. `entries`: its children in the order of their turn, without
    those that want nothing or of which all are closed.
    """

    __slots__ = ("bits", "children", "divisor", "entries", "held", "order", "parent", "share", "subscription")

    def __init__(self, order: int, divisor: list[float], subscription: Subscription | None = None) -> None:
        self.order = order
        self.divisor = divisor
        self.subscription = subscription
        self.bits = 0 if subscription is None else 1 << subscription.number
        self.held: Vector = (0,) * len(divisor)
        self.share = 0.0
        self.parent: Branch | None = None
        self.children: list[Branch] = []
        self.entries: list[Entry] = []

    def adopt(self, child: Branch) -> None:
        child.parent = self
        self.children.append(child)


class Shares:
    """The tree of one cycle. `total`: what the cluster has, [dimensions]. `open`: who is not closed, as `bits` of branches."""

    def __init__(self, subscriptions: Iterable[Subscription], weights: Mapping[str, float], total: Vector) -> None:
        self.root = Branch(0, [_NONE] * len(total))
        self.leaves: list[tuple[Subscription, Branch]] = []
        self._groups: dict[str, Branch] = {}  # of each role, what has its own frameworks
        known = sorted(subscriptions, key=lambda one: (one.role, one.framework.id))
        names = with_ancestors({one.role for one in known})
        inner = {parent(role) for role in names}
        even = [amount or _NONE for amount in total]
        branches: dict[str, Branch] = {"": self.root}
        for order, role in enumerate(names, 1):
            weight = weights.get(role, 1.0)
            branch = branches[role] = Branch(order, [amount * weight for amount in even])
            branches[parent(role)].adopt(branch)
            self._groups[role] = branch
            if role in inner:
                self._groups[role] = Branch(0, even)
                branch.adopt(self._groups[role])
        for order, one in enumerate(known):
            leaf = Branch(order, even, one)
            leaf.held = one.held
            self.leaves.append((one, leaf))
            self._groups[one.role].adopt(leaf)
        _settle(self.root)
        self.open = self.root.bits

    def give(self, leaf: Branch, amounts: Vector) -> None:
        """Count what somebody is given; all above move to their new places."""
        branch, above = leaf, leaf.parent
        while above is not None:
            held = branch.held = tuple(map(add, branch.held, amounts))
            share = max(map(truediv, held, branch.divisor))
            entries = above.entries
            entry = share, branch.order, branch
            if entries and entries[0][2] is branch:  # as a rule it was its turn
                if len(entries) == 1 or entry < entries[1]:
                    entries[0] = entry
                else:
                    del entries[0]
                    insort(entries, entry)
            elif entries:
                place = bisect_left(entries, (branch.share, branch.order))
                if place < len(entries) and entries[place][2] is branch:
                    del entries[place]
                    insort(entries, entry)
            branch.share = share
            branch, above = above, above.parent

    def close(self, role: str) -> None:
        """Take a role's own frameworks out of the order, and those above that have no others."""
        branch = self._groups[role]
        self.open &= ~branch.bits
        while (above := branch.parent) is not None:
            above.entries = [entry for entry in above.entries if entry[2] is not branch]
            if above.entries:
                return
            branch = above

    def first(self, who: int) -> Branch | None:
        """Return whose turn it is of those whose bits are in `who`, all of them open; None where there is no one."""
        branch = self.root
        while branch.subscription is None:
            for _, _, child in branch.entries:
                if child.bits & who:
                    branch = child
                    break
            else:
                return None
        return branch

    def order(self, who: int) -> Iterator[Branch]:
        """Return those whose bits are in `who` in the order of their turn, closed ones too; it ends when something is given."""
        return _order(self.root, who, complete=not who & ~self.open)

    def bits(self, roles: Iterable[str]) -> int:
        """Return the bits of the frameworks of these roles, those of roles below them left out."""
        return reduce(or_, (self._groups[role].bits for role in roles), 0)


def _order(branch: Branch, who: int, *, complete: bool) -> Iterator[Branch]:
    """`complete`: entries leave nobody out of whom is asked for."""
    entries = branch.entries
    if not complete:
        entries = sorted((child.share, child.order, child) for child in branch.children if child.bits & who)
    for _, _, child in entries:
        if child.bits & who:
            if child.subscription is not None:
                yield child
            else:
                yield from _order(child, who, complete=complete)


def _settle(branch: Branch) -> None:
    for child in branch.children:
        _settle(child)
        branch.held = tuple(map(add, branch.held, child.held))
        branch.bits |= child.bits
    branch.share = max(map(truediv, branch.held, branch.divisor), default=0.0)
    waiting = (child for child in branch.children if child.subscription is None or child.subscription.wants)
    branch.entries = sorted((child.share, child.order, child) for child in waiting)
