"""Volumes that are there for claims."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sampan.kube.selector import Requirement
from sampan.schedule.claimable import FreeVolume, suits
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.plugins.inter_pod_affinity import AFFINITY
from sampan.schedule.plugins.volumes import NONE_LEFT
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.shape import NodeTerm, PodTerm, Shape, UnboundClaim, VolumeWish, amounts, pairs
from sampan.schedule.snapshot import Snapshot

WISH = VolumeWish(storage_class="s", size_bytes=2, access_modes=("ReadWriteOnce",))
CLAIM = UnboundClaim(key="n/c", uid="u", wish=WISH)
VOLUME = FreeVolume(name="v", storage_class="s", size_bytes=2, access_modes=("ReadWriteOnce", "ReadWriteMany"))
SSD = (Requirement("disk", "In", ("ssd",)),)


@pytest.mark.parametrize(
    "wish, volume, may",
    [
        ({}, {}, True),
        ({"size_bytes": 3}, {}, False),
        ({"storage_class": "t"}, {}, False),
        ({"mode": "Block"}, {}, False),
        ({"attributes_class": "fast"}, {}, False),
        ({"access_modes": ("ReadOnlyMany",)}, {}, False),
        ({"access_modes": ("ReadWriteOnce", "ReadWriteMany")}, {}, True),
        ({"selector": SSD}, {}, False),
        ({"selector": SSD}, {"labels": (("disk", "ssd"),)}, True),
        ({}, {"claim": "n/c"}, True),
        ({}, {"claim": "n/c", "claim_uid": "u"}, True),
        ({}, {"claim": "n/c", "claim_uid": "old"}, False),
        ({}, {"claim": "n/other"}, False),
        ({"selector": SSD, "access_modes": ("ReadOnlyMany",)}, {"claim": "n/c"}, True),
        ({"size_bytes": 3}, {"claim": "n/c"}, False),
    ],
)
def test_which_volumes_suit_a_claim(wish, volume, may):
    assert suits(replace(CLAIM, wish=replace(WISH, **wish)), replace(VOLUME, **volume)) is may


def snapshot(*nodes: str, **volumes: str) -> Snapshot:
    """Return nodes, and volumes by name, each on the node it says."""
    found = Snapshot(
        [Node(name=name, allocatable=amounts({"cpu": 9, "pods": 10}), labels=pairs({"host": name})) for name in nodes]
    )
    found.settle()
    for name, node in volumes.items():
        term = NodeTerm((Requirement("host", "In", (node,)),))
        found.volumes.put(name, replace(VOLUME, name=name, reach=((term,),)))
    return found


def pod(name: str, *claims: str, **more) -> Pod:
    unbound = tuple(replace(CLAIM, key=f"n/{claim}", uid=claim) for claim in claims or (name,))
    return Pod(f"n/{name}", Shape(namespace="n", unbound=unbound), **more)


def test_a_volume_is_given_once_and_again_when_its_pod_has_gone():
    there = snapshot("a", "b", v="b")
    core = Scheduler(there)
    assert core.place([pod("p"), pod("q")]).placements == {"n/p": "b"}
    assert core.place([pod("q")]).reasons["n/q"].counts == ((NONE_LEFT, 2),)
    there.remove("n/p")
    assert core.place([pod("q")]).placements == {"n/q": "b"}


def test_what_was_refused_is_asked_anew_when_a_volume_comes():
    there = snapshot("a", "b")
    core = Scheduler(there)
    assert not core.place([pod("p")]).placements
    there.volumes.put("v", VOLUME)
    assert core.place([pod("p")]).placements == {"n/p": "a"}
    there.volumes.put("v", None)
    assert not core.still_fits("n/p")


def test_what_was_said_of_a_refusal_is_said_anew_when_a_volume_comes():
    there = snapshot("a", "b")
    core = Scheduler(there)
    friendless = PodTerm(topology="host", selector=(Requirement("app", "In", ("friend",)),), namespaces=("n",))
    loner = replace(pod("p"), shape=replace(pod("p").shape, affinity=(friendless,)))
    assert core.place([loner]).reasons["n/p"].counts == ((NONE_LEFT, 2),)
    there.volumes.put("v", VOLUME)
    assert core.place([loner]).reasons["n/p"].counts == ((AFFINITY, 2),)


def test_a_node_that_has_one_of_two_is_not_enough():
    there = snapshot("a", "b", "c", u="a", v="b", w="b")
    assert Scheduler(there).place([pod("p", "c", "d")]).placements == {"n/p": "b"}
    assert there.volumes.given("n/p") == {"n/c": "v", "n/d": "w"}


def test_two_pods_of_one_claim_share_its_volume():
    there = snapshot("a", "b", v="b", w="a")
    core = Scheduler(there)
    core.place([pod("p", "c"), pod("q", "c")])
    assert {there.node_of("n/p"), there.node_of("n/q")} == {"a"}
    there.remove("n/p")
    assert there.volumes.given("n/q") == {"n/c": "w"}
    assert core.place([pod("r", "d")]).placements == {"n/r": "b"}


def test_a_gang_that_does_not_fit_leaves_its_volumes():
    there = snapshot("a", "b", v="a", w="b")
    core = Scheduler(there)
    gang = [pod(name, gang=Gang("g", 3)) for name in ("p", "q", "r")]
    assert not core.place(gang).placements
    assert not there.volumes._claims
    assert len(core.place([replace(one, gang=Gang("g", 2)) for one in gang]).placements) == 2


def test_a_pod_whose_node_has_gone_keeps_its_volume_until_it_is_taken_off():
    there = snapshot("a", "b", v="b")
    core, node = Scheduler(there), there.nodes[1]
    core.place([pod("p")])
    there.remove_node("b")
    there.settle()
    assert not core.still_fits("n/p")
    assert there.volumes.given("n/p") == {"n/p": "v"}
    there.set_node(node)
    there.settle()
    assert core.still_fits("n/p")
    assert not core.place([pod("q")]).placements
    there.remove("n/p")
    assert core.place([pod("q")]).placements == {"n/q": "b"}


def test_nobody_is_evicted_for_a_volume():
    there = snapshot("a")
    there.add(Pod("n/low", Shape(namespace="n")), "a")
    outcome = Scheduler(there).place([pod("p", priority=10)])
    assert not outcome.evictions
    assert outcome.reasons["n/p"].counts == ((NONE_LEFT, 1),)


def test_who_makes_room_keeps_the_volume_while_it_waits():
    there = snapshot("a", v="a")
    full = Shape(namespace="n", requests=amounts({"cpu": 9}))
    there.add(Pod("n/low", full), "a")
    wants = replace(pod("p", priority=10), shape=replace(pod("p").shape, requests=amounts({"cpu": 5})))
    outcome = Scheduler(there).place([wants])
    assert [one.pod.key for one in outcome.evictions] == ["n/low"]
    assert there.volumes.given("n/p") == {"n/p": "v"}
