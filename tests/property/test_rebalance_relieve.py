"""Relief by use: nobody is brought too high, it gets better with every move, and it comes to rest."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancing import Board, lawful, snapshot, some, world
from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.schedule.pod import Pod
from sampan.schedule.rebalance.proposal import Limits
from sampan.schedule.rebalance.relieve import Use, relieve
from sampan.schedule.shape import Shape, amounts
from scheduling_clusters import columns

seeds = st.integers(0, 1 << 32)


def measured(seed: int, state: dict[str, str], source: random.Random) -> tuple[dict[str, int], dict[str, int]]:
    """Return what each pod and each node uses, in thousandths of what is asked for."""
    nodes, placed = world(seed)
    pods = {pod.key: dict(pod.shape.requests)["cpu"] * source.choice([0, 1, 1, 2]) for pod, _ in placed}
    names = [node.name for node in nodes]
    return pods, {name: sum(used for key, used in pods.items() if state[key] == name) for name in names}


@given(seeds, st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_laws(seed, most):
    nodes, placed = world(seed)
    fixed, budgets = some(seed, placed)
    source = random.Random(seed)
    pods, used = measured(seed, {pod.key: name for pod, name in placed}, source)
    use = Use(nodes=used, pods=pods, above=source.choice([0.5, 0.8]), to=source.choice([0.3, 0.5]))
    before = snapshot(nodes, placed, budgets)
    as_it_was = columns(before)
    found = relieve(before, use, Limits(moves=most, fixed=fixed))
    assert columns(before) == as_it_was
    board = Board(nodes, placed, fixed)
    has = {node.name: dict(node.allocatable)["cpu"] for node in nodes}
    states = lawful(board, found.moves, budgets)
    assert len(found.moves) <= most

    def excess(state: tuple[str, ...]) -> float:
        totals = dict.fromkeys(has, 0)
        for pod, name in zip(board.pods, state, strict=True):
            totals[name] += pods[pod.key]
        return sum(max(totals[name] / has[name] - use.above, 0.0) for name in has)

    over = [excess(state) for state in states]
    assert over == sorted(over, reverse=True)
    assert found.reached == (over[-1] == 0)
    for move, state in zip(found.moves, states[1:], strict=True):
        here = sum(pods[pod.key] for pod, name in zip(board.pods, state, strict=True) if name == move.target)
        assert here / has[move.target] <= use.to
    if found.reached:  # and so it rests
        after = snapshot(nodes, list(zip(board.pods, states[-1], strict=True)), budgets)
        totals = {
            name: sum(pods[p.key] for p, n in zip(board.pods, states[-1], strict=True) if n == name) for name in has
        }
        again = Use(nodes=totals, pods=pods, above=use.above, to=use.to)
        assert relieve(after, again, Limits(moves=most, fixed=fixed)).moves == ()


def test_a_pod_that_nobody_measured_has_its_part_by_what_it_asks_for():
    nodes = [Node(name=name, allocatable=amounts({"cpu": 10, "pods": 9})) for name in "mn"]
    asks = {"a/0": 3, "a/1": 1, "a/2": 1}
    placed = [(Pod(key, Shape(namespace="a", requests=amounts({"cpu": cpu}))), "m") for key, cpu in asks.items()]
    use = Use(nodes={"m": 9, "n": 0}, pods={"a/2": 1}, above=0.8, to=0.6)  # so a/0 uses 6 and a/1 2
    found = relieve(snapshot(nodes, placed), use, Limits())
    assert [(move.pod, move.target, move.gains) for move in found.moves] == [("a/0", "n", "m from 90% to 30%")]


def test_marks_are_checked():
    with pytest.raises(InvalidArgument, match="at most the second"):
        relieve(snapshot(*world(1)), Use(nodes={}, above=0.5, to=0.6), Limits())
