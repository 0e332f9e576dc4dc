"""AdmissionReview: the question to a webhook, and what its answer has to be. Spec: admission.k8s.io/v1."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from sampan.kube import status
from sampan.kube.admission.ask import Matched, request
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.reading import mapping, number, text, words

VERSION = "admission.k8s.io/v1"
_KIND = "AdmissionReview"
REVIEWS = ("v1",)
"""Versions of AdmissionReview that are spoken."""


class Malformed(ValueError):
    """A webhook's answer is none."""


class Verdict(NamedTuple):
    """What a webhook said. `refusal` is None where it allows the write."""

    refusal: status.ApiError | None
    patch: list[json_patch.Operation]
    warnings: list[str]
    annotations: dict[str, str]


def question(matched: Matched, uid: str) -> Object:
    """Return the AdmissionReview that asks about a write."""
    asked = {**request(matched, uid), "object": matched.ask.object, "oldObject": matched.ask.old}
    return {"kind": _KIND, "apiVersion": VERSION, "request": asked}


def speaks(hook: Object) -> bool:
    """Return whether a webhook takes a version of AdmissionReview that we send."""
    return any(version in REVIEWS for version in words(hook, "admissionReviewVersions"))


def verdict(name: str, answer: Object, uid: str, *, mutating: bool) -> Verdict:
    """Return what an answer says.

    Raises:
        Malformed: it is no answer to this question.
        ApiError: its patch is none.
    """
    found = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
    if (answer.get("apiVersion"), answer.get("kind")) != (VERSION, _KIND):
        raise Malformed(f"expected webhook response of {VERSION}, Kind={_KIND}, got {found}")
    response = mapping(answer, "response")
    if not response:
        raise Malformed("webhook response was absent")
    if response.get("uid") != uid:
        raise Malformed(f'expected response.uid="{uid}", got "{text(response, "uid")}"')
    patch = _patch(response, mutating=mutating)
    refusal = None if response.get("allowed") is True else _refusal(name, mapping(response, "status"))
    return Verdict(
        refusal,
        json_patch.parse(patch) if patch else [],
        words(response, "warnings"),
        {key: value for key, value in mapping(response, "auditAnnotations").items() if isinstance(value, str)},
    )


def _patch(response: Object, *, mutating: bool) -> bytes:
    patch, kind = text(response, "patch"), response.get("patchType")
    if not mutating:
        if patch or kind is not None:
            field = "patch" if patch else "patchType"
            raise Malformed(f"validating webhook may not return response.{field}")
        return b""
    if patch and kind is None:
        raise Malformed("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise Malformed("webhook returned response.patchType but not response.patch")
    if kind not in (None, "JSONPatch"):
        raise Malformed(f'webhook returned invalid response.patchType of "{kind}"')
    try:
        return base64.b64decode(patch, validate=True)
    except binascii.Error as error:
        raise Malformed(f"response.patch is not in base64: {error}") from None


def _refusal(name: str, said: Object) -> status.ApiError:
    """Return the refusal in a webhook's words, with its code and reason where they are those of a failure."""
    why = text(said, "message") or text(said, "reason")
    denied = f'admission webhook "{name}" denied the request'
    details: Any = said.get("details")
    return status.ApiError(
        max(number(said, "code"), 400),
        text(said, "reason"),
        f"{denied}: {why}" if why else f"{denied} without explanation",
        details=details if isinstance(details, dict) else None,
    )
