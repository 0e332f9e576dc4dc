"""networking.k8s.io: Ingress, IngressClass, NetworkPolicy, ServiceCIDR, IPAddress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube import object as objects
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required, too_long
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, number, text, words
from sampan.kube.strategy import Strategy

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NEVER_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NEVER_AT_THE_END = ("/..", "/.")
_CONTROLLER_BYTES = 250
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_POLICY_TYPES = ("Ingress", "Egress")


# --- Ingress ----------------------------------------------------------------------------------------------------------


def _ingress(obj: Object) -> list[FieldError]:
    return list(_ingress_spec(mapping(obj, "spec")))


def _new_ingress(obj: Object) -> list[FieldError]:
    """The class is said by the annotation of old or by the field; by both only where they agree."""
    given, field = objects.annotations(obj).get(_CLASS_ANNOTATION), at(obj, "spec", "ingressClassName")
    if given is None or field is None or given == field:
        return []
    return [invalid(f"annotations.{_CLASS_ANNOTATION}", given, "must match `ingressClassName` when both are specified")]


def _ingress_spec(spec: Object) -> Iterator[FieldError]:
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        yield invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend("spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(items(spec, "rules")):
        yield from _rule(f"spec.rules[{index}]", rule)
    for index, tls in enumerate(items(spec, "tls")):
        yield from _tls(f"spec.tls[{index}]", tls)
    if spec.get("ingressClassName") is not None:
        yield from check.name("spec.ingressClassName", spec["ingressClassName"], names.dns_subdomain)


def _host(path: str, host: str) -> Iterator[FieldError]:
    if check.is_ip(host):
        yield invalid(path, host, "must be a DNS name, not an IP address")
    yield from check.name(path, host, names.wildcard_subdomain if "*" in host else names.dns_subdomain)


def _rule(path: str, rule: Object) -> Iterator[FieldError]:
    if host := text(rule, "host"):
        yield from _host(f"{path}.host", host)
    http = rule.get("http")
    if http is None:
        return
    if not items(http, "paths"):
        yield required(f"{path}.http.paths")
    for index, each in enumerate(items(http, "paths")):
        yield from _path(f"{path}.http.paths[{index}]", each)


def _path(path: str, each: Object) -> Iterator[FieldError]:
    kind, value = each.get("pathType"), text(each, "path")
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        yield not_supported(f"{path}.pathType", kind, _PATH_TYPES)
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        yield invalid(f"{path}.path", value, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for part in _NEVER_IN_PATHS:
            if part in value:
                yield invalid(f"{path}.path", value, f"must not contain '{part}'")
        for end in _NEVER_AT_THE_END:
            if value.endswith(end):
                yield invalid(f"{path}.path", value, f"cannot end with '{end}'")
    yield from _backend(f"{path}.backend", each.get("backend"))


def _backend(path: str, backend: Any) -> Iterator[FieldError]:
    resource, service = at(backend, "resource"), at(backend, "service")
    if resource is not None and service is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference(f"{path}.resource", resource)
    elif service is not None:
        yield from check.required_name(f"{path}.service.name", text(service, "name"), names.dns_label)
        yield from _backend_port(path, at(service, "port"))
    else:
        yield invalid(path, "", "resource or service backend is required")


def _backend_port(path: str, port: Any) -> Iterator[FieldError]:
    name, value = text(port, "name"), number(port, "number")
    if name and value:
        yield invalid(path, "", "cannot set both port name & port number")
    elif name:
        yield from check.name(f"{path}.service.port.name", name, names.port_name)
    elif value:
        yield from check.port(f"{path}.service.port.number", value)
    else:
        yield required(path, "port name or number is required")


def _reference(path: str, reference: Any) -> Iterator[FieldError]:
    if (group := at(reference, "apiGroup")) is not None:
        yield from check.name(f"{path}.apiGroup", group, names.dns_subdomain)
    for field in ("kind", "name"):
        yield from check.required_name(f"{path}.{field}", text(reference, field), names.path_segment)


def _tls(path: str, tls: Object) -> Iterator[FieldError]:
    for index, host in enumerate(words(tls, "hosts")):
        yield from check.name(
            f"{path}.hosts[{index}]", host, names.wildcard_subdomain if "*" in host else names.dns_subdomain
        )
    if secret := text(tls, "secretName"):
        yield from check.name(f"{path}.secretName", secret, names.dns_subdomain)


def _ingress_status(new: Object, old: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    for index, point in enumerate(items(new, "status", "loadBalancer", "ingress")):
        path = f"status.loadBalancer.ingress[{index}]"
        if ip := text(point, "ip"):
            faults += check.ip(f"{path}.ip", ip)
        if host := text(point, "hostname"):
            faults += check.name(f"{path}.hostname", host, names.dns_subdomain)
            if check.is_ip(host):
                faults.append(invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address"))
    return faults


# --- IngressClass -----------------------------------------------------------------------------------------------------


def _default_ingress_class(obj: Object) -> None:
    parameters = at(obj, "spec", "parameters")
    if isinstance(parameters, dict) and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def _ingress_class(obj: Object) -> list[FieldError]:
    controller = text(obj, "spec", "controller")
    faults = []
    if len(controller) > _CONTROLLER_BYTES:
        faults.append(too_long("spec.controller", _CONTROLLER_BYTES))
    faults += check.domain_prefixed_path("spec.controller", controller)
    parameters = at(obj, "spec", "parameters")
    return [*faults, *_parameters("spec.parameters", parameters)] if parameters is not None else faults


def _parameters(path: str, parameters: Any) -> Iterator[FieldError]:
    yield from _reference(path, parameters)
    scope, namespace = at(parameters, "scope"), at(parameters, "namespace")
    if scope is None:
        yield required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        yield not_supported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Cluster" and namespace is not None:
        yield forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and namespace is None:
        yield required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        yield from check.name(f"{path}.namespace", namespace, names.dns_label)


# --- NetworkPolicy ----------------------------------------------------------------------------------------------------


def _default_network_policy(obj: Object) -> None:
    spec = at(obj, "spec")
    if not isinstance(spec, dict):
        return
    for direction in ("ingress", "egress"):
        for rule in items(spec, direction):
            for port in items(rule, "ports"):
                if port.get("protocol") is None:
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _network_policy(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = list(check.label_selector("spec.podSelector", spec.get("podSelector")))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(items(spec, direction)):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(items(rule, "ports")):
                faults += _policy_port(f"{path}.ports[{place}]", port)
            for place, peer in enumerate(items(rule, peers)):
                faults += _peer(f"{path}.{peers}[{place}]", peer)
    return [*faults, *_policy_types(words(spec, "policyTypes"))]


def _policy_types(types: list[str]) -> Iterator[FieldError]:
    if len(types) > len(_POLICY_TYPES):
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, each in enumerate(types):
        if each not in _POLICY_TYPES:
            yield not_supported(f"spec.policyTypes[{index}]", each, _POLICY_TYPES)


def _policy_port(path: str, port: Object) -> Iterator[FieldError]:
    protocol, value, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        yield not_supported(f"{path}.protocol", protocol, _PROTOCOLS)
    if value is None:
        if end is not None:
            yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(value, int):
        yield from check.port(f"{path}.port", value)
        if isinstance(end, int):
            if end < value:
                yield invalid(f"{path}.endPort", value, "must be greater than or equal to `port`")
            yield from check.port(f"{path}.endPort", end)
    else:
        if end is not None:
            yield invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from check.name(f"{path}.port", value, names.port_name)


def _peer(path: str, peer: Object) -> Iterator[FieldError]:
    found = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    for field in found:
        if field == "ipBlock":
            yield from _ip_block(f"{path}.ipBlock", peer[field])
        else:
            yield from check.label_selector(f"{path}.{field}", peer[field])
    if not found:
        yield required(path, "must specify a peer")
    elif len(found) > 1 and "ipBlock" in found:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _ip_block(path: str, block: Any) -> Iterator[FieldError]:
    cidr = text(block, "cidr")
    if not cidr:
        yield required(f"{path}.cidr")
        return
    yield from check.cidr(f"{path}.cidr", cidr)
    whole = check.network(cidr)
    for index, each in enumerate(words(block, "except")):
        yield from check.cidr(f"{path}.except[{index}]", each)
        part = check.network(each)
        if whole is not None and part is not None and not _inside(part, whole):
            yield invalid(f"{path}.except[{index}]", each, "must be a strict subset of `cidr`")


def _inside(part: check.Network, whole: check.Network) -> bool:
    return part.version == whole.version and part.prefixlen > whole.prefixlen and part.network_address in whole


# --- ServiceCIDR, IPAddress -------------------------------------------------------------------------------------------


def _service_cidr(obj: Object) -> list[FieldError]:
    cidrs = words(obj, "spec", "cidrs")
    if not cidrs:
        return [required("spec.cidrs", "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid("spec.cidrs", mapping(obj, "spec"), "may only hold up to 2 values")]
    faults = [
        fault for index, each in enumerate(cidrs) for fault in check.cidr(f"spec.cidrs[{index}]", each, canonical=True)
    ]
    networks = [check.network(each) for each in cidrs]
    if len(networks) == 2 and networks[0] and networks[1] and networks[0].version == networks[1].version:
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        faults.append(invalid("spec.cidrs", cidrs, why))
    return faults


def _change_service_cidr(new: Object, old: Object) -> list[FieldError]:
    now, before = words(new, "spec", "cidrs"), words(old, "spec", "cidrs")
    if len(now) != len(before) and (len(before), len(now)) != (1, 2):
        return [invalid("spec.cidrs", now, check.IMMUTABLE)]
    return [
        invalid(f"spec.cidrs[{index}]", now[index], check.IMMUTABLE)
        for index, cidr in enumerate(before)
        if now[index] != cidr
    ]


def _address_name(name: str) -> str:
    return next((fault.detail for fault in check.ip("", name, canonical=True)), "")


def _ip_address(obj: Object) -> list[FieldError]:
    parent = at(obj, "spec", "parentRef")
    if parent is None:
        return [required("spec.parentRef")]
    faults: list[FieldError] = []
    if group := text(parent, "group"):
        faults += check.name("spec.parentRef.group", group, names.dns_subdomain)
    for field in ("resource", "name"):
        faults += check.required_name(f"spec.parentRef.{field}", text(parent, field), names.path_segment)
    if namespace := text(parent, "namespace"):
        faults += check.name("spec.parentRef.namespace", namespace, names.path_segment)
    return faults


STRATEGIES: dict[str, Strategy] = {
    "Ingress": Strategy(
        validate=_ingress,
        validate_create=_new_ingress,
        validate_status=_ingress_status,
        has_status=True,
        has_generation=True,
    ),
    "IngressClass": Strategy(
        default=_default_ingress_class,
        validate=_ingress_class,
        validate_update=check.immutable("spec.controller"),
        has_generation=True,
    ),
    "NetworkPolicy": Strategy(default=_default_network_policy, validate=_network_policy, has_generation=True),
    "ServiceCIDR": Strategy(validate=_service_cidr, validate_update=_change_service_cidr, has_status=True),
    "IPAddress": Strategy(
        validate=_ip_address,
        validate_update=check.immutable("spec.parentRef"),
        validate_name=_address_name,
    ),
}
