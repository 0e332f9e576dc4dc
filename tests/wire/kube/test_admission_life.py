"""Webhooks and policies over restarts, what they leave in the audit log, and how a server that refuses everything is mended."""

from __future__ import annotations

import json

import pytest

from kube import control_plane, free_port
from webhook import patch, webhook_server

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
EVERYTHING = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
CONFIG_MAPS = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  users: [system:apiserver, system:kube-controller-manager]
- level: Metadata
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("life"), audit=AUDIT) as plane:
        yield plane


def configuration(name, config, **more):
    hook = {"name": f"{name}.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": config, "rules": [CONFIG_MAPS], **more}  # fmt: skip
    return {"metadata": {"name": name}, "webhooks": [hook]}


def test_a_server_whose_webhook_is_gone_starts_and_can_be_mended(own):
    nowhere = {"url": f"https://127.0.0.1:{free_port()}/"}
    hooks = f"{GROUP}/validatingwebhookconfigurations"
    own.json("POST", hooks, configuration("all", nowhere, rules=[EVERYTHING], timeoutSeconds=1))
    assert "failed calling webhook" in own.refused("POST", MAPS, {"metadata": {"name": "a"}})["message"]
    own.restart()
    assert "failed calling webhook" in own.refused("POST", MAPS, {"metadata": {"name": "a"}})["message"]
    own.kubectl("delete", "validatingwebhookconfiguration", "all")
    own.json("POST", MAPS, {"metadata": {"name": "a"}})


def test_a_server_whose_policy_refuses_everything_starts_and_can_be_mended(own):
    base = f"{GROUP}/validatingadmissionpolic"
    spec = {"matchConstraints": {"resourceRules": [EVERYTHING]}, "validations": [{"expression": "false"}]}
    own.json("POST", f"{base}ies", {"metadata": {"name": "never"}, "spec": spec})
    bound = {"policyName": "never", "validationActions": ["Deny"]}
    own.json("POST", f"{base}ybindings", {"metadata": {"name": "never"}, "spec": bound})
    own.refused("POST", MAPS, {"metadata": {"name": "b"}})
    own.restart()
    own.refused("POST", MAPS, {"metadata": {"name": "b"}})
    own.kubectl("delete", "validatingadmissionpolicybinding", "never")
    own.json("POST", MAPS, {"metadata": {"name": "b"}})


def test_what_the_audit_log_is_told(own, tmp_path):
    base = f"{GROUP}/validatingadmissionpolic"
    spec = {
        "matchConstraints": {"resourceRules": [CONFIG_MAPS]},
        "validations": [{"expression": "has(object.data)", "message": "no data"}],
        "auditAnnotations": [{"key": "name", "valueExpression": "object.metadata.name"},
                             {"key": "none", "valueExpression": "null"}],
    }  # fmt: skip
    own.json("POST", f"{base}ies", {"metadata": {"name": "audited"}, "spec": spec})
    bound = {"policyName": "audited", "validationActions": ["Audit"]}
    own.json("POST", f"{base}ybindings", {"metadata": {"name": "audited"}, "spec": bound})
    with webhook_server(tmp_path) as hooks:
        hooks.on("/", lambda _: {
            **patch({"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}), "auditAnnotations": {"why": "a test"},
        })  # fmt: skip
        own.json("POST", f"{GROUP}/mutatingwebhookconfigurations", configuration("one", hooks.config("/")))
        nowhere = {"url": f"https://127.0.0.1:{free_port()}/"}
        lenient = configuration("two", nowhere, failurePolicy="Ignore", timeoutSeconds=1)
        own.json("POST", f"{GROUP}/mutatingwebhookconfigurations", lenient)
        made = own.json("POST", MAPS, {"metadata": {"name": "c"}})
    assert made["metadata"]["labels"] == {"a": "b"}
    own.stop()
    lines = map(json.loads, (own.directory / "audit.log").read_text().splitlines())
    event = [each for each in lines if each["requestURI"] == MAPS][-1]
    told = {key: value for key, value in event["annotations"].items() if not key.startswith("authorization")}
    [failure] = json.loads(told.pop("validation.policy.admission.k8s.io/validation_failure"))
    assert failure == {"message": "no data", "policy": "audited", "binding": "audited", "expressionIndex": 0,
                       "validationActions": ["Audit"]}  # fmt: skip
    mark = "mutation.webhook.admission.k8s.io/round_0_index_0"
    assert json.loads(told.pop(mark)) == {"configuration": "one", "webhook": "one.example.com", "mutated": True}
    assert told == {
        "audited/name": "c",
        "one.example.com/why": "a test",
        "failed-open.mutation.webhook.admission.k8s.io/round_0_index_1": "two.example.com",
    }
    own.start()
