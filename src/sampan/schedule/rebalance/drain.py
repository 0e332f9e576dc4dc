"""drain: all pods off given nodes, in as few moves as were found, or why one stays.

One move a pod is the least there can be. Pods go where the scheduler would put them; where not all find a place so, they are tried again
packed tightly, the largest or the most particular first. For one that finds no place, one other pod makes room: one that is moved anyway goes elsewhere
instead, or one that is not gets a move of its own. It is a heuristic: `tests/property/test_rebalance_drain.py` says how far from the optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import DEFAULT, PACKING
from sampan.schedule.rebalance.board import Board
from sampan.schedule.rebalance.displace import Displace
from sampan.schedule.rebalance.proposal import Limits, Proposal
from sampan.schedule.snapshot import Snapshot

_Order = Callable[[Board, Pod], tuple[float, str]]


def drain(snapshot: Snapshot, names: Iterable[str], limits: Limits) -> Proposal:
    """Propose moves off nodes, none of which is a target. The snapshot is as it was."""
    names = sorted(set(names))
    tries: list[Proposal] = []
    orders: list[_Order] = [_largest, _most_particular]
    for profile, order in ((DEFAULT, _largest), *((PACKING, order) for order in orders)):
        with Board(Scheduler(snapshot, profile), limits) as board:
            tries.append(_drained(board, names, order))
        if not _avoidable(tries[-1], limits):
            break
    return min(tries, key=lambda one: (len(one.left), len(one.moves)))


def _avoidable(found: Proposal, limits: Limits) -> bool:
    """Return whether another try may do better: pods stay that may move, or pods were moved that need not be."""
    return any(key not in limits.fixed for key in found.left) or any(
        not move.why.endswith(" is drained") for move in found.moves
    )


def _largest(board: Board, pod: Pod) -> tuple[float, str]:
    return -board.size(pod), pod.key


def _most_particular(board: Board, pod: Pod) -> tuple[float, str]:
    return float(len(board.targets(pod))), pod.key


def _drained(board: Board, names: Sequence[str], order: _Order) -> Proposal:
    rows = [board.snapshot.rows[name] for name in names]
    board.closed[rows] = True
    pods = sorted((pod for row in rows for pod in board.on(row)), key=lambda pod: order(board, pod))
    left: dict[str, str] = {}
    hard: list[Pod] = []
    for pod in pods:
        if why := board.stays(pod):
            left[pod.key] = why
        elif targets := board.targets(pod):
            board.move(pod.key, targets[0])
        else:
            hard.append(pod)
    displace = Displace(board)
    for pod in hard:
        if why := board.stays(pod):
            left[pod.key] = why
            continue
        targets = board.targets(pod)
        if targets:
            board.move(pod.key, targets[0])
        elif not displace.make(pod):
            left[pod.key] = board.refused(pod)
    return _told(board, {pod.key for pod in pods}, left)


def _told(board: Board, drained: set[str], left: dict[str, str]) -> Proposal:
    source = [board.told(number, "", "").source for number in range(len(board))]
    moves = []
    for number, (key, _) in enumerate(board.steps):
        node = source[number]
        if key in drained:
            rest = len(board.on(board.snapshot.rows[node])) + source[number + 1 :].count(node)
            why, gains = f"{node} is drained", f"{node} has {rest} pods left"
        else:
            comes = next(
                (one for one, to in board.steps[number + 1 :] if board.snapshot.nodes[to].name == node), "others"
            )
            why, gains = f"makes room on {node}", f"{comes} fits on {node}"
        moves.append(board.told(number, why, gains))
    return board.proposal(moves, left, reached=not left)
