"""Limit ranges: containers get default requests and limits, and stay between a namespace's bounds.

Spec: core/v1 LimitRange; admission plugin LimitRanger.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from sampan.api.kube.admission import Attributes
from sampan.api.kube.view import View
from sampan.kube import quantity, quota, status
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text

_ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger:
    name = "LimitRanger"

    def __init__(self, view: View) -> None:
        """Of limit ranges."""
        self._view = view

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.object
        if attributes.operation != "CREATE" or not attributes.concerns("pods") or pod is None:
            return
        for limits in self._view.of(attributes.namespace):
            _fill(pod, limits)

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.object
        if new is None or not self._applies(attributes):
            return
        for limits in self._view.of(attributes.namespace):
            faults = list(_claim(new, limits) if attributes.concerns("persistentvolumeclaims") else _pod(new, limits))
            if faults:
                listed = faults[0] if len(faults) == 1 else "[" + ", ".join(faults) + "]"
                raise status.forbidden(attributes.resource.plural, "", attributes.name, listed)

    def _applies(self, attributes: Attributes) -> bool:
        """Resources of a pod do not change, but by its resize."""
        if attributes.concerns("pods", subresource="resize"):
            return True
        return attributes.concerns("persistentvolumeclaims") or (
            attributes.operation == "CREATE" and attributes.concerns("pods")
        )


# --- defaults ---------------------------------------------------------------------------------------------------------


def _fill(pod: Object, limits: Object) -> None:
    requests: dict[str, object] = {}
    most: dict[str, object] = {}
    for item in items(limits, "spec", "limits"):
        if text(item, "type") == "Container":
            requests |= mapping(item, "defaultRequest")
            most |= mapping(item, "default")
    told: list[str] = []
    for kind, label in (("initContainers", "init container"), ("containers", "container")):
        for container in items(pod, "spec", kind):
            told += _fill_container(container, requests, most, label)
    if told:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = "LimitRanger plugin set: " + "; ".join(told)


def _fill_container(
    container: Object, requests: dict[str, object], limits: dict[str, object], label: str
) -> Iterator[str]:
    resources = container.setdefault("resources", {})
    for field, wanted in (("requests", requests), ("limits", limits)):
        given = mapping(resources, field)
        missing = sorted(name for name in wanted if name not in given)
        if missing:
            resources[field] = {**given, **{name: wanted[name] for name in missing}}
            word = "request" if field == "requests" else "limit"
            yield f"{', '.join(missing)} {word} for {label} {text(container, 'name')}"


# --- bounds -----------------------------------------------------------------------------------------------------------


def _pod(pod: Object, limits: Object) -> Iterator[str]:
    spec = mapping(pod, "spec")
    for item in items(limits, "spec", "limits"):
        if text(item, "type") == "Container":
            for kind in ("containers", "initContainers"):
                for container in items(spec, kind):
                    yield from _bounds(
                        item,
                        "Container",
                        mapping(container, "resources", "requests"),
                        mapping(container, "resources", "limits"),
                    )
        elif text(item, "type") == "Pod":
            yield from _bounds(item, "Pod", _total(spec, "requests"), _total(spec, "limits"))


def _claim(claim: Object, limits: Object) -> Iterator[str]:
    requests = mapping(claim, "spec", "resources", "requests")
    for item in items(limits, "spec", "limits"):
        if text(item, "type") == "PersistentVolumeClaim":
            for name, bound in mapping(item, "min").items():
                yield from _least(name, bound, "PersistentVolumeClaim", requests, None)
            for name, bound in mapping(item, "max").items():
                if name in requests and quota.billionths(requests[name]) > quota.billionths(bound):
                    yield _over(name, bound, "PersistentVolumeClaim", "request", requests[name])


def _bounds(item: Object, kind: str, requests: Object, limits: Object) -> Iterator[str]:
    for name, bound in mapping(item, "min").items():
        yield from _least(name, bound, kind, requests, limits)
    for name, bound in mapping(item, "max").items():
        yield from _most(name, bound, kind, requests, limits)
    for name, bound in mapping(item, "maxLimitRequestRatio").items():
        yield from _ratio(name, bound, kind, requests, limits)


def _least(name: str, bound: object, kind: str, requests: Object, limits: Object | None) -> Iterator[str]:
    if name not in requests:
        yield f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    elif quota.billionths(requests[name]) < quota.billionths(bound):
        yield f"minimum {name} usage per {kind} is {bound}, but request is {requests[name]}"
    if limits is not None and name in limits and quota.billionths(limits[name]) < quota.billionths(bound):
        yield f"minimum {name} usage per {kind} is {bound}, but limit is {limits[name]}"


def _most(name: str, bound: object, kind: str, requests: Object, limits: Object) -> Iterator[str]:
    if name not in limits:
        yield f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    elif quota.billionths(limits[name]) > quota.billionths(bound):
        yield _over(name, bound, kind, "limit", limits[name])
    if name in requests and quota.billionths(requests[name]) > quota.billionths(bound):
        yield _over(name, bound, kind, "request", requests[name])


def _over(name: str, bound: object, kind: str, what: str, given: object) -> str:
    return f"maximum {name} usage per {kind} is {bound}, but {what} is {given}"


def _ratio(name: str, bound: object, kind: str, requests: Object, limits: Object) -> Iterator[str]:
    if not quota.billionths(requests.get(name, "0")):
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no request is specified or request is 0"
    elif name not in limits:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no limit is specified or limit is 0"
    else:
        found = Fraction(quota.billionths(limits[name]), quota.billionths(requests[name]))
        if found * quantity.NANO > quota.billionths(bound):
            yield f"{name} max limit to request ratio per {kind} is {bound}, but provided ratio is {float(found):f}"


def _total(spec: Object, field: str) -> Object:
    """Return what a pod asks for as a whole, the overhead of its runtime aside."""
    forms = {
        name: quantity.of(value).form
        for kind in ("initContainers", "containers")
        for item in items(spec, kind)
        for name, value in mapping(item, "resources", field).items()
    }
    whole = quota.effective({**spec, "overhead": None}, field)
    return {name: quota.shown(amount, forms.get(name, "decimal")) for name, amount in whole.items()}
