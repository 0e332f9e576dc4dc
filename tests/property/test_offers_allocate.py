"""The allocator makes exactly the offers that a slow one makes; its books are what is rebuilt of them; laws of every state."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings

from offers_oracle import Oracle
from offers_worlds import DIMENSIONS, World, placements, worlds
from sampan.schedule.offers import stale
from sampan.schedule.offers.allocate import allocate
from sampan.schedule.offers.state import State


@given(worlds)
@settings(max_examples=1500, deadline=None)
def test_as_the_oracle(world: World):
    state = world.state()
    stale.rescind(state, world.now_s)
    wanted = Oracle(state, world.now_s).run()
    made = allocate(state, world.now_s).offers
    assert [(o.framework, o.role, o.node, *o.parts) for o in made] == wanted


@given(worlds)
@settings(max_examples=200, deadline=None)
def test_books_are_as_rebuilt(world: World):
    state = world.state()
    allocate(state, world.now_s)
    held, bare = defaultdict(lambda: np.zeros(3, int)), defaultdict(lambda: np.zeros(3, int))
    offered = np.zeros((3, len(state.snapshot.nodes)), int)
    out, used = defaultdict(lambda: np.zeros(3, int)), defaultdict(lambda: np.zeros(3, int))
    for offer in state.offers.values():
        number = state.subscription(offer.framework, offer.role).number
        held[number] += np.array(offer.parts.total())
        bare[number] += np.array(offer.parts.bare)
        offered[:, state.snapshot.rows[offer.node]] += np.array(offer.parts.bare)
        for role, amounts in offer.parts.reserved:
            out[offer.node, role] += np.array(amounts)
    for task in state.tasks.values():
        held[task.subscription.number] += np.array(task.parts.total())
        bare[task.subscription.number] += np.array(task.parts.bare)
        for role, amounts in task.parts.reserved:
            used[task.node, role] += np.array(amounts)
    for one in state.known():
        assert one.held == tuple(held[one.number])
        assert one.bare == tuple(bare[one.number])
    assert np.array_equal(np.array(state.offered), offered)
    for node, by_role in state.reservations.by_node.items():
        for role, holding in by_role.items():
            assert holding.out == tuple(out[node, role])
            assert holding.used == tuple(used[node, role])


@given(worlds)
@settings(max_examples=200, deadline=None)
def test_no_resource_is_offered_twice(world: World):
    state = world.state()
    allocate(state, world.now_s)
    for column, out in zip(DIMENSIONS.free(state.snapshot), state.offered, strict=True):
        assert (out[out > 0] <= column[out > 0]).all()
    for by_role in state.reservations.by_node.values():
        assert all(min(holding.free()) >= 0 for holding in by_role.values())
    assert all(min(h.free()) >= 0 for h in state.revocable.values() if any(h.out))


@given(worlds)
@settings(max_examples=200, deadline=None)
def test_guarantees_and_limits_hold(world: World):
    state = world.state()
    stale.rescind(state, world.now_s)
    before = Oracle(state, world.now_s)
    allocate(state, world.now_s)
    after = Oracle(state, world.now_s)
    for place in range(3):
        assert after.spare(place) >= min(0, before.spare(place))
    for role, limits in state.roles.limits.items():
        for place, limit in limits.items():
            assert after.consumed(role, place) <= max(limit, before.consumed(role, place))


@given(worlds)
@settings(max_examples=100, deadline=None)
def test_what_is_free_goes_to_somebody(world: World):
    """Work conservation: after a cycle nobody could be offered anything more."""
    state = world.state()
    allocate(state, world.now_s)
    assert Oracle(state, world.now_s).run() == []
    assert allocate(state, world.now_s).offers == []


@given(worlds)
@settings(max_examples=100, deadline=None)
def test_the_same_again(world: World):
    def run(*, backwards: bool) -> list[tuple]:
        state: State = world.state(backwards=backwards)
        allocate(state, world.now_s)
        return placements(state)

    assert run(backwards=False) == run(backwards=True)
