"""Offer: what one framework may use of one node, in one role, and what it may do with it.

Three sorts of resources never mix: `bare` ones, which belong to no one; `reserved` ones, each with the role it is reserved for
(the offer's own or one above it); and `revocable` ones, which may be taken back. Spec: Mesos Offer, Offer.Operation.
"""

from __future__ import annotations

from typing import NamedTuple

from sampan.schedule.offers.vector import Vector, minus, plus
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Amounts

Reserved = tuple[tuple[str, Vector], ...]
"""(role, amounts), in order of the roles."""


class Parts(NamedTuple):
    """Resources of one node by sort."""

    bare: Vector
    reserved: Reserved = ()
    revocable: Vector = ()

    def firm(self) -> Vector:
        """Return what cannot be taken back, of any sort."""
        found = self.bare
        for _, amounts in self.reserved:
            found = plus(found, amounts)
        return found

    def apart(self) -> Vector:
        """Return what belongs to somebody or may be taken back."""
        return minus(self.total(), self.bare)

    def total(self) -> Vector:
        return plus(self.firm(), self.revocable) if self.revocable else self.firm()


class Offer(NamedTuple):
    id: int
    framework: str
    role: str
    node: str
    parts: Parts
    made_s: float


class Cycle(NamedTuple):
    """What one cycle decided: offers to send, and offers that are no longer valid, each with why."""

    offers: list[Offer]
    rescinded: list[tuple[Offer, str]]


class Launch(NamedTuple):
    """Run a pod. What it asks for comes out of `reserved` (by role) where that is named, else out of what is bare.

    `revocable` comes on top: the pod's own requests are firm.
    """

    pod: Pod
    reserved: tuple[tuple[str, Amounts], ...] = ()
    revocable: Amounts = ()


class Reserve(NamedTuple):
    """Keep offered, bare resources for a role: the offer's own or one below it."""

    role: str
    amounts: Amounts


class Unreserve(NamedTuple):
    """Give up what was reserved dynamically and is offered."""

    role: str
    amounts: Amounts


Operation = Launch | Reserve | Unreserve


class Refused(NamedTuple):
    """An operation that was not carried out. `stale`: because the node is no longer as it was when it was offered."""

    operation: Operation
    reason: str
    stale: bool = False
