"""Rounds: the scheduler's turn: pods that wait are asked, in order, again and again until nothing changes any more."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from sampan.schedule.place import Scheduler
from sampan.sim.task import Instance
from sampan.sim.waiting import Line, Turn, Waiting

_MOST_AT_ONCE = 4096

Place = Callable[[list[Instance], bool], tuple[list[Instance], bool]]
"""Lets pods of one line run, in this order; the second argument: they may evict others, which wait again. Returns those that fit
nowhere, and whether others were evicted."""


class Rounds:
    """`preempts`: pods may evict others."""

    def __init__(self, waiting: Waiting, scheduler: Scheduler, place: Place, *, preempts: bool) -> None:
        self._waiting = waiting
        self._scheduler = scheduler
        self._place = place
        self._preempts = preempts

    def run(self) -> None:
        """Ask all that wait, as long as it may help."""
        while (lines := self._waiting.hopeful()) and self._ask(lines):
            pass

    def _ask(self, lines: Sequence[Line]) -> bool:
        """Ask the pods that wait now, in order, of lines that may fit; returns whether there has to be another round."""
        order: list[Turn] = [(-line.priority, line.waits[0].entry, line) for line in lines]
        heapq.heapify(order)
        newest, anybody, evicted = self._waiting.newest, False, False
        while order:
            priority, entry, line = heapq.heappop(order)
            waited = len(line.waits)
            served, some = self._serve(line, order[0][1] if order and order[0][0] == priority else newest)
            started = some or len(line.waits) < waited
            if not line.waits:
                self._waiting.close(line)
            elif served and line.waits[0].entry < newest:
                heapq.heappush(order, (priority, line.waits[0].entry, line))
            elif served:
                self._waiting.ask_again(line)
            if some:
                self._add_hopeful(order, (priority, entry), newest)
            elif started:
                order = self._waiting.still(order)
            anybody, evicted = anybody or started, evicted or some
        return evicted or (anybody and self._waiting.wide)

    def _add_hopeful(self, order: list[Turn], now: tuple[int, int], newest: int) -> None:
        """Let lines have a turn that may fit after an eviction: there may be more room than was asked for."""
        known = {turn[2].number for turn in order}
        for line in self._waiting.more():
            head = -line.priority, line.waits[0].entry
            if line.number not in known and now < head and head[1] < newest:
                heapq.heappush(order, (*head, line))

    def _serve(self, line: Line, before: int) -> tuple[bool, bool]:
        """Ask a line's pods that came before an entry; returns whether all of them run, and whether somebody was evicted.

        More and more of them are asked at once, as long as all of them fit. Where one evicts it is asked alone, and others must
        be looked at before the next.
        """
        count, waits = 1, line.waits
        while waits and waits[0].entry < before:
            evicts = self._may_evict(line)
            fits = self._may_fit(line, evicts=evicts)
            if not fits and not evicts:
                break
            missing, evicted = self._place(_first(line, before, count if fits else 1), not fits)
            waits.extendleft(reversed(missing))
            if evicted:
                return True, True
            if missing and not (fits and evicts):
                break
            count = min(4 * count, _MOST_AT_ONCE)
        else:
            return True, False
        line.fresh = False
        return False, False

    def _may_evict(self, line: Line) -> bool:
        lowest = self._scheduler.snapshot.pods.lowest()
        hopes = self._preempts and lowest is not None and lowest < line.priority
        return hopes and self._waiting.may_fit(line)

    def _may_fit(self, line: Line, *, evicts: bool) -> bool:
        """Return whether it is worth to ask a line's next pods to evict nobody; a cheap look, as to be refused has its cost."""
        if not self._waiting.may_fit(line):
            return False
        if line.size and (evicts or self._waiting.room(line) < line.size):
            return False  # a gang that may evict is asked once for both
        return self._scheduler.standing(line.shape).best() >= 0


def _first(line: Line, before: int, count: int) -> list[Instance]:
    """Take the first pods off a line: a gang, or up to `count` that came before an entry."""
    waits = line.waits
    if line.size:
        return [waits.popleft() for _ in range(line.size)]
    some: list[Instance] = []
    while waits and len(some) < count and waits[0].entry < before:
        some.append(waits.popleft())
    return some
