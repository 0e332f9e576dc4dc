"""CustomResourceDefinition and APIService: defaults, refusals, what stays as it is."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sampan.kube.kinds.apiextensions import STRATEGIES as CRDS
from sampan.kube.kinds.apiregistration import STRATEGIES as APIS
from unit.kube.kinds.edits import GONE, changes, defaulted, edited, faults

CRD_STRATEGY = CRDS["CustomResourceDefinition"]
API_STRATEGY = APIS["APIService"]
LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and"
    " end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)

VERSION = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
CRD: Any = {
    "metadata": {"name": "crons.e.io"},
    "spec": {
        "group": "e.io",
        "scope": "Namespaced",
        "names": {"plural": "crons", "kind": "Cron", "shortNames": ["cr"]},
        "versions": [VERSION],
    },
}


def test_crd_defaults() -> None:
    spec = defaulted(CRD_STRATEGY, CRD)["spec"]
    assert spec["names"] == {
        "plural": "crons",
        "kind": "Cron",
        "shortNames": ["cr"],
        "singular": "cron",
        "listKind": "CronList",
    }
    assert spec["conversion"] == {"strategy": "None"}
    webhook = {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": "a", "namespace": "b"}}}}
    made = defaulted(CRD_STRATEGY, edited(CRD, "spec.conversion", webhook))
    assert made["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"] == 443


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (
            "metadata.name",
            "cron.e.io",
            'metadata.name: Invalid value: "cron.e.io": must be spec.names.plural+"."+spec.group',
        ),
        ("spec.scope", "", "spec.scope: Required value"),
        ("spec.scope", "Global", 'spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"'),
        (
            "spec.names",
            {"plural": "crons", "singular": "cron", "kind": "Cron_", "listKind": "CronList"},
            f'spec.names.kind: Invalid value: "Cron_": may have mixed case, but should otherwise match: {LABEL}',
        ),
        (
            "spec.names.listKind",
            "Cron",
            'spec.names.listKind: Invalid value: "Cron": kind and listKind may not be the same',
        ),
        ("spec.names.shortNames.0", "C", f'spec.names.shortNames[0]: Invalid value: "C": {LABEL}'),
        ("spec.versions.0.name", "1", f'spec.versions[0].name: Invalid value: "1": {LABEL}'),
        (
            "spec.versions.0.schema",
            GONE,
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            "spec.versions.0.schema.openAPIV3Schema",
            {},
            "spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root",
        ),
        (
            "spec.versions.0.schema.openAPIV3Schema.type",
            "string",
            'spec.versions[0].schema.openAPIV3Schema.type: Invalid value: "string": must be "object" at the root',
        ),
        (
            "spec.versions.0.additionalPrinterColumns",
            [{"name": "X", "type": "text", "jsonPath": ".x"}],
            (
                'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "text":'
                " must be one of boolean,date,integer,number,string"
            ),
        ),
        (
            "spec.versions.0.additionalPrinterColumns",
            [{"name": "X", "type": "string", "jsonPath": "spec.x"}],
            (
                'spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: "spec.x":'
                " unrecognized character in a JSONPath at 'spec.x'"
            ),
        ),
        (
            "spec.versions.0.subresources",
            {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".replicas"}},
            (
                'spec.versions[0].subresources.scale.statusReplicasPath: Invalid value: ".replicas":'
                " should be a json path under .status"
            ),
        ),
        (
            "spec.conversion",
            {"strategy": "Webhook"},
            "spec.conversion.webhook: Required value: required when strategy is set to Webhook",
        ),
        (
            "spec.conversion",
            {"strategy": "None", "webhook": {}},
            "spec.conversion.webhook: Forbidden: should not be set when strategy is not set to Webhook",
        ),
        (
            "spec.conversion",
            {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://e.io"}}},
            "spec.conversion.webhook.conversionReviewVersions: Required value",
        ),
    ],
)
def test_crd_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(CRD_STRATEGY, CRD) == []
    assert faults(CRD_STRATEGY, edited(CRD, path, value)) == [wrong]


def test_one_version_is_stored() -> None:
    none = edited(CRD, "spec.versions.0.storage", False)
    two = edited(CRD, "spec.versions.1", {**VERSION, "name": "v2"})
    same = edited(CRD, "spec.versions.1", {**VERSION, "storage": False})
    for obj, wrong in (
        (none, "exactly one version marked as storage"),
        (two, "exactly one"),
        (same, "unique version names"),
    ):
        [found] = faults(CRD_STRATEGY, obj)
        assert found.startswith("spec.versions: Invalid value: [")
        assert wrong in found


def test_stored_versions_are_remembered() -> None:
    created = copy.deepcopy(CRD)
    CRD_STRATEGY.prepare_create(created)
    assert created["status"] == {
        "conditions": [],
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    new = edited(created, "spec.versions.0.storage", False)
    new["spec"]["versions"].append({**VERSION, "name": "v2"})
    new["status"] = created["status"]  # as an update keeps it
    CRD_STRATEGY.prepare_update(new, created)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert created["status"]["storedVersions"] == ["v1"]
    gone = edited(new, "spec.versions.0", GONE)
    assert [str(fault) for fault in CRD_STRATEGY.validate_update(gone, new)] == [
        'status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions'
    ]
    [fault] = CRD_STRATEGY.validate_status(edited(new, "status.storedVersions", []), new)
    assert str(fault) == "status.storedVersions: Invalid value: []: must have at least one stored version"


def test_what_of_a_crd_stays() -> None:
    established = edited(CRD, "status", {"conditions": [{"type": "Established", "status": "True"}]})
    assert changes(CRD_STRATEGY, CRD, "spec.scope", "Cluster") == []
    assert changes(CRD_STRATEGY, established, "spec.scope", "Cluster") == [
        'spec.scope: Invalid value: "Cluster": field is immutable'
    ]
    assert changes(CRD_STRATEGY, CRD, "spec.group", "f.io") == ['spec.group: Invalid value: "f.io": field is immutable']


API: Any = {
    "metadata": {"name": "v1.m.e.io"},
    "spec": {
        "group": "m.e.io",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": "metrics", "namespace": "ns"},
        "insecureSkipTLSVerify": True,
    },
}


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (
            "metadata.name",
            "v2.m.e.io",
            'metadata.name: Invalid value: "v2.m.e.io": must be `spec.version+"."+spec.group`: "v1.m.e.io"',
        ),
        (
            "spec.groupPriorityMinimum",
            0,
            "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
        ),
        (
            "spec.versionPriority",
            1001,
            "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
        ),
        ("spec.service.name", "", "spec.service.name: Required value"),
        (
            "spec.caBundle",
            "AA==",
            "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
        ),
        (
            "spec.service",
            GONE,
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
        ),
    ],
)
def test_api_service_refused(path: str, value: Any, wrong: str) -> None:
    assert defaulted(API_STRATEGY, API)["spec"]["service"]["port"] == 443
    assert faults(API_STRATEGY, API) == []
    assert faults(API_STRATEGY, edited(API, path, value)) == [wrong]
