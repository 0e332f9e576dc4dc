"""Events: core/v1 Event and events.k8s.io/v1 Event are two faces of one stored object."""

from __future__ import annotations

from collections.abc import Callable

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.object import Object, metadata
from sampan.kube.reading import text
from sampan.kube.strategy import Strategy

_PAIRS = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("source", "deprecatedSource"),
    ("reportingComponent", "reportingController"),
)
"""(field of core/v1, field of events.k8s.io/v1); all others have one name in both."""


def to_core(obj: Object) -> Object:
    """Return an events.k8s.io/v1 Event as core/v1, in which it is stored."""
    names = {theirs: ours for ours, theirs in _PAIRS}
    return {**{names.get(key, key): value for key, value in obj.items()}, "apiVersion": "v1"}


def from_core(obj: Object) -> Object:
    """Return a core/v1 Event as events.k8s.io/v1."""
    names = dict(_PAIRS)
    return {**{names.get(key, key): value for key, value in obj.items()}, "apiVersion": "events.k8s.io/v1"}


def _about(obj: Object) -> Object:
    found = obj.get("involvedObject") or obj.get("regarding")
    return found if isinstance(found, dict) else {}


def _validate(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    about, space = _about(obj).get("namespace") or "", metadata(obj).get("namespace")
    field = "involvedObject" if obj.get("apiVersion") == "v1" else "regarding"
    if about and about != space:
        faults.append(invalid(f"{field}.namespace", about, "does not match event.namespace"))
    if obj.get("apiVersion") != "v1":
        faults += [
            required(key) for key in ("eventTime", "reportingController", "action", "reason") if not obj.get(key)
        ]
    return faults


def _default(obj: Object) -> None:
    if not obj.get("type"):
        obj["type"] = "Normal"


def _component(obj: Object) -> str:
    return text(obj, "source", "component") or text(obj, "deprecatedSource", "component") or _reporter(obj)


def _reporter(obj: Object) -> str:
    return text(obj, "reportingComponent") or text(obj, "reportingController")


def _about_field(key: str) -> Callable[[Object], str]:
    return lambda obj: str(_about(obj).get(key) or "")


_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS = {
    **{f"involvedObject.{key}": _about_field(key) for key in _ABOUT},
    **{f"regarding.{key}": _about_field(key) for key in _ABOUT},
    "reason": lambda obj: text(obj, "reason"),
    "reportingComponent": _reporter,
    "reportingController": _reporter,
    "source": _component,
    "type": lambda obj: text(obj, "type"),
}

STRATEGIES: dict[str, Strategy] = {
    "Event": Strategy(default=_default, validate=_validate, fields=_FIELDS, update_creates=True)
}
