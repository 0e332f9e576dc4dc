"""State: frameworks, roles, reservations and offers over one snapshot; what the allocator decides from.

Offers are no placements: the snapshot does not know of them, and pods may be placed on what is offered. Then the offer is
rescinded by the next cycle, or its acceptance is refused, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from sampan.base.errors import InvalidArgument, NotFound
from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.node import NO_EXECUTE, NO_SCHEDULE, Node
from sampan.schedule.offers.filters import Filters
from sampan.schedule.offers.framework import Capability, Framework, Subscription
from sampan.schedule.offers.holding import Holding, Reservations
from sampan.schedule.offers.offer import Offer, Parts
from sampan.schedule.offers.role import Roles, check
from sampan.schedule.offers.vector import Dimensions, Vector, minus, plus
from sampan.schedule.place import Scheduler
from sampan.schedule.shape import Amounts


class Rules(msgspec.Struct, frozen=True):
    """What holds for all offers.

    `minimum`: an offer has at least what one of these names; none: anything above nothing is offered. `scarce`: nodes that have any of
    these are offered to frameworks with GPU_RESOURCES only. `region`: that of the cluster itself; nodes of others, by their
    label, are offered to frameworks with REGION_AWARE only. `lasting_s`: when offers that nobody answers are rescinded.
    """

    minimum: tuple[Amounts, ...] = ((("cpu", 10),), (("memory", 32 << 20),))
    scarce: tuple[str, ...] = ()
    region: str = ""
    region_label: str = "topology.kubernetes.io/region"
    lasting_s: float | None = None


class Task(NamedTuple):
    """What runs of an accepted offer."""

    subscription: Subscription
    node: str
    parts: Parts


class State:
    def __init__(self, scheduler: Scheduler, dimensions: Dimensions | None = None, rules: Rules | None = None) -> None:
        self.scheduler = scheduler
        self.snapshot = scheduler.snapshot
        self.dimensions = dimensions or Dimensions()
        self.rules = rules or Rules()
        self.minimum = tuple(self.dimensions.vector(dict(amounts)) for amounts in self.rules.minimum)
        self.roles = Roles(self.dimensions)
        self.frameworks: dict[str, Framework] = {}
        self.subscriptions: list[Subscription | None] = []  # by number
        self.reservations = Reservations(self.snapshot, self.dimensions)
        self.revocable: dict[str, Holding] = {}  # by node
        self.filters = Filters(len(self.dimensions.names))
        self.offers: dict[int, Offer] = {}
        self.tasks: dict[str, Task] = {}  # by the key of the pod
        self.offered: list[Ints] = []  # bare ones, [dimensions] of [nodes]
        self.numbers: dict[str, int] = {}  # of nodes, for filters: a row may change
        self.rows: Rows = np.zeros(0, np.intp)  # the row of each number, -1 where there is none
        self.open: Mask = np.zeros(0, np.bool_)  # which nodes are offered at all, [nodes]
        self._by_key: dict[tuple[str, str], Subscription] = {}
        self._epoch = -1
        self._last = 0

    # --- frameworks

    def subscribe(self, framework: Framework) -> None:
        """Let a framework have offers; one that is known gets its new roles and capabilities and keeps its tasks.

        Raises InvalidArgument for several roles without MULTI_ROLE, and for names that no role can have.
        """
        if len(framework.roles) > 1 and Capability.MULTI_ROLE not in framework.capabilities:
            raise InvalidArgument(f"framework {framework.id} has several roles without MULTI_ROLE")
        for role in framework.roles:
            check(role)
        self.frameworks[framework.id] = framework
        for key, one in list(self._by_key.items()):
            if key[0] == framework.id and key[1] not in framework.roles:
                self._end(one)
        for role in framework.roles:
            found = self._by_key.get((framework.id, role)) or self._new(framework, role)
            found.framework = framework
            found.active = True

    def unsubscribe(self, framework: str) -> None:
        """Take a framework's offers and filters away. Its tasks run on until `finish`."""
        del self.frameworks[framework]
        for key, one in list(self._by_key.items()):
            if key[0] == framework:
                self._end(one)

    def suppress(self, framework: str, roles: Iterable[str] = ()) -> None:
        """Send no more offers in these roles (all of them where none is named) until `revive`."""
        for one in self._of(framework, roles):
            one.suppressed = True

    def revive(self, framework: str, roles: Iterable[str] = ()) -> None:
        """Send offers again in these roles, also those that were declined."""
        for one in self._of(framework, roles):
            one.suppressed = False
            self.filters.clear(one.number)

    def subscription(self, framework: str, role: str) -> Subscription:
        """Return a subscription. Raises NotFound."""
        found = self._by_key.get((framework, role))
        if found is None:
            raise NotFound(f"framework {framework} is not subscribed in role {role}")
        return found

    def known(self) -> list[Subscription]:
        """Return all subscriptions, in order of their numbers."""
        return [one for one in self.subscriptions if one is not None]

    def _of(self, framework: str, roles: Iterable[str]) -> list[Subscription]:
        if framework not in self.frameworks:
            raise NotFound(f"no framework {framework}")
        return [self.subscription(framework, role) for role in list(roles) or self.frameworks[framework].roles]

    def _new(self, framework: Framework, role: str) -> Subscription:
        number = next((place for place, one in enumerate(self.subscriptions) if one is None), len(self.subscriptions))
        found = Subscription(number, framework, role, self.dimensions.zero)
        if number == len(self.subscriptions):
            self.subscriptions.append(found)
        else:
            self.subscriptions[number] = found
        self._by_key[framework.id, role] = found
        return found

    def _end(self, one: Subscription) -> None:
        one.active = one.suppressed = False
        self.filters.clear(one.number)
        for offer in [offer for offer in self.offers.values() if self.subscription(offer.framework, offer.role) is one]:
            self.take_back(offer)
        self.forget_idle(one)

    def forget_idle(self, one: Subscription) -> None:
        """Forget a subscription that is over and has no tasks any more."""
        if not one.active and not one.tasks:
            del self._by_key[one.framework.id, one.role]
            self.subscriptions[one.number] = None

    # --- resources

    def reserve(self, node: str, role: str, amounts: Mapping[str, int]) -> None:
        """Keep resources of a node for a role and those below it, as its operator. Offers that are out give way.

        Raises Conflict where pods have them.
        """
        check(role)
        self.reservations.grow(node, role, self.dimensions.vector(amounts), fixed=True)

    def unreserve(self, node: str, role: str, amounts: Mapping[str, int]) -> None:
        """Give up what is reserved, unused and not in an offer. Raises Conflict where it is less."""
        self.reservations.shrink(node, role, self.dimensions.vector(amounts), fixed=True)

    def set_revocable(self, node: str, amounts: Mapping[str, int]) -> None:
        """Say how much of a node's resources can be lent beyond what is free."""
        holding = self.revocable.setdefault(node, Holding(self.dimensions.zero))
        holding.total = self.dimensions.vector(amounts)

    def number(self, node: str) -> int:
        """Return a node's number, which stays when rows change."""
        found = self.numbers.get(node)
        if found is None:
            found = self.numbers[node] = len(self.numbers)
            self.rows = np.append(self.rows, self.snapshot.rows.get(node, -1))
        return found

    def settle(self) -> None:
        """Take in nodes that came, went or changed."""
        snapshot = self.snapshot
        snapshot.settle()
        if self._epoch == snapshot.epoch:
            return
        self._epoch = snapshot.epoch
        self.rows = np.array([snapshot.rows.get(name, -1) for name in self.numbers], np.intp)
        self.open = np.array([_is_open(node) for node in snapshot.nodes], np.bool_)
        self.offered = [np.zeros(len(snapshot.nodes), np.int64) for _ in self.dimensions.names]
        for offer in self.offers.values():
            self._count(offer, 1)

    # --- offers

    def next_ids(self, count: int) -> range:
        """Return ids that no offer had."""
        first, self._last = self._last + 1, self._last + count
        return range(first, self._last + 1)

    def lend_apart(self, node: str, parts: Parts) -> None:
        """Count what of an offer is reserved or revocable."""
        for role, amounts in parts.reserved:
            holding = self.reservations.by_node[node][role]
            holding.out = plus(holding.out, amounts)
        if parts.revocable:
            self.revocable[node].out = plus(self.revocable[node].out, parts.revocable)

    def take_back(self, offer: Offer) -> None:
        """Forget an offer: it was answered, or is no longer valid."""
        del self.offers[offer.id]
        self._count(offer, -1)
        self.subscription(offer.framework, offer.role).lose(offer.parts.total(), offer.parts.bare)
        for role, amounts in offer.parts.reserved:
            holding = self.reservations.by_node[offer.node][role]
            holding.out = minus(holding.out, amounts)
        if offer.parts.revocable:
            self.revocable[offer.node].out = minus(self.revocable[offer.node].out, offer.parts.revocable)

    def _count(self, offer: Offer, sign: int) -> None:
        row = self.snapshot.rows.get(offer.node)
        if row is not None and self._epoch == self.snapshot.epoch:
            for column, amount in zip(self.offered, offer.parts.bare, strict=True):
                column[row] += sign * amount

    def owned(self) -> Iterable[tuple[str, Vector]]:
        """Return (role, amounts) of all that quotas count: what is reserved, and what frameworks have besides."""
        yield from self.reservations.by_role.items()
        yield from ((one.role, one.bare) for one in self.known())


def _is_open(node: Node) -> bool:
    return not node.unschedulable and not any(taint.effect in (NO_SCHEDULE, NO_EXECUTE) for taint in node.taints)
