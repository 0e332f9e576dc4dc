"""PriorityClass, Lease, RuntimeClass, devices, migrations and reviews."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds import (
    authentication,
    authorization,
    coordination,
    node,
    resource,
    scheduling,
    storagemigration,
)
from unit.kube.kinds.edits import GONE, changes, defaulted, edited, faults

PRIORITY = scheduling.STRATEGIES["PriorityClass"]
HIGH: Any = {"metadata": {"name": "high"}, "value": 1000}


def test_priority_class() -> None:
    assert defaulted(PRIORITY, HIGH)["preemptionPolicy"] == "PreemptLowerPriority"
    assert defaulted(PRIORITY, {"metadata": {"name": "none"}})["value"] == 0
    assert faults(PRIORITY, HIGH) == []
    assert faults(PRIORITY, edited(HIGH, "value", 1_000_000_001)) == [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    ]
    assert changes(PRIORITY, HIGH, "value", 1) == ["value: Forbidden: may not be changed in an update."]
    assert changes(PRIORITY, HIGH, "preemptionPolicy", "Never") == [
        'preemptionPolicy: Invalid value: "Never": field is immutable'
    ]
    assert changes(PRIORITY, HIGH, "description", "x") == []


@pytest.mark.parametrize(
    ("name", "value", "default", "why"),
    [
        ("system-x", 1, False, "system-x is not a known system priority class"),
        ("system-node-critical", 1, False, "value of system-node-critical PriorityClass must be 2000001000"),
        (
            "system-node-critical",
            2000001000,
            True,
            "globalDefault of system-node-critical PriorityClass must be false",
        ),
        ("system-cluster-critical", 2000000000, False, ""),
    ],
)
def test_classes_of_the_system(name: str, value: int, default: bool, why: str) -> None:
    obj = {"metadata": {"name": name}, "value": value, "globalDefault": default}
    found = faults(PRIORITY, obj)
    prefix = (
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
    )
    assert found == ([prefix + why] if why else [])


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": 0}, None),
        ({"leaseDurationSeconds": 0}, "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
        ({"leaseTransitions": -1}, "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
        ({"preferredHolder": "x"}, "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"),
        ({"preferredHolder": "x", "strategy": "OldestEmulationVersion"}, None),
        ({"strategy": "Best"}, 'spec.strategy: Unsupported value: "Best": supported values: "OldestEmulationVersion"'),
    ],
)
def test_lease(spec: Any, wrong: str | None) -> None:
    assert faults(coordination.STRATEGIES["Lease"], {"spec": spec}) == ([wrong] if wrong else [])


def test_runtime_class() -> None:
    strategy, kata = node.STRATEGIES["RuntimeClass"], {"handler": "kata"}
    assert faults(strategy, kata) == []
    assert faults(strategy, {"handler": "Kata"})[0].startswith(
        'handler: Invalid value: "Kata": a lowercase RFC 1123 label'
    )
    assert faults(strategy, {"handler": "a.b"}) == ['handler: Invalid value: "a.b": must not contain dots']
    assert faults(strategy, edited(kata, "overhead", {"podFixed": {"cpu": "250m"}})) == []
    assert faults(strategy, edited(kata, "overhead", {"podFixed": {"cpu": "-1"}})) == [
        'overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'
    ]
    assert changes(strategy, kata, "handler", "runc") == ['handler: Invalid value: "runc": field is immutable']


CLAIM: Any = {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.e.io"}}]}}}
REQUEST = "spec.devices.requests.0"
SHOWN = "spec.devices.requests[0]"


def test_claim_defaults() -> None:
    made = defaulted(resource.STRATEGIES["ResourceClaim"], CLAIM)
    assert made["spec"]["devices"]["requests"][0]["exactly"] == {
        "deviceClassName": "gpu.e.io",
        "allocationMode": "ExactCount",
        "count": 1,
    }
    template = {"spec": {"spec": CLAIM["spec"]}}
    assert defaulted(resource.STRATEGIES["ResourceClaimTemplate"], template)["spec"]["spec"] == made["spec"]


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("name", "", f"{SHOWN}.name: Required value"),
        ("exactly", GONE, f"{SHOWN}: Required value: exactly one of `exactly` or `firstAvailable` is required"),
        ("exactly.deviceClassName", "", f"{SHOWN}.exactly.deviceClassName: Required value"),
        ("exactly.count", -1, f"{SHOWN}.exactly.count: Invalid value: -1: must be greater than zero"),
        (
            "exactly.allocationMode",
            "Some",
            f'{SHOWN}.exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"',
        ),
    ],
)
def test_claim_refused(path: str, value: Any, wrong: str) -> None:
    strategy = resource.STRATEGIES["ResourceClaim"]
    assert faults(strategy, CLAIM) == []
    assert faults(strategy, edited(CLAIM, f"{REQUEST}.{path}", value)) == [wrong]


def test_slice() -> None:
    strategy = resource.STRATEGIES["ResourceSlice"]
    found: Any = {
        "spec": {
            "driver": "gpu.e.io",
            "nodeName": "n1",
            "pool": {"name": "n1/a", "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0"}],
        }
    }
    assert faults(strategy, found) == []
    assert strategy.fields["spec.nodeName"](found) == "n1"
    assert faults(strategy, edited(found, "spec.allNodes", True))[0].startswith("spec: Required value: exactly one of")
    assert faults(strategy, edited(found, "spec.devices.1", {"name": "gpu-0"})) == [
        'spec.devices[1].name: Duplicate value: "gpu-0"'
    ]
    assert changes(strategy, found, "spec.driver", "x.e.io") == [
        'spec.driver: Invalid value: "x.e.io": field is immutable'
    ]


def test_migration() -> None:
    strategy = storagemigration.STRATEGIES["StorageVersionMigration"]
    assert faults(strategy, {"spec": {"resource": {"group": "e.io", "resource": "crons"}}}) == []
    assert faults(strategy, {"spec": {"resource": {}}}) == ["spec.resource.resource: Required value"]


def test_token_request() -> None:
    strategy = authentication.STRATEGIES["TokenRequest"]
    assert defaulted(strategy, {})["spec"]["expirationSeconds"] == 3600
    assert faults(strategy, {"spec": {"expirationSeconds": 5}}) == [
        "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes"
    ]
    assert faults(strategy, {"spec": {"expirationSeconds": 1 << 40}}) == [
        "spec.expirationSeconds: Invalid value: 1099511627776: may not specify a duration larger than 2^32 seconds"
    ]
    assert faults(authentication.STRATEGIES["TokenReview"], {"spec": {}}) == ["spec.token: Required value"]


RESOURCE = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


@pytest.mark.parametrize(
    ("kind", "obj", "wrong"),
    [
        ("SelfSubjectAccessReview", {"spec": RESOURCE}, []),
        ("SelfSubjectAccessReview", {"spec": {}}, [f"spec.resourceAttributes: Invalid value: null: {NEITHER}"]),
        (
            "SelfSubjectAccessReview",
            {"spec": {**RESOURCE, "nonResourceAttributes": {}}},
            [
                "spec.nonResourceAttributes: Invalid value: {}: cannot be specified in combination with resourceAttributes"
            ],
        ),
        ("SubjectAccessReview", {"spec": {**RESOURCE, "user": "u"}}, []),
        ("SubjectAccessReview", {"spec": {**RESOURCE, "groups": ["g"]}}, []),
        (
            "SubjectAccessReview",
            {"spec": RESOURCE},
            ['spec.user: Invalid value: "": at least one of user or group must be specified'],
        ),
        (
            "LocalSubjectAccessReview",
            {"metadata": {"namespace": "a"}, "spec": {**RESOURCE, "user": "u"}},
            ['spec.resourceAttributes.namespace: Invalid value: "": must match metadata.namespace'],
        ),
        ("SelfSubjectRulesReview", {"spec": {"namespace": "a"}}, []),
        ("SelfSubjectRulesReview", {"spec": {}}, ["spec.namespace: Required value: no namespace on request"]),
    ],
)
def test_access_reviews(kind: str, obj: Any, wrong: list[str]) -> None:
    assert faults(authorization.STRATEGIES[kind], obj) == wrong
