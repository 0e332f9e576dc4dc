"""Reclaim: which running jobs give back what their queues borrowed, for a job within its own queue's guarantee.

One after another, of the queue that has borrowed most (by weighted dominant share), the job of the lowest priority, the newest of
those. No queue is left with less than it is guaranteed, unless one below it takes from another below it; and nobody ends in
vain: those without whom it fits too are spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sampan.schedule.offers.vector import Vector
from sampan.schedule.queues.calendar import Running
from sampan.schedule.queues.tree import Node, QueueTree, can_return, entitled, parting

Fits = Callable[[Sequence[Running]], bool]
"""Returns whether there is room once these have ended; the tree does not count them any more."""


def victims(
    tree: QueueTree, running: Iterable[Running], leaf: Node, amounts: Vector, fits: Fits
) -> list[Running] | None:
    """Return who must end so that it fits; None where that cannot be had. The tree is as it was."""
    left = list(running)
    gone: list[Running] = []
    while not (found := fits(gone)):
        choice = min(
            (one for one in left if _owes(one, leaf, amounts)), key=lambda one: _order(tree, one), default=None
        )
        if choice is None:
            break
        left.remove(choice)
        gone.append(choice)
        tree.give(choice.leaf, choice.amounts)
    for one in gone.copy() if found else ():
        tree.take(one.leaf, one.amounts)
        others = [other for other in gone if other is not one]
        if fits(others):
            gone = others
        else:
            tree.give(one.leaf, one.amounts)
    for one in gone:
        tree.take(one.leaf, one.amounts)
    return gone if found else None


def _owes(one: Running, leaf: Node, amounts: Vector) -> bool:
    """Return whether a job's queue has what the other's queue is guaranteed: where their paths part, one lends, one lacks."""
    parted = parting(leaf, one.leaf)
    if parted is None:
        return False
    mine, theirs = parted
    below = one.leaf.path[one.leaf.path.index(theirs) :]
    return entitled(mine, amounts) and all(can_return(node, one.amounts) for node in below)


def _order(tree: QueueTree, one: Running) -> tuple[float, str, int, float, str]:
    return -tree.borrowed(one.leaf), one.leaf.spec.name, one.job.priority, -one.started_s, one.job.key
