"""Audit: an observer of answered requests that writes an event about each of them. Spec: audit.k8s.io/v1 Event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sampan.api.kube.access import Attempt
from sampan.api.kube.api import Served
from sampan.api.kube.audit.log import Write
from sampan.api.kube.audit.policy import API_VERSION, Level, Policy, confidential
from sampan.api.kube.request import Request, User
from sampan.base.clock import Clock
from sampan.kube import decoding, rfc3339
from sampan.kube.status import ApiError

_NAMES = {Level.METADATA: "Metadata", Level.REQUEST: "Request", Level.REQUEST_RESPONSE: "RequestResponse"}
_encode = msgspec.json.Encoder().encode
_INVALID = 422


class Audit:
    """Give it to the API as an observer. An answer that goes on, a watch, is told when it begins."""

    def __init__(self, policy: Policy, write: Write, clock: Clock, new_id: Callable[[], str]) -> None:
        self._policy = policy
        self._write = write
        self._clock = clock
        self._new_id = new_id

    def __call__(self, served: Served) -> None:
        stage = "ResponseStarted" if served.response.stream else "ResponseComplete"
        level, slim = self._policy.judge(served.attempt, stage)
        if level is Level.NONE:
            return
        now = self._clock.now_ns() // 1000
        event = {
            "kind": "Event",
            "apiVersion": API_VERSION,
            "level": _NAMES[level],
            "auditID": self._new_id(),
            "stage": stage,
            **_request(served.request, served.attempt),
            "responseStatus": _status(served),
            **_objects(served, level, slim=slim),
            "requestReceivedTimestamp": rfc3339.render_micro(now - round(served.seconds * 1e6)),
            "stageTimestamp": rfc3339.render_micro(now),
        }
        if served.decision is not None:
            event["annotations"] = {
                "authorization.k8s.io/decision": "allow" if served.decision.allowed else "forbid",
                "authorization.k8s.io/reason": served.decision.reason,
                **served.request.annotations,
            }
        self._write(_encode(event))


def _objects(served: Served, level: Level, *, slim: bool) -> dict[str, Any]:
    """Return the bodies that a level tells; `slim`: without managedFields."""
    told: dict[str, Any] = {}
    request, response = served.request, served.response
    if level >= Level.REQUEST and request.body:
        told["requestObject"] = _body(request)
    is_json = response.content_type.startswith("application/json") and not response.stream
    if level >= Level.REQUEST_RESPONSE and is_json and response.body:
        told["responseObject"] = msgspec.json.decode(response.body)
    if slim:
        for obj in told.values():
            _forget_managers(obj)
    return {key: value for key, value in told.items() if value is not None}


def _forget_managers(obj: Any) -> None:
    if isinstance(obj, dict):
        listed = obj.get("items")
        for item in (obj, *(listed if isinstance(listed, list) else ())):
            if isinstance(item, dict) and isinstance(item.get("metadata"), dict):
                item["metadata"].pop("managedFields", None)


def _request(request: Request, attempt: Attempt) -> dict[str, Any]:
    asked = request.authenticated or request.user
    told: dict[str, Any] = {
        "requestURI": f"{request.path}?{request.query}" if request.query else request.path,
        "verb": attempt.verb,
        "user": _user(asked),
        "sourceIPs": [request.remote] if request.remote else [],
        "userAgent": request.headers.get("user-agent", ""),
    }
    if request.authenticated is not None and request.user is not request.authenticated:
        told["impersonatedUser"] = _user(request.user)
    if not attempt.path:
        reference = {
            "resource": attempt.resource,
            "namespace": attempt.namespace,
            "name": attempt.name,
            "apiGroup": attempt.group,
            "apiVersion": attempt.version,
            "subresource": attempt.subresource,
        }
        told["objectRef"] = {key: value for key, value in reference.items() if value}
    return told


def _user(user: User) -> dict[str, Any]:
    told: dict[str, Any] = {"username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra}
    return {key: value for key, value in told.items() if value}


class _Status(msgspec.Struct):
    """What of a refusal is told; other answers have none of these."""

    kind: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""


def _status(served: Served) -> dict[str, Any]:
    response = served.response
    told: dict[str, Any] = {"metadata": {}, "code": response.status}
    if response.status >= 400 and response.content_type.startswith("application/json"):
        try:
            found = msgspec.json.decode(response.body, type=_Status)
        except msgspec.MsgspecError:
            return told
        told |= {"status": found.status, "message": found.message, "reason": found.reason}
        if response.status == _INVALID and confidential(served.attempt):
            del told["message"]  # it may repeat what was sent
    return told


def _body(request: Request) -> Any:
    """Return what was sent as JSON would have it, None where it is nothing of that kind."""
    try:
        return msgspec.json.decode(request.body)
    except msgspec.MsgspecError:
        pass
    try:
        media = request.headers.get("content-type", "")
        return decoding.decode(request.body, media, strict_duplicates=False).object
    except ApiError:
        return None
