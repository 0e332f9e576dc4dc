"""The audit log: how much is told, of whom, and that nothing confidential is."""

from __future__ import annotations

import json

import msgspec
import pytest

from sampan.api.kube.access import Attempt, Decision
from sampan.api.kube.api import Served
from sampan.api.kube.audit import policy
from sampan.api.kube.audit.events import Audit
from sampan.api.kube.audit.log import LineFile
from sampan.api.kube.audit.policy import Level
from sampan.api.kube.request import Request, Response, User
from sampan.base.clock import ManualClock
from sampan.base.errors import InvalidArgument

POLICY = policy.parse(b"""
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:kube-proxy]
  verbs: [watch]
- level: None
  nonResourceURLs: [/healthz*, /version]
- level: Request
  userGroups: [devs]
  omitManagedFields: true
- level: RequestResponse
  resources:
  - {group: "", resources: [pods, secrets, "*/scale"]}
  - {group: apps}
  namespaces: [a]
- level: None
  resources:
  - {group: "", resources: [configmaps], resourceNames: [leader]}
- level: Metadata
  omitStages: [ResponseStarted]
""")
X = User("x")


@pytest.mark.parametrize(
    ("attempt", "level"),
    [
        (Attempt(User("system:kube-proxy"), "watch", "", "v1", "services"), Level.NONE),
        (Attempt(User("system:kube-proxy"), "list", "", "v1", "services"), Level.METADATA),
        (Attempt(X, "get", path="/healthz/ping"), Level.NONE),
        (Attempt(X, "get", path="/version"), Level.NONE),
        (Attempt(X, "get", path="/metrics"), Level.METADATA),
        (Attempt(User("d", groups=("devs",)), "create", "", "v1", "pods", "", "b"), Level.REQUEST),
        (Attempt(X, "create", "", "v1", "pods", "", "a"), Level.REQUEST_RESPONSE),
        (Attempt(X, "create", "", "v1", "pods", "", "b"), Level.METADATA),
        (Attempt(X, "create", "", "v1", "pods", "log", "a"), Level.METADATA),
        (Attempt(X, "get", "apps", "v1", "deployments", "scale", "a"), Level.REQUEST_RESPONSE),
        (Attempt(X, "create", "", "v1", "secrets", "", "a"), Level.METADATA),
        (Attempt(User("d", groups=("devs",)), "create", "", "v1", "serviceaccounts", "token", "b"), Level.METADATA),
        (Attempt(X, "update", "", "v1", "configmaps", "", "a", "leader"), Level.NONE),
        (Attempt(X, "update", "", "v1", "configmaps", "", "a", "other"), Level.METADATA),
    ],
)
def test_the_first_rule_that_fits_decides(attempt: Attempt, level: Level) -> None:
    assert POLICY.judge(attempt, "ResponseComplete")[0] is level


def test_stages_that_are_left_out() -> None:
    assert POLICY.judge(Attempt(X, "watch", "", "v1", "nodes"), "ResponseStarted")[0] is Level.NONE
    assert POLICY.judge(Attempt(X, "watch", "", "v1", "nodes"), "ResponseComplete")[0] is Level.METADATA


@pytest.mark.parametrize(
    "text",
    [b"rules: []", b"x", b"rules: [{level: Loud}]", b"rules: [{level: None, user: [x]}]", b"apiVersion: v1\nrules: [{level: None}]",
     b"rules: {", b"kind: Pod\nrules: [{level: None}]"],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument, match="audit policy"):
        policy.parse(text)


def told(
    request: Request, attempt: Attempt, response: Response, decision: Decision | None = Decision(True, "so")
) -> list[dict]:
    lines: list[bytes] = []
    Audit(POLICY, lines.append, ManualClock(), lambda: "id-1")(Served(request, attempt, response, 0.25, decision))
    return [json.loads(line) for line in lines]


def test_an_event_tells_who_did_what_and_how_it_ended() -> None:
    request = Request("POST", "/api/v1/namespaces/a/pods", "dryRun=All", {"user-agent": "kubectl/1"}, b'{"kind":"Pod"}')
    request.remote, request.user, request.authenticated = "10.0.0.9", User("x", groups=("g",)), User("admin")
    attempt = Attempt(request.user, "create", "", "v1", "pods", "", "a")
    [event] = told(request, attempt, Response(201, b'{"kind":"Pod","metadata":{"name":"p"}}'))
    assert event == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "id-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/a/pods?dryRun=All",
        "verb": "create",
        "user": {"username": "admin"},
        "impersonatedUser": {"username": "x", "groups": ["g"]},
        "sourceIPs": ["10.0.0.9"],
        "userAgent": "kubectl/1",
        "objectRef": {"resource": "pods", "namespace": "a", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestObject": {"kind": "Pod"},
        "responseObject": {"kind": "Pod", "metadata": {"name": "p"}},
        "requestReceivedTimestamp": "2023-11-14T22:13:19.750000Z",
        "stageTimestamp": "2023-11-14T22:13:20.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "so"},
    }


def test_a_refusal_is_told_with_its_reason() -> None:
    body = msgspec.json.encode(
        {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403}
    )
    attempt = Attempt(X, "delete", "", "v1", "nodes", "", "", "n")
    [event] = told(Request("DELETE", "/api/v1/nodes/n", user=X), attempt, Response(403, body), Decision(False))
    assert event["responseStatus"] == {
        "metadata": {}, "code": 403, "status": "Failure", "reason": "Forbidden", "message": "no",
    }  # fmt: skip
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_nothing_confidential_is_told() -> None:
    body = b'{"data":{"password":"bWFya2Vy"}}'
    attempt = Attempt(X, "create", "", "v1", "secrets", "", "a")
    [event] = told(Request("POST", "/api/v1/namespaces/a/secrets", body=body, user=X), attempt, Response(201, body))
    assert "bWFya2Vy" not in json.dumps(event)
    assert event["level"] == "Metadata"


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"k8s\x00\x01", b"[", b"{}" * 9, b"a: b", b'"x"', b"[1]", b'{"items":3}']
)
def test_no_body_breaks_it(body: bytes) -> None:
    attempt = Attempt(User("d", groups=("devs",)), "create", "", "v1", "pods", "", "b")
    for media in ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "x"):
        [event] = told(Request("POST", "/p", headers={"content-type": media}, body=body), attempt, Response(400, body))
        assert event["level"] == "Request"


def test_managed_fields_can_be_left_out() -> None:
    body = b'{"metadata":{"name":"p","managedFields":[{"manager":"m"}]}}'
    attempt = Attempt(User("d", groups=("devs",)), "create", "", "v1", "pods", "", "b")
    [event] = told(Request("POST", "/p", body=body), attempt, Response(201, b"{}"))
    assert event["requestObject"] == {"metadata": {"name": "p"}}


async def test_lines_are_written_and_rotated(tmp_path) -> None:
    path = tmp_path / "audit.log"
    for round_ in range(5):
        lines = LineFile(path, most_bytes=10, kept=2)
        lines.write(b"line %d" % round_)
        lines.write(b"and more")
        await lines.close()
        await lines.close()
    assert path.read_bytes() == b"line 4\nand more\n"
    assert (tmp_path / "audit.log.1").read_bytes() == b"line 3\nand more\n"
    assert (tmp_path / "audit.log.2").read_bytes() == b"line 2\nand more\n"
    assert not (tmp_path / "audit.log.3").exists()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_does_not_fit_is_counted(tmp_path) -> None:
    lines = LineFile(tmp_path / "audit.log", buffer_bytes=20)
    for _ in range(5):
        lines.write(b"0123456789")
    await lines.close()
    assert (tmp_path / "audit.log").read_bytes().count(b"\n") == 5 - lines.dropped
    assert lines.dropped == 4


async def test_a_full_disk_is_counted_too() -> None:
    from pathlib import Path

    lines = LineFile(Path("/dev/full"))
    lines.write(b"x")
    lines.write(b"y")
    await lines.close()
    assert lines.dropped == 2


def test_an_answer_without_a_body_has_none_to_tell() -> None:
    request = Request("GET", "/apis/apps/v1/namespaces/a/deployments/d/scale")
    attempt = Attempt(X, "get", "apps", "v1", "deployments", "scale", "a")
    [event] = told(request, attempt, Response(304))
    assert event["responseStatus"]["code"] == 304
    assert "responseObject" not in event


@pytest.mark.parametrize(("resource", "shown"), [("secrets", False), ("configmaps", True)])
def test_a_refusal_that_repeats_what_was_sent_is_not_told_of_secrets(resource: str, shown: bool) -> None:
    attempt = Attempt(X, "patch", "", "v1", resource, "", "b", "n")
    refused = Response(422, b'{"kind":"Status","reason":"Invalid","message":"patch: Invalid value: aHVudGVyMg=="}')
    [event] = told(Request("PATCH", f"/api/v1/namespaces/b/{resource}/n"), attempt, refused)
    assert event["responseStatus"]["reason"] == "Invalid"
    assert ("aHVudGVyMg" in json.dumps(event)) is shown
