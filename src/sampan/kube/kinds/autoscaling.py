"""autoscaling/v2: HorizontalPodAutoscaler."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import check
from sampan.kube.object import Object, at
from sampan.kube.strategy import Strategy

_SOURCES = ("ContainerResource", "External", "Object", "Pods", "Resource")


def _default(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        for direction, window, policies in (
            ("scaleUp", 0, [("Pods", 4, 15), ("Percent", 100, 15)]),
            ("scaleDown", None, [("Percent", 100, 15)]),
        ):
            rules = behavior.setdefault(direction, {})
            if window is not None:
                rules.setdefault("stabilizationWindowSeconds", window)
            rules.setdefault("selectPolicy", "Max")
            if not rules.get("policies"):
                rules["policies"] = [
                    {"type": kind, "value": value, "periodSeconds": seconds} for kind, value, seconds in policies
                ]


def _validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    faults: list[FieldError] = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if isinstance(least, int) and least < 1:
        faults.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        faults.append(invalid("spec.maxReplicas", most, "must be greater than 0"))
    elif isinstance(least, int) and most < least:
        faults.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    faults += [
        required(f"spec.scaleTargetRef.{key}") for key in ("kind", "name") if not at(spec, "scaleTargetRef", key)
    ]
    for index, metric in enumerate(spec.get("metrics") or []):
        faults += check.one_of(f"spec.metrics[{index}].type", metric.get("type"), _SOURCES)
    return faults


def _prepare(obj: Object) -> None:
    obj["status"] = {"desiredReplicas": 0, "currentReplicas": 0}


STRATEGIES: dict[str, Strategy] = {
    "HorizontalPodAutoscaler": Strategy(default=_default, prepare_create=_prepare, validate=_validate, has_status=True),
}
