"""discovery.k8s.io/v1: EndpointSlice."""

from __future__ import annotations

from typing import Any

from sampan.kube.fielderror import FieldError, invalid, required, too_many
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.strategy import Strategy

MOST_ENDPOINTS = 1000
MOST_PORTS = 20_000
MOST_ADDRESSES = 100


def _default(obj: Object) -> None:
    for port in obj.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")


def _ip(path: str, address: Any, kind: Any) -> list[FieldError]:
    faults = [*check.ip(path, address)]
    if faults:
        return faults
    if (":" in address) is (kind == "IPv4"):
        return [invalid(path, address, f"must be an {kind} address")]
    return [*check.endpoint_ip(path, address)]


def _validate(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    kind = obj.get("addressType")
    if not kind:
        faults.append(required("addressType"))
    else:
        faults += check.one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
    if len(endpoints) > MOST_ENDPOINTS:
        faults.append(too_many("endpoints", len(endpoints), MOST_ENDPOINTS))
    for index, endpoint in enumerate(endpoints):
        addresses = endpoint.get("addresses") or []
        if not addresses:
            faults.append(required(f"endpoints[{index}].addresses", "must contain at least 1 address"))
        for place, address in enumerate(addresses):
            where = f"endpoints[{index}].addresses[{place}]"
            faults += check.name(where, address, names.dns_subdomain) if kind == "FQDN" else _ip(where, address, kind)
    seen: set[str] = set()
    for index, port in enumerate(ports):
        label = port.get("name") or ""
        if label:
            faults += check.name(f"ports[{index}].name", label, names.dns_label)
        if label in seen:
            faults.append(invalid(f"ports[{index}].name", label, "Duplicate value"))
        seen.add(label)
        faults += check.one_of(f"ports[{index}].protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    return faults


STRATEGIES: dict[str, Strategy] = {
    "EndpointSlice": Strategy(
        default=_default, validate=_validate, validate_update=check.immutable("addressType"), has_generation=True
    ),
}
