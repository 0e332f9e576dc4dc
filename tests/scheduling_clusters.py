"""Small clusters and wishes for hypothesis: few names, so that everything meets everything."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node, Taint
from sampan.schedule.shape import (
    AtMost,
    Attachment,
    HostPort,
    NodeTerm,
    PodTerm,
    Shape,
    Spread,
    Toleration,
    amounts,
    pairs,
)
from sampan.schedule.snapshot import Snapshot

HOST, ZONE = "kubernetes.io/hostname", "zone"
NAMESPACES = {"a": {"team": "x"}, "b": {"team": "y"}, "c": {}}

few = st.sampled_from
maybe = st.booleans()


@st.composite
def nodes(draw: st.DrawFn, least: int = 1, most: int = 6) -> list[Node]:
    return [draw(node(f"n{number}")) for number in range(draw(st.integers(least, most)))]


@st.composite
def node(draw: st.DrawFn, name: str) -> Node:
    labels = {HOST: name}
    if draw(st.integers(0, 5)):
        labels[ZONE] = draw(few("pqr"))
    if draw(maybe):
        labels["disk"] = draw(few(["ssd", "hdd", "7"]))
    taint = st.builds(
        Taint, few(["k", "l"]), few(["", "v", "4"]), few(["NoSchedule", "PreferNoSchedule", "PreferNoSchedule"])
    )
    return Node(
        name=name,
        allocatable=amounts(
            {"cpu": draw(few([1000, 2000, 4000])), "memory": draw(few([4, 8])) << 30, "pods": draw(few([2, 5, 9]))}
            | ({"gpu": 2} if draw(maybe) else {})
        ),
        labels=pairs(labels),
        taints=tuple(draw(st.lists(taint, max_size=1))) if draw(st.integers(0, 3)) == 0 else (),
        unschedulable=draw(st.integers(0, 9)) == 0,
        images=(("img", draw(few([100, 900])) << 20),) if draw(maybe) else (),
        attachable=(("csi", draw(few([1, 3]))),) if draw(maybe) else (),
    )


requirement = st.builds(
    Requirement, few(["disk", ZONE]), few(["In", "NotIn", "Exists", "DoesNotExist", "Gt"]), st.just(("7",))
) | st.builds(Requirement, st.just(ZONE), st.just("In"), st.lists(few("pqr"), min_size=1, max_size=2).map(tuple))
node_term = st.builds(NodeTerm, st.lists(requirement, max_size=2).map(tuple)) | st.builds(
    NodeTerm,
    st.just(()),
    st.lists(few(["n0", "n1", "n9"]), min_size=1, max_size=2).map(
        lambda names: (Requirement("metadata.name", "In", tuple(names)),)
    ),
)
pod_selector = few([None, (), (Requirement("app", "In", ("x",)),), (Requirement("app", "NotIn", ("x",)),)])
pod_term = st.builds(
    PodTerm,
    topology=few([HOST, ZONE, "disk"]),
    selector=pod_selector,
    namespaces=st.lists(few("abc"), max_size=2, unique=True).map(tuple),
    namespace_selector=few([None, (), (Requirement("team", "In", ("x",)),)]),
)
spread = st.builds(
    Spread,
    topology=few([HOST, ZONE, "disk"]),
    max_skew=st.integers(1, 2),
    selector=pod_selector,
    hard=maybe,
    min_domains=st.integers(1, 3),
    honor_affinity=maybe,
    honor_taints=maybe,
)
at_most = st.builds(AtMost, st.integers(0, 3), pod_term.map(lambda term: msgspec.structs.replace(term, topology=HOST)))
toleration = st.builds(
    Toleration,
    key=few(["", "k", "l"]),
    value=few(["", "v", "3", "4"]),
    operator=few(["Equal", "Exists", "Gt", "Lt"]),
    effect=few(["", "NoSchedule"]),
)


def some(strategy: st.SearchStrategy, often: int = 4, most: int = 2) -> st.SearchStrategy:
    """Return tuples that are mostly empty."""
    return st.integers(0, often).flatmap(
        lambda number: st.lists(strategy, min_size=1, max_size=most).map(tuple) if number == 0 else st.just(())
    )


shapes = st.builds(
    Shape,
    namespace=few("abc"),
    labels=few([(), (("app", "x"),), (("app", "y"),)]),
    requests=st.builds(
        lambda cpu, memory, gpu: amounts(
            {name: amount for name, amount in (("cpu", cpu), ("memory", memory << 30), ("gpu", gpu)) if amount}
        ),
        few([0, 100, 110, 300, 1000]),
        few([0, 1, 2]),
        few([0, 0, 0, 1]),
    ),
    node_name=few(["", "", "", "", "", "", "n0"]),
    node_selector=few([(), (), (), (), (("disk", "ssd"),)]),
    node_terms=st.none() | st.none() | st.lists(node_term, max_size=2).map(tuple),
    preferred_nodes=some(st.tuples(st.integers(1, 100), node_term)),
    tolerations=some(toleration, 2),
    affinity=some(pod_term),
    anti_affinity=some(pod_term),
    preferred_pods=some(st.tuples(st.integers(-100, 100).filter(bool), pod_term)),
    at_most=some(at_most),
    spread=some(spread, 3),
    spread_is_default=maybe,
    ports=some(st.builds(HostPort, few([80, 81]), few(["TCP", "UDP"]), few(["0.0.0.0", "10.0.0.1"])), 6),
    volume_terms=some(st.lists(node_term, min_size=1, max_size=2).map(tuple), 8, 1),
    attachments=some(st.builds(Attachment, st.just("csi"), few("uvw")), 6),
    exclusive=some(few("uv"), 9, 1),
    images=few([(), ("img",), ("img", "other")]),
    ending=few([False, False, False, True]),
)
plain_shapes = st.builds(
    Shape,
    namespace=few("ab"),
    requests=st.builds(
        lambda cpu, memory: amounts({"cpu": cpu, "memory": memory << 28}), few([100, 250, 400]), st.integers(1, 9)
    ),
    tolerations=some(toleration, 2),
    preferred_nodes=some(st.tuples(st.integers(1, 100), node_term)),
    ports=some(st.builds(HostPort, few([80, 81])), 5, 1),
    attachments=some(st.builds(Attachment, st.just("csi"), few("uvw")), 5),
    anti_affinity=some(pod_term.filter(lambda term: term.topology == HOST)),
    at_most=some(at_most),
    images=few([(), ("img",)]),
)

TERMS = [
    PodTerm(topology=topology, selector=(), namespaces=("a",), namespace_selector=None) for topology in (HOST, ZONE)
] + [PodTerm(topology=ZONE, selector=(), namespaces=(), namespace_selector=())]


def columns(snapshot: Snapshot) -> dict[str, object]:
    """Return all that decisions come from, by name."""
    found: dict[str, object] = {"nodes": snapshot.nodes}
    for name, number in snapshot.resources.numbers.items():
        for what, all_of in (("free", snapshot.resources.free), ("has", snapshot.resources.allocatable)):
            if all_of[number].any():
                found[f"{what} {name}"] = all_of[number].tolist()
    found["weighted"] = snapshot.resources.weighted(((2, 1.0), (3, 2.0))).values.tolist()
    found["attachments"] = snapshot.attachments.column("csi").tolist()
    for number, term in enumerate(TERMS):
        tally = snapshot.matching(term)
        sums = tally.by(term.topology, snapshot.domains(term.topology))
        found[f"tally {number}"] = tally.counts.tolist(), tally.total, sums.values.tolist()
    return found
