"""Figures: what the scheduler did, counted as it does it. They outlive the scheduler that counts in them.

Spec: Kubernetes Metrics Reference, scheduler_*; the buckets are kube-scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable

from sampan.base.histogram import Histogram

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
_MOST_TRIES = 15
_ATTEMPT_S = tuple(0.001 * 2**power for power in range(15))
_SLI_S = tuple(0.01 * 2**power for power in range(20))
_VICTIMS = tuple(2**power for power in range(7))


class _Life:
    """A pod that waits: since when, its turns, and since when it has the one it is in."""

    __slots__ = ("began_s", "since_s", "tries")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.tries = 0
        self.began_s: float | None = None


class Figures:
    """Times are in seconds of the clock that tells them. `pending`: how many pods wait in which queue, asked when it is shown."""

    def __init__(self) -> None:
        self.attempts = dict.fromkeys((SCHEDULED, UNSCHEDULABLE, ERROR), 0)
        self.attempt_s = {result: Histogram(_ATTEMPT_S) for result in self.attempts}
        self.sli_s: dict[str, Histogram] = {}  # by number of attempts
        self.victims = Histogram(_VICTIMS)
        self.preemptions = 0
        self.pending: Callable[[], dict[str, int]] = dict
        self._lives: dict[str, _Life] = {}

    def came(self, key: str, now_s: float) -> None:
        """A pod waits for a node, or waits again."""
        if key not in self._lives:
            self._lives[key] = _Life(now_s)

    def began(self, key: str, now_s: float) -> None:
        """A pod has its turn."""
        life = self._lives.get(key)
        if life is None:
            life = self._lives[key] = _Life(now_s)
        life.tries += 1
        life.began_s = now_s

    def refused(self, key: str, now_s: float, result: str = UNSCHEDULABLE) -> None:
        """A pod's turn ended without a node, or with one that others have to leave first."""
        self.attempts[result] += 1
        life = self._lives.get(key)
        if life is not None and life.began_s is not None:
            self.attempt_s[result].add(now_s - life.began_s)
            life.began_s = None

    def preempted(self, victims: int) -> None:
        """Somebody's room was looked for; `victims`: how many go, 0 where that does not help."""
        self.preemptions += 1
        if victims:
            self.victims.add(victims)

    def bound(self, key: str, now_s: float) -> None:
        """A pod has its node, and the API knows."""
        self.attempts[SCHEDULED] += 1
        life = self._lives.pop(key, None)
        if life is None:
            return
        if life.began_s is not None:  # else it waited for its victims to end
            self.attempt_s[SCHEDULED].add(now_s - life.began_s)
        tries = str(life.tries) if life.tries < _MOST_TRIES else f"{_MOST_TRIES}+"
        if tries not in self.sli_s:
            self.sli_s[tries] = Histogram(_SLI_S)
        self.sli_s[tries].add(now_s - life.since_s)

    def gone(self, key: str) -> None:
        self._lives.pop(key, None)

    def rest(self) -> None:
        """Nobody schedules here for now: no pod waits."""
        self._lives.clear()
        self.pending = dict
