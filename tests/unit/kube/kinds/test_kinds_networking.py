"""Ingress, IngressClass, NetworkPolicy, ServiceCIDR, IPAddress: defaults, refusals, what stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds.networking import STRATEGIES
from unit.kube.kinds.edits import GONE, changes, defaulted, edited, faults

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS: Any = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "ingressClassName": "nginx",
        "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}],
        "tls": [{"hosts": ["a.example", "*.b.example"], "secretName": "tls"}],
    },
}
PATH = "spec.rules.0.http.paths.0"
SHOWN = "spec.rules[0].http.paths[0]"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end"
    " with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (PATH + ".pathType", GONE, f"{SHOWN}.pathType: Required value: pathType must be specified"),
        (
            PATH + ".pathType",
            "Regex",
            f'{SHOWN}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"',
        ),
        (PATH + ".path", "x", f'{SHOWN}.path: Invalid value: "x": must be an absolute path'),
        (PATH + ".path", "/a//b", f"{SHOWN}.path: Invalid value: \"/a//b\": must not contain '//'"),
        (PATH + ".path", "/a/..", f"{SHOWN}.path: Invalid value: \"/a/..\": cannot end with '/..'"),
        (PATH + ".backend", {}, f'{SHOWN}.backend: Invalid value: "": resource or service backend is required'),
        (PATH + ".backend.service.name", "", f"{SHOWN}.backend.service.name: Required value"),
        (PATH + ".backend.service.port", {}, f"{SHOWN}.backend: Required value: port name or number is required"),
        (
            PATH + ".backend.service.port",
            {"name": "http", "number": 80},
            f'{SHOWN}.backend: Invalid value: "": cannot set both port name & port number',
        ),
        (
            PATH + ".backend.service.port.number",
            70000,
            f"{SHOWN}.backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            PATH + ".backend.resource",
            {"kind": "S", "name": "s"},
            f'{SHOWN}.backend: Invalid value: "": cannot set both resource and service backends',
        ),
        ("spec.rules.0.http.paths", [], "spec.rules[0].http.paths: Required value"),
        ("spec.rules", [], "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"),
        (
            "spec.rules.0.host",
            "10.0.0.1",
            'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
        ),
        ("spec.rules.0.host", "A", f'spec.rules[0].host: Invalid value: "A": {SUBDOMAIN}'),
        ("spec.tls.0.hosts.0", "A", f'spec.tls[0].hosts[0]: Invalid value: "A": {SUBDOMAIN}'),
        ("spec.tls.0.secretName", "A", f'spec.tls[0].secretName: Invalid value: "A": {SUBDOMAIN}'),
        ("spec.ingressClassName", "A", f'spec.ingressClassName: Invalid value: "A": {SUBDOMAIN}'),
    ],
)
def test_ingress_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES["Ingress"], INGRESS) == []
    assert faults(STRATEGIES["Ingress"], edited(INGRESS, path, value)) == [wrong]


def test_ingress_accepted() -> None:
    strategy = STRATEGIES["Ingress"]
    for path, value in [
        ("spec.rules.0.host", "*.a.example"),
        ("spec.rules.0", {"host": "b.example"}),
        (PATH, {"pathType": "ImplementationSpecific", "backend": BACKEND}),
        (PATH + ".backend", {"resource": {"apiGroup": "e.io", "kind": "Bucket", "name": "b"}}),
        ("spec", {"defaultBackend": BACKEND}),
    ]:
        assert faults(strategy, edited(INGRESS, path, value)) == []


def test_ingress_status() -> None:
    new = {
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.300"}, {"hostname": "10.0.0.1"}, {"ip": "10.0.0.1"}]}}
    }
    assert [fault.path for fault in STRATEGIES["Ingress"].validate_status(new, {})] == [
        "status.loadBalancer.ingress[0].ip",
        "status.loadBalancer.ingress[1].hostname",
    ]


CLASS: Any = {
    "metadata": {"name": "nginx"},
    "spec": {"controller": "e.io/nginx", "parameters": {"apiGroup": "e.io", "kind": "P", "name": "p"}},
}


def test_ingress_class() -> None:
    strategy = STRATEGIES["IngressClass"]
    assert defaulted(strategy, CLASS)["spec"]["parameters"]["scope"] == "Cluster"
    assert faults(strategy, CLASS) == []
    assert faults(strategy, edited(CLASS, "spec.controller", "nginx")) == [
        'spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'
    ]
    assert faults(strategy, edited(CLASS, "spec.parameters.namespace", "ns")) == [
        "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"
    ]
    assert faults(strategy, edited(CLASS, "spec.parameters.scope", "Namespace")) == [
        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"
    ]
    assert changes(strategy, CLASS, "spec.controller", "e.io/other") == [
        'spec.controller: Invalid value: "e.io/other": field is immutable'
    ]


POLICY: Any = {
    "metadata": {"name": "deny", "namespace": "default"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "web"}},
        "ingress": [
            {
                "ports": [{"port": 80}, {"port": "http"}, {"protocol": "UDP", "port": 53, "endPort": 60}],
                "from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
            }
        ],
    },
}


def test_network_policy_defaults() -> None:
    strategy = STRATEGIES["NetworkPolicy"]
    made = defaulted(strategy, POLICY)
    assert [port["protocol"] for port in made["spec"]["ingress"][0]["ports"]] == ["TCP", "TCP", "UDP"]
    assert made["spec"]["policyTypes"] == ["Ingress"]
    assert defaulted(strategy, edited(POLICY, "spec.egress", [{}]))["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert defaulted(strategy, edited(POLICY, "spec.policyTypes", ["Egress"]))["spec"]["policyTypes"] == ["Egress"]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("ingress.0.from.0", {}, "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            "ingress.0.from.1.podSelector",
            {},
            "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            "ingress.0.from.1.ipBlock.cidr",
            "10.0.0.1/8",
            'spec.ingress[0].from[1].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
        ),
        (
            "ingress.0.from.1.ipBlock.cidr",
            "10.0.0.0",
            (
                'spec.ingress[0].from[1].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value,'
                " (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ),
        ),
        (
            "ingress.0.from.1.ipBlock.except.0",
            "10.0.0.0/8",
            'spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
        ),
        (
            "ingress.0.ports.0.protocol",
            "ICMP",
            'spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
        ),
        (
            "ingress.0.ports.2.endPort",
            50,
            "spec.ingress[0].ports[2].endPort: Invalid value: 53: must be greater than or equal to `port`",
        ),
        (
            "ingress.0.ports.1.endPort",
            50,
            "spec.ingress[0].ports[1].endPort: Invalid value: 50: may not be specified when `port` is non-numeric",
        ),
        (
            "podSelector.matchExpressions",
            [{"key": "a", "operator": "In"}],
            (
                "spec.podSelector.matchExpressions[0].values: Required value:"
                " must be specified when `operator` is 'In' or 'NotIn'"
            ),
        ),
        (
            "podSelector.matchExpressions",
            [{"key": "a", "operator": "Gt"}],
            'spec.podSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator',
        ),
        (
            "policyTypes",
            ["Both"],
            'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress"',
        ),
    ],
)
def test_network_policy_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES["NetworkPolicy"], POLICY) == []
    assert faults(STRATEGIES["NetworkPolicy"], edited(POLICY, f"spec.{path}", value)) == [wrong]


def test_service_cidr() -> None:
    strategy, cidr = STRATEGIES["ServiceCIDR"], {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.0.0.0/16"]}}
    assert faults(strategy, cidr) == []
    assert faults(strategy, edited(cidr, "spec.cidrs", [])) == [
        "spec.cidrs: Required value: at least one CIDR required"
    ]
    assert faults(strategy, edited(cidr, "spec.cidrs.0", "FD00::/64")) == [
        'spec.cidrs[0]: Invalid value: "FD00::/64": must be in canonical form ("fd00::/64")'
    ]
    assert "no more than one IP for each IP family" in faults(strategy, edited(cidr, "spec.cidrs.1", "10.1.0.0/16"))[0]
    assert changes(strategy, cidr, "spec.cidrs.1", "fd00::/112") == []
    assert changes(strategy, cidr, "spec.cidrs.0", "10.1.0.0/16") == [
        'spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable'
    ]
    assert changes(strategy, cidr, "spec.cidrs", []) == ["spec.cidrs: Invalid value: []: field is immutable"]


def test_ip_address() -> None:
    strategy = STRATEGIES["IPAddress"]
    address = {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": {"resource": "services", "name": "web"}}}
    assert strategy.validate_name is not None
    assert strategy.validate_name("10.0.0.1") == strategy.validate_name("fd00::1") == ""
    assert strategy.validate_name("FD00::1") == 'must be in canonical form ("fd00::1")'
    assert strategy.validate_name("web") == "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    assert faults(strategy, address) == []
    assert faults(strategy, edited(address, "spec.parentRef", GONE)) == ["spec.parentRef: Required value"]
    assert faults(strategy, edited(address, "spec.parentRef.name", "")) == ["spec.parentRef.name: Required value"]
    assert len(changes(strategy, address, "spec.parentRef.name", "other")) == 1
