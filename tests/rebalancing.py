"""For tests of the rebalancer: an oracle that makes moves by the book, tries all sequences of moves, and small worlds."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.rebalance.proposal import Move
from sampan.schedule.shape import PodTerm, Shape, amounts
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import HOST
from scheduling_oracle import Cluster

State = tuple[str, ...]
"""The node of each pod, in order of the pods."""


class Board:
    """Pods on nodes; `fixed` ones never move."""

    def __init__(self, nodes: Sequence[Node], placed: Sequence[tuple[Pod, str]], fixed: Collection[str] = ()) -> None:
        self.cluster = Cluster(nodes, {})
        self.pods = [pod for pod, _ in placed]
        self.start: State = tuple(name for _, name in placed)
        self.fixed = fixed
        self._fits: dict[tuple[State, int, str], bool] = {}

    def fits(self, state: State, place: int, target: str) -> bool:
        """Return whether a pod fits on a node once it is gone where it is."""
        key = (*state[:place], "", *state[place + 1 :]), place, target
        if key not in self._fits:
            others = [number for number in range(len(state)) if number != place]
            self.cluster.placed = [(self.pods[number], state[number]) for number in others]
            node = next(node for node in self.cluster.nodes if node.name == target)
            self._fits[key] = self.cluster.fits(self.pods[place].shape, node)
        return self._fits[key]

    def steps(self, state: State, closed: Collection[str]) -> Iterator[State]:
        """Yield what one legal move makes of a state; a pod moves once at most."""
        for place, pod in enumerate(self.pods):
            if state[place] != self.start[place] or pod.key in self.fixed:
                continue
            for node in self.cluster.nodes:
                if node.name not in closed and node.name != state[place] and self.fits(state, place, node.name):
                    yield (*state[:place], node.name, *state[place + 1 :])

    def best(self, worth: Callable[[State], int], moves: int, closed: Collection[str] = ()) -> tuple[int, int]:
        """Return the greatest worth that can be had with so many moves, and the least number of moves for it."""
        seen = {self.start}
        found = worth(self.start), 0
        edge = [self.start]
        for count in range(1, moves + 1):
            edge = list({new for state in edge for new in self.steps(state, closed) if new not in seen})
            seen.update(edge)
            found = max([found, *((worth(state), -count) for state in edge)])
        return found[0], -found[1]


def lawful(board: Board, moves: Sequence[Move], budgets: Sequence[Budget], closed: Collection[str] = ()) -> list[State]:
    """Check that each move is legal at its moment; returns the state before the first and after each."""
    states, allowed = [board.start], [budget.allowed for budget in budgets]
    for move in moves:
        place = next(number for number, pod in enumerate(board.pods) if pod.key == move.pod)
        assert states[-1][place] == move.source == board.start[place]
        assert move.target not in closed
        assert move.pod not in board.fixed
        assert board.fits(states[-1], place, move.target)
        for number, budget in enumerate(budgets):
            if covers(budget, board.pods[place]):
                allowed[number] -= 1
                assert allowed[number] >= 0
        states.append((*states[-1][:place], move.target, *states[-1][place + 1 :]))
    return states


def world(seed: int, nodes: int = 4, pods: int = 7) -> tuple[list[Node], list[tuple[Pod, str]]]:
    """Return machines and pods on them, as full as tests of making room need them."""
    source = random.Random(seed)
    machines = [
        Node(
            name=f"n{number}",
            allocatable=amounts({"cpu": source.choice([4, 6, 8]), "pods": 9}),
            labels=((HOST, f"n{number}"), ("zone", source.choice("pq"))),
            unschedulable=source.random() < 0.05,
        )
        for number in range(source.randint(2, nodes))
    ]
    apart = PodTerm(topology=HOST, selector=(Requirement("app", "In", ("x",)),), namespaces=("a",))
    cluster, placed = Cluster(machines, {}), []
    for number in range(source.randint(1, pods)):
        alone = source.random() < 0.25
        shape = Shape(
            namespace="a",
            labels=(("app", "x"),) if alone else (),
            requests=amounts({"cpu": source.choice([1, 1, 2, 2, 3, 4, 5])}),
            anti_affinity=(apart,) if alone else (),
            node_selector=(("zone", source.choice("pq")),) if source.random() < 0.15 else (),
        )
        cluster.placed = placed
        open_ = [node for node in machines if not node.unschedulable and cluster.fits(shape, node)]
        if open_:
            placed.append((Pod(f"a/{number}", shape), source.choice(open_).name))
    return machines, placed


def snapshot(nodes: Sequence[Node], placed: Sequence[tuple[Pod, str]], budgets: Sequence[Budget] = ()) -> Snapshot:
    found = Snapshot(nodes)
    found.settle()
    for pod, name in placed:
        found.add(pod, name)
    found.budgets = tuple(budgets)
    return found


def some(seed: int, placed: Sequence[tuple[Pod, str]]) -> tuple[dict[str, str], list[Budget]]:
    """Return pods that may not move, and budgets."""
    source = random.Random(seed + 1)
    fixed = {pod.key: "it is fixed" for pod, _ in placed if source.random() < 0.1}
    budgets = [Budget("a", (Requirement("app", "In", ("x",)),), source.randint(0, 2))] if source.random() < 0.3 else []
    return fixed, budgets
