"""Certificate requests: nodes' own are approved, what is approved is signed, what is over is deleted.

Spec: Kubernetes "Certificates and Certificate Signing Requests"; csrapproving, csrsigning, csrcleaner controllers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from sampan.base.clock import Clock
from sampan.client.informer import Informer
from sampan.client.port import Client
from sampan.control.controller import ACCESS_REVIEWS, SIGNING_REQUESTS
from sampan.kube import object as objects
from sampan.kube import rfc3339, signing
from sampan.kube.object import Object
from sampan.kube.reading import mapping, text, words
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

if TYPE_CHECKING:
    from cryptography import x509

Sign = Callable[["x509.CertificateSigningRequest", list[str], int], bytes]
"""(request, usages, seconds) -> a certificate in PEM."""
_OVER_S, _PENDING_S = 3600.0, 24 * 3600.0
"""How long a request is kept once it is answered; and while nobody answers it."""
_GROUP = "certificates.k8s.io"


class CertificateRequests:
    """Approves, signs and cleans up."""

    name = "certificates"

    def __init__(self, client: Client, sign: Sign, clock: Clock) -> None:
        self._client = client
        self._sign = sign
        self._clock = clock
        self._requests = Informer(client, SIGNING_REQUESTS)
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._requests.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._requests.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._requests.close()

    async def _reconcile(self, name: str) -> float | None:
        await self._requests.synced()
        request = self._requests.get("", name)
        if request is None:
            return None
        left_s = self._left_s(request)
        if left_s <= 0:
            await self._delete(request)
            return None
        if not any(signing.has_condition(request, type_) for type_ in ("Approved", "Denied", "Failed")):
            await self._approve(request)
        elif _to_sign(request):
            await self._answer(request)
        return left_s

    def _left_s(self, request: Object) -> float:
        """Return for how long a request stays. Spec: csrcleaner."""
        created = rfc3339.parse(str(objects.metadata(request).get("creationTimestamp")))
        conditions = objects.at(request, "status", "conditions") or []
        answers = [each for each in conditions if each.get("type") in ("Approved", "Denied", "Failed")]
        waits = not answers or (
            any(each["type"] == "Approved" for each in answers) and not text(request, "status", "certificate")
        )
        if waits:
            return created + _PENDING_S - self._clock.now_ns() / 1e9
        since = max((_time(each, created) for each in answers), default=created)
        return since + _OVER_S - self._clock.now_ns() / 1e9

    async def _delete(self, request: Object) -> None:
        wanted = {"preconditions": {"uid": objects.uid(request)}}
        try:
            await self._client.delete(SIGNING_REQUESTS, "", objects.name(request), wanted)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _approve(self, request: Object) -> None:
        """Approve a node's request for its own client certificate where who asks has the right to."""
        if text(request, "spec", "signerName") != signing.KUBELET_CLIENT:
            return
        for subresource, message in signing.self_approving(request, signing.asked(_load(request))):
            if await self._may(request, subresource):
                changed = _with_condition(request, self._condition("Approved", "AutoApproved", message))
                await self._client.update(SIGNING_REQUESTS, changed, subresource="approval")
                return

    async def _may(self, request: Object, subresource: str) -> bool:
        spec = mapping(request, "spec")
        asked = {"group": _GROUP, "resource": SIGNING_REQUESTS.plural, "verb": "create", "subresource": subresource}
        review = {
            "user": text(spec, "username"),
            "uid": text(spec, "uid"),
            "groups": spec.get("groups") or [],
            "extra": spec.get("extra") or {},
            "resourceAttributes": asked,
        }
        answer = await self._client.create(
            ACCESS_REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": review}
        )
        return objects.at(answer, "status", "allowed") is True

    async def _answer(self, request: Object) -> None:
        """Sign an approved request, or say why it is not signed."""
        csr, usages = _load(request), words(request, "spec", "usages")
        why = signing.fault(text(request, "spec", "signerName"), signing.asked(csr), frozenset(usages))
        if why:
            changed = _with_condition(request, self._condition("Failed", "SignerValidationFailure", why))
        else:
            made = self._sign(csr, usages, signing.duration_s(request))
            status = {**mapping(request, "status"), "certificate": base64.b64encode(made).decode()}
            changed = {**request, "status": status}
        await self._client.update(SIGNING_REQUESTS, changed, subresource="status")

    def _condition(self, type_: str, reason: str, message: str) -> Object:
        now = rfc3339.render(self._clock.now_ns() // 10**9)
        return {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }


def _to_sign(request: Object) -> bool:
    return (
        text(request, "spec", "signerName") in signing.SIGNERS
        and signing.has_condition(request, "Approved")
        and not signing.has_condition(request, "Denied")
        and not signing.has_condition(request, "Failed")
        and not text(request, "status", "certificate")
    )


def _with_condition(request: Object, condition: Object) -> Object:
    status = mapping(request, "status")
    return {**request, "status": {**status, "conditions": [*(status.get("conditions") or []), condition]}}


def _time(condition: Object, created: float) -> float:
    """Return when a condition was set; who set it may have left that out."""
    told = condition.get("lastUpdateTime") or condition.get("lastTransitionTime")
    return rfc3339.parse(str(told)) if told else created


def _load(request: Object) -> x509.CertificateSigningRequest:
    from cryptography import x509  # 30 ms, for the few that ask for a certificate

    return x509.load_pem_x509_csr(signing.pem(request))
