"""Queue: pods that wait for their turn, by priority, then by when they came.

A pod that did not fit is parked: it gets another turn when something happened that may help it, but not before its
back-off is over. Time is an argument. Spec: kube-scheduler's PrioritySort and scheduling queue.
"""

from __future__ import annotations

import heapq
from itertools import count

from sampan.schedule.pod import Pod

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 10.0


class Queue:
    def __init__(self) -> None:
        self._ready: list[tuple[int, float, int, Pod]] = []
        self._resting: list[tuple[float, int, Pod]] = []  # until when
        self._parked: dict[str, tuple[Pod, float]] = {}  # with the end of the back-off
        self._known: dict[str, int] = {}  # the newest entry of each pod
        self._tries: dict[str, int] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._known)

    def counts(self) -> dict[str, int]:
        """Return how many pods wait for their turn, for the end of their back-off, and for something to happen."""
        backoff = sum(self._known.get(pod.key) == number for _, number, pod in self._resting)
        parked = len(self._parked)
        return {"active": len(self._known) - backoff - parked, "backoff": backoff, "unschedulable": parked}

    def add(self, pod: Pod) -> None:
        """Give a pod a turn; in place of what was known of it."""
        self._parked.pop(pod.key, None)
        number = self._known[pod.key] = next(self._numbers)
        heapq.heappush(self._ready, (-pod.priority, pod.started_s, number, pod))

    def withdraw(self, key: str) -> None:
        """Take a pod out of turn: it is tried with another. How often it was tried is remembered."""
        self._known.pop(key, None)
        self._parked.pop(key, None)

    def discard(self, key: str) -> None:
        """Forget a pod: it is gone, or placed."""
        self.withdraw(key)
        self._tries.pop(key, None)

    def take(self, limit: int) -> list[Pod]:
        """Return up to `limit` pods in the order of their turn; they are no longer known."""
        taken: list[Pod] = []
        while self._ready and len(taken) < limit:
            *_, number, pod = heapq.heappop(self._ready)
            if self._known.get(pod.key) == number:
                del self._known[pod.key]
                taken.append(pod)
        return taken

    def park(self, pod: Pod, now_s: float) -> None:
        """Keep a pod that did not fit until something happens."""
        tries = self._tries.get(pod.key, 0)
        self._tries[pod.key] = tries + 1
        self._known[pod.key] = next(self._numbers)
        self._parked[pod.key] = pod, now_s + min(FIRST_BACKOFF_S * 2**tries, LONGEST_BACKOFF_S)

    def wake(self, now_s: float) -> None:
        """Something happened that may help those that are parked: each gets a turn once its back-off is over."""
        parked, self._parked = self._parked, {}
        for pod, until_s in parked.values():
            heapq.heappush(self._resting, (until_s, self._known[pod.key], pod))
        self.tick(now_s)

    def tick(self, now_s: float) -> float | None:
        """Let those whose back-off is over have their turn; returns when the next one's is, None when none rests."""
        while self._resting:
            until_s, number, pod = self._resting[0]
            if self._known.get(pod.key) != number:
                heapq.heappop(self._resting)
            elif until_s <= now_s:
                heapq.heappop(self._resting)
                self.add(pod)
            else:
                return until_s
        return None
