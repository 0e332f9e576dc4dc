"""Rows of networking.k8s.io."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import NAME, NONE, name, printer, selector
from sampan.kube.printing.service import SHOWN, ingress_addresses
from sampan.kube.reading import items, text, words
from sampan.kube.strategy import Column, Printer


def _hosts(ingress: Object) -> str:
    """Return the first hosts; those without a name are counted with the rest, as kubectl's users know it."""
    rules = [text(rule, "host") for rule in items(ingress, "spec", "rules")]
    hosts = [host for host in rules if host]
    if len(hosts) > SHOWN or (len(hosts) == SHOWN and rules[-1] == ""):
        return f"{','.join(hosts[:SHOWN])} + {len(rules) - SHOWN} more..."
    return ",".join(hosts) or "*"


def _ingress(obj: Object) -> list[Any]:
    return [
        text(obj, "spec", "ingressClassName", missing=NONE),
        _hosts(obj),
        ingress_addresses(obj),
        "80, 443" if items(obj, "spec", "tls") else "80",
    ]


def _parameters(ingress_class: Object) -> list[Any]:
    parameters = at(ingress_class, "spec", "parameters")
    if not isinstance(parameters, dict):
        return [text(ingress_class, "spec", "controller"), NONE]
    kind = ".".join(part for part in (text(parameters, "kind"), text(parameters, "apiGroup")) if part)
    return [text(ingress_class, "spec", "controller"), f"{kind}/{text(parameters, 'name')}"]


def _parent(address: Object) -> str:
    parent = at(address, "spec", "parentRef")
    if not isinstance(parent, dict):
        return NONE
    resource = ".".join(part for part in (text(parent, "resource"), text(parent, "group")) if part).lower()
    return "/".join(part for part in (resource, text(parent, "namespace"), text(parent, "name")) if part)


INGRESS = printer(
    Column("Class", description="The class whose controller serves it."),
    Column("Hosts", description="Hosts that its rules match."),
    Column("Address", description="Where traffic comes in."),
    Column("Ports", description="Ports that it opens."),
    cells=_ingress,
)
INGRESS_CLASS = printer(
    Column("Controller", description="What serves ingresses of the class."),
    Column("Parameters", description="An object with more about the class."),
    cells=_parameters,
)
NETWORK_POLICY = printer(
    Column("Pod-Selector", description="The pods that it is about."),
    cells=lambda obj: [selector(at(obj, "spec", "podSelector"))],
)
SERVICE_CIDR = printer(
    Column("CIDRs", description="Ranges that services get addresses of."),
    cells=lambda obj: [",".join(words(obj, "spec", "cidrs"))],
)
IP_ADDRESS = Printer(
    (NAME, Column("ParentRef", description="What has the address.")),
    lambda obj, _now_s: [name(obj), _parent(obj)],
)
