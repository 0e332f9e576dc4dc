"""Ahead: the snapshot as it will be when jobs have ended by their time limits; then as it was again."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from sampan.schedule.place import Scheduler
from sampan.schedule.queues.calendar import Promise, Running
from sampan.schedule.queues.job import Job
from sampan.schedule.snapshot import Lifted


class Ahead:
    """From `now_s` on. A context: at its end the snapshot is as it was at its beginning. Nodes are settled before."""

    def __init__(self, scheduler: Scheduler, running: Iterable[Running], now_s: float) -> None:
        self._now_s = now_s
        self._scheduler = scheduler
        self._snapshot = scheduler.snapshot
        self._ends = sorted(((one.ends_s, one.job) for one in running), key=lambda end: end[0])
        self._done: list[Lifted | str] = []

    def __enter__(self) -> Self:
        self._snapshot.settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for step in reversed(self._done):
            if isinstance(step, str):
                self._snapshot.remove(step)
            else:
                self._snapshot.put_back(step)

    def kept(self, promises: Iterable[Promise]) -> Iterator[Promise]:
        """Go to the time of each promise of nodes in turn, now if that is over; yield those for which the nodes are there then."""
        for one in sorted(promises, key=lambda one: one.at_s):
            starts_s = max(one.at_s, self._now_s)
            self._to(starts_s)
            if sit(self._scheduler, one.job, one.nodes):
                self._done += [pod.key for pod in one.job.pods]
                insort(self._ends, (starts_s + one.length_s, one.job), key=lambda end: end[0])
                yield one

    def beside(self, promises: Iterable[Promise], job: Job) -> list[str] | None:
        """Return nodes for a job that it could share with those that are promised them, if they came now."""
        for one in promises:
            for pod, name in zip(one.job.pods, one.nodes, strict=True):
                if name in self._snapshot.rows:  # even where there is no room for it yet
                    self._snapshot.assume(pod, self._snapshot.rows[name], self._snapshot.ask(pod.shape))
                    self._done.append(pod.key)
        nodes = chosen(self._scheduler, job)
        if nodes is not None:
            self._done += [pod.key for pod in job.pods]
        return nodes

    def fits_without(self, job: Job, others: Iterable[Job]) -> bool:
        """Return whether a job finds nodes once others have ended."""
        for other in others:
            self._lift(other)
        nodes = chosen(self._scheduler, job)
        if nodes is not None:
            self._done += [pod.key for pod in job.pods]
        return nodes is not None

    def find(self, job: Job, since_s: float) -> tuple[float, list[str]] | None:
        """Return the first time from then on at which a job finds nodes, and those; inf: once jobs without limit end, too.

        None: they would not be found if all jobs had ended.
        """
        while True:
            self._to(since_s)
            nodes = chosen(self._scheduler, job)
            if nodes is not None:
                self._done += [pod.key for pod in job.pods]
                return since_s, nodes
            if not self._ends:
                return None
            since_s = self._ends[0][0]

    def _lift(self, job: Job) -> None:
        present = [pod.key for pod in job.pods if pod.key in self._snapshot.pods]
        self._done += [self._snapshot.lift(key) for key in present]

    def _to(self, at_s: float) -> None:
        count = bisect_right(self._ends, at_s, key=lambda end: end[0])
        for _, job in self._ends[:count]:
            self._lift(job)
        del self._ends[:count]


def chosen(scheduler: Scheduler, job: Job) -> list[str] | None:
    """Place a job's pods where the scheduler would; returns the nodes by pod, None where not all find one: then none is placed.

    Pods of jobs evict nobody: to make room is the queues' business.
    """
    found = scheduler.place(job.pods, evicts=False).placements
    if len(found) == len(job.pods):
        return [found[pod.key] for pod in job.pods]
    for key in found:
        scheduler.snapshot.remove(key)
    return None


def sit(scheduler: Scheduler, job: Job, nodes: Sequence[str]) -> bool:
    """Place a job's pods on these nodes, if all fit there; else none."""
    snapshot = scheduler.snapshot
    seated: list[str] = []
    for pod, name in zip(job.pods, nodes, strict=True):
        row = snapshot.rows.get(name)
        standing = scheduler.standing(pod.shape)
        standing.refresh()
        if row is None or not standing.fits(row):
            for key in seated:
                snapshot.remove(key)
            return False
        snapshot.assume(pod, row, standing.ask)
        seated.append(pod.key)
    return True
