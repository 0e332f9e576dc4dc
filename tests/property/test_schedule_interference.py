"""With a pod at most so many of a sort on its node: both ways, as the oracle says, where nearly every pod has such rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from property.test_schedule_exact import placed_alike
from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import AtMost, PodTerm, Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import HOST, NAMESPACES
from scheduling_oracle import Cluster

LONG = settings(max_examples=200, deadline=None)
few = st.sampled_from
rule = st.builds(
    AtMost,
    st.integers(0, 2),
    st.builds(
        PodTerm,
        topology=st.just(HOST),
        selector=few([(), *((Requirement("app", "In", (app,)),) for app in "xyz")]),
        namespaces=few([("a",), ("a", "b")]),
        namespace_selector=few([None, None, ()]),
    ),
)
shapes = st.builds(
    Shape,
    namespace=few("aab"),
    labels=few("xyz").map(lambda app: pairs({"app": app})),
    requests=few([0, 10, 100]).map(lambda cpu: amounts({"cpu": cpu} if cpu else {})),
    at_most=st.lists(rule, max_size=2).map(tuple),
)
machines = st.integers(1, 3).map(
    lambda count: [
        Node(name=f"n{number}", allocatable=amounts({"cpu": 4000, "memory": 8 << 30, "pods": 9}))
        for number in range(count)
    ]
)
wishes = st.lists(st.tuples(shapes, st.integers(1, 4)), min_size=1, max_size=8)


@given(machines, wishes, st.booleans())
@LONG
def test_as_the_oracle_says(nodes, asked, one_by_one):
    placed_alike(nodes, asked, one_by_one=one_by_one)


@given(machines, st.lists(st.tuples(shapes, st.integers(0, 2)), min_size=3, max_size=16))
@LONG
def test_no_rule_is_broken_when_pods_are_evicted(nodes, asked):
    snapshot = Snapshot(nodes, NAMESPACES)
    scheduler = Scheduler(snapshot)
    for number, (shape, priority) in enumerate(asked):
        scheduler.place([Pod(f"{shape.namespace}/p{number}", shape, priority)])
        cluster = Cluster(nodes, NAMESPACES)
        for row, node in enumerate(snapshot.nodes):
            cluster.placed += [(pod, node.name) for pod, _ in snapshot.pods.on(row)]
        for pod, name in list(cluster.placed):
            cluster.placed.remove((pod, name))
            assert cluster.fits(pod.shape, cluster.nodes[snapshot.rows[name]])
            cluster.placed.append((pod, name))
