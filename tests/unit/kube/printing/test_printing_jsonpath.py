"""Simple JSONPath, as columns and selectable fields of CRDs use it."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.printing.jsonpath import Path

OBJECT: dict[str, Any] = {
    "metadata": {"annotations": {"example.com/a": "x"}, "name": "n"},
    "spec": {"replicas": 3, "ports": [{"port": 80, "tls": False}, {"port": 443, "tls": True}], "empty": None},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [3]),
        ("{.spec.replicas}", [3]),
        ("$.spec.replicas", [3]),
        ("", [OBJECT]),
        (".spec.none", []),
        (".spec.replicas.more", []),
        (".spec.empty", [None]),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[7].port", []),
        (".spec.ports[-7].port", []),
        (".spec.ports[*].port", [80, 443]),
        (".spec.ports.*.port", [80, 443]),
        (".spec.ports[1:].port", [443]),
        (".spec.ports[:1].port", [80]),
        (".metadata.annotations['example.com/a']", ["x"]),
        (r".metadata.annotations.example\.com/a", ["x"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Old')].status", ["False"]),
        ('.status.conditions[?(@.type!="Old")].status', ["True"]),
        (".spec.ports[?(@.port>100)].port", [443]),
        (".spec.ports[?(@.port<=80)].port", [80]),
        (".spec.ports[?(@.tls==true)].port", [443]),
        (".spec.ports[?(@.port=='80')].port", []),
        (".spec.ports[?(@.port>'a')].port", []),
        (".spec.ports[?(@.port)].port", [80, 443]),
        (".spec.ports[?(@.name)].port", []),
    ],
)
def test_find(path: str, found: list[Any]) -> None:
    assert Path(path).find(OBJECT) == found


@pytest.mark.parametrize("path", ["spec", ".spec[", ".a b", ".a[x]", ".a[?(@.b==c)]", ".a[?(b)]", ".a..b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        Path(path)
