"""The rows of services and of what is behind them: Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import AGE, NAME, NONE, UNSET, age, labels, name, printer, some
from sampan.kube.reading import items, number, text, words
from sampan.kube.strategy import Column, Printer

SHOWN = 3
"""Ports and addresses that a row shows; the rest is counted."""


def ingress_addresses(obj: Object) -> str:
    """Return where a load balancer takes traffic in: addresses or host names, sorted."""
    points = items(obj, "status", "loadBalancer", "ingress")
    return ",".join(sorted({text(point, "ip") or text(point, "hostname") for point in points} - {""}))


def _external(service: Object) -> str:
    kind, own = text(service, "spec", "type"), words(service, "spec", "externalIPs")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(own) or NONE
    if kind == "LoadBalancer":
        given = ingress_addresses(service)
        return ",".join([given, *own] if given else own) or "<pending>"
    return text(service, "spec", "externalName") if kind == "ExternalName" else "<unknown>"


def _port(port: Any) -> str:
    node_port = number(port, "nodePort")
    return f"{number(port, 'port')}{f':{node_port}' if node_port > 0 else ''}/{text(port, 'protocol')}"


def _service(service: Object, now_s: float) -> list[Any]:
    return [
        name(service),
        text(service, "spec", "type"),
        next(iter(words(service, "spec", "clusterIPs")), NONE),
        _external(service),
        ",".join(map(_port, items(service, "spec", "ports"))) or NONE,
        age(service, now_s),
        labels(at(service, "spec", "selector")),
    ]


def _ends(endpoints: Object) -> Iterator[str]:
    for subset in items(endpoints, "subsets"):
        addresses = [text(each, "ip") for each in items(subset, "addresses")]
        ports = [number(port, "port") for port in items(subset, "ports")]
        if not ports:
            yield from addresses
        for port in ports:
            yield from (f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip in addresses)


def _endpoints(obj: Object) -> list[Any]:
    return [some(_ends(obj), SHOWN, empty="" if items(obj, "subsets") else NONE)]


def _slice_port(port: Any) -> str:
    found = at(port, "port")
    return str(found) if isinstance(found, int) else text(port, "name", missing="*")


def _endpoint_slice(obj: Object) -> list[Any]:
    addresses = [address for endpoint in items(obj, "endpoints") for address in words(endpoint, "addresses")]
    return [
        text(obj, "addressType"),
        some(map(_slice_port, items(obj, "ports")), SHOWN, empty=UNSET),
        some(addresses, SHOWN, empty=UNSET),
    ]


SERVICE = Printer(
    (
        NAME,
        Column("Type", description="How the service is reached."),
        Column("Cluster-IP", description="Its first address inside the cluster."),
        Column("External-IP", description="Its addresses for the world."),
        Column("Port(s)", description="Its ports, and those of the nodes that lead to them."),
        AGE,
        Column("Selector", description="The pods that it leads to.", priority=1),
    ),
    _service,
)
ENDPOINTS = printer(Column("Endpoints", description="Addresses and ports that are ready."), cells=_endpoints)
ENDPOINT_SLICE = printer(
    Column("AddressType", description="IPv4, IPv6 or FQDN."),
    Column("Ports", description="The ports of each endpoint."),
    Column("Endpoints", description="The addresses of the endpoints."),
    cells=_endpoint_slice,
)
