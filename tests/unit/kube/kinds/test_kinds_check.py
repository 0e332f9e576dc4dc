"""Checks that many kinds share: addresses, uniqueness, label selectors, webhooks' places."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds import check

NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("10.0.0.1", None),
        ("fd00::1", None),
        ("FD00:0::1", None),
        ("010.0.0.1", NO_IP),
        ("10.0.0", NO_IP),
        ("fe80::1%eth0", NO_IP),
        ("", NO_IP),
        (5, NO_IP),
        (None, NO_IP),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
    ],
)
def test_ip(value: Any, why: str | None) -> None:
    assert [fault.detail for fault in check.ip("x", value)] == ([why] if why else [])
    assert check.is_ip(value) is (why != NO_IP)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("10.0.0.0/8", None),
        ("fd00::/64", None),
        ("FD00::/64", None),
        ("10.0.0.0", NO_CIDR),
        ("10.0.0.0/33", NO_CIDR),
        ("10.0.0.0/255.0.0.0", NO_CIDR),
        ("/8", NO_CIDR),
        (8, NO_CIDR),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
    ],
)
def test_cidr(value: Any, why: str | None) -> None:
    assert [fault.detail for fault in check.cidr("x", value)] == ([why] if why else [])


def test_canonical() -> None:
    assert [fault.detail for fault in check.ip("x", "FD00::1", canonical=True)] == [
        'must be in canonical form ("fd00::1")'
    ]
    assert [fault.detail for fault in check.cidr("x", "FD00::/64", canonical=True)] == [
        'must be in canonical form ("fd00::/64")'
    ]


def test_unique() -> None:
    assert [str(fault) for fault in check.unique("x", ["a", "b", "a", "a"])] == [
        'x[2]: Duplicate value: "a"',
        'x[3]: Duplicate value: "a"',
    ]
    assert [str(fault) for fault in check.unique("x", ["a", "a"], "name")] == ['x[1].name: Duplicate value: "a"']
    assert list(check.unique("x", [1, "1", True, [], {}])) == []


def test_immutable() -> None:
    rule = check.immutable("spec.a.b", "c")
    old = {"spec": {"a": {"b": 1}}, "c": 2}
    assert rule(old, old) == []
    assert [str(fault) for fault in rule({"spec": {}}, old)] == [
        "spec.a.b: Invalid value: null: field is immutable",
        "c: Invalid value: null: field is immutable",
    ]


@pytest.mark.parametrize(
    ("selector", "wrong"),
    [
        (None, []),
        ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, []),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, []),
        ({"matchLabels": {"-": "b"}}, ["s.matchLabels"]),
        ({"matchLabels": {"a": "-"}}, ["s.matchLabels"]),
        ({"matchExpressions": [{"key": "", "operator": "In", "values": []}]}, ["values", "key"]),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, ["values"]),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}, ["values[0]"]),
        ({"matchExpressions": [{"key": "a", "operator": "Like"}]}, ["operator"]),
    ],
)
def test_label_selector(selector: Any, wrong: list[str]) -> None:
    found = [fault.path.removeprefix("s.matchExpressions[0].") for fault in check.label_selector("s", selector)]
    assert found == wrong


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"url": "https://e.io/path"}, []),
        ({"service": {"name": "a", "namespace": "b", "path": "/c", "port": 8443}}, []),
        ({"url": "https://e.io", "service": {}}, ["c"]),
        ({"url": "https://e.io?x=1#y"}, ["c.url", "c.url"]),
        ({"url": "https://me@e.io"}, ["c.url"]),
        ({"url": "https://"}, ["c.url"]),
        ({"url": "https://[::1"}, ["c.url"]),
        ({"service": {"name": "a", "namespace": "b", "path": "c", "port": 0}}, ["c.service.port", "c.service.path"]),
    ],
)
def test_client_config(config: Any, wrong: list[str]) -> None:
    assert [fault.path for fault in check.client_config("c", config)] == wrong
