"""Rows of autoscaling and policy."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.age import UNKNOWN
from sampan.kube.printing.cell import AGE, NAME, NONE, UNSET, age, name, printer
from sampan.kube.reading import items, number, shown, text
from sampan.kube.strategy import Column, Printer

SHOWN = 2
"""Metrics that a row shows; the rest is counted."""

_FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _metric(spec: Any, status: Any) -> str:
    """Return `now/target` of one metric, in the unit of its target."""
    field = _FIELDS.get(text(spec, "type"))
    if field is None:
        return "<unknown type>"
    target, current = at(spec, field, "target"), at(status, field, "current")
    average = at(target, "averageValue") is not None
    if field in ("resource", "containerResource"):
        pair = _pair(target, current, "averageValue") if average else _utilization(target, current)
        return f"{text(spec, field, 'name')}: {pair}"
    if field == "pods":
        return _pair(target, current, "averageValue")
    return f"{_pair(target, current, 'averageValue')} (avg)" if average else _pair(target, current, "value")


def _pair(target: Any, current: Any, field: str) -> str:
    return f"{shown(at(current, field), UNKNOWN)}/{shown(at(target, field), '0')}"


def _utilization(target: Any, current: Any) -> str:
    now, wanted = at(current, "averageUtilization"), at(target, "averageUtilization")
    return f"{UNKNOWN if now is None else f'{now}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


def _targets(obj: Object) -> str:
    wanted = at(obj, "spec", "targetCPUUtilizationPercentage")  # of v1, which has no other metric
    if wanted is not None:
        now = at(obj, "status", "currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if now is None else f'{now}%'}/{wanted}%"
    specs, statuses = items(obj, "spec", "metrics"), items(obj, "status", "currentMetrics")
    found = [_metric(spec, statuses[index] if index < len(statuses) else None) for index, spec in enumerate(specs)]
    more = f" + {len(found) - SHOWN} more..." if len(found) > SHOWN else ""
    return (", ".join(found[:SHOWN]) + more) or NONE


def _autoscaler(obj: Object) -> list[Any]:
    target = at(obj, "spec", "scaleTargetRef")
    return [
        f"{text(target, 'kind')}/{text(target, 'name')}",
        _targets(obj),
        shown(at(obj, "spec", "minReplicas"), UNSET),
        number(obj, "spec", "maxReplicas"),
        number(obj, "status", "currentReplicas"),
    ]


def _scale(obj: Object, now_s: float) -> list[Any]:
    return [name(obj), number(obj, "spec", "replicas"), number(obj, "status", "replicas"), age(obj, now_s)]


HORIZONTAL_POD_AUTOSCALER = printer(
    Column("Reference", description="What is scaled."),
    Column("Targets", description="Metrics as they are and as they should be."),
    Column("MinPods", description="The least number of pods."),
    Column("MaxPods", description="The largest number of pods."),
    Column("Replicas", description="Pods that there are."),
    cells=_autoscaler,
)
POD_DISRUPTION_BUDGET = printer(
    Column("Min Available", description="Pods that must stay available."),
    Column("Max Unavailable", description="Pods that may be unavailable."),
    Column("Allowed Disruptions", "integer", description="Pods that may be evicted now."),
    cells=lambda obj: [
        shown(at(obj, "spec", "minAvailable"), "N/A"),
        shown(at(obj, "spec", "maxUnavailable"), "N/A"),
        number(obj, "status", "disruptionsAllowed"),
    ],
)
SCALE = Printer(
    (
        NAME,
        Column("Desired", "integer", description="Pods that are wanted."),
        Column("Available", "integer", description="Pods that there are."),
        AGE,
    ),
    _scale,
)
