"""core/v1 Service and Endpoints: defaults, validation, what a change may not touch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, required
from sampan.kube.kinds import check, names, probes
from sampan.kube.object import Object, at, spec_of
from sampan.kube.reading import items, number, text, words
from sampan.kube.strategy import Strategy

_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_AFFINITY_S, _AFFINITY_MOST_S = 10_800, 86_400
_IN_CLUSTER = ("ClusterIP", "NodePort", "LoadBalancer")
_TYPED: dict[str, tuple[str, ...]] = {
    "clusterIP": _IN_CLUSTER,
    "clusterIPs": _IN_CLUSTER,
    "ipFamilies": _IN_CLUSTER,
    "ipFamilyPolicy": _IN_CLUSTER,
    "internalTrafficPolicy": _IN_CLUSTER,
    "externalTrafficPolicy": ("NodePort", "LoadBalancer"),
    "allocateLoadBalancerNodePorts": ("LoadBalancer",),
    "loadBalancerClass": ("LoadBalancer",),
}
"""Which types of service have a field. Others lose it when the type changes and it is left as it was."""


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
    faults += _affinity(spec)
    faults += _addresses(spec)
    faults += _of_type(spec)
    for index, address in enumerate(words(spec, "externalIPs")):
        path = f"spec.externalIPs[{index}]"
        faults += [*check.ip(path, address)] or [*check.endpoint_ip(path, address)]
    return faults


def _affinity(spec: Object) -> Iterator[FieldError]:
    kind, path = spec.get("sessionAffinity"), "spec.sessionAffinityConfig"
    yield from check.one_of("spec.sessionAffinity", kind, ("ClientIP", "None"))
    if kind == "None" and spec.get("sessionAffinityConfig") is not None:
        yield forbidden(path, "must not be set when session affinity is None")
    seconds = at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    if kind == "ClientIP" and isinstance(seconds, int) and not 0 < seconds <= _AFFINITY_MOST_S:
        why = f"must be greater than 0 and less than {_AFFINITY_MOST_S}"
        yield invalid(f"{path}.clientIP.timeoutSeconds", seconds, why)


def _addresses(spec: Object) -> Iterator[FieldError]:
    """Check the address or addresses, of which the first is said twice."""
    first, all_ = text(spec, "clusterIP"), words(spec, "clusterIPs")
    if first and all_ and first != all_[0]:
        yield invalid("spec.clusterIPs", all_, "first value must match `clusterIP`")
    for index, address in enumerate(all_ or ([first] if first else [])):
        if address != "None":
            yield from check.ip(f"spec.clusterIPs[{index}]", address)
    for index, family in enumerate(words(spec, "ipFamilies")):
        yield from check.one_of(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    yield from check.optional("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), policies)
    yield from check.optional("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), ("Cluster", "Local"))


def _of_type(spec: Object) -> Iterator[FieldError]:
    """Refuse what services of other types have."""
    kind, outside = spec.get("type"), bool(spec.get("externalIPs"))
    if kind in ("NodePort", "LoadBalancer") and spec.get("clusterIP") == "None":
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(items(spec, "ports")):
        path, number_ = f"spec.ports[{index}].nodePort", port.get("nodePort")
        if number_ and kind == "ClusterIP":
            yield forbidden(path, "may not be used when `type` is 'ClusterIP'")
        elif number_ and (number_, port.get("protocol")) in seen:
            yield duplicate(path, number_)
        seen.add((number_, port.get("protocol")))
    policy = spec.get("externalTrafficPolicy")
    yield from check.optional("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    if policy and kind not in ("NodePort", "LoadBalancer") and not (outside and kind == "ClusterIP"):
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, why)
    health = number(spec, "healthCheckNodePort")
    if health and (kind, policy) != ("LoadBalancer", "Local"):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", health, why)
    if kind != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"):
            if spec.get(field) not in (None, []):
                yield forbidden(f"spec.{field}", "may only be used when `type` is 'LoadBalancer'")
    elif name := text(spec, "loadBalancerClass"):
        yield from check.name("spec.loadBalancerClass", name, names.qualified_name)
    for index, cidr in enumerate(words(spec, "loadBalancerSourceRanges")):
        yield from check.cidr(f"spec.loadBalancerSourceRanges[{index}]", cidr.strip())


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
        yield from probes.port_or_name(port.get("targetPort"), f"{path}.targetPort")
        if port.get("nodePort"):
            yield from check.port(f"{path}.nodePort", port["nodePort"])
        if port.get("appProtocol"):
            yield from check.name(f"{path}.appProtocol", port["appProtocol"], names.qualified_name)
        if (key := (port.get("port"), port.get("protocol"))) in seen:
            yield duplicate(path, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen.add(key)


def _prepare_service_update(new: Object, old: Object) -> None:
    """Keep the address that was given, where the client leaves it out and the service still has one."""
    after, before = spec_of(new), old.get("spec") or {}
    _drop(after, before)
    if after.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", *_checked(after)):
        if not after.get(key) and before.get(key):
            after[key] = before[key]
    given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or []}
    if after.get("type") in ("NodePort", "LoadBalancer"):
        for port in after.get("ports") or []:
            if not port.get("nodePort") and (kept := given.get((port.get("port"), port.get("protocol")))):
                port["nodePort"] = kept


def _checked(spec: Object) -> tuple[str, ...]:
    """Return the port at which balancers ask whether a node has endpoints, where they have to."""
    local = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    return ("healthCheckNodePort",) if local else ()


def _drop(after: Object, before: Object) -> None:
    """Take out what the new type has not, where the client did not ask for it: it only sent back what it had read."""
    kind = after.get("type")
    for field, types in _TYPED.items():
        if kind not in types and before.get("type") in types and after.get(field) == before.get(field):
            after.pop(field, None)
    for field in set(_checked(before)) - set(_checked(after)):
        if after.get(field) == before.get(field):
            after.pop(field, None)
    ports = [port for port in after.get("ports") or [] if isinstance(port, dict)]
    given = [port.get("nodePort") for port in before.get("ports") or []]
    if kind not in ("NodePort", "LoadBalancer") and [port.get("nodePort") for port in ports] == given:
        for port in ports:
            port.pop("nodePort", None)


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
                where, ip = f"{path}.{kind}[{place}].ip", str(address.get("ip") or "")
                faults += [*check.ip(where, ip)] or [*check.endpoint_ip(where, ip)]
        for place, port in enumerate(subset.get("ports") or []):
            if len(subset["ports"]) > 1 and not port.get("name"):
                faults.append(required(f"{path}.ports[{place}].name"))
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
