"""Events: what happens when, and the virtual clock, which stands at the last moment that something did."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count

Event = Callable[[], None]


class Events:
    """A heap of (time, number, event). Events of one time happen in the order in which they were told of."""

    def __init__(self) -> None:
        self.now_s = -math.inf
        self._heap: list[tuple[float, int, Event]] = []
        self._numbers = count()

    @property
    def next_s(self) -> float:
        """The time of the next event, infinite when there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def at(self, time_s: float, event: Event) -> None:
        """Let an event happen, now or later. Raises ValueError where the time is over."""
        if not time_s >= self.now_s:
            raise ValueError(f"it is {self.now_s} already: nothing can happen at {time_s}")
        heapq.heappush(self._heap, (time_s, next(self._numbers), event))

    def pass_moment(self) -> None:
        """Turn the clock to the next event and let all of that time happen, those too that they tell of."""
        now_s = self.now_s = self.next_s
        heap = self._heap
        while heap and heap[0][0] == now_s:
            heapq.heappop(heap)[2]()
