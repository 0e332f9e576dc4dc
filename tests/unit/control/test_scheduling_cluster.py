"""What is told of a cluster, in whatever order; nothing is left of what has gone."""

from __future__ import annotations

from msgspec.structs import replace

from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.pods import Seen
from sampan.control.scheduling.volumes import Claim, Volume
from sampan.schedule.node import Node
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.shape import Attachment, Shape, amounts

NODE = Node(name="a", allocatable=amounts({"cpu": 1000, "pods": 10}), attachable=(("d", 3),))
CLAIM = Claim(volume="v", storage_class="", exclusive=False, deleting=False, bound=True)


def running(name: str, *claims: str) -> Seen:
    return Seen(pod=Pod(f"n/{name}", Shape(namespace="n")), uid=name, node="a", claims=claims)


def attached(cluster: Cluster) -> int:
    cluster.snapshot.settle()
    return 3 - int(cluster.snapshot.attachments.column("d")[0])


def test_a_volume_that_is_told_after_its_pods_is_counted():
    cluster = Cluster()
    cluster.limits("a", (("d", 3),))
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    cluster.claim("n", "c", CLAIM)
    cluster.pod(None, running("p", "c", "c"))
    cluster.pod(None, running("q", "c"))
    assert attached(cluster) == 0
    cluster.volume("other", Volume((), Attachment("d", "other")))
    assert attached(cluster) == 0
    cluster.volume("v", Volume((), Attachment("d", "v")))
    assert attached(cluster) == 1
    cluster.claim("n", "other", CLAIM)
    cluster.claim("n", "other", None)
    cluster.volume("v", Volume((), Attachment("d", "w")))
    assert attached(cluster) == 1
    cluster.claim("n", "c", None)
    assert not cluster._claims_of


def test_a_recount_is_what_was_told_and_assumed():
    cluster = Cluster()
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    told = running("told")
    waiting = [Seen(pod=Pod(f"n/{name}", Shape(namespace="n")), uid=name) for name in ("assumed", "halfway")]
    for one in (told, *waiting):
        cluster.pod(None, one)
    for one in waiting:
        cluster.snapshot.add(one.pod, "a")
    cluster.assumed["n/assumed"] = "a"
    cluster.snapshot.lift("n/told")
    cluster.recount()
    assert set(cluster.snapshot.pods.slots) == {"n/told", "n/assumed"}


def test_nothing_is_left_of_pods_that_have_gone():
    cluster = Cluster()
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    cluster.claim("n", "c", CLAIM)
    cluster.volume("v", Volume((), Attachment("d", "v")))
    pods = [running("p", "c", "c"), running("q", "c")]
    for one in pods:
        cluster.pod(None, one)
    for one in pods:
        cluster.pod(one, None)
    assert len(cluster.snapshot.pods) == 0
    assert not cluster.known
    assert not cluster._claimants
    assert not cluster.snapshot.attachments._users


def ganged(cluster: Cluster, name: str, priority: int, *, node: str = "", least: int = 2) -> Pod:
    pod = Pod(f"n/{name}", Shape(namespace="n"), priority, gang=Gang("n/g", 0))
    cluster.group("n/g", least)
    cluster.pod(None, Seen(pod=pod, uid=name, node=node))
    return cluster.known[pod.key].pod


def in_turn(cluster: Cluster) -> list[tuple[str, int]]:
    """Return who has a turn, each with how many of its gang have to be placed, 0 for one that is by itself."""
    found = cluster.in_turn(cluster.queue.take(1))
    return [(pod.key, 0 if pod.gang is None else pod.gang.least) for pod in found]


def test_all_of_a_gang_that_wait_have_their_turn_with_the_first():
    cluster = Cluster()
    for number in range(4):
        ganged(cluster, f"g{number}", number, least=3)
    cluster.pod(None, Seen(pod=Pod("n/between", Shape(), 2), uid="between"))
    cluster.queue.park(cluster.known["n/g1"].pod, now_s=0)
    assert in_turn(cluster) == [(f"n/g{number}", 3) for number in (3, 2, 1, 0)]
    assert in_turn(cluster) == [("n/between", 0)]
    assert in_turn(cluster) == []
    assert len(cluster.queue) == 0


def test_those_that_come_later_are_by_themselves_when_enough_run():
    cluster = Cluster()
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    waits, runs = ganged(cluster, "waits", 0), ganged(cluster, "runs", 0, node="a")
    cluster.snapshot.add(waits, "a")
    cluster.assumed[waits.key] = "a"
    cluster.provisional.add(waits.key)
    for number in range(2):
        ganged(cluster, f"late{number}", number)
    assert in_turn(cluster) == [("n/late1", 0)], "with the one that runs it is enough"
    cluster.pod(cluster.known[runs.key], None)
    cluster.queue.add(cluster.known["n/late1"].pod)
    assert in_turn(cluster) == [("n/late1", 2), ("n/late0", 2)], "the one that waits may lose its place"


def test_one_that_was_told_before_those_that_run_has_a_turn():
    """As a scheduler that begins is told them: in the order of their names."""
    cluster = Cluster()
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    ganged(cluster, "first", 0)
    assert in_turn(cluster) == []
    assert cluster.gated == {"n/first"}
    ganged(cluster, "runs", 0, node="a")
    assert in_turn(cluster) == [("n/first", 0)]
    assert not cluster.gated


def test_those_that_wait_are_not_woken_by_when_a_pod_started():
    cluster = Cluster()
    cluster.node("a", NODE)
    cluster.snapshot.settle()
    placed = Seen(pod=Pod("n/p", Shape(namespace="n")), uid="p", node="a")
    cluster.pod(None, placed)
    cluster.moved = False
    started = replace(placed, pod=replace(placed.pod, started_s=9.0))
    cluster.pod(placed, started)
    assert not cluster.moved
    assert cluster.placed_as("n/p") == (started.pod, "a")
    cluster.pod(started, replace(started, pod=replace(started.pod, shape=Shape(namespace="n", labels=(("a", "b"),)))))
    assert cluster.moved
