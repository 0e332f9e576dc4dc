"""Queues: jobs that wait, in the order in which they are admitted, and jobs that run.

The next job is found from the top of the tree down: of siblings that have work, first those that would stay within their
guarantee, then by least weighted dominant share, then by name; in a queue by priority, then by when it came. The first job of a queue
that is not admitted is promised the earliest time at which, by the time limits of what runs, there is room for it. Jobs behind
it are admitted when all first jobs were looked at, and only where no promise is in their way: they end before, or leave
enough (EASY backfill, of each queue one promise). What has no time limit is taken to run for ever. Where no time can be foreseen, the
job holds up its queue, so that small ones do not starve a big one.

A job within its queue's guarantee that is kept out (no room, a promise, a limit above) takes back from borrowers (reclaim.py) what
it needs. It does not mind promises to queues that the guarantee is against.

Spec: D. Lifka, "The ANL/IBM SP Scheduling System" (EASY).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Container, Iterable, Sequence
from math import inf

from sampan.base.errors import AlreadyExists, InvalidArgument
from sampan.schedule.offers.vector import Vector, plus, within
from sampan.schedule.queues import reclaim
from sampan.schedule.queues.calendar import Calendar, Promise, Running
from sampan.schedule.queues.job import Admission, Ended, Job
from sampan.schedule.queues.promises import Promises, outranked
from sampan.schedule.queues.tree import Node, QueueTree, entitled

OVERDUE = "its time limit is over"
NO_NODES = "admitted, but no nodes were found for all of its pods"
_NO_ROOM = "no room"

Finds = Callable[[Job, Sequence[Job]], bool]
"""Returns whether a job would find nodes if others had ended."""


class Queues:
    def __init__(self, tree: QueueTree) -> None:
        self.tree = tree
        self.running: dict[str, Running] = {}
        self.promises = Promises()
        self.aside: dict[str, Job] = {}
        """Jobs that wait for other nodes, not for the end of others: their queues do not wait for them."""
        self._waiting: dict[str, list[tuple[int, float, str]]] = {}  # by queue, in order
        self._jobs: dict[str, tuple[Job, Vector]] = {}

    def submit(self, job: Job) -> None:
        """Let a job wait. Raises InvalidArgument where its queue takes no work or can never hold it."""
        leaf = self.tree.leaf(job.queue)
        if job.key in self._jobs:
            raise AlreadyExists(f"job {job.key} is known")
        amounts = self.tree.dimensions.zero
        for pod in job.pods:
            try:
                amounts = plus(amounts, self.tree.dimensions.asked(pod.shape))
            except KeyError as error:
                raise InvalidArgument(f"job {job.key} asks for {error.args[0]}, which queues do not share") from None
        if any(not _could_hold(node, amounts) for node in leaf.path):
            raise InvalidArgument(f"job {job.key} asks for more than the limit of queue {job.queue}")
        self._jobs[job.key] = job, amounts
        self._wait(job)

    def forget(self, key: str) -> None:
        """Count a job no longer: it ended, or is not wanted any more. One that is not known is nothing."""
        known = self._jobs.pop(key, None)
        if known is None:
            return
        job, amounts = known
        self.promises.drop(key)
        if self.aside.pop(key, None) is not None:
            return
        if self.running.pop(key, None) is not None:
            self.tree.give(self.tree.leaf(job.queue), amounts)
        else:
            self._waiting[job.queue].remove(_turn(job))

    def put_back(self, key: str) -> None:
        """Let an admitted job wait again: no nodes were found for it. It has the turn, and the promise, that it had."""
        running = self.running.pop(key)
        self.tree.give(running.leaf, running.amounts)
        self._wait(running.job)
        if running.promised is not None:
            self.promises.set(running.promised)

    def set_aside(self, job: Job) -> None:
        """Take a job out of its queue until it is resumed."""
        self._waiting[job.queue].remove(_turn(job))
        self.promises.drop(job.key)
        self.aside[job.key] = job

    def resume(self, key: str) -> None:
        """Let a job that was set aside have its turn again, as if it had never lost it."""
        self._wait(self.aside.pop(key))

    def promise(self, job: Job, now_s: float, since_s: float, nodes: Sequence[str]) -> Promise | None:
        """Promise the first job of a queue nodes, by pod, from a time on; None where that time cannot be foreseen."""
        leaf = self.tree.leaf(job.queue)
        wanted = Promise(job, leaf, self._jobs[job.key][1], longest_s(leaf, job), since_s, tuple(nodes))
        calendar = Calendar(self.tree, now_s, self.running.values())
        return self.promises.get(job.key) if self.promises.give(wanted, calendar, since_s) else None

    def outranked(self, job: Job, promises: Iterable[Promise]) -> frozenset[str]:
        """Return the jobs whose promises do not bind one that was admitted."""
        running = self.running[job.key]
        self.tree.give(running.leaf, running.amounts)
        found = outranked(promises, running.leaf, running.amounts)
        self.tree.take(running.leaf, running.amounts)
        return found

    def first(self, job: Job) -> bool:
        """Return whether a job is the one that its queue waits for."""
        return self._waiting[job.queue][:1] == [_turn(job)]

    def admit(self, now_s: float, tried: Container[str] = (), finds: Finds | None = None) -> Admission:
        """End what is overdue and admit what may run, with what must go for it. What is admitted counts as running.

        `tried`: jobs for which no nodes were found at this time; a first one without a promise holds up its queue. `finds` is
        asked before jobs end for another: they do not where it would find no nodes all the same. Then the other is the only one
        that is admitted in this call.
        """
        admission = Admission([], self._overdue(now_s), {})
        while self._admit(admission, now_s, tried, finds) and self.tree.guarantees:
            admission.waiting.clear()  # who borrows by now may owe those who were looked at before
        return admission

    def _admit(self, admission: Admission, now_s: float, tried: Container[str], finds: Finds | None) -> bool:
        """Look at all jobs; returns whether some were admitted and others are to be looked at again."""
        calendar = self._renewed(now_s)
        before = len(admission.admitted)
        passed: dict[str, int] = {}  # by queue: how many jobs were looked at and wait
        refused: dict[str, list[tuple[Vector, float]]] = {}  # by queue: what was too much, and too long
        while (leaf := self._next(self.tree.tops, passed)) is not None:
            name = leaf.spec.name
            place = passed.get(name, 0)
            job, amounts = self._jobs[self._waiting[name][place][2]]
            beaten = outranked(self.promises, leaf, amounts) if not place else frozenset[str]()
            ended = len(admission.ended)
            why = NO_NODES if job.key in tried else self._kept_out(leaf, job, amounts, calendar, beaten)
            if why and not place and job.key not in tried:
                if finds is not None and admission.admitted:
                    return False  # who was admitted may find no nodes, and owes nothing then
                why = self._reclaim(why, leaf, job, amounts, calendar, beaten, admission, finds)
            if why:
                if not place and job.key not in tried:
                    self._foresee(leaf, job, calendar)
                    admission.waiting[job.key] = self._told(job, why)
                if place and job.key not in tried:
                    refused.setdefault(name, []).append((amounts, longest_s(leaf, job)))
                holds_up = not place and self.promises.get(job.key) is None
                passed[name] = (
                    len(self._waiting[name]) if holds_up else self._behind(leaf, place, refused.get(name, ()))
                )
                continue
            self._waiting[name].pop(place)
            self._start(leaf, job, amounts, calendar)
            admission.admitted.append(job)
            if len(admission.ended) > ended and finds is not None:
                return False
            if len(admission.ended) > ended or beaten:
                # there may be more room than was asked for, and promises may have moved out of others' way
                calendar = self._renewed(now_s)
                passed.clear()
                refused.clear()
                admission.waiting.clear()
        return len(admission.admitted) > before

    def _start(self, leaf: Node, job: Job, amounts: Vector, calendar: Calendar) -> None:
        ends_s = calendar.now_s + longest_s(leaf, job)
        running = Running(job, leaf, amounts, calendar.now_s, ends_s, self.promises.get(job.key))
        self.running[job.key] = running
        self.promises.drop(job.key)
        self.tree.take(leaf, amounts)
        calendar.started(running)

    def _wait(self, job: Job) -> None:
        insort(self._waiting.setdefault(job.queue, []), _turn(job))

    def _overdue(self, now_s: float) -> list[Ended]:
        found = [one.job for one in self.running.values() if now_s >= one.ends_s]
        for job in found:
            self.forget(job.key)
        return [Ended(job, OVERDUE) for job in found]

    def _renewed(self, now_s: float) -> Calendar:
        calendar = Calendar(self.tree, now_s, self.running.values())
        self.promises.renew(calendar, lambda one: self.first(one.job))
        return calendar

    def _foresee(self, leaf: Node, job: Job, calendar: Calendar) -> None:
        if self.promises.get(job.key) is None:
            wanted = Promise(job, leaf, self._jobs[job.key][1], longest_s(leaf, job), inf)
            self.promises.give(wanted, calendar, calendar.now_s)

    def _behind(self, leaf: Node, place: int, refused: Sequence[tuple[Vector, float]]) -> int:
        """Return the next place to look at: of a job for which there is room now, and that is no more than what was refused."""
        waiting = self._waiting[leaf.spec.name]
        for behind in range(place + 1, len(waiting)):
            job, amounts = self._jobs[waiting[behind][2]]
            if not self.tree.room(amounts) or self.tree.over_limit(leaf, amounts) is not None:
                continue
            length_s = longest_s(leaf, job)
            if not any(length_s >= long and within(much, amounts) for much, long in refused):
                return behind
        return len(waiting)

    def _told(self, job: Job, why: str) -> str:
        promise = self.promises.get(job.key)
        return why if promise is None else f"{why}; it starts at {promise.at_s:g} s at the latest"

    def _kept_out(self, leaf: Node, job: Job, amounts: Vector, calendar: Calendar, beaten: frozenset[str]) -> str:
        """Return why a job cannot start now without anybody's end, empty where it can."""
        limited = self.tree.over_limit(leaf, amounts)
        if limited is not None:
            return f"queue {limited.spec.name} is at its limit"
        if not self.tree.room(amounts):
            return _NO_ROOM
        rival = leaf, amounts, longest_s(leaf, job)
        promise = self.promises.in_the_way(rival, calendar, beaten | {job.key})
        return "" if promise is None else f"what is free is promised to job {promise.job.key}"

    def _reclaim(
        self,
        why: str,
        leaf: Node,
        job: Job,
        amounts: Vector,
        calendar: Calendar,
        beaten: frozenset[str],
        admission: Admission,
        finds: Finds | None,
    ) -> str:
        """Take back what is lent, for a job that is kept out; returns why that does not help, empty where it can start now."""

        def fits(gone: Sequence[Running]) -> bool:
            keys = {one.job.key for one in gone}
            left = [one for key, one in self.running.items() if key not in keys]
            return not self._kept_out(leaf, job, amounts, Calendar(self.tree, calendar.now_s, left), beaten)

        others = [one for one in self.running.values() if one.started_s < calendar.now_s]
        victims = reclaim.victims(self.tree, others, leaf, amounts, fits)
        if victims is None:
            return f"no room, and none that queue {leaf.spec.name} can take back" if why == _NO_ROOM else why
        gone = [*(one.job for one in admission.ended), *(one.job for one in victims)]
        if finds is not None and not finds(job, gone):
            return f"{NO_NODES}, and would not be if queue {leaf.spec.name} took back what is lent"
        for one in victims:
            del self.running[one.job.key]
            self.tree.give(one.leaf, one.amounts)
            del self._jobs[one.job.key]
            reason = f"queue {one.leaf.spec.name} gives back what it borrowed"
            admission.ended.append(Ended(one.job, reason, job.key))
        return ""

    def _next(self, nodes: list[Node], passed: dict[str, int]) -> Node | None:
        """Return the leaf whose turn it is: first jobs come before those behind them."""
        best: tuple[bool, bool, float, str] | None = None
        found: Node | None = None
        for node in nodes:
            leaf = self._next(node.children, passed) if node.children else node
            if leaf is None:
                continue
            waiting, place = self._waiting.get(leaf.spec.name, ()), passed.get(leaf.spec.name, 0)
            if place >= len(waiting):
                continue
            _, amounts = self._jobs[waiting[place][2]]
            rank = place > 0, not entitled(node, amounts), self.tree.share(node, node.used), node.spec.name
            if best is None or rank < best:
                best, found = rank, leaf
        return found


def longest_s(leaf: Node, job: Job) -> float:
    """Return how long a job may run: as it says, else as its queue or the nearest above says; inf: for ever."""
    said = [job.longest_s, *(node.spec.longest_s for node in reversed(leaf.path))]
    return next((one for one in said if one is not None), inf)


def _turn(job: Job) -> tuple[int, float, str]:
    return -job.priority, job.submitted_s, job.key


def _could_hold(node: Node, amounts: Vector) -> bool:
    return all(asked <= most for asked, most in zip(amounts, node.limit, strict=True))
