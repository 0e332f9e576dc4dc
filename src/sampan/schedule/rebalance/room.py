"""make_room: room for a pod that waits, by the fewest moves off one node.

Those that make room go straight to another node: nobody makes room for them in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, combinations

import numpy as np

from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import PACKING
from sampan.schedule.rebalance.board import Board, Step
from sampan.schedule.rebalance.defragment import empty
from sampan.schedule.rebalance.proposal import Limits, Proposal
from sampan.schedule.snapshot import Snapshot

_MOST_WAYS = 400
"""Sets of so many pods that are looked at on a node."""
_MOST_TRIALS = 4000
"""Sets that are tried out in all, so that a full cluster is answered in seconds."""
_MOST_ROWS = 64
"""Rows that are tried pod by pod where no set was found."""


def make_room(snapshot: Snapshot, pod: Pod, limits: Limits) -> Proposal:
    """Propose the fewest moves found after which a pod fits somewhere. The snapshot is as it was."""
    with Board(Scheduler(snapshot, PACKING), limits) as board:
        standing = board.scheduler.standing(pod.shape)
        if standing.best() >= 0:
            return Proposal((), {}, reached=True)
        rows = np.flatnonzero(standing.possible()).tolist()
        movable = {row: [one for one in _by_size(board, row) if not board.stays(one)] for row in rows}
        row = _searched(board, pod, movable)
        if row is None:
            row = _one_by_one(board, pod, movable)
        if row is None:
            why = "no moves were found, within the limits, that make room for it"
            return Proposal((), {pod.key: why}, reached=False)
        why, gains = f"makes room for {pod.key}", f"{pod.key} fits on {snapshot.nodes[row].name} after all of these"
        board.closed[row] = True
        moves = [board.told(number, why, gains) for number in range(len(board))]
        return board.proposal(moves, {}, reached=True)


def _by_size(board: Board, row: int) -> list[Pod]:
    return sorted(board.on(row), key=lambda one: (-board.size(one), one.key))


def _searched(board: Board, pod: Pod, movable: Mapping[int, Sequence[Pod]]) -> int | None:
    """Move the smallest set of pods that makes room; returns the row where, None where none was found."""
    least = {row: _least(board, pod, row, pods) for row, pods in movable.items()}
    trials = _MOST_TRIALS
    for count in range(1, max(map(len, movable.values()), default=0) + 1):
        for row, pods in movable.items():
            for group in _ways(board, pod, row, pods, count) if least[row] <= count else ():
                if not trials:
                    return None
                trials -= 1
                if _made(board, pod, row, group):
                    return row
    return None


def _one_by_one(board: Board, pod: Pod, movable: Mapping[int, Sequence[Pod]]) -> int | None:
    """Move pods off a row, the largest that find a place first, until there is room; of some rows, where the fewest moves are."""
    found: list[tuple[int, int, list[Step]]] = []
    for row in sorted(movable, key=lambda row: (_least(board, pod, row, movable[row]), row))[:_MOST_ROWS]:
        board.closed[row] = True
        for one in movable[row]:
            if _fits(board, pod, row, ()):
                break
            targets = [] if board.stays(one) else board.targets(one)
            if targets:
                board.move(one.key, targets[0])
        if _fits(board, pod, row, ()):
            found.append((len(board), row, board.steps))
        board.back_to(0)
        board.closed[row] = False
    if not found:
        return None
    _, row, steps = min(found)
    board.replay(steps)
    return row


def _least(board: Board, pod: Pod, row: int, pods: Sequence[Pod]) -> int:
    """Return how many pods must go from a row at least, by amounts; more than there are where that is not enough."""
    most = 1
    for number, lack in board.short(pod, row).items():
        sizes = sorted((board.snapshot.ask(one.shape).amounts.get(number, 0) for one in pods), reverse=True)
        enough = (count for count, freed in enumerate(accumulate(sizes), 1) if freed >= lack)
        most = max(most, next(enough, len(pods) + 1))
    return most


def _ways(board: Board, pod: Pod, row: int, pods: Sequence[Pod], count: int) -> Iterator[tuple[Pod, ...]]:
    """Yield sets of pods that are enough by amounts, those of the largest first; of many sets only some are looked at."""
    short = board.short(pod, row)
    amounts = {one.key: board.snapshot.ask(one.shape).amounts for one in pods}
    for number, group in enumerate(combinations(pods, count)):
        if number == _MOST_WAYS:
            return
        if all(sum(amounts[one.key].get(of, 0) for one in group) >= lack for of, lack in short.items()):
            yield group


def _made(board: Board, pod: Pod, row: int, group: Sequence[Pod]) -> bool:
    """Move pods off a row if the pod fits there then; returns whether that was had: else nobody is moved."""
    if _fits(board, pod, row, group) and empty(board, row, group):
        if _fits(board, pod, row, ()):
            return True
        board.back_to(0)
        board.closed[row] = False
    return False


def _fits(board: Board, pod: Pod, row: int, without: Sequence[Pod]) -> bool:
    """Return whether a pod fits on a row if others were gone."""
    lifted = [board.snapshot.lift(one.key) for one in without]
    standing = board.scheduler.standing(pod.shape)
    standing.refresh()
    fits = standing.fits(row)
    for one in reversed(lifted):
        board.snapshot.put_back(one)
    return fits
