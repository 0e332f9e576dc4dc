"""core/v1 Service and Endpoints: defaults, validation, what a change may not touch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, required
from sampan.kube.kinds import check, names, podspec
from sampan.kube.object import Object, at, spec_of
from sampan.kube.reading import text
from sampan.kube.strategy import Strategy

_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_AFFINITY_S = 10_800


def _default_service(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("sessionAffinity", "None")
    kind = spec.setdefault("type", "ClusterIP")
    if spec["sessionAffinity"] == "ClientIP" and not at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_S}}
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, "") and "port" in port:
                port["targetPort"] = port["port"]
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("ipFamilies", ["IPv4"])
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _prepare_service(obj: Object) -> None:
    obj["status"] = {"loadBalancer": {}}


def _validate_service(obj: Object) -> list[FieldError]:
    spec = spec_of(obj)
    kind, ports = spec.get("type"), spec.get("ports") or []
    faults = [*check.one_of("spec.type", kind, _SERVICE_TYPES)]
    if kind == "ExternalName":
        if not spec.get("externalName"):
            faults.append(required("spec.externalName"))
        else:
            faults += check.name(
                "spec.externalName", str(spec["externalName"]).lower().rstrip("."), names.dns_subdomain
            )
        if spec.get("clusterIP") not in (None, "", "None"):
            faults.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
    elif not ports and spec.get("clusterIP") != "None":
        faults.append(required("spec.ports"))
    faults += _service_ports(ports)
    faults += check.labels("spec.selector", spec.get("selector"))
    faults += check.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if spec.get("clusterIP") not in (None, "", "None"):
        faults += check.ip("spec.clusterIPs[0]", spec["clusterIP"])
    for index, address in enumerate(spec.get("externalIPs") or []):
        faults += check.ip(f"spec.externalIPs[{index}]", address)
    return faults


def _service_ports(ports: list[Object]) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        label = port.get("name") or ""
        if not label and len(ports) > 1:
            yield required(f"{path}.name")
        elif label:
            yield from check.name(f"{path}.name", label, names.dns_label)
            if label in seen_names:
                yield duplicate(f"{path}.name", label)
            seen_names.add(label)
        yield from check.port(f"{path}.port", port.get("port") or 0)
        yield from check.one_of(f"{path}.protocol", port.get("protocol"), _PROTOCOLS)
        yield from podspec.port_or_name(port.get("targetPort"), f"{path}.targetPort")
        if port.get("nodePort"):
            yield from check.port(f"{path}.nodePort", port["nodePort"])
        if (key := (port.get("port"), port.get("protocol"))) in seen:
            yield duplicate(path, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen.add(key)


def _prepare_service_update(new: Object, old: Object) -> None:
    """Keep the address that was given, where the client leaves it out and the service still has one."""
    after, before = spec_of(new), old.get("spec") or {}
    if after.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        if not after.get(key) and before.get(key):
            after[key] = before[key]
    given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or []}
    if after.get("type") in ("NodePort", "LoadBalancer"):
        for port in after.get("ports") or []:
            if not port.get("nodePort") and (kept := given.get((port.get("port"), port.get("protocol")))):
                port["nodePort"] = kept


def _validate_service_update(new: Object, old: Object) -> list[FieldError]:
    before, after = at(old, "spec", "clusterIP"), at(new, "spec", "clusterIP")
    if at(old, "spec", "type") == "ExternalName" or at(new, "spec", "type") == "ExternalName":
        return []
    if before and before != after:
        return [invalid("spec.clusterIPs[0]", after or "", "may not change once set")]
    return []


def _default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in (subset.get("ports") if isinstance(subset, dict) else None) or ():
            if isinstance(port, dict):
                port.setdefault("protocol", "TCP")


def _validate_endpoints(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    for index, subset in enumerate(obj.get("subsets") or []):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            faults.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for kind in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(kind) or []):
                faults += check.ip(f"{path}.{kind}[{place}].ip", str(address.get("ip") or ""))
        for place, port in enumerate(subset.get("ports") or []):
            faults += check.port(f"{path}.ports[{place}].port", port.get("port") or 0)
    return faults


STRATEGIES: dict[str, Strategy] = {
    "Endpoints": Strategy(default=_default_endpoints, validate=_validate_endpoints, update_creates=True),
    "Service": Strategy(
        default=_default_service,
        prepare_create=_prepare_service,
        prepare_update=_prepare_service_update,
        validate=_validate_service,
        validate_update=_validate_service_update,
        fields={
            "spec.clusterIP": lambda obj: text(obj, "spec", "clusterIP"),
            "spec.type": lambda obj: text(obj, "spec", "type"),
        },
        has_status=True,
        validate_name=names.dns_1035_label,
        update_creates=True,
        answers_with_object=True,
    ),
}
