"""relieve: machines whose use is above a mark are brought below it, by moves onto machines that stay under a lower mark.

Use is measured, not what pods ask for. The two marks keep pods from wandering: who was moved to a machine has not brought it
near the upper mark, and a machine is left alone until it is above it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.rebalance.board import Board
from sampan.schedule.rebalance.proposal import Limits, Move, Proposal
from sampan.schedule.snapshot import Snapshot


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """`nodes`: use of `resource` in its unit; a node that is not named is left out. `pods`: of those that are known.

    Of a pod that is not, it is its part of what the pods on its node ask for, of what the others leave of the node's use. Marks are
    parts of what a node has: one above `above` gives, and goes on to `to`; nobody is brought above `to`.
    """

    nodes: Mapping[str, int]
    pods: Mapping[str, int] = {}
    resource: str = "cpu"
    above: float = 0.8
    to: float = 0.6


def relieve(snapshot: Snapshot, use: Use, limits: Limits) -> Proposal:
    """Propose moves off machines that are used too much, the most used first. The snapshot is as it was.

    Raises:
        InvalidArgument: marks that are not 0 <= to <= above.
    """
    if not 0 <= use.to <= use.above:
        raise InvalidArgument(
            f"marks: down to {use.to:g} where it is above {use.above:g}: the first is at most the second"
        )
    with Board(Scheduler(snapshot), limits) as board:
        return _Relief(board, use).run()


class _Relief:
    def __init__(self, board: Board, use: Use) -> None:
        self._board = board
        self._use = use
        snapshot = board.snapshot
        column = snapshot.resources.allocatable[snapshot.resources.number(use.resource)]
        self._has = {row: int(column[row]) for row, node in enumerate(snapshot.nodes) if node.name in use.nodes}
        self._used = {row: float(use.nodes[snapshot.nodes[row].name]) for row in self._has}
        for row in range(len(snapshot.nodes)):
            board.closed[row] = row not in self._has

    def run(self) -> Proposal:
        moves: list[Move] = []
        left: dict[str, str] = {}
        hot = [row for row in self._has if self._part(row, 0) > self._use.above]
        for row in sorted(hot, key=lambda row: (-self._part(row, 0), row)):
            name = self._board.snapshot.nodes[row].name
            uses = self._uses(row)
            for pod in sorted(self._board.on(row), key=lambda pod: (-uses[pod.key], pod.key)):
                if self._part(row, 0) <= self._use.to:
                    break
                if uses[pod.key] <= 0:
                    continue
                before = self._part(row, 0)
                if why := self._moved(pod, row, uses[pod.key]):
                    left[pod.key] = why
                    continue
                gains = f"{name} from {before:.0%} to {self._part(row, 0):.0%}"
                moves.append(self._board.told(len(moves), f"{name} is above {self._use.above:.0%}", gains))
        reached = all(self._part(row, 0) <= self._use.above for row in hot)
        self._board.closed[hot] = True
        return self._board.proposal(moves, {} if reached else left, reached=reached)

    def _moved(self, pod: Pod, row: int, uses: float) -> str:
        """Move a pod to where the scheduler would put it, of the nodes that stay under the lower mark; returns why not."""
        if why := self._board.stays(pod):
            return why
        targets = self._board.targets(pod)
        cool = next((target for target in targets if self._part(target, uses) <= self._use.to), None)
        if cool is None:
            return f"no node would stay at or under {self._use.to:.0%} with it" if targets else self._board.refused(pod)
        self._board.move(pod.key, cool)
        self._used[row] -= uses
        self._used[cool] += uses
        return ""

    def _part(self, row: int, more: float) -> float:
        return (self._used[row] + more) / self._has[row] if self._has[row] else float(self._used[row] + more > 0)

    def _uses(self, row: int) -> dict[str, float]:
        """Return what each pod on a row uses, as far as can be told."""
        pods = self._board.on(row)
        known = {pod.key: float(self._use.pods[pod.key]) for pod in pods if pod.key in self._use.pods}
        asked = {pod.key: dict(pod.shape.requests).get(self._use.resource, 0) for pod in pods if pod.key not in known}
        rest, whole = max(self._used[row] - sum(known.values()), 0.0), sum(asked.values())
        return known | {key: rest * amount / whole if whole else 0.0 for key, amount in asked.items()}
