"""Scale: how many replicas, as one small object over kinds that have them. Spec: autoscaling/v1 Scale."""

from __future__ import annotations

from typing import Any, NamedTuple

from sampan.kube import object as objects
from sampan.kube.fielderror import invalid
from sampan.kube.object import Object
from sampan.kube.selector import SelectorError, of_object
from sampan.kube.status import invalid as refusal


class Paths(NamedTuple):
    """Where a kind keeps its replicas, as dotted paths; `selector` may be "" or hold a string."""

    wanted: str = "spec.replicas"
    found: str = "status.replicas"
    selector: str = "spec.selector"


BUILTIN = Paths()


def to_scale(obj: Object, paths: Paths = BUILTIN) -> Object:
    """Return an object's Scale."""
    meta = objects.metadata(obj)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _at(obj, paths.found) or 0}
    selector = _at(obj, paths.selector) if paths.selector else None
    if selector:
        status["selector"] = selector if isinstance(selector, str) else _text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": _at(obj, paths.wanted) or 0},
        "status": status,
    }


def from_scale(obj: Object, scale: Object, paths: Paths = BUILTIN) -> Object:
    """Return the object with the replicas that a Scale asks for; it is changed.

    Raises:
        ApiError: 422, it asks for fewer than none.
    """
    wanted = objects.at(scale, "spec", "replicas") or 0
    if not isinstance(wanted, int) or wanted < 0:
        fault = invalid("spec.replicas", wanted, "must be greater than or equal to 0")
        raise refusal("Scale", "autoscaling", objects.name(obj), [fault])
    *parents, last = paths.wanted.lstrip(".").split(".")
    place = obj
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = wanted
    return obj


def selects(selector: Any, obj: Object) -> bool:
    """Return whether a LabelSelector object chooses an object; one that cannot be read chooses none."""
    try:
        return of_object(selector).matches(objects.labels(obj))
    except SelectorError:
        return False


def _at(obj: Object, path: str) -> Any:
    return objects.at(obj, *path.lstrip(".").split("."))


def _text(selector: Object) -> str:
    """Return a selector as the string that lists take."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or []:
        key, operator, values = item.get("key"), item.get("operator"), ",".join(sorted(item.get("values") or []))
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": f"{key}"}
        parts.append(forms.get(operator, f"!{key}"))
    return ",".join(parts)
