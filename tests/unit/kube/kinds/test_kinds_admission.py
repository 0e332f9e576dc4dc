"""Webhooks, policies and bindings: defaults and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds.admissionregistration import STRATEGIES
from unit.kube.kinds.edits import GONE, defaulted, edited, faults

RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOKS: Any = {
    "metadata": {"name": "h"},
    "webhooks": [
        {
            "name": "a.e.io",
            "clientConfig": {"service": {"namespace": "ns", "name": "hook"}},
            "rules": [RULE],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
    ],
}
POLICY: Any = {
    "metadata": {"name": "p"},
    "spec": {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
}
MUTATION = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
MUTATING: Any = {
    "metadata": {"name": "p"},
    "spec": {"matchConstraints": {"resourceRules": [RULE]}, "mutations": [MUTATION], "reinvocationPolicy": "Never"},
}
BINDING: Any = {
    "metadata": {"name": "b"},
    "spec": {
        "policyName": "p",
        "validationActions": ["Deny"],
        "paramRef": {"name": "x", "parameterNotFoundAction": "Deny"},
        "matchResources": {},
    },
}


@pytest.mark.parametrize(("kind", "reinvocation"), [("Validating", None), ("Mutating", "Never")])
def test_webhook_defaults(kind: str, reinvocation: str | None) -> None:
    [hook] = defaulted(STRATEGIES[f"{kind}WebhookConfiguration"], HOOKS)["webhooks"]
    assert hook["rules"][0]["scope"] == "*"
    assert hook["clientConfig"]["service"]["port"] == 443
    fields = ("failurePolicy", "matchPolicy", "timeoutSeconds", "namespaceSelector", "objectSelector")
    assert [hook[field] for field in fields] == ["Fail", "Equivalent", 10, {}, {}]
    assert hook.get("reinvocationPolicy") == reinvocation


def test_policy_defaults() -> None:
    spec = defaulted(STRATEGIES["ValidatingAdmissionPolicy"], POLICY)["spec"]
    match = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"] == {**match, "resourceRules": [{**RULE, "scope": "*"}]}
    binding = defaulted(STRATEGIES["ValidatingAdmissionPolicyBinding"], BINDING)
    assert binding["spec"]["matchResources"] == match


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (
            "name",
            "a.io",
            'name: Invalid value: "a.io": should be a domain with at least three segments separated by dots',
        ),
        ("name", "", "name: Required value"),
        ("sideEffects", GONE, "sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        ("sideEffects", "Some", 'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
        ("timeoutSeconds", 31, "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"),
        ("failurePolicy", "Deny", 'failurePolicy: Unsupported value: "Deny": supported values: "Fail", "Ignore"'),
        ("admissionReviewVersions", [], "admissionReviewVersions: Required value: must specify one of v1, v1beta1"),
        (
            "admissionReviewVersions",
            ["v2"],
            'admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
        ),
        ("clientConfig", {}, "clientConfig: Required value: exactly one of url or service is required"),
        (
            "clientConfig",
            {"service": {"name": "x"}},
            "clientConfig.service.namespace: Required value: service namespace is required",
        ),
        (
            "clientConfig",
            {"url": "http://e.io"},
            "clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        ),
        ("rules.0.operations", [], "rules[0].operations: Required value"),
        (
            "rules.0.operations",
            ["*", "CREATE"],
            'rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
        ),
        (
            "rules.0.operations",
            ["GET"],
            (
                'rules[0].operations[0]: Unsupported value: "GET":'
                ' supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"'
            ),
        ),
        ("rules.0.resources", [""], "rules[0].resources[0]: Required value"),
        (
            "rules.0.resources",
            ["*", "pods"],
            (
                'rules[0].resources: Invalid value: ["*","pods"]:'
                " if '*' is present, must not specify other resources without subresources"
            ),
        ),
        (
            "rules.0.resources",
            ["pods/*", "pods/log"],
            "rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
        ),
        (
            "rules.0.scope",
            "All",
            'rules[0].scope: Unsupported value: "All": supported values: "*", "Cluster", "Namespaced"',
        ),
        ("matchConditions", [{"name": "a", "expression": " "}], "matchConditions[0].expression: Required value"),
    ],
)
def test_webhook_refused(path: str, value: Any, wrong: str) -> None:
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        assert faults(STRATEGIES[kind], HOOKS) == []
        assert faults(STRATEGIES[kind], edited(HOOKS, f"webhooks.0.{path}", value)) == [f"webhooks[0].{wrong}"]


def test_webhook_names_are_unique() -> None:
    twice = edited(HOOKS, "webhooks.1", HOOKS["webhooks"][0])
    assert faults(STRATEGIES["ValidatingWebhookConfiguration"], twice) == [
        'webhooks[1].name: Duplicate value: "a.e.io"'
    ]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("matchConstraints", GONE, "spec.matchConstraints: Required value"),
        ("matchConstraints.resourceRules", [], "spec.matchConstraints.resourceRules: Required value"),
        ("validations.0.expression", "", "spec.validations[0].expression: Required value: expression is not specified"),
        (
            "validations.0.message",
            "a\nb",
            'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
        ),
        (
            "validations.0.reason",
            "Teapot",
            (
                'spec.validations[0].reason: Unsupported value: "Teapot":'
                ' supported values: "Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"'
            ),
        ),
        (
            "variables",
            [{"name": "if", "expression": "1"}],
            'spec.variables[0].name: Invalid value: "if": name is not a valid CEL identifier',
        ),
        ("paramKind", {"apiVersion": "e.io/v1"}, "spec.paramKind.kind: Required value"),
        (
            "auditAnnotations",
            [{"key": "k", "valueExpression": "'1'"}, {"key": "k", "valueExpression": "null"}],
            'spec.auditAnnotations[1].key: Duplicate value: "k"',
        ),
    ],
)
def test_policy_refused(path: str, value: Any, wrong: str) -> None:
    strategy = STRATEGIES["ValidatingAdmissionPolicy"]
    assert faults(strategy, POLICY) == []
    assert faults(strategy, edited(POLICY, f"spec.{path}", value)) == [wrong]


def test_a_policy_does_something() -> None:
    found = faults(STRATEGIES["ValidatingAdmissionPolicy"], edited(POLICY, "spec.validations", []))
    assert [each.partition(":")[0] for each in found] == ["spec.validations", "spec.auditAnnotations"]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("mutations", [], "spec.mutations: Required value: mutations must contain at least one item"),
        ("mutations.0", {"patchType": "ApplyConfiguration"}, "spec.mutations[0].applyConfiguration: Required value"),
        (
            "mutations.0.patchType",
            "Merge",
            'spec.mutations[0].patchType: Unsupported value: "Merge": supported values: "ApplyConfiguration", "JSONPatch"',
        ),
        ("reinvocationPolicy", GONE, "spec.reinvocationPolicy: Required value"),
        (
            "matchConstraints.resourceRules.0.operations",
            ["DELETE"],
            (
                'spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value: "DELETE":'
                ' supported values: "*", "CONNECT", "CREATE", "UPDATE"'
            ),
        ),
    ],
)
def test_mutating_policy_refused(path: str, value: Any, wrong: str) -> None:
    strategy = STRATEGIES["MutatingAdmissionPolicy"]
    assert faults(strategy, MUTATING) == []
    assert faults(strategy, edited(MUTATING, f"spec.{path}", value)) == [wrong]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("policyName", "", "spec.policyName: Required value"),
        ("validationActions", [], "spec.validationActions: Required value: at least one validation action is required"),
        ("validationActions", ["Deny", "Deny"], 'spec.validationActions[1]: Duplicate value: "Deny"'),
        (
            "paramRef",
            {"parameterNotFoundAction": "Deny"},
            "spec.paramRef: Required value: one of name or selector must be specified",
        ),
        ("paramRef.parameterNotFoundAction", GONE, "spec.paramRef.parameterNotFoundAction: Required value"),
    ],
)
def test_binding_refused(path: str, value: Any, wrong: str) -> None:
    strategy = STRATEGIES["ValidatingAdmissionPolicyBinding"]
    assert faults(strategy, BINDING) == []
    assert faults(strategy, edited(BINDING, f"spec.{path}", value)) == [wrong]


def test_a_binding_denies_or_warns() -> None:
    strategy = STRATEGIES["ValidatingAdmissionPolicyBinding"]
    assert "both Deny and Warn" in faults(strategy, edited(BINDING, "spec.validationActions", ["Deny", "Warn"]))[0]
    both = edited(BINDING, "spec.paramRef.selector", {})
    assert [each.partition(":")[0] for each in faults(strategy, both)] == [
        "spec.paramRef.name",
        "spec.paramRef.selector",
    ]
    assert faults(STRATEGIES["MutatingAdmissionPolicyBinding"], edited(BINDING, "spec.validationActions", GONE)) == []


@pytest.mark.parametrize(
    ("spec", "field", "why"),
    [
        ({"validations": [{"expression": "object.x ="}]}, "validations[0].expression", "Syntax error"),
        (
            {"validations": [{"expression": "params.x"}]},
            "validations[0].expression",
            "undeclared reference to 'params'",
        ),
        ({"validations": [{"expression": "variables.x"}]}, "validations[0].expression", "undefined field 'x'"),
        (
            {"variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]},
            "variables[0].expression",
            "undefined field 'b'",
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "variables.x"}]},
            "matchConditions[0].expression",
            "undeclared reference to 'variables'",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "nothing.x"}]},
            "validations[0].messageExpression",
            "undeclared reference to 'nothing'",
        ),
        (
            {"auditAnnotations": [{"key": "a", "valueExpression": "f(1)"}]},
            "auditAnnotations[0].valueExpression",
            "undeclared reference to 'f'",
        ),
    ],
)
def test_expressions_that_are_none(spec: Any, field: str, why: str) -> None:
    kind = STRATEGIES["ValidatingAdmissionPolicy"]
    [fault] = kind.validate(defaulted(kind, {**POLICY, "spec": {**POLICY["spec"], **spec}}))
    assert fault.path == f"spec.{field}"
    assert fault.detail.startswith("compilation failed: ERROR: <input>:1:")
    assert why in fault.detail


def test_expressions_see_what_is_there() -> None:
    spec = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "a", "expression": "params.data.x"}, {"name": "b", "expression": "variables.a + 'y'"}],
        "matchConditions": [{"name": "a", "expression": "params != null && namespaceObject != null"}],
        "validations": [{"expression": "[1].all(i, variables.b == object.x)", "messageExpression": "variables.a"}],
    }
    kind = STRATEGIES["ValidatingAdmissionPolicy"]
    assert kind.validate(defaulted(kind, {**POLICY, "spec": {**POLICY["spec"], **spec}})) == []
