"""Displace: for a pod that finds no place one other pod goes away: one that is moved anyway goes elsewhere, or one more is moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sampan.schedule.pod import Pod
from sampan.schedule.rebalance.board import Board

_MOST_TRIALS = 4000
"""Pairs of pods that are tried out in one proposal, so that draining in a full cluster ends in seconds."""
_MOST_TARGETS = 4
"""Other places that are tried for one that is moved anyway: each makes all moves again."""


class Displace:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._trials = _MOST_TRIALS

    def make(self, pod: Pod) -> bool:
        """Move a pod to where one other pod goes away for it; returns whether that was had."""
        board = self._board
        moved = dict(board.steps)
        pairs = list(self._pairs(pod))
        pairs.sort(key=lambda pair: (pair[1].key not in moved, board.size(pair[1]), pair[1].key))
        for row, other in pairs:
            if not self._trials:
                return False
            self._trials -= 1
            if not self._fits_without(pod, other, row):
                continue
            if other.key in moved:
                if self._goes_elsewhere(pod, other, row):
                    return True
            elif not board.stays(other):
                count = len(board)
                for target in board.targets(other):
                    if board.move(other.key, target) and not board.stays(pod) and board.move(pod.key, row):
                        return True
                    board.back_to(count)
        return False

    def _pairs(self, pod: Pod) -> Iterator[tuple[int, Pod]]:
        """Yield nodes with a pod on each whose amounts would be enough."""
        board, snapshot = self._board, self._board.snapshot
        standing = board.scheduler.standing(pod.shape)
        for row in np.flatnonzero(standing.possible() & ~board.closed).tolist():
            short = board.short(pod, row)
            for other, ask in snapshot.pods.on(row):
                amounts = snapshot.asks[ask].amounts
                if all(amounts.get(number, 0) >= lack for number, lack in short.items()):
                    yield row, other

    def _fits_without(self, pod: Pod, other: Pod, row: int) -> bool:
        snapshot = self._board.snapshot
        lifted = [snapshot.lift(key) for key in (pod.key, other.key)]
        standing = self._board.scheduler.standing(pod.shape)
        standing.refresh()
        fits = standing.fits(row)
        for one in reversed(lifted):
            snapshot.put_back(one)
        return fits

    def _goes_elsewhere(self, pod: Pod, other: Pod, row: int) -> bool:
        """Let a pod that was moved to a row be moved somewhere else, where it fits even now, and this one there."""
        board = self._board
        steps = board.steps
        place = next(number for number, (key, _) in enumerate(steps) if key == other.key)
        for target in board.targets(other)[:_MOST_TARGETS]:
            if board.replay([*steps[:place], (other.key, target), *steps[place + 1 :], (pod.key, row)]):
                return True
        return False
