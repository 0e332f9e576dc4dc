"""Which pods may be moved, that is evicted because their controllers make them anew. Pure. Spec: kubectl drain's filters."""

from __future__ import annotations

from sampan.control.scheduling.pods import SCHEDULER, owner
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import items, text

ANNOTATION = "sampan.dev/rebalance"
"""With the value `never` the pod stays."""

OF_ITS_NODE = "it belongs to its node"
_MIRROR = "kubernetes.io/config.mirror"
_LOCAL = ("emptyDir", "hostPath")


def of_its_node(obj: Object) -> bool:
    """Return whether a pod belongs to its node: a daemon's, or a static one."""
    return text(owner(obj), "kind") == "DaemonSet" or _MIRROR in objects.annotations(obj)


def stays(obj: Object) -> str:
    """Return why a pod may not move; empty: it may."""
    if objects.deleting(obj):
        return "it is being deleted"
    if of_its_node(obj):
        return OF_ITS_NODE
    if objects.annotations(obj).get(ANNOTATION) == "never":
        return f"its annotation {ANNOTATION} says never"
    if not owner(obj):
        return "it has no controller that would make it anew"
    local = [(kind, text(one, "name")) for one in items(obj, "spec", "volumes") for kind in _LOCAL if kind in one]
    if local:
        return f"its volume {local[0][1]} ({local[0][0]}) is on its node"
    scheduler = text(obj, "spec", "schedulerName", missing=SCHEDULER)
    return "" if scheduler == SCHEDULER else f"its place is chosen by {scheduler}"
