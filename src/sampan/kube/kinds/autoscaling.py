"""autoscaling/v2: HorizontalPodAutoscaler; and autoscaling/v1, its older face, which knows the CPU only."""

from __future__ import annotations

import msgspec

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


# --- autoscaling/v1 ---------------------------------------------------------------------------------------------------

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"


def to_v2(obj: Object) -> Object:
    """Return an autoscaling/v1 object as v2, in which it is kept."""
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key != "targetCPUUtilizationPercentage"}
    percent = at(obj, "spec", "targetCPUUtilizationPercentage")
    spec["metrics"] = _others(obj)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *spec["metrics"]]
    status = {
        key: value for key, value in (obj.get("status") or {}).items() if key != "currentCPUUtilizationPercentage"
    }
    current = at(obj, "status", "currentCPUUtilizationPercentage")
    if current is not None:
        found = {"name": "cpu", "current": {"averageUtilization": current}}
        status["currentMetrics"] = [{"type": "Resource", "resource": found}]
    meta = dict(obj["metadata"])
    if _METRICS in (meta.get("annotations") or {}):
        meta["annotations"] = {key: value for key, value in meta["annotations"].items() if key != _METRICS}
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": meta, "spec": spec, "status": status}


def from_v2(obj: Object) -> Object:
    """Return an autoscaling/v2 object as v1; metrics that v1 has not are kept in an annotation."""
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key not in ("metrics", "behavior")}
    others = []
    for metric in at(obj, "spec", "metrics") or []:
        percent = at(metric, "resource", "target", "averageUtilization")
        if at(metric, "resource", "name") == "cpu" and percent is not None:
            spec["targetCPUUtilizationPercentage"] = percent
        else:
            others.append(metric)
    status = {
        key: value for key, value in (obj.get("status") or {}).items() if key not in ("currentMetrics", "conditions")
    }
    for metric in at(obj, "status", "currentMetrics") or []:
        if at(metric, "resource", "name") == "cpu":
            status["currentCPUUtilizationPercentage"] = at(metric, "resource", "current", "averageUtilization")
    meta = dict(obj["metadata"])
    if others:
        text = msgspec.json.encode(others).decode()
        meta["annotations"] = {**(meta.get("annotations") or {}), _METRICS: text}
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


def _others(obj: Object) -> list[Object]:
    text = (obj["metadata"].get("annotations") or {}).get(_METRICS)
    try:
        return msgspec.json.decode(text or "[]", type=list[Object])
    except msgspec.MsgspecError:
        return []


def _default_v1(obj: Object) -> None:
    obj.setdefault("spec", {}).setdefault("minReplicas", 1)


STRATEGY_V1 = Strategy(default=_default_v1, prepare_create=_prepare, validate=_validate, has_status=True)

STRATEGIES: dict[str, Strategy] = {
    "HorizontalPodAutoscaler": Strategy(default=_default, prepare_create=_prepare, validate=_validate, has_status=True),
}
