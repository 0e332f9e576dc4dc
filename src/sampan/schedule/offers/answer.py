"""What frameworks answer: accept, decline; and how tasks end.

An offer is good for one answer. What it offers is checked against the snapshot again, by the same filters that pods go through:
a launch that no longer fits is refused with the reason, the others of the answer are carried out. What an answer leaves
unused counts as declined. Spec: Mesos scheduler API, ACCEPT, DECLINE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sampan.base.errors import InvalidArgument, SampanError
from sampan.schedule.offers.filters import DEFAULT_S
from sampan.schedule.offers.framework import Subscription
from sampan.schedule.offers.offer import Launch, Offer, Operation, Parts, Refused, Reserve, Reserved, Unreserve
from sampan.schedule.offers.role import lineage
from sampan.schedule.offers.state import State, Task
from sampan.schedule.offers.vector import Vector, minus, plus, within
from sampan.schedule.refusal import refusal
from sampan.schedule.view import Nodes


class Answered(NamedTuple):
    """`placements`: node by pod; `refused`: in the order of the operations."""

    placements: dict[str, str]
    refused: list[Refused]


def accept(
    state: State,
    framework: str,
    offers: Sequence[int],
    operations: Sequence[Operation],
    now_s: float,
    refuse_s: float = DEFAULT_S,
) -> Answered:
    """Carry out operations, in this order, on what these offers (of one node and role) offer together.

    Raises InvalidArgument where they are of several nodes or roles, or named twice; then they are still good. Where one of
    them is not valid any more, everything is refused, and the others are given back unfiltered.
    """
    known = [state.offers[one] for one in offers if one in state.offers and state.offers[one].framework == framework]
    if len({(offer.node, offer.role) for offer in known}) > 1 or len(set(offers)) != len(offers):
        raise InvalidArgument("offers that are accepted together are of one node and role, each named once")
    for offer in known:
        state.take_back(offer)
    if len(known) != len(offers) or not known:
        valid = {offer.id for offer in known}
        missing = next((one for one in offers if one not in valid), None)
        reason = "no offer is named" if missing is None else f"offer {missing} is no longer valid"
        return Answered({}, [Refused(operation, reason, stale=missing is not None) for operation in operations])
    pool = _Pool(state, known)
    answered = Answered({}, [])
    for operation in operations:
        refused = pool.do(operation)
        if refused is not None:
            answered.refused.append(refused)
        elif isinstance(operation, Launch):
            answered.placements[operation.pod.key] = pool.node
    pool.decline(now_s, refuse_s)
    return answered


def decline(state: State, framework: str, offers: Sequence[int], now_s: float, refuse_s: float = DEFAULT_S) -> None:
    """Give offers back; what they had is not offered in this role again for `refuse_s`. Unknown ones are nothing."""
    for one in offers:
        offer = state.offers.get(one)
        if offer is not None and offer.framework == framework:
            state.take_back(offer)
            _refuse(state, offer.framework, offer.role, offer.node, offer.parts, now_s, refuse_s)


def finish(state: State, key: str) -> None:
    """Count a task no longer: it ended, or was evicted. One that is not known is nothing."""
    task = state.tasks.pop(key, None)
    if task is None:
        return
    if key in state.snapshot.pods:
        state.snapshot.remove(key)
    task.subscription.tasks -= 1
    task.subscription.lose(task.parts.total(), task.parts.bare)
    for role, amounts in task.parts.reserved:
        state.reservations.use(task.node, role, minus(state.dimensions.zero, amounts))
    if task.parts.reserved:
        state.reservations.hold(task.node)
    if task.parts.revocable:
        holding = state.revocable[task.node]
        holding.used = minus(holding.used, task.parts.revocable)
    state.forget_idle(task.subscription)


def _refuse(state: State, framework: str, role: str, node: str, parts: Parts, now_s: float, refuse_s: float) -> None:
    what = (*parts.firm(), *(parts.revocable or state.dimensions.zero))
    if any(what):
        number = state.subscription(framework, role).number
        state.filters.add(number, state.number(node), what, now_s, refuse_s)


class _Pool:
    """What is left of the offers that are accepted."""

    def __init__(self, state: State, offers: Sequence[Offer]) -> None:
        self._state = state
        self._subscription: Subscription = state.subscription(offers[0].framework, offers[0].role)
        self.node = offers[0].node
        self._role = offers[0].role
        self._bare: Vector = state.dimensions.zero
        self._revocable: Vector = state.dimensions.zero
        self._reserved: dict[str, Vector] = {}
        for offer in offers:
            self._bare = plus(self._bare, offer.parts.bare)
            if offer.parts.revocable:
                self._revocable = plus(self._revocable, offer.parts.revocable)
            for role, amounts in offer.parts.reserved:
                self._reserved[role] = plus(self._reserved.get(role, state.dimensions.zero), amounts)

    def do(self, operation: Operation) -> Refused | None:
        """Carry one operation out; returns why not where it is refused, and then nothing has changed."""
        try:
            if isinstance(operation, Launch):
                return self._launch(operation)
            if isinstance(operation, Reserve):
                return self._reserve(operation)
            return self._unreserve(operation)
        except KeyError as error:
            return Refused(operation, f"{error.args[0]} is not offered")
        except SampanError as error:
            return Refused(operation, error.message, stale=True)

    def decline(self, now_s: float, refuse_s: float) -> None:
        reserved: Reserved = tuple(sorted((role, left) for role, left in self._reserved.items() if any(left)))
        parts = Parts(self._bare, reserved, self._revocable)
        _refuse(self._state, self._subscription.framework.id, self._role, self.node, parts, now_s, refuse_s)

    def _launch(self, launch: Launch) -> Refused | None:
        state, pod = self._state, launch.pod
        if pod.key in state.snapshot.pods:
            return Refused(launch, f"{pod.key} runs already")
        reserved = tuple((role, state.dimensions.vector(dict(amounts))) for role, amounts in launch.reserved)
        revocable = state.dimensions.vector(dict(launch.revocable)) if launch.revocable else ()
        parts = Parts(state.dimensions.asked(pod.shape), reserved, revocable)
        for _, amounts in reserved:
            parts = parts._replace(bare=minus(parts.bare, amounts))
        lacking = self._lacking(parts)
        if lacking:
            return Refused(launch, f"{pod.key} asks for more {lacking} than is offered")
        for role, amounts in reserved:
            state.reservations.use(self.node, role, amounts)
        if reserved:
            state.reservations.hold(self.node)
        why = self._commit(launch)
        if why:
            for role, amounts in reserved:
                state.reservations.use(self.node, role, minus(state.dimensions.zero, amounts))
            if reserved:
                state.reservations.hold(self.node)
            return Refused(launch, why, stale=True)
        self._take(parts)
        state.tasks[pod.key] = Task(self._subscription, self.node, parts)
        return None

    def _commit(self, launch: Launch) -> str:
        """Put the pod on the snapshot; returns why it does not fit there now."""
        state = self._state
        state.settle()
        row = state.snapshot.rows.get(self.node)
        if row is None:
            return f"node {self.node} is gone"
        standing = state.scheduler.standing(launch.pod.shape)
        standing.refresh()
        if not standing.fits(row):
            here = Nodes(state.snapshot, standing.ask, np.array([row], np.intp))
            reasons = ", ".join(sorted(reason for reason, _ in refusal(here, standing.filters).counts))
            return f"node {self.node} is no longer as it was offered: {reasons}"
        state.snapshot.assume(launch.pod, row, standing.ask)
        return ""

    def _lacking(self, parts: Parts) -> str:
        """Return the first resource of which there is too little left, empty where there is enough."""
        names = self._state.dimensions.names
        zero = self._state.dimensions.zero
        wished = [(self._bare, parts.bare), (self._revocable, parts.revocable or zero)]
        wished += [(self._reserved.get(role, zero), amounts) for role, amounts in parts.reserved]
        for left, amounts in wished:
            for name, has, asked in zip(names, left, amounts, strict=True):
                if asked > has or asked < 0:
                    return name
        return ""

    def _take(self, parts: Parts) -> None:
        state = self._state
        self._bare = minus(self._bare, parts.bare)
        for role, amounts in parts.reserved:
            self._reserved[role] = minus(self._reserved[role], amounts)
        if parts.revocable:
            self._revocable = minus(self._revocable, parts.revocable)
            holding = state.revocable[self.node]
            holding.used = plus(holding.used, parts.revocable)
        self._subscription.tasks += 1
        self._subscription.gain(parts.total(), parts.bare)

    def _reserve(self, reserve: Reserve) -> Refused | None:
        amounts = self._state.dimensions.vector(dict(reserve.amounts))
        if self._role not in lineage(reserve.role):
            return Refused(reserve, f"an offer in role {self._role} cannot be reserved for {reserve.role}")
        if not within(amounts, self._bare):
            return Refused(reserve, "more is to be reserved than is offered")
        self._state.reservations.grow(self.node, reserve.role, amounts, fixed=False)
        self._bare = minus(self._bare, amounts)
        if reserve.role == self._role:
            self._reserved[reserve.role] = plus(self._reserved.get(reserve.role, self._state.dimensions.zero), amounts)
        return None

    def _unreserve(self, unreserve: Unreserve) -> Refused | None:
        amounts = self._state.dimensions.vector(dict(unreserve.amounts))
        if not within(amounts, self._reserved.get(unreserve.role, self._state.dimensions.zero)):
            return Refused(unreserve, "more is to be unreserved than is reserved and offered")
        self._state.reservations.shrink(self.node, unreserve.role, amounts, fixed=False)
        self._reserved[unreserve.role] = minus(self._reserved[unreserve.role], amounts)
        self._bare = plus(self._bare, amounts)
        return None
