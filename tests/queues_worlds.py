"""A small tree of queues for hypothesis, and the laws of each admission."""

from __future__ import annotations

import random

from sampan.schedule.offers.vector import Dimensions, within
from sampan.schedule.queues.job import Admission
from sampan.schedule.queues.queues import Queues
from sampan.schedule.queues.tree import QueueSpec, QueueTree
from sampan.schedule.shape import amounts

LEAVES = ["a/x", "a/y", "b", "c/p/q", "c/r"]


def world(seed: int) -> Queues:
    source = random.Random(seed)

    def spec(name: str, guarantee: int, limit: int | None) -> QueueSpec:
        return QueueSpec(
            name=name,
            weight=source.choice([0.5, 1, 3]),
            guarantee=amounts({"cpu": guarantee, "memory": guarantee}),
            limit=() if limit is None else amounts({"cpu": max(limit, guarantee)}),
            longest_s=source.choice([None, None, 4.0]),
        )

    def limit() -> int | None:
        return source.choice([None, None, source.randint(1, 9)])

    a, b, c = (source.randint(0, 5) for _ in range(3))
    ax, cp = source.randint(0, a), source.randint(0, c)
    specs = [spec("a", a, limit()), spec("a/x", ax, limit()), spec("a/y", source.randint(0, a - ax), limit())]
    specs += [spec("b", b, limit()), spec("c", c, limit()), spec("c/p", cp, limit())]
    specs += [spec("c/p/q", source.randint(0, cp), None), spec("c/r", source.randint(0, c - cp), None)]
    source.shuffle(specs)
    return Queues(QueueTree(specs, (15, 15), Dimensions(("cpu", "memory"))))


def inside(queue: str, name: str) -> bool:
    return (queue + "/").startswith(name + "/")


def check(found: Queues, before: dict[str, tuple[int, ...]], admission: Admission) -> None:
    tree = found.tree
    queue_of = {job.key: job.queue for job in admission.admitted}
    assert within(tree.used, tree.capacity)
    for name, node in tree.nodes.items():
        assert within(node.used, node.limit)
        floor = [min(had, promised) for had, promised in zip(before[name], node.guarantee, strict=True)]
        overdue = any(not ended.by and inside(ended.job.queue, name) for ended in admission.ended)
        own = any(ended.by and inside(queue_of[ended.by], name) for ended in admission.ended)  # took it of its own part
        assert overdue or own or within(floor, node.used)
    fresh = {job.key for job in admission.admitted}
    assert not fresh & {ended.job.key for ended in admission.ended}
    assert {ended.by for ended in admission.ended} - {""} <= fresh
