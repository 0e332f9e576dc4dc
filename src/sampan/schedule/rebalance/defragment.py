"""defragment: machines or devices that are wholly free, by moves onto those that are in use.

Machines are emptied one after another, those with the fewest pods first; one that cannot be emptied within what is left of the
limits is left as it is. Nobody is moved onto a free machine. With devices the same: shares leave a device for others that are in use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sampan.schedule.devices import WHOLE
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import PACKING
from sampan.schedule.rebalance.board import Board
from sampan.schedule.rebalance.proposal import Limits, Move, Proposal
from sampan.schedule.snapshot import Snapshot

Device = tuple[int, str, int]
"""(row, kind, index)."""


def free_nodes(snapshot: Snapshot, limits: Limits, resident: Collection[str] = ()) -> Proposal:
    """Propose moves that free as many machines as were found. `resident`: pods that belong to their machine and do not count.

    The snapshot is as it was.
    """
    moves: list[Move] = []
    with Board(Scheduler(snapshot, PACKING), limits) as board:
        rows = range(len(snapshot.nodes))
        tenants = {row: [pod for pod in board.on(row) if pod.key not in resident] for row in rows}
        for row in rows:
            board.closed[row] = not tenants[row]
        for row in sorted(rows, key=lambda row: (len(tenants[row]), row)):
            here = [pod for pod in board.on(row) if pod.key not in resident]
            if here and not snapshot.nodes[row].unschedulable and empty(board, row, here):
                name = snapshot.nodes[row].name
                left = range(len(here) - 1, -1, -1)
                gains = [f"{name} has {count} pods left" if count else f"{name} is free" for count in left]
                start = len(moves)
                moves += [board.told(start + number, f"{name} is freed", gain) for number, gain in enumerate(gains)]
        return board.proposal(moves, {}, reached=bool(moves))


def empty(board: Board, row: int, pods: Iterable[Pod]) -> bool:
    """Move all pods off a row, the largest first; returns whether that could be had: else none is moved."""
    count, board.closed[row] = len(board), True
    for pod in sorted(pods, key=lambda pod: (-board.size(pod), pod.key)):
        if board.stays(pod) or not (targets := board.targets(pod)):
            board.back_to(count)
            board.closed[row] = False
            return False
        board.move(pod.key, targets[0])
    return True


def free_devices(snapshot: Snapshot, limits: Limits) -> Proposal:
    """Propose moves that free as many devices as were found, of those that are shared. The snapshot is as it was."""
    moves: list[Move] = []
    with Board(Scheduler(snapshot, PACKING), limits) as board:
        for device in sorted(_shared(board), key=lambda device: (len(_holders(board, device)), device)):
            row, kind, index = device
            holders = _holders(board, device)
            if not holders or not _left(board, device, holders):
                continue
            which = f"{kind} {index} of {snapshot.nodes[row].name}"
            for pod in holders:
                last = pod is holders[-1]
                moves.append(
                    board.told(len(moves), f"{which} is freed", f"{which} is free" if last else "one share less")
                )
    return Proposal(tuple(moves), {}, bool(moves))


def whole_devices(snapshot: Snapshot) -> int:
    """Return how many devices are wholly free."""
    return sum(int((free == WHOLE).sum()) for free in snapshot.devices.free.values())


def _shared(board: Board) -> Iterator[Device]:
    """Yield the devices of which a part is taken."""
    for kind, free in board.snapshot.devices.free.items():
        for index, row in zip(*((free >= 0) & (free < WHOLE)).nonzero(), strict=True):
            yield int(row), kind, int(index)


def _holders(board: Board, device: Device) -> list[Pod]:
    row, kind, index = device
    held = board.snapshot.devices.holding
    return [pod for pod in board.on(row) if any(one[:2] == (kind, index) for one in held(pod.key))]


def _left(board: Board, device: Device, holders: Sequence[Pod]) -> bool:
    """Move all shares off a device so that one more is free than before; returns whether that could be had: else none is moved."""
    count, free = len(board), whole_devices(board.snapshot)
    for number, pod in enumerate(holders, 1):
        targets = [] if board.stays(pod) else board.targets(pod)
        wanted = free + (number == len(holders))
        if not any(_moved_with(board, pod, row, wanted) for row in targets):
            board.back_to(count)
            return False
    return True


def _moved_with(board: Board, pod: Pod, row: int, free: int) -> bool:
    """Move a pod if so many devices are wholly free then."""
    count = len(board)
    board.move(pod.key, row)
    if whole_devices(board.snapshot) >= free:
        return True
    board.back_to(count)
    return False
