"""Queues: jobs that wait, in the order in which they are admitted, and jobs that run.

The next job is found from the top of the tree down: of siblings that have work, first those that would stay within their
guarantee, then by least weighted dominant share, then by name; in a queue by priority, then by when it came. A job that is not admitted
holds up its queue, so that small ones do not starve a big one.

A job within its queue's guarantee for which there is no room takes it back from borrowers (reclaim.py).
"""

from __future__ import annotations

from bisect import insort

from sampan.base.errors import AlreadyExists, InvalidArgument
from sampan.schedule.offers.vector import Vector, plus
from sampan.schedule.queues import reclaim
from sampan.schedule.queues.job import Admission, Ended, Job
from sampan.schedule.queues.reclaim import Running
from sampan.schedule.queues.tree import Node, QueueTree, entitled

OVERDUE = "its time limit is over"


class Queues:
    def __init__(self, tree: QueueTree) -> None:
        self.tree = tree
        self.running: dict[str, Running] = {}
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
        if self.running.pop(key, None) is not None:
            self.tree.give(self.tree.leaf(job.queue), amounts)
        else:
            self._waiting[job.queue].remove(_turn(job))

    def put_back(self, key: str) -> None:
        """Let an admitted job wait again: no nodes were found for it. It has the turn it had."""
        running = self.running.pop(key)
        self.tree.give(running.leaf, running.amounts)
        self._wait(running.job)

    def admit(self, now_s: float) -> Admission:
        """End what is overdue and admit what may run, with what must go for it. What is admitted counts as running."""
        admission = Admission([], self._overdue(now_s), {})
        held_up: set[str] = set()
        while (leaf := self._next(self.tree.tops, held_up)) is not None:
            job, amounts = self._jobs[self._waiting[leaf.spec.name][0][2]]
            ended = len(admission.ended)
            why = self._make_room(leaf, job, amounts, admission)
            if why:
                held_up.add(leaf.spec.name)
                admission.waiting[job.key] = why
                continue
            if len(admission.ended) > ended:
                held_up.clear()  # there may be more room than was asked for
                admission.waiting.clear()
            self._waiting[leaf.spec.name].pop(0)
            self.tree.take(leaf, amounts)
            self.running[job.key] = Running(job, leaf, amounts, now_s)
            admission.admitted.append(job)
        return admission

    def _wait(self, job: Job) -> None:
        insort(self._waiting.setdefault(job.queue, []), _turn(job))

    def _overdue(self, now_s: float) -> list[Ended]:
        found = []
        for running in list(self.running.values()):
            longest_s = running.job.longest_s
            for node in reversed(running.leaf.path):
                longest_s = node.spec.longest_s if longest_s is None else longest_s
            if longest_s is not None and now_s >= running.started_s + longest_s:
                self.forget(running.job.key)
                found.append(Ended(running.job, OVERDUE))
        return found

    def _make_room(self, leaf: Node, job: Job, amounts: Vector, admission: Admission) -> str:
        """Return why a job cannot be admitted, empty where it can; then there is room for it."""
        limited = self.tree.over_limit(leaf, amounts)
        if limited is not None:
            return f"queue {limited.spec.name} is at its limit"
        if self.tree.room(amounts):
            return ""
        fresh = {one.key for one in admission.admitted}
        victims = reclaim.victims(
            self.tree, [one for one in self.running.values() if one.job.key not in fresh], leaf, amounts
        )
        if victims is None:
            return f"no room, and none that queue {leaf.spec.name} can take back"
        for running in victims:
            del self.running[running.job.key]
            del self._jobs[running.job.key]
            self.tree.give(running.leaf, running.amounts)
            reason = f"queue {running.leaf.spec.name} gives back what it borrowed"
            admission.ended.append(Ended(running.job, reason, job.key))
        return ""

    def _next(self, nodes: list[Node], held_up: set[str]) -> Node | None:
        """Return the leaf whose turn it is."""
        best: tuple[bool, float, str] | None = None
        found: Node | None = None
        for node in nodes:
            leaf = self._next(node.children, held_up) if node.children else node
            if leaf is None or leaf.spec.name in held_up or not self._waiting.get(leaf.spec.name):
                continue
            _, amounts = self._jobs[self._waiting[leaf.spec.name][0][2]]
            rank = not entitled(node, amounts), self.tree.share(node, node.used), node.spec.name
            if best is None or rank < best:
                best, found = rank, leaf
        return found


def _turn(job: Job) -> tuple[int, float, str]:
    return -job.priority, job.submitted_s, job.key


def _could_hold(node: Node, amounts: Vector) -> bool:
    return all(asked <= most for asked, most in zip(amounts, node.limit, strict=True))
