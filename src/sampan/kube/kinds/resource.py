"""resource.k8s.io: devices, and claims to them. They are kept, defaulted and checked in outline; nothing allocates yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, number, text
from sampan.kube.strategy import Strategy

_EFFECTS = ("None", "NoExecute", "NoSchedule")
_MODES = ("All", "ExactCount")
_WHERE = ("allNodes", "nodeName", "nodeSelector", "perDeviceNodeSelection")


# --- claims -----------------------------------------------------------------------------------------------------------


def _default_devices(spec: Any) -> None:
    for request in items(spec, "devices", "requests"):
        for exact in [request.get("exactly"), *items(request, "firstAvailable")]:
            if isinstance(exact, dict):
                _default_request(exact)


def _default_request(request: Object) -> None:
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1
    for toleration in items(request, "tolerations"):
        toleration["operator"] = toleration.get("operator") or "Equal"


def _default_claim(obj: Object) -> None:
    _default_devices(at(obj, "spec"))


def _default_template(obj: Object) -> None:
    _default_devices(at(obj, "spec", "spec"))


def _devices(path: str, devices: Any) -> Iterator[FieldError]:
    requests = items(devices, "requests")
    for index, request in enumerate(requests):
        yield from _request(f"{path}.requests[{index}]", request)
    yield from check.unique(f"{path}.requests", [text(request, "name") for request in requests], "name")


def _request(path: str, request: Object) -> Iterator[FieldError]:
    yield from check.required_name(f"{path}.name", text(request, "name"), names.dns_label)
    exact, choices = request.get("exactly"), items(request, "firstAvailable")
    if (exact is None) == (not choices):
        yield required(path, "exactly one of `exactly` or `firstAvailable` is required")
    elif exact is not None:
        yield from _exact(f"{path}.exactly", exact)
    for index, choice in enumerate(choices):
        where = f"{path}.firstAvailable[{index}]"
        yield from check.required_name(f"{where}.name", text(choice, "name"), names.dns_label)
        yield from _exact(where, choice)


def _exact(path: str, exact: Any) -> Iterator[FieldError]:
    yield from check.required_name(f"{path}.deviceClassName", text(exact, "deviceClassName"), names.dns_subdomain)
    mode, count = text(exact, "allocationMode"), number(exact, "count")
    yield from check.one_of(f"{path}.allocationMode", mode, _MODES)
    if mode == "ExactCount" and count <= 0:
        yield invalid(f"{path}.count", count, "must be greater than zero")
    if mode == "All" and count:
        yield invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")


def _claim(obj: Object) -> list[FieldError]:
    return list(_devices("spec.devices", at(obj, "spec", "devices")))


def _template(obj: Object) -> list[FieldError]:
    return list(_devices("spec.spec.devices", at(obj, "spec", "spec", "devices")))


# --- devices ----------------------------------------------------------------------------------------------------------


def _slice(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = list(check.required_name("spec.driver", text(spec, "driver"), names.dns_subdomain))
    faults += check.required_name("spec.pool.name", text(spec, "pool", "name"), _pool_name)
    if number(spec, "pool", "resourceSliceCount") <= 0:
        count = number(spec, "pool", "resourceSliceCount")
        faults.append(invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if sum(bool(spec.get(field)) for field in _WHERE) != 1:
        why = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        faults.append(required("spec", why))
    devices = [text(device, "name") for device in items(spec, "devices")]
    for index, device in enumerate(devices):
        faults += check.required_name(f"spec.devices[{index}].name", device, names.dns_label)
    return [*faults, *check.unique("spec.devices", devices, "name")]


def _pool_name(name: str) -> str:
    return next(filter(None, map(names.dns_subdomain, name.split("/"))), "")


def _taint_rule(obj: Object) -> list[FieldError]:
    taint = mapping(obj, "spec", "taint")
    faults = list(check.required_name("spec.taint.key", text(taint, "key"), names.qualified_name))
    faults += check.name("spec.taint.value", text(taint, "value"), names.label_value)
    return [*faults, *check.one_of("spec.taint.effect", text(taint, "effect"), _EFFECTS)]


STRATEGIES: dict[str, Strategy] = {
    "DeviceClass": Strategy(has_generation=True, answers_with_object=True),
    "DeviceTaintRule": Strategy(validate=_taint_rule, has_status=True, has_generation=True),
    "ResourceClaim": Strategy(
        default=_default_claim,
        validate=_claim,
        validate_update=check.immutable("spec"),
        has_status=True,
        answers_with_object=True,
    ),
    "ResourceClaimTemplate": Strategy(
        default=_default_template,
        validate=_template,
        validate_update=check.immutable("spec"),
        answers_with_object=True,
    ),
    "ResourceSlice": Strategy(
        validate=_slice,
        validate_update=check.immutable("spec.nodeName", "spec.driver", "spec.pool.name"),
        fields={
            "spec.nodeName": lambda obj: text(obj, "spec", "nodeName"),
            "spec.driver": lambda obj: text(obj, "spec", "driver"),
        },
        has_generation=True,
        answers_with_object=True,
    ),
}
