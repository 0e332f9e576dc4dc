"""A fleet of mixed machines and 200 shapes of pods, from one seed."""

from __future__ import annotations

import random

import msgspec

from sampan.kube.selector import Requirement
from sampan.schedule.node import NO_SCHEDULE, PREFER_NO_SCHEDULE, Node, Taint
from sampan.schedule.pod import Pod
from sampan.schedule.shape import NodeTerm, PodTerm, Shape, Spread, Toleration, amounts, pairs

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NODES, SHAPES, THERE = 5_000, 200, 150_000
ZONES = [f"zone-{letter}" for letter in "abcde"]
_GI = 1 << 30
_SIZES = [(32_000, 128), (64_000, 256), (96_000, 384)]


def four_dimensions(seed: int) -> tuple[list[Node], list[Shape]]:
    """Return nodes and shapes with four resources each."""
    source = random.Random(seed)
    nodes = []
    for number in range(NODES):
        cpu, memory = source.choice(_SIZES)
        have = {"cpu": cpu, "memory": memory * _GI, "ephemeral-storage": 1000 * _GI, "example.com/nic": 64, "pods": 250}
        nodes.append(Node(name=f"node-{number:05}", allocatable=amounts(have)))
    shapes = [
        Shape(
            requests=amounts(
                {
                    "cpu": source.randrange(50, 2000, 10),
                    "memory": source.randrange(1, 64) * _GI // 8,
                    "ephemeral-storage": source.randrange(1, 80) * _GI // 8,
                    "example.com/nic": source.randrange(1, 3),
                }
            )
        )
        for _ in range(SHAPES)
    ]
    return nodes, shapes


def everything(seed: int) -> tuple[list[Node], list[Shape]]:
    """Return nodes with zones, disks and taints, and shapes of which four in ten have wishes about them or about pods."""
    source = random.Random(seed)
    nodes = []
    for number in range(NODES):
        cpu, memory = source.choice(_SIZES)
        name = f"node-{number:05}"
        labels = {HOST: name, ZONE: ZONES[number % len(ZONES)], "disk": source.choice(["ssd", "hdd"])}
        taints = []
        if source.random() < 0.1:
            taints.append(Taint("dedicated", source.choice(["batch", "web"]), NO_SCHEDULE))
        if source.random() < 0.1:
            taints.append(Taint("old", "", PREFER_NO_SCHEDULE))
        have = {"cpu": cpu, "memory": memory * _GI, "pods": 250}
        nodes.append(Node(name=name, allocatable=amounts(have), labels=pairs(labels), taints=tuple(taints)))
    return nodes, [_shape(source, number) for number in range(SHAPES)]


def _shape(source: random.Random, number: int) -> Shape:
    namespace, app = f"team-{number % 20}", f"app-{number}"
    selector = (Requirement("app", "In", (app,)),)
    base = Shape(
        namespace=namespace,
        labels=pairs({"app": app}),
        requests=amounts({"cpu": source.randrange(50, 700, 10), "memory": source.randrange(1, 24) * _GI // 8}),
    )
    sort = number % 10
    if sort < 6:
        return base
    if sort == 6:
        return _with(
            base,
            node_terms=(NodeTerm((Requirement("disk", "In", ("ssd",)),)),),
            preferred_nodes=((10, NodeTerm((Requirement(ZONE, "In", (source.choice(ZONES),)),))),),
            tolerations=(Toleration(key="dedicated", value="batch", effect=NO_SCHEDULE),),
        )
    if sort == 7:
        return _with(base, spread=(Spread(topology=ZONE, max_skew=5, selector=selector),))
    beside = PodTerm(topology=HOST, selector=selector, namespaces=(namespace,))
    if sort == 8:
        return _with(base, anti_affinity=(beside,))
    near = PodTerm(topology=ZONE, selector=selector, namespaces=(namespace,))
    return _with(base, preferred_pods=((10, near),))


def _with(shape: Shape, **changes: object) -> Shape:
    return msgspec.structs.replace(shape, **changes)


def there(nodes: list[Node], shapes: list[Shape], seed: int) -> list[tuple[Pod, str]]:
    """Return the pods that are there already, each with its node: spread ones even over zones, no two that bar each other."""
    source = random.Random(seed)
    found: list[tuple[Pod, str]] = []
    barred: set[tuple[int, int]] = set()
    for number in range(THERE):
        which = source.randrange(len(shapes))
        shape = shapes[which]
        row = source.randrange(len(nodes))
        if shape.spread:
            row = row - row % len(ZONES) + number % len(ZONES)
        if shape.anti_affinity:
            if (which, row) in barred or len(found) % 3:
                shape = shapes[0]
            else:
                barred.add((which, row))
        found.append((Pod(f"{shape.namespace}/there-{number}", shape), nodes[row].name))
    return found
