from __future__ import annotations

import pytest

from sampan.base.errors import AlreadyExists, InvalidArgument
from sampan.schedule.node import Node
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Job
from sampan.schedule.queues.queues import Queues
from sampan.schedule.queues.tree import QueueSpec, QueueTree
from sampan.schedule.queues.turn import NO_NODES, turn
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

CPU = Dimensions(("cpu",))


def queues(*specs: QueueSpec, cpu: int = 10) -> Queues:
    return Queues(QueueTree(specs, (cpu,), CPU))


def job(key: str, queue: str, cpu: int = 1, pods: int = 1, **more) -> Job:
    shape = Shape(requests=amounts({"cpu": cpu}))
    return Job(key=key, queue=queue, pods=tuple(Pod(f"{key}/{n}", shape) for n in range(pods)), **more)


def submit(to: Queues, *jobs: Job) -> Queues:
    for one in jobs:
        to.submit(one)
    return to


def keys(jobs: list[Job]) -> list[str]:
    return [one.key for one in jobs]


def test_in_a_queue_by_priority_then_by_when_it_came():
    found = submit(
        queues(QueueSpec(name="a")),
        job("late", "a", submitted_s=2),
        job("early", "a", submitted_s=1),
        job("high", "a", priority=5, submitted_s=3),
    ).admit(0)
    assert keys(found.admitted) == ["high", "early", "late"]


def test_queues_take_turns_by_their_weighted_shares():
    both = queues(QueueSpec(name="a"), QueueSpec(name="b", weight=2), cpu=9)
    submit(both, *[job(f"{name}{n}", name) for name in "ab" for n in range(9)])
    found = both.admit(0)
    assert sorted(one.queue for one in found.admitted) == ["a"] * 3 + ["b"] * 6
    assert set(found.waiting) == {"a3", "b6"}


def test_shares_are_of_the_dominant_resource():
    dimensions = Dimensions(("cpu", "memory"))
    both = Queues(QueueTree([QueueSpec(name="a"), QueueSpec(name="b")], (9, 18), dimensions))
    for name, cpu, memory in (("a", 1, 4), ("b", 3, 1)):
        for number in range(9):
            shape = Shape(requests=amounts({"cpu": cpu, "memory": memory}))
            both.submit(Job(key=f"{name}{number}", queue=name, pods=(Pod(f"{name}/{number}", shape),)))
    assert sorted(one.queue for one in both.admit(0).admitted) == ["a"] * 3 + ["b"] * 2


def test_a_big_job_is_not_starved_by_small_ones_of_its_queue():
    one = submit(queues(QueueSpec(name="a")), job("first", "a", 6), job("big", "a", 8, submitted_s=1))
    one.submit(job("small", "a", 1, submitted_s=2))
    assert keys(one.admit(0).admitted) == ["first"]
    one.forget("first")
    assert keys(one.admit(1).admitted) == ["big", "small"]


class TestLimits:
    def test_of_a_queue_and_of_those_above_it(self):
        tree = queues(QueueSpec(name="a", limit=(("cpu", 4),)), QueueSpec(name="a/x"), QueueSpec(name="a/y"))
        found = submit(tree, job("x", "a/x", 3), job("y", "a/y", 2)).admit(0)
        assert keys(found.admitted) == ["x"]
        assert found.waiting == {"y": "queue a is at its limit"}

    def test_what_can_never_run_is_refused(self):
        tree = queues(QueueSpec(name="a", limit=(("cpu", 4),)), QueueSpec(name="a/x"))
        with pytest.raises(InvalidArgument, match="limit of queue a/x"):
            tree.submit(job("j", "a/x", 5))
        with pytest.raises(InvalidArgument, match="takes work"):
            tree.submit(job("j", "a"))

    def test_of_time(self):
        tree = queues(QueueSpec(name="a", longest_s=10), QueueSpec(name="a/x"))
        submit(tree, job("own", "a/x", longest_s=3), job("queue's", "a/x"))
        tree.admit(0)
        assert [(e.job.key, e.reason) for e in tree.admit(3).ended] == [("own", "its time limit is over")]
        assert not tree.admit(9).ended
        assert [e.job.key for e in tree.admit(10).ended] == ["queue's"]


class TestReclaim:
    def tree(self) -> Queues:
        return queues(QueueSpec(name="a", guarantee=(("cpu", 6),)), QueueSpec(name="b", guarantee=(("cpu", 2),)))

    def test_what_nobody_uses_is_borrowed_and_given_back(self):
        tree = submit(self.tree(), *[job(f"b{n}", "b", priority=n % 3, submitted_s=n) for n in range(10)])
        assert len(tree.admit(0).admitted) == 10
        found = submit(tree, job("a", "a", 2)).admit(5)
        assert keys(found.admitted) == ["a"]
        # lowest priority first; of equals, started together, the smaller name
        assert [(e.job.key, e.by) for e in found.ended] == [("b0", "a"), ("b3", "a")]
        assert found.ended[0].reason == "queue b gives back what it borrowed"

    def test_a_guarantee_stays(self):
        tree = submit(self.tree(), *[job(f"b{n}", "b") for n in range(10)])
        tree.admit(0)
        found = submit(tree, job("more", "a", 7)).admit(1)
        assert not found.admitted
        assert found.waiting == {"more": "no room, and none that queue a can take back"}
        tree.forget("more")
        assert len(submit(tree, job("a", "a", 6)).admit(1).ended) == 6

    def test_nobody_borrows_by_force(self):
        tree = submit(self.tree(), job("a", "a", 6), job("b", "b", 4))
        tree.admit(0)
        assert not submit(tree, job("again", "a", 1)).admit(1).admitted

    def test_who_borrowed_most_gives_first_and_nobody_ends_in_vain(self):
        tree = queues(QueueSpec(name="a", guarantee=(("cpu", 5),)), QueueSpec(name="b"), QueueSpec(name="c"), cpu=12)
        submit(tree, job("b0", "b", 1), job("b1", "b", 5, priority=1), job("c0", "c", 5))
        tree.admit(0)
        found = submit(tree, job("a", "a", 6 - 1)).admit(1)
        # b0 alone is not enough, and with b1 it is not needed
        assert [e.job.key for e in found.ended] == ["b1"]

    def test_within_a_part_of_the_tree(self):
        tree = queues(
            QueueSpec(name="a", guarantee=(("cpu", 6),)),
            QueueSpec(name="a/x", guarantee=(("cpu", 4),)),
            QueueSpec(name="a/y"),
            QueueSpec(name="b", guarantee=(("cpu", 4),)),
        )
        submit(tree, *[job(f"y{n}", "a/y") for n in range(6)], *[job(f"b{n}", "b") for n in range(4)])
        assert len(tree.admit(0).admitted) == 10
        found = submit(tree, job("x", "a/x", 4)).admit(1)
        assert {e.job.queue for e in found.ended} == {"a/y"}

    def test_where_a_queue_above_is_at_its_limit(self):
        tree = queues(
            QueueSpec(name="a", limit=(("cpu", 6),), guarantee=(("cpu", 4),)),
            QueueSpec(name="a/x", guarantee=(("cpu", 4),)),
            QueueSpec(name="a/y"),
        )
        submit(tree, *[job(f"y{n}", "a/y") for n in range(6)])
        assert len(tree.admit(0).admitted) == 6
        found = submit(tree, job("x", "a/x", 3)).admit(1)
        assert keys(found.admitted) == ["x"]
        assert len(found.ended) == 3

    def test_where_what_is_free_is_promised(self):
        tree = queues(
            QueueSpec(name="a", guarantee=(("cpu", 2),)),
            QueueSpec(name="a/x", guarantee=(("cpu", 2),)),
            QueueSpec(name="a/y"),
            QueueSpec(name="b"),
        )
        submit(tree, job("y", "a/y", 4), job("b", "b", 4, longest_s=10))
        assert len(tree.admit(0).admitted) == 2
        submit(tree, job("big", "b", 6, longest_s=5))
        assert not tree.admit(1).admitted
        found = submit(tree, job("x", "a/x", 2)).admit(2)
        assert keys(found.admitted) == ["x"]
        assert [(e.job.key, e.by) for e in found.ended] == [("y", "x")]
        assert {one.job.key: one.at_s for one in tree.promises} == {"big": 10}


def test_a_tree_is_checked():
    with pytest.raises(InvalidArgument, match="no queue a"):
        queues(QueueSpec(name="a/x"))
    with pytest.raises(InvalidArgument, match="the cluster has less"):
        queues(QueueSpec(name="a", guarantee=(("cpu", 11),)))
    with pytest.raises(InvalidArgument, match="queue a has less"):
        queues(QueueSpec(name="a"), QueueSpec(name="a/x", guarantee=(("cpu", 1),)))


def test_what_is_asked_for_is_checked():
    tree = submit(queues(QueueSpec(name="a")), job("j", "a"))
    with pytest.raises(AlreadyExists):
        tree.submit(job("j", "a"))
    odd = Job(key="odd", queue="a", pods=(Pod("o/0", Shape(requests=(("example.com/x", 1),))),))
    with pytest.raises(InvalidArgument, match=r"example\.com/x"):
        tree.submit(odd)


class TestTurn:
    def test_admitted_jobs_are_placed_and_those_that_end_leave_the_nodes(self):
        nodes = [Node(name=name, allocatable=amounts({"cpu": 5, "pods": 9})) for name in "mn"]
        scheduler = Scheduler(Snapshot(nodes))
        tree = queues(QueueSpec(name="a", guarantee=(("cpu", 5),)), QueueSpec(name="b"))
        submit(tree, job("b", "b", pods=10))
        assert len(turn(tree, scheduler, 0).placements) == 10
        found = turn(submit(tree, job("a", "a", 5)), scheduler, 1)
        assert [e.job.key for e in found.admission.ended] == ["b"]
        assert found.placements == {"a/0": "m"}

    def test_without_nodes_it_waits_again(self):
        nodes = [Node(name=name, allocatable=amounts({"cpu": 5, "pods": 9})) for name in "mn"]
        scheduler = Scheduler(Snapshot(nodes))
        tree = submit(queues(QueueSpec(name="a")), job("wide", "a", 6), job("next", "a", submitted_s=1))
        found = turn(tree, scheduler, 0)
        assert keys(found.admission.admitted) == ["next"]
        assert found.admission.waiting == {"wide": NO_NODES}
        assert tree.tree.used == (1,)
        tree.forget("wide")
        assert not tree.admit(1).waiting
