"""What is told of a cluster, in whatever order; nothing is left of what has gone."""

from __future__ import annotations

from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.pods import Seen
from sampan.control.scheduling.volumes import Claim, Volume
from sampan.schedule.node import Node
from sampan.schedule.pod import Pod
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
