"""Claims that are bound when their pods have a node: who gets which volume."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.kube.selector import Requirement
from sampan.schedule.claimable import FreeVolume, suits
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.plugins.volumes import Matched
from sampan.schedule.pod import Pod
from sampan.schedule.shape import NodeTerm, Shape, UnboundClaim, VolumeWish, amounts, matches, pairs
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes

HOST, ZONE = "host", "zone"
NODES = [
    Node(
        name=f"n{number}", allocatable=amounts({"pods": 9}), labels=pairs({HOST: f"n{number}", ZONE: "ab"[number % 2]})
    )
    for number in range(5)
]
few = st.sampled_from
where = few(
    [NodeTerm((Requirement(HOST, "In", (node.name,)),)) for node in NODES]
    + [NodeTerm((Requirement(ZONE, "In", (zone,)),)) for zone in ("a", "b")]
    + [
        NodeTerm((Requirement(ZONE, "In", ("b", "gone")), Requirement(HOST, "NotIn", ("n1",)))),
        NodeTerm((Requirement(HOST, "NotIn", ("n0", "n1")),)),
        NodeTerm((), (Requirement("metadata.name", "In", ("n3",)),)),
    ]
)
reach = st.lists(st.lists(where, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple) | where.map(
    lambda term: ((term,),)
)
volume = st.builds(
    FreeVolume,
    name=st.just(""),
    storage_class=few("sssst"),
    size_bytes=st.integers(1, 3),
    access_modes=few([("ReadWriteOnce",), ("ReadOnlyMany", "ReadWriteOnce")]),
    mode=few(["Filesystem"] * 5 + ["Block"]),
    labels=few([(), (("disk", "ssd"),)]),
    reach=reach,
    claim=few(["", "", "", "", "a/c0", "a/c1"]),
    claim_uid=few(["", "c0", "old"]),
)
wish = st.builds(
    VolumeWish,
    storage_class=few("sssssst"),
    size_bytes=st.integers(1, 3),
    access_modes=few([("ReadWriteOnce",), ("ReadWriteOnce",), ("ReadOnlyMany",)]),
    mode=few(["Filesystem"] * 9 + ["Block"]),
    selector=few([(), (), (), (Requirement("disk", "In", ("ssd",)),)]),
)
made = st.none() | st.none() | st.none() | st.lists(where, max_size=1).map(tuple)


@st.composite
def worlds(draw) -> tuple[list[FreeVolume], list[UnboundClaim], list[list[int]]]:
    """Return volumes, claims, and which claims each pod uses."""
    volumes = [
        FreeVolume(**{**{name: getattr(one, name) for name in one.__struct_fields__}, "name": f"v{number}"})
        for number, one in enumerate(draw(st.lists(volume, max_size=9)))
    ]
    claims = [
        UnboundClaim(key=f"a/c{number}", uid=f"c{number}", wish=draw(wish), made_on=draw(made)) for number in range(6)
    ]
    pods = draw(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True), min_size=1, max_size=5))
    return volumes, claims, pods


def holds(term: NodeTerm, node: Node) -> bool:
    return matches(term.labels, dict(node.labels)) and matches(term.fields, {"metadata.name": node.name})


def reaches(node: Node, volume: FreeVolume) -> bool:
    return all(any(holds(term, node) for term in terms) for terms in volume.reach)


def is_made(claim: UnboundClaim, node: Node) -> bool:
    return claim.made_on is not None and (not claim.made_on or any(holds(term, node) for term in claim.made_on))


def allowed(claim: UnboundClaim, volumes: list[FreeVolume], given: dict[str, str]) -> list[FreeVolume]:
    """Return the volumes that a claim may have, by the rules as they are written; `given`: claims by volume."""
    suiting = [one for one in volumes if suits(claim, one) and given.get(one.name, claim.key) == claim.key]
    mine = [one for one in suiting if given.get(one.name) == claim.key]
    return mine or [one for one in suiting if one.claim] or suiting


def possible(claims: list[UnboundClaim], volumes: list[FreeVolume], given: dict[str, str], node: Node) -> bool:
    """Return whether there is a way, by trying all."""
    if not claims:
        return True
    first, *rest = claims
    if is_made(first, node) and possible(rest, volumes, given, node):
        return True
    return any(
        possible(rest, volumes, {**given, one.name: first.key}, node)
        for one in allowed(first, volumes, given)
        if reaches(node, one)
    )


@given(worlds(), st.data())
@settings(max_examples=400, deadline=None)
def test_pods_go_where_their_claims_find_volumes_and_none_is_given_twice(world, data):
    volumes, claims, pods = world
    snapshot = Snapshot(NODES)
    snapshot.settle()
    for one in volumes:
        snapshot.volumes.put(one.name, one)
    core, given = Scheduler(snapshot), dict[str, str]()
    for number, uses in enumerate(pods):
        theirs = [claims[place] for place in uses]
        shape = Shape(namespace="a", unbound=tuple(theirs))
        passes = Matched(theirs, snapshot).passes(Nodes(snapshot, snapshot.ask(shape)))
        assert passes.tolist() == [possible(theirs, volumes, given, node) for node in NODES]
        pod = Pod(f"a/p{number}", shape)
        node = core.place([pod]).placements.get(pod.key)
        if node is None:
            assert not passes.any()
            continue
        [where] = [one for one in NODES if one.name == node]
        assert passes[NODES.index(where)]
        got = snapshot.volumes.given(pod.key)
        for claim in theirs:
            if claim.key not in got:
                assert is_made(claim, where)
                continue
            [its] = [one for one in volumes if one.name == got[claim.key]]
            assert its in allowed(claim, volumes, given)
            assert reaches(where, its)
        assert len(set(got.values())) == len(got)
        if len(theirs) == 1 and got:
            fitting = [one for one in allowed(theirs[0], volumes, given) if reaches(where, one)]
            assert got[theirs[0].key] == min(fitting, key=lambda one: (one.size_bytes, one.name)).name
        given.update({one: claim for claim, one in got.items()})
        assert core.still_fits(pod.key)
        assert snapshot.volumes.given(pod.key) == got
    for key in list(snapshot.pods.slots):
        snapshot.remove(key)
    assert not snapshot.volumes._claims
    assert not snapshot.volumes._given
    # in whatever order volumes are told and forgotten, what is left of them is what is there
    again = data.draw(st.permutations(volumes))
    for one in again[::2]:
        snapshot.volumes.put(one.name, None)
    left = Snapshot(NODES)
    left.settle()
    for one in again[1::2]:
        left.volumes.put(one.name, one)
    for claim in claims:
        assert snapshot.volumes.candidates(claim) == left.volumes.candidates(claim)
        assert snapshot.volumes.any_for(claim) == left.volumes.any_for(claim)
