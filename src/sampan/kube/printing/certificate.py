"""Rows of certificates.k8s.io."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import AGE, NAME, NONE, age, name
from sampan.kube.reading import items, text
from sampan.kube.strategy import Column, Printer


def _conditions(obj: Object) -> set[str]:
    return {text(each, "type") for each in items(obj, "status", "conditions")}


def _signing_request(obj: Object, now_s: float) -> list[Any]:
    found, duration_s = _conditions(obj), at(obj, "spec", "expirationSeconds")
    state = ["Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"]
    if "Failed" in found:
        state.append("Failed")
    if at(obj, "status", "certificate"):
        state.append("Issued")
    return [
        name(obj),
        age(obj, now_s),
        text(obj, "spec", "signerName", missing=NONE),
        text(obj, "spec", "username"),
        ages.human(duration_s) if isinstance(duration_s, int) else NONE,
        ",".join(state),
    ]


def _pod_certificate(obj: Object, _now_s: float) -> list[Any]:
    found = _conditions(obj)
    return [
        name(obj),
        text(obj, "spec", "podName"),
        text(obj, "spec", "serviceAccountName"),
        text(obj, "spec", "nodeName"),
        text(obj, "spec", "signerName"),
        next((state for state in ("Issued", "Denied", "Failed") if state in found), "Pending"),
    ]


CERTIFICATE_SIGNING_REQUEST = Printer(
    (
        NAME,
        AGE,
        Column("SignerName", description="Who is asked to sign."),
        Column("Requestor", description="Who asks."),
        Column("RequestedDuration", description="For how long the certificate should be good."),
        Column("Condition", description="What has become of the request."),
    ),
    _signing_request,
)
CLUSTER_TRUST_BUNDLE = Printer(
    (NAME, Column("SignerName", description="Whose roots of trust these are.")),
    lambda obj, _now_s: [name(obj), text(obj, "spec", "signerName", missing=NONE)],
)
POD_CERTIFICATE_REQUEST = Printer(
    (
        NAME,
        Column("PodName", description="The pod that asks."),
        Column("ServiceAccountName", description="The pod's ServiceAccount."),
        Column("NodeName", description="The pod's node."),
        Column("SignerName", description="Who is asked to sign."),
        Column("State", description="Pending, Issued, Denied or Failed."),
    ),
    _pod_certificate,
)
