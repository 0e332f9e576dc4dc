"""Nodes as the core knows them. Pure. Spec: core/v1 Node; storage.k8s.io/v1 CSINode."""

from __future__ import annotations

from sampan.control.scheduling.pods import amount
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.quota import billionths
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.schedule.node import Node, Taint
from sampan.schedule.shape import Amounts, amounts, pairs


def node(obj: Object) -> Node:
    """Return what a machine offers, but for the volumes it can attach, which its CSINode says."""
    offered = mapping(obj, "status", "allocatable") or mapping(obj, "status", "capacity")
    return Node(
        name=objects.name(obj),
        allocatable=amounts({name: amount(name, billionths(value)) for name, value in offered.items()}),
        labels=pairs(objects.labels(obj)),
        taints=tuple(
            Taint(text(item, "key"), text(item, "value"), text(item, "effect")) for item in items(obj, "spec", "taints")
        ),
        unschedulable=flag(obj, "spec", "unschedulable"),
        images=tuple(
            sorted(
                (name, number(item, "sizeBytes"))
                for item in items(obj, "status", "images")
                for name in words(item, "names")
            )
        ),
    )


def limits(csi_node: Object) -> Amounts:
    """Return how many volumes of each driver a node can attach; a driver that says nothing has no limit."""
    return amounts(
        {
            text(driver, "name"): number(driver, "allocatable", "count")
            for driver in items(csi_node, "spec", "drivers")
            if isinstance(mapping(driver, "allocatable").get("count"), int)
        }
    )
