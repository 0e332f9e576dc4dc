"""Batches: many pods of one ask at once, each on the node that is best when its turn comes.

Where a placement changes its own node only, the scores that a node would have after one, two, … pods are computed ahead, and
a heap merges them. Of n pods, all go to the n nodes that were best at first, so no others are looked at.
"""

from __future__ import annotations

import heapq

import numpy as np

from sampan.schedule.arrays import NOWHERE, Floats, Rows
from sampan.schedule.standing import Standing

_AHEAD = 16


def choose(standing: Standing, count: int) -> list[int]:
    """Return the rows of up to `count` pods, in turn; fewer when no node is left or when the standing has to be redone.

    The standing is `foreseen` and refreshed. Nothing is placed.
    """
    rows = _foremost(standing.scores, count)
    if not len(rows):
        return []
    ahead = min(_AHEAD, count // len(rows) + 1)
    first = standing.scores[rows].tolist()
    names: list[int] = rows.tolist()
    futures = _futures(standing, rows, 1, ahead)
    heap = [(-score, row, place) for place, (score, row) in enumerate(zip(first, names, strict=True))]
    heapq.heapify(heap)
    used = [0] * len(names)
    chosen: list[int] = []
    replace = heapq.heapreplace
    for _ in range(count):
        _, row, place = heap[0]
        chosen.append(row)
        done = used[place]
        future = futures[place]
        if done == len(future):
            future += _futures(standing, rows[place : place + 1], done + 1, 2 * done)[0]
        used[place] = done + 1
        score = future[done]
        if score == NOWHERE:
            heapq.heappop(heap)
            if not heap or standing.leans_on(row):
                break
        else:
            replace(heap, (-score, row, place))
    return chosen


def _foremost(scores: Floats, count: int) -> Rows:
    """Return the rows of the `count` best scores, the first of equals."""
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        if least > NOWHERE:
            above = np.flatnonzero(scores > least)
            equal = np.flatnonzero(scores == least)[: count - len(above)]
            return np.concatenate([above, equal])
    return np.flatnonzero(scores > NOWHERE)


def _futures(standing: Standing, rows: Rows, start: int, count: int) -> list[list[float]]:
    """Return the score of each row with `start`, `start + 1`, … pods more, [rows][count]."""
    more = np.arange(start, start + count)
    found = standing.foresee(np.repeat(rows, count), np.tile(more, len(rows)))
    futures: list[list[float]] = found.reshape(len(rows), count).tolist()
    return futures
