"""scheduling.k8s.io: PriorityClass."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, forbidden
from sampan.kube.kinds import check
from sampan.kube.object import Object, name
from sampan.kube.reading import flag, number
from sampan.kube.strategy import Strategy

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
"""The classes of the system itself and their values. No other name may begin with `system-`."""

_SYSTEM = "system-"


def _default(obj: Object) -> None:
    obj.setdefault("value", 0)
    if obj.get("preemptionPolicy") is None:
        obj["preemptionPolicy"] = "PreemptLowerPriority"


def _validate(obj: Object) -> list[FieldError]:
    faults = []
    if name(obj).startswith(_SYSTEM):
        if why := _not_of_the_system(obj):
            text = f"priority class names with '{_SYSTEM}' prefix are reserved for system use only. error: {why}"
            faults.append(forbidden("metadata.name", text))
    elif number(obj, "value") > HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        faults.append(forbidden("value", text))
    return [*faults, *check.one_of("preemptionPolicy", obj.get("preemptionPolicy"), ("PreemptLowerPriority", "Never"))]


def _not_of_the_system(obj: Object) -> str:
    """Return in which way a class is none of the system's own."""
    value = SYSTEM_CLASSES.get(name(obj))
    if value is None:
        return f"{name(obj)} is not a known system priority class"
    if number(obj, "value") != value:
        return f"value of {name(obj)} PriorityClass must be {value}"
    return f"globalDefault of {name(obj)} PriorityClass must be false" if flag(obj, "globalDefault") else ""


def _validate_update(new: Object, old: Object) -> list[FieldError]:
    faults = [] if number(new, "value") == number(old, "value") else [_VALUE_CHANGED]
    return [*faults, *check.immutable("preemptionPolicy")(new, old)]


_VALUE_CHANGED = forbidden("value", "may not be changed in an update.")

STRATEGIES: dict[str, Strategy] = {
    "PriorityClass": Strategy(
        default=_default, validate=_validate, validate_update=_validate_update, has_generation=True
    ),
}
