"""The rows of nodes, leases and runtime classes."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object
from sampan.kube.printing.age import UNKNOWN
from sampan.kube.printing.cell import AGE, NAME, NONE, age, condition, name, printer
from sampan.kube.reading import flag, items, mapping, text
from sampan.kube.strategy import Column, Printer

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE = "kubernetes.io/role"


def _status(node: Object) -> str:
    ready = condition(node, "Ready")
    status = "Unknown" if not ready else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if flag(node, "spec", "unschedulable") else status


def _roles(node: Object) -> str:
    """Return the roles that labels give a node: `node-role.kubernetes.io/ROLE`, `kubernetes.io/role=ROLE`."""
    labels = mapping(node, "metadata", "labels")
    found = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    found.add(text(labels, _ROLE))
    return ",".join(sorted(found - {""})) or NONE


def _address(node: Object, type_: str) -> str:
    found = (text(each, "address") for each in items(node, "status", "addresses") if each.get("type") == type_)
    return next(found, NONE)


def _node(node: Object, now_s: float) -> list[Any]:
    return [
        name(node),
        _status(node),
        _roles(node),
        age(node, now_s),
        text(node, "status", "nodeInfo", "kubeletVersion"),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        text(node, "status", "nodeInfo", "osImage", missing=UNKNOWN),
        text(node, "status", "nodeInfo", "kernelVersion", missing=UNKNOWN),
        text(node, "status", "nodeInfo", "containerRuntimeVersion", missing=UNKNOWN),
    ]


NODE = Printer(
    (
        NAME,
        Column("Status", description="Whether the node takes pods."),
        Column("Roles", description="The roles that its labels name."),
        AGE,
        Column("Version", description="The version that its agent reports."),
        Column("Internal-IP", description="Its address inside the cluster.", priority=1),
        Column("External-IP", description="Its address for the world.", priority=1),
        Column("OS-Image", description="The system that it runs.", priority=1),
        Column("Kernel-Version", description="The kernel that it runs.", priority=1),
        Column("Container-Runtime", description="What runs its containers.", priority=1),
    ),
    _node,
)
LEASE = printer(
    Column("Holder", description="Who holds the lease."),
    cells=lambda obj: [text(obj, "spec", "holderIdentity")],
)
RUNTIME_CLASS = printer(
    Column("Handler", description="The node's configuration that the class names."),
    cells=lambda obj: [text(obj, "handler")],
)
