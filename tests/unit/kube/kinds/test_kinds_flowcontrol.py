"""FlowSchema and PriorityLevelConfiguration: defaults and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds.flowcontrol import STRATEGIES
from unit.kube.kinds.edits import GONE, defaulted, edited, faults

SCHEMA: Any = {
    "metadata": {"name": "s"},
    "spec": {
        "priorityLevelConfiguration": {"name": "l"},
        "rules": [
            {
                "subjects": [{"kind": "Group", "group": {"name": "g"}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}],
            }
        ],
    },
}
LEVEL: Any = {
    "metadata": {"name": "l"},
    "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}},
}


def test_defaults() -> None:
    assert defaulted(STRATEGIES["FlowSchema"], SCHEMA)["spec"]["matchingPrecedence"] == 1000
    assert defaulted(STRATEGIES["PriorityLevelConfiguration"], LEVEL)["spec"]["limited"] == {
        "nominalConcurrencyShares": 30,
        "lendablePercent": 0,
        "limitResponse": {"type": "Queue", "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}},
    }
    exempt = {"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": {}}}
    made = defaulted(STRATEGIES["PriorityLevelConfiguration"], exempt)
    assert made["spec"]["exempt"] == {"nominalConcurrencyShares": 0, "lendablePercent": 0}
    assert faults(STRATEGIES["PriorityLevelConfiguration"], exempt) == []


RULE = "rules.0"


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("matchingPrecedence", -1, "spec.matchingPrecedence: Invalid value: -1: must be a positive value"),
        ("matchingPrecedence", 10001, "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"),
        (
            "matchingPrecedence",
            1,
            "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
        ),
        (
            "priorityLevelConfiguration.name",
            "",
            "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
        ),
        (
            "distinguisherMethod",
            {"type": "ByIP"},
            'spec.distinguisherMethod.type: Unsupported value: "ByIP": supported values: "ByNamespace", "ByUser"',
        ),
        (f"{RULE}.subjects", [], "spec.rules[0].subjects: Required value: subjects must contain at least one value"),
        (
            f"{RULE}.subjects.0.user",
            {"name": "u"},
            "spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
        ),
        (
            f"{RULE}.subjects.0",
            {"kind": "User"},
            "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
        ),
        (
            f"{RULE}.subjects.0",
            {"kind": "ServiceAccount", "serviceAccount": {"name": "*"}},
            "spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account",
        ),
        (
            f"{RULE}.resourceRules.0.verbs",
            ["*", "get"],
            (
                'spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","get"]:'
                " if '*' is present, must not specify other verbs"
            ),
        ),
        (
            f"{RULE}.resourceRules.0.namespaces",
            GONE,
            (
                "spec.rules[0].resourceRules[0].namespaces: Required value:"
                " resource rules that are not cluster scoped must supply at least one namespace"
            ),
        ),
        (
            f"{RULE}.nonResourceRules.0.nonResourceURLs",
            ["/a*"],
            (
                'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a*":'
                " wildcard can only do suffix matching"
            ),
        ),
        (
            f"{RULE}.nonResourceRules.0.nonResourceURLs",
            ["a"],
            'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "a": must start with slash',
        ),
    ],
)
def test_schema_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES["FlowSchema"], SCHEMA) == []
    assert faults(STRATEGIES["FlowSchema"], edited(SCHEMA, f"spec.{path}", value)) == [wrong]


QUEUING = "limited.limitResponse.queuing"
SHOWN = "spec.limited.limitResponse.queuing"


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("limited", GONE, "spec.limited: Required value: must not be empty when type is Limited"),
        ("exempt", {}, "spec.exempt: Forbidden: must be nil if the type is Limited"),
        (
            "limited.lendablePercent",
            101,
            "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
        ),
        (
            "limited.limitResponse.type",
            "Reject",
            f"{SHOWN}: Forbidden: must be nil if limited.limitResponse.type is not Limited",
        ),
        (
            "limited.limitResponse.type",
            "Drop",
            'spec.limited.limitResponse.type: Unsupported value: "Drop": supported values: "Queue", "Reject"',
        ),
        (f"{QUEUING}.queues", -1, f"{SHOWN}.queues: Invalid value: -1: must be positive"),
        (f"{QUEUING}.handSize", 65, f"{SHOWN}.handSize: Invalid value: 65: should not be greater than queues (64)"),
        (
            f"{QUEUING}.handSize",
            12,
            (
                f"{SHOWN}.handSize: Invalid value: 12:"
                " required entropy bits of deckSize 64 and handSize 12 should not be greater than 60"
            ),
        ),
    ],
)
def test_level_refused(path: str, value: Any, wrong: str) -> None:
    strategy = STRATEGIES["PriorityLevelConfiguration"]
    assert faults(strategy, LEVEL) == []
    assert wrong in faults(strategy, edited(LEVEL, f"spec.{path}", value))


def test_exempt_is_one_level() -> None:
    [wrong] = faults(STRATEGIES["PriorityLevelConfiguration"], edited(LEVEL, "metadata.name", "exempt"))
    assert wrong == "spec.type: Invalid value: \"Limited\": type must be 'Exempt' if and only if name is 'exempt'"


def test_conditions_are_unique() -> None:
    new = {"status": {"conditions": [{"type": "A"}, {"type": "A"}, {}]}}
    for strategy in STRATEGIES.values():
        assert [str(fault) for fault in strategy.validate_status(new, {})] == [
            'status.conditions[1].type: Duplicate value: "A"',
            "status.conditions[2].type: Required value: must not be empty",
        ]
