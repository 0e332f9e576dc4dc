"""Roles and bindings: defaults, refusals, and that a binding's role stays."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds.rbac import GROUP, STRATEGIES
from unit.kube.kinds.edits import GONE, changes, defaulted, edited, faults

ROLE: Any = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
URLS: Any = {"metadata": {"name": "r"}, "rules": [{"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]}
BINDING: Any = {
    "metadata": {"name": "b"},
    "roleRef": {"kind": "ClusterRole", "name": "admin"},
    "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "ns"}],
}


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("rules.0.verbs", [], "rules[0].verbs: Required value: verbs must contain at least one value"),
        (
            "rules.0.apiGroups",
            [],
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        ),
        (
            "rules.0.resources",
            GONE,
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ),
    ],
)
def test_rules_refused(kind: str, path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES[kind], ROLE) == []
    assert faults(STRATEGIES[kind], edited(ROLE, path, value)) == [wrong]


def test_urls_are_for_cluster_roles() -> None:
    assert faults(STRATEGIES["ClusterRole"], URLS) == []
    assert faults(STRATEGIES["Role"], URLS) == [
        'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs'
    ]
    assert faults(STRATEGIES["ClusterRole"], edited(URLS, "rules.0.resources", ["pods"])) == [
        (
            'rules[0].nonResourceURLs: Invalid value: ["/healthz"]:'
            " rules cannot apply to both regular resources and non-resource URLs"
        )
    ]


def test_aggregation() -> None:
    role = edited(ROLE, "aggregationRule", {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})
    assert faults(STRATEGIES["ClusterRole"], role) == []
    assert (
        "at least one clusterRoleSelector" in faults(STRATEGIES["ClusterRole"], edited(role, "aggregationRule", {}))[0]
    )


def test_names_of_roles_may_have_colons() -> None:
    rule = STRATEGIES["ClusterRole"].validate_name
    assert rule is not None
    assert rule("system:kube-dns") == ""
    assert rule("a/b") == "may not contain '/'"


def test_binding_defaults() -> None:
    made = defaulted(STRATEGIES["ClusterRoleBinding"], BINDING)
    assert made["roleRef"]["apiGroup"] == GROUP
    assert [subject.get("apiGroup") for subject in made["subjects"]] == [GROUP, None]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("roleRef.name", "", "roleRef.name: Required value"),
        ("roleRef.kind", "Pod", 'roleRef.kind: Unsupported value: "Pod": supported values: "ClusterRole"'),
        ("roleRef.apiGroup", "x", f'roleRef.apiGroup: Unsupported value: "x": supported values: "{GROUP}"'),
        ("subjects.0.name", GONE, "subjects[0].name: Required value"),
        (
            "subjects.0.kind",
            "Robot",
            'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
        ),
        ("subjects.0.apiGroup", "x", f'subjects[0].apiGroup: Unsupported value: "x": supported values: "{GROUP}"'),
        ("subjects.1.namespace", GONE, "subjects[1].namespace: Required value"),
        ("subjects.1.apiGroup", "x", 'subjects[1].apiGroup: Unsupported value: "x": supported values: ""'),
    ],
)
def test_binding_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES["ClusterRoleBinding"], BINDING) == []
    assert faults(STRATEGIES["ClusterRoleBinding"], edited(BINDING, path, value)) == [wrong]


def test_binding_of_a_namespace() -> None:
    assert faults(STRATEGIES["RoleBinding"], edited(BINDING, "roleRef.kind", "Role")) == []
    assert faults(STRATEGIES["RoleBinding"], edited(BINDING, "subjects.1.namespace", GONE)) == []


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_role_of_a_binding_stays(kind: str) -> None:
    assert changes(STRATEGIES[kind], BINDING, "subjects.0.name", "other") == []
    [wrong] = changes(STRATEGIES[kind], BINDING, "roleRef.name", "view")
    assert wrong.startswith("roleRef: Invalid value: {")
    assert wrong.endswith("cannot change roleRef")
