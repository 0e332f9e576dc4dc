"""A pod's place in the network: ports, the node's network, names that it looks up.

Spec: core/v1 ContainerPort, PodDNSConfig, HostAlias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import flag, items, number, text, words

PROTOCOLS = ("TCP", "UDP", "SCTP")
_NAMESERVERS, _SEARCHES, _SEARCH_CHARACTERS = 3, 32, 2048


def ports(found: list[Object], path: str) -> Iterator[FieldError]:
    """Return the faults of a container's ports."""
    seen: set[str] = set()
    for index, port in enumerate(found):
        where = f"{path}[{index}]"
        if name := text(port, "name"):
            yield from check.name(f"{where}.name", name, names.port_name)
            if name in seen:
                yield duplicate(f"{where}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{where}.containerPort")
        else:
            yield from check.port(f"{where}.containerPort", number(port, "containerPort"))
        if port.get("hostPort"):
            yield from check.port(f"{where}.hostPort", number(port, "hostPort"))
        if port.get("hostIP"):
            yield from check.ip(f"{where}.hostIP", port["hostIP"])
        yield from check.one_of(f"{where}.protocol", port.get("protocol"), PROTOCOLS)


def of_pod(spec: Object, path: str) -> Iterator[FieldError]:
    """Return the faults of all of a pod's spec that is about the network."""
    yield from _host_ports(spec, path)
    yield from _dns(spec, f"{path}.dnsConfig")
    for index, alias in enumerate(items(spec, "hostAliases")):
        where = f"{path}.hostAliases[{index}]"
        yield from check.ip(f"{where}.ip", alias.get("ip"))
        for place, name in enumerate(words(alias, "hostnames")):
            yield from check.name(f"{where}.hostnames[{place}]", name, names.dns_subdomain)


def _host_ports(spec: Object, path: str) -> Iterator[FieldError]:
    seen: set[tuple[Any, ...]] = set()
    in_nodes = flag(spec, "hostNetwork")
    for index, container in enumerate(items(spec, "containers")):
        for place, port in enumerate(items(container, "ports")):
            where = f"{path}.containers[{index}].ports[{place}]"
            if in_nodes and port.get("hostPort") != port.get("containerPort"):
                why = "must match `hostPort` when `hostNetwork` is true"
                yield invalid(f"{where}.containerPort", port.get("containerPort"), why)
            if not port.get("hostPort"):
                continue
            key = (port.get("protocol"), port.get("hostIP"), port["hostPort"])
            if key in seen:
                yield duplicate(f"{where}.hostPort", "/".join(str(part or "") for part in key))
            seen.add(key)


def _dns(spec: Object, path: str) -> Iterator[FieldError]:
    config = spec.get("dnsConfig")
    servers, searches = words(config, "nameservers"), words(config, "searches")
    if spec.get("dnsPolicy") == "None" and not servers:
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{path}.nameservers", why)
    if len(servers) > _NAMESERVERS:
        yield invalid(f"{path}.nameservers", servers, f"must not have more than {_NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        yield from check.ip(f"{path}.nameservers[{index}]", server)
    if len(searches) > _SEARCHES:
        yield invalid(f"{path}.searches", searches, f"must not have more than {_SEARCHES} search paths")
    if len(" ".join(searches)) > _SEARCH_CHARACTERS:
        why = f"must not have more than {_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", searches, why)
    for index, option in enumerate(items(config, "options")):
        if not at(option, "name"):
            yield required(f"{path}.options[{index}]", "must not be empty")
