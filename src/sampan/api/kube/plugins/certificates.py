"""Who may approve and sign certificate requests, and for which signer; nobody asks for a master's certificate.

Spec: admission plugins CertificateApproval, CertificateSigning, CertificateSubjectRestriction.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from sampan.api.kube.access import Attempt, Authorizer
from sampan.api.kube.admission import Attributes
from sampan.api.kube.authz import MASTERS
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateAdmission:
    name = "Certificates"

    def __init__(self, authorizer: Authorizer, now: Callable[[], str]) -> None:
        """`now`: RFC 3339."""
        self._authorizer = authorizer
        self._now = now

    async def mutate(self, attributes: Attributes) -> None:
        """A request says who made it, and when it was answered."""
        new = attributes.object
        if any(attributes.concerns(PLURAL, GROUP, part) for part in ("approval", "status")):
            self._date(new or {}, attributes.old or {})
            return
        if attributes.operation != "CREATE" or not attributes.concerns(PLURAL, GROUP) or new is None:
            return
        user, spec = attributes.user, new.get("spec")
        if isinstance(spec, dict):
            for key, value in (
                ("username", user.name),
                ("uid", user.uid),
                ("groups", list(user.groups)),
                ("extra", {name: list(values) for name, values in user.extra.items()}),
            ):
                spec.pop(key, None)
                if value:
                    spec[key] = value

    def _date(self, new: Object, old: Object) -> None:
        """Fill in the times of conditions that say none."""
        before = {(each.get("type"), each.get("status")): each for each in items(old, "status", "conditions")}
        for condition in items(new, "status", "conditions"):
            same = before.get((condition.get("type"), condition.get("status")), {})
            if not condition.get("lastUpdateTime"):
                condition["lastUpdateTime"] = self._now()
            if not condition.get("lastTransitionTime"):
                condition["lastTransitionTime"] = same.get("lastTransitionTime") or self._now()

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.object, attributes.old
        if new is None or attributes.resource.group != GROUP or attributes.resource.plural != PLURAL:
            return
        if attributes.subresource == "approval":
            self._require(attributes, "approve", text(old, "spec", "signerName"))
        elif attributes.subresource == "status" and _certificate(new) != _certificate(old):
            self._require(attributes, "sign", text(old, "spec", "signerName"))
        elif attributes.operation == "CREATE" and text(new, "spec", "signerName") == CLIENT_SIGNER:
            _no_master(attributes, new)

    def _require(self, attributes: Attributes, verb: str, signer: str) -> None:
        """Require the verb on the signer, or on all of its domain."""
        domain = signer.partition("/")[0]
        for name in (signer, f"{domain}/*"):
            attempt = Attempt(attributes.user, verb, GROUP, "*", "signers", "", "", name)
            if self._authorizer.authorize(attempt).allowed:
                return
        why = f'user not permitted to {verb} requests with signerName "{signer}"'
        raise status.forbidden(PLURAL, GROUP, attributes.name, why)


def _certificate(obj: Object | None) -> object:
    return mapping(obj, "status").get("certificate")


def _no_master(attributes: Attributes, obj: Object) -> None:
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(text(obj, "spec", "request")))
    except (ValueError, binascii.Error):
        return  # validation tells
    groups = [name.value for name in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if MASTERS in groups:
        why = f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
        raise status.forbidden(PLURAL, GROUP, attributes.name, why)
