"""Workloads as perf.json has them: the fields of scheduler_perf's performance-config files that say what is scheduled.

A pod asks for 100m and 500 Mi and a node has 4 CPU, 32 Gi and 110 pods where nothing else is said.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node, Taint
from sampan.schedule.pod import Pod
from sampan.schedule.shape import NodeTerm, PodTerm, Selector, Shape, Spread, amounts, pairs

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
_MI, _GI = 1 << 20, 1 << 30


class TermWish(msgspec.Struct, forbid_unknown_fields=True):
    topology: str
    match: dict[str, str]
    namespaces: list[str] = []
    namespace_match: dict[str, str] | None = None


class SpreadWish(msgspec.Struct, forbid_unknown_fields=True):
    topology: str
    max_skew: int
    match: dict[str, str]
    hard: bool = True
    honor_taints: bool = False


class PodWish(msgspec.Struct, forbid_unknown_fields=True):
    cpu: int = 100
    memory: int = 500 * _MI
    priority: int = 0
    labels: dict[str, str] = {}
    affinity: list[TermWish] = []
    anti_affinity: list[TermWish] = []
    preferred: list[tuple[int, TermWish]] = []
    spread: list[SpreadWish] = []
    default_spread: bool = False
    zones: list[str] = []
    node: str = ""


class NodeGroup(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    name: str = "scheduler-perf"
    zones: list[str] = []
    pods: int = 110
    taint: str = ""


class PodGroup(msgspec.Struct, forbid_unknown_fields=True):
    """`each`: as many in each of the workload's namespaces."""

    pod: str
    count: int
    namespace: str = "default"
    each: bool = False


class Injected(msgspec.Struct, forbid_unknown_fields=True):
    """One pod after `every` measured ones; not counted."""

    pod: str
    every: int


class Workload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`floor`: pods/s below which upstream's run fails, its API server counted; None: it has none."""

    floor: int | None
    nodes: list[NodeGroup]
    namespaces: int = 0
    init: list[PodGroup] = []
    measured: PodGroup
    injected: Injected | None = None
    victims: int = 0


class File(msgspec.Struct, forbid_unknown_fields=True):
    pods: dict[str, PodWish]
    workloads: dict[str, Workload]


def load() -> File:
    return msgspec.json.decode((Path(__file__).parent / "perf.json").read_bytes(), type=File)


def nodes(groups: list[NodeGroup]) -> list[Node]:
    return [node(group, number) for group in groups for number in range(group.count)]


def node(group: NodeGroup, number: int) -> Node:
    name = group.name if group.count == 1 else f"{group.name}-{number:05}"
    labels = {HOST: name}
    if group.zones:
        labels[ZONE] = group.zones[number % len(group.zones)]
    return Node(
        name=name,
        allocatable=amounts({"cpu": 4000, "memory": 32 * _GI, "pods": group.pods}),
        labels=pairs(labels),
        taints=(Taint(group.taint),) if group.taint else (),
    )


def pods(file: File, group: PodGroup, prefix: str, namespaces: int = 0) -> list[Pod]:
    wish = file.pods[group.pod]
    names = [f"{group.namespace}-{number}" for number in range(namespaces)] if group.each else [group.namespace]
    return [
        Pod(f"{name}/{prefix}-{number}", made, wish.priority)
        for name in names
        for made in [shape(wish, name)]
        for number in range(group.count)
    ]


def shape(wish: PodWish, namespace: str) -> Shape:
    asked = {name: amount for name, amount in (("cpu", wish.cpu), ("memory", wish.memory)) if amount}
    return Shape(
        namespace=namespace,
        labels=pairs(wish.labels),
        requests=amounts(asked),
        node_terms=_node_terms(wish),
        affinity=tuple(_term(term) for term in wish.affinity),
        anti_affinity=tuple(_term(term) for term in wish.anti_affinity),
        preferred_pods=tuple((weight, _term(term)) for weight, term in wish.preferred),
        spread=tuple(
            Spread(
                topology=one.topology,
                max_skew=one.max_skew,
                selector=_selector(one.match),
                hard=one.hard,
                honor_taints=one.honor_taints,
            )
            for one in wish.spread
        ),
        spread_is_default=wish.default_spread,
    )


def _node_terms(wish: PodWish) -> tuple[NodeTerm, ...] | None:
    if wish.node:
        return (NodeTerm((), (Requirement("metadata.name", "In", (wish.node,)),)),)
    if wish.zones:
        return (NodeTerm((Requirement(ZONE, "In", tuple(wish.zones)),)),)
    return None


def _term(wish: TermWish) -> PodTerm:
    return PodTerm(
        topology=wish.topology,
        selector=_selector(wish.match),
        namespaces=tuple(wish.namespaces),
        namespace_selector=None if wish.namespace_match is None else _selector(wish.namespace_match),
    )


def _selector(match: dict[str, str]) -> Selector:
    return tuple(Requirement(key, "In", (value,)) for key, value in sorted(match.items()))
