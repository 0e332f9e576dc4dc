"""turn: queues decide who runs, `place` decides where.

Queues count amounts, not nodes, so room may be in pieces too small. The first job of a queue for which there are amounts but no nodes is promised the
nodes on which it fits at the earliest time by the time limits of what runs; others are placed beside it if those nodes are free then
all the same. Where jobs without limit are in its way it holds up its queue. Where it would not fit with all jobs ended,
it waits for other nodes, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from sampan.schedule.place import Scheduler
from sampan.schedule.queues.ahead import Ahead, chosen, sit
from sampan.schedule.queues.calendar import Promise
from sampan.schedule.queues.job import Admission, Ended, Job
from sampan.schedule.queues.queues import NO_NODES, Queues


class Turned(NamedTuple):
    """`placements`: node by pod, of the jobs in `admission.admitted`, all of which found nodes."""

    admission: Admission
    placements: dict[str, str]


def turn(queues: Queues, scheduler: Scheduler, now_s: float) -> Turned:
    """Admit jobs and place their pods; a job whose pods do not all find a node waits again, until its next turn.

    The pods of jobs that end are taken off the snapshot, so that their room is there for those that are admitted. What jobs
    without nodes leave of the amounts is for others, in the same turn.
    """
    this = _Turn(queues, scheduler, now_s)
    found = Turned(Admission([], [], {}), {})
    while True:
        admission = queues.admit(now_s, this.tried, this.finds)
        found.admission.ended.extend(admission.ended)
        this.end(admission.ended)
        if not admission.admitted:
            found.admission.waiting.update(dict.fromkeys(queues.aside, NO_NODES) | admission.waiting | this.tried)
            return found
        jobs = this.in_turn(admission)
        while jobs:
            job = jobs.pop(0)
            nodes = this.seek(job)
            if nodes is not None:
                found.admission.admitted.append(job)
                found.placements.update((pod.key, node) for pod, node in zip(job.pods, nodes, strict=True))
            elif job.key in this.firsts:  # the rest was admitted, and promises made, as if it ran now
                for one in jobs:
                    queues.put_back(one.key)
                break


class _Turn:
    def __init__(self, queues: Queues, scheduler: Scheduler, now_s: float) -> None:
        self.tried: dict[str, str] = {}  # jobs that found no nodes, and why
        self.firsts: set[str] = set()  # those of them that their queues wait for
        self._queues = queues
        self._scheduler = scheduler
        self._now_s = now_s
        self._promised = {one.job.key: one for one in queues.promises if one.nodes}
        self._known = {one.job.key for one in queues.promises}
        self._held_up: dict[str, str] = {}  # queue -> the job that holds it up
        self._resume()
        self._drop_broken()

    def end(self, ended: Iterable[Ended]) -> None:
        snapshot = self._scheduler.snapshot
        for key in (pod.key for one in ended for pod in one.job.pods):
            if key in snapshot.pods:
                snapshot.remove(key)

    def finds(self, job: Job, ended: Sequence[Job]) -> bool:
        with self._ahead() as ahead:
            return ahead.fits_without(job, ended)

    def in_turn(self, admission: Admission) -> list[Job]:
        """Return jobs in the order in which they seek nodes: those for which others have ended, then those that were promised some."""
        taking = {one.by for one in admission.ended}

        def order(job: Job) -> tuple[bool, float]:
            return job.key not in taking, self._promised[job.key].at_s if job.key in self._promised else inf

        return sorted(admission.admitted, key=order)

    def seek(self, job: Job) -> list[str] | None:
        """Place a job; returns its nodes by pod, or None: it waits again."""
        if (first := self._held_up.get(job.queue)) is not None:
            self._queues.put_back(job.key)
            self.tried[job.key] = f"job {first} is before it, and its queue waits for that"
            return None
        own = self._promised.pop(job.key, None)
        broken = None
        for nodes in self._choices(job, own):
            broken = self._broken(job)
            if broken is None:
                return nodes
            for pod in job.pods:
                self._scheduler.snapshot.remove(pod.key)
        why = NO_NODES if broken is None else f"its nodes are promised to job {broken.job.key}"
        self.tried[job.key] = self._wait(job, own, why)
        return None

    def _choices(self, job: Job, own: Promise | None) -> Iterator[list[str]]:
        """Place a job in one way after another, as long as whoever asks takes it off again: the best first."""
        nodes = chosen(self._scheduler, job)
        if nodes is not None:
            yield nodes
            with self._ahead() as ahead:
                nodes = ahead.beside(self._promised.values(), job)
            if nodes is not None and sit(self._scheduler, job, nodes):
                yield nodes
        if own is not None and sit(self._scheduler, job, own.nodes):
            yield list(own.nodes)

    def _wait(self, job: Job, own: Promise | None, why: str) -> str:
        """Let a job wait again; the first of its queue is promised nodes. Returns what is said of it."""
        queues = self._queues
        queues.put_back(job.key)
        for key in {one.job.key for one in queues.promises} - self._known:
            queues.promises.drop(key)  # made a moment ago, as if this job ran
        if not queues.first(job):
            return why
        self.firsts.add(job.key)
        with self._ahead() as ahead:
            since_s = max([self._now_s, *(one.at_s for one in ahead.kept(self._promised.values()))])
            found = ahead.find(job, since_s)
        if found is None:
            queues.set_aside(job)
            return why
        promise = queues.promise(job, self._now_s, *found)
        if own is not None and (promise is None or promise.at_s > own.at_s):
            promise = own
            queues.promises.set(own)
        if promise is None:
            self._held_up[job.queue] = job.key
            return f"{why}; its queue waits for it"
        self._promised[job.key] = promise
        self._known.add(job.key)
        return f"{why}; it starts at {promise.at_s:g} s at the latest"

    def _broken(self, job: Job) -> Promise | None:
        """Return a promise that a job breaks which was just placed, and may not break."""
        queues = self._queues
        outranked = queues.outranked(job, self._promised.values())
        binding = [one for one in self._promised.values() if one.job.key not in outranked]
        ends_s = queues.running[job.key].ends_s
        if any(one.at_s < ends_s for one in binding):
            kept = self._kept(binding)
            broken = next((one for one in binding if one.job.key not in kept), None)
            if broken is not None:
                return broken
        if outranked:
            self._drop_broken()
        return None

    def _resume(self) -> None:
        """Give their turn back to jobs that would find nodes by now, if all others had ended."""
        for job in list(self._queues.aside.values()):
            with self._ahead() as ahead:
                if ahead.find(job, inf) is not None:
                    self._queues.resume(job.key)

    def _drop_broken(self) -> None:
        """Take back promises of nodes that would not be there: one was taken away, or went to whom it was guaranteed."""
        kept = self._kept(self._promised.values())
        for key in self._promised.keys() - kept:
            del self._promised[key]
            self._queues.promises.drop(key)

    def _kept(self, promises: Iterable[Promise]) -> set[str]:
        with self._ahead() as ahead:
            return {one.job.key for one in ahead.kept(promises)}

    def _ahead(self) -> Ahead:
        return Ahead(self._scheduler, self._queues.running.values(), self._now_s)
