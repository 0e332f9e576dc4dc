"""scheduling.k8s.io/v1beta1: PodGroup, pods that run together or not at all."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, forbidden, invalid, required
from sampan.kube.object import Object, at
from sampan.kube.reading import mapping
from sampan.kube.strategy import Strategy

POLICY = "spec.schedulingPolicy"


def _default(obj: Object) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict) and not spec.get("disruptionMode"):
        spec["disruptionMode"] = {"single": {}}


def _validate(obj: Object) -> list[FieldError]:
    policy = mapping(obj, "spec", "schedulingPolicy")
    if not policy:
        return [required(POLICY, "must specify one of: `basic`, `gang`")]
    if len(policy) > 1:
        return [invalid(POLICY, "{basic, gang}", "must specify exactly one of: `basic`, `gang`")]
    least = at(policy, "gang", "minCount")
    if "gang" in policy and (not isinstance(least, int) or least < 1):
        return [invalid(f"{POLICY}.gang.minCount", least, "must be greater than or equal to 1")]
    return []


def _validate_update(new: Object, old: Object) -> list[FieldError]:
    """How many a gang needs may change; all else may not."""
    faults = []
    before, after = mapping(old, "spec"), mapping(new, "spec")
    if mapping(after, "schedulingPolicy").keys() != mapping(before, "schedulingPolicy").keys():
        faults.append(invalid(POLICY, sorted(mapping(after, "schedulingPolicy")), "field is immutable"))
    changed = [field for field in before.keys() | after.keys() if before.get(field) != after.get(field)]
    return faults + [
        forbidden(f"spec.{field}", "field is immutable") for field in sorted(changed) if field != "schedulingPolicy"
    ]


STRATEGIES: dict[str, Strategy] = {
    "PodGroup": Strategy(
        default=_default,
        validate=_validate,
        validate_update=_validate_update,
        has_status=True,
        has_generation=True,
    ),
}
