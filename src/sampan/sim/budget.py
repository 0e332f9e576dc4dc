"""Budget: how much of a search's time is spent. Each is a function without arguments that returns a share, 1 for all."""

from __future__ import annotations

from sampan.base.clock import Clock


class Rounds:
    """A number of calls: the same search each time."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._called = 0

    def __call__(self) -> float:
        share = self._called / self._rounds if self._rounds else 1.0
        self._called += 1
        return share


class Seconds:
    """Seconds of a clock, from when this was made; the first call begins the search, so what came before shortens it."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end_s = clock.monotonic_s() + seconds
        self._begin_s: float | None = None

    def __call__(self) -> float:
        now = self._clock.monotonic_s()
        if self._begin_s is None:
            self._begin_s = now
        left = self._end_s - self._begin_s
        return (now - self._begin_s) / left if left > 0 else 1.0
