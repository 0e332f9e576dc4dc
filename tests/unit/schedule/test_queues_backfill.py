from __future__ import annotations

from sampan.schedule.node import Node
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Job
from sampan.schedule.queues.queues import NO_NODES, Queues
from sampan.schedule.queues.tree import QueueSpec, QueueTree
from sampan.schedule.queues.turn import turn
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot


def queues(*specs: QueueSpec, cpu: int = 10) -> Queues:
    return Queues(QueueTree(specs, (cpu,), Dimensions(("cpu",))))


def job(key: str, cpu: int, longest_s: float | None = None, *, queue: str = "a", pods: int = 1, at_s: float = 0) -> Job:
    shape = Shape(requests=amounts({"cpu": cpu}))
    names = (f"{key}/{number}" for number in range(pods))
    made = tuple(Pod(name, shape) for name in names)
    return Job(key=key, queue=queue, pods=made, submitted_s=at_s, longest_s=longest_s)


def admitted(found: Queues, now_s: float, *jobs: Job) -> list[str]:
    for one in jobs:
        found.submit(one)
    return [one.key for one in found.admit(now_s).admitted]


def test_who_ends_in_time_or_leaves_enough_goes_before():
    found = queues(QueueSpec(name="a"))
    assert admitted(found, 0, job("runs", 6, 10)) == ["runs"]
    waits, small = job("waits", 8, at_s=1), job("late", 4, 11, at_s=2)
    in_time, leaves = job("in time", 2, 9, at_s=3), job("leaves", 2, at_s=4)
    assert admitted(found, 1, waits, small, in_time, leaves) == ["in time", "leaves"]
    assert found.admit(1).waiting == {
        "waits": "no room, and none that queue a can take back; it starts at 10 s at the latest"
    }
    assert [one.key for one in found.admit(10).admitted] == ["waits"]


def test_who_runs_for_ever_is_never_seen_to_end():
    found = queues(QueueSpec(name="a"))
    assert admitted(found, 0, job("runs", 6), job("big", 8, at_s=1), job("small", 1, 1, at_s=2)) == ["runs"]
    assert not list(found.promises)


def test_other_queues_mind_a_promise_unless_they_are_guaranteed_the_room():
    found = queues(QueueSpec(name="a"), QueueSpec(name="b"), QueueSpec(name="c", guarantee=(("cpu", 4),)))
    assert admitted(found, 0, job("runs", 6, 10)) == ["runs"]
    assert not admitted(found, 1, job("big", 9, 5))
    assert not admitted(found, 1, job("b", 4, 20, queue="b"))
    assert found.admit(1).waiting["b"] == "what is free is promised to job big; it starts at 15 s at the latest"
    assert admitted(found, 1, job("c", 4, 20, queue="c")) == ["c"]
    assert {one.job.key: one.at_s for one in found.promises} == {"big": 21, "b": 26}


class TestNodes:
    """Two nodes of 5."""

    def world(self) -> tuple[Queues, Scheduler]:
        nodes = [Node(name=name, allocatable=amounts({"cpu": 5, "pods": 9})) for name in "mn"]
        return queues(QueueSpec(name="a")), Scheduler(Snapshot(nodes))

    def test_the_first_is_promised_nodes_and_others_keep_off_them(self):
        found, scheduler = self.world()
        for one in (job("m", 3, 10), job("n", 3, 20)):
            found.submit(one)
        assert turn(found, scheduler, 0).placements == {"m/0": "m", "n/0": "n"}
        for one in (job("wide", 4, at_s=1), job("long", 2, 30, at_s=2), job("other", 2, 30, at_s=3)):
            found.submit(one)
        first = turn(found, scheduler, 1)
        # either would fit on m now, but not leave 4 of it at 10
        assert first.placements == {"long/0": "n"}
        assert first.admission.waiting["wide"] == f"{NO_NODES}; it starts at 10 s at the latest"
        assert turn(found, scheduler, 10).placements == {"wide/0": "m"}

    def test_where_nothing_can_be_foreseen_its_queue_waits(self):
        found, scheduler = self.world()
        for one in (job("m", 3), job("n", 3), job("wide", 4, at_s=1), job("small", 1, 1, at_s=2)):
            found.submit(one)
        assert turn(found, scheduler, 0).placements == {"m/0": "m", "n/0": "n"}
        assert turn(found, scheduler, 1).admission.waiting["wide"] == f"{NO_NODES}; its queue waits for it"

    def test_what_no_node_could_hold_keeps_nobody_waiting_until_there_is_one(self):
        found, scheduler = self.world()
        for one in (job("wide", 6), job("small", 1, at_s=1)):
            found.submit(one)
        assert turn(found, scheduler, 0).admission.waiting == {"wide": NO_NODES}
        scheduler.snapshot.set_node(Node(name="z", allocatable=amounts({"cpu": 8, "pods": 9})))
        assert turn(found, scheduler, 1).placements == {"wide/0": "z"}

    def test_a_turn_that_comes_late_still_starts_who_is_due(self):
        nodes = [Node(name=name, allocatable=amounts({"cpu": 5, "pods": 9})) for name in "mn"]
        found, scheduler = queues(QueueSpec(name="a"), QueueSpec(name="b"), cpu=20), Scheduler(Snapshot(nodes))
        for one in (job("m", 3, 10), job("n", 3)):
            found.submit(one)
        assert turn(found, scheduler, 0).placements == {"m/0": "m", "n/0": "n"}
        for one in (job("due", 4, 10, queue="b"), job("next", 4, 10)):
            found.submit(one)
        turn(found, scheduler, 1)
        assert {one.job.key: one.at_s for one in found.promises} == {"due": 10, "next": 20}
        assert turn(found, scheduler, 10.5).placements == {"due/0": "m"}  # though it ends after 20 by now
        assert {one.job.key: one.at_s for one in found.promises} == {"next": 20.5}
        assert turn(found, scheduler, 20.5).placements == {"next/0": "m"}
