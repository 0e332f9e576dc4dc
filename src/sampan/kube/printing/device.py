"""Rows of resource.k8s.io (devices)."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import AGE, NAME, age, deleting, name, printer
from sampan.kube.reading import items, text
from sampan.kube.strategy import Column, Printer


def _state(claim: Object) -> str:
    gone = ["deleted"] if deleting(claim) else []
    if at(claim, "status", "allocation") is None:
        return ",".join(gone or ["pending"])
    reserved = ["reserved"] if items(claim, "status", "reservedFor") else []
    return ",".join([*gone, "allocated", *reserved])


def _taint_rule(obj: Object, now_s: float) -> list[Any]:
    taint = at(obj, "spec", "taint")
    added = at(taint, "timeAdded")
    return [
        name(obj),
        text(taint, "key"),
        text(taint, "value"),
        text(taint, "effect"),
        "" if added is None else ages.since(added, now_s),
        age(obj, now_s),
    ]


RESOURCE_CLAIM = printer(
    Column("State", description="pending, allocated, reserved, deleted."), cells=lambda obj: [_state(obj)]
)
RESOURCE_SLICE = printer(
    Column("Node", description="The node that the devices are part of."),
    Column("Driver", description="The driver that offers them."),
    Column("Pool", description="The pool that they belong to."),
    cells=lambda obj: [
        text(obj, "spec", "nodeName"),
        text(obj, "spec", "driver"),
        text(obj, "spec", "pool", "name"),
    ],
)
DEVICE_TAINT_RULE = Printer(
    (
        NAME,
        Column("Key", description="The taint's key."),
        Column("Value", description="The taint's value."),
        Column("Effect", description="What the taint does."),
        Column("TimeAdded", description="Time since the taint was added."),
        AGE,
    ),
    _taint_rule,
)
