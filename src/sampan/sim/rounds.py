"""Rounds: the scheduler's turn: pods that wait are asked, in order, again and again until nothing changes any more."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from sampan.schedule.place import Scheduler
from sampan.sim.task import Instance
from sampan.sim.waiting import Line, Turn, Waiting

_MOST_AT_ONCE = 4096

Place = Callable[[list[Instance]], tuple[list[Instance], bool]]
"""Lets pods of one line run, in this order; returns those that fit nowhere, and whether others were evicted, which wait again."""


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

        More and more of them are asked at once, as long as all of them fit; at an eviction others must be looked at.
        """
        count, waits = 1, line.waits
        while waits and waits[0].entry < before:
            if not self._may_fit(line):
                line.fresh = False
                return False, False
            some: list[Instance] = []
            most = line.size or count
            while waits and len(some) < most and (line.size or waits[0].entry < before):
                some.append(waits.popleft())
            missing, evicted = self._place(some)
            waits.extendleft(reversed(missing))
            if missing:
                line.fresh = False
            if missing or evicted:
                return not missing, evicted
            count = min(4 * count, _MOST_AT_ONCE)
        return True, False

    def _may_fit(self, line: Line) -> bool:
        """Return whether it is worth to ask a line's next pods; a cheap look, as to be refused has its cost."""
        if not self._waiting.may_fit(line):
            return False
        lowest = self._scheduler.snapshot.pods.lowest()
        if self._preempts and lowest is not None and lowest < line.priority:
            return True
        if line.size and self._waiting.room(line) < line.size:
            return False
        return self._scheduler.standing(line.shape).best() >= 0
