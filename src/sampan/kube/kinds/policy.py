"""policy/v1: PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

from sampan.kube.fielderror import FieldError, invalid
from sampan.kube.kinds import check
from sampan.kube.object import Object
from sampan.kube.strategy import Strategy


def _validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    faults: list[FieldError] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        faults.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    text = "must be a non-negative integer or a percentage between 0% and 100%"
    faults += [
        invalid(f"spec.{key}", spec[key], text)
        for key in ("minAvailable", "maxUnavailable")
        if spec.get(key) is not None and not _share(spec[key])
    ]
    faults += check.label_selector("spec.selector", spec.get("selector"))
    policies = ("IfHealthyBudget", "AlwaysAllow")
    return [
        *faults,
        *check.optional("spec.unhealthyPodEvictionPolicy", spec.get("unhealthyPodEvictionPolicy"), policies),
    ]


def _share(value: Any) -> bool:
    if isinstance(value, str):
        return value.endswith("%") and value[:-1].isdecimal() and int(value[:-1]) <= 100
    return isinstance(value, int) and value >= 0


def _prepare(obj: Object) -> None:
    obj["status"] = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)


STRATEGIES: dict[str, Strategy] = {
    "PodDisruptionBudget": Strategy(
        prepare_create=_prepare,
        validate=_validate,
        has_status=True,
        has_generation=True,
        update_names_version=True,
    ),
}
