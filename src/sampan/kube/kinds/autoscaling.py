"""autoscaling/v2: HorizontalPodAutoscaler; and autoscaling/v1, its older face, which knows the CPU only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import check
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, number, text
from sampan.kube.strategy import Strategy

_SOURCES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_TARGETS = ("AverageValue", "Utilization", "Value")
_LONGEST_WINDOW_S, _LONGEST_PERIOD_S = 3600, 1800


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
    for index, metric in enumerate(items(spec, "metrics")):
        faults += _metric(metric, f"spec.metrics[{index}]")
    for direction in ("scaleUp", "scaleDown"):
        faults += _rules(at(spec, "behavior", direction), f"spec.behavior.{direction}")
    return faults


def _metric(metric: Object, path: str) -> Iterator[FieldError]:
    kind = text(metric, "type")
    if kind not in _SOURCES:
        yield from check.one_of(f"{path}.type", kind, _SOURCES)
        return
    field = kind[0].lower() + kind[1:]
    source, path = metric.get(field), f"{path}.{field}"
    if source is None:
        yield required(path, "must populate information for the given metric source")
        return
    if "Resource" not in kind and not text(source, "metric", "name"):
        yield required(f"{path}.metric.name", "must specify a metric name")
    if "Resource" in kind and not text(source, "name"):
        yield required(f"{path}.name", "must specify a resource name")
    if kind == "ContainerResource" and not text(source, "container"):
        yield required(f"{path}.container", "must specify a container")
    yield from _target(mapping(source, "target"), f"{path}.target")


def _target(target: Object, path: str) -> Iterator[FieldError]:
    kind = text(target, "type")
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    elif kind not in _TARGETS:
        yield invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and quantity.of(amount).amount <= 0:
            yield invalid(f"{path}.{field}", amount, "must be positive")
    percent = target.get("averageUtilization")
    if isinstance(percent, int) and percent < 1:
        yield invalid(f"{path}.averageUtilization", percent, "must be greater than 0")
    if all(target.get(field) is None for field in ("averageUtilization", "averageValue", "value")):
        yield required(f"{path}.averageUtilization", "must set either a target raw value or a target utilization")


def _rules(rules: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(rules, dict):
        return
    window = rules.get("stabilizationWindowSeconds")
    if isinstance(window, int) and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    elif isinstance(window, int) and window > _LONGEST_WINDOW_S:
        why = f"must be less than or equal to {_LONGEST_WINDOW_S}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, why)
    yield from check.optional(f"{path}.selectPolicy", rules.get("selectPolicy"), ("Disabled", "Max", "Min"))
    for index, policy in enumerate(items(rules, "policies")):
        where = f"{path}.policies[{index}]"
        yield from check.one_of(f"{where}.type", policy.get("type"), ("Percent", "Pods"))
        for field in ("value", "periodSeconds"):
            if number(policy, field) <= 0:
                yield invalid(f"{where}.{field}", number(policy, field), "must be greater than zero")
        if (seconds := number(policy, "periodSeconds")) > _LONGEST_PERIOD_S:
            yield invalid(f"{where}.periodSeconds", seconds, f"must be less than or equal to {_LONGEST_PERIOD_S}")


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
