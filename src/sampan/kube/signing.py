"""What the built-in signers sign, and which requests of nodes are approved by themselves.

Spec: Kubernetes "Certificates and Certificate Signing Requests", "Kubernetes signers".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from sampan.kube.object import Object, at
from sampan.kube.reading import text, words

if TYPE_CHECKING:
    from cryptography import x509

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
NODES, NODE = "system:nodes", "system:node:"
LONGEST_S = 365 * 24 * 3600
_KEY_USE = frozenset({"key encipherment", "digital signature"})
_CLIENT_AUTH, _SERVER_AUTH = "client auth", "server auth"


class Asked(msgspec.Struct, frozen=True):
    """What a PKCS #10 request asks for: the subject, and the names that the certificate is to be good for."""

    common_name: str
    organizations: tuple[str, ...]
    hosts: int
    """How many DNS names and addresses it has."""
    emails: int
    uris: int


def pem(request: Object) -> bytes:
    """Return the PKCS #10 request of a CertificateSigningRequest."""
    return base64.b64decode(text(request, "spec", "request"))


def asked(csr: x509.CertificateSigningRequest) -> Asked:
    from cryptography import x509  # 30 ms, for the few that ask for a certificate
    from cryptography.x509.oid import NameOID

    def named(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(oid))

    try:
        names = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    return Asked(
        common_name=("", *named(NameOID.COMMON_NAME))[-1],
        organizations=named(NameOID.ORGANIZATION_NAME),
        hosts=sum(isinstance(name, x509.DNSName | x509.IPAddress) for name in names),
        emails=sum(isinstance(name, x509.RFC822Name) for name in names),
        uris=sum(isinstance(name, x509.UniformResourceIdentifier) for name in names),
    )


def duration_s(request: Object) -> int:
    """Return for how long the certificate is asked; at most, and by default, a year."""
    wanted = at(request, "spec", "expirationSeconds")
    return min(wanted, LONGEST_S) if isinstance(wanted, int) else LONGEST_S


def has_condition(request: Object, type_: str) -> bool:
    return any(each.get("type") == type_ for each in at(request, "status", "conditions") or [])


def fault(signer: str, wish: Asked, usages: frozenset[str]) -> str:
    """Return why a signer does not sign a request, "" when it does."""
    judge = _JUDGES.get(signer)
    return judge(wish, usages) if judge else ""


def _client(wish: Asked, usages: frozenset[str]) -> str:
    if _CLIENT_AUTH not in usages or not usages <= {*_KEY_USE, _CLIENT_AUTH}:
        return f"invalid usage for client certificate: {_first_strange(usages, _CLIENT_AUTH)}"
    return ""


def _kubelet_client(wish: Asked, usages: frozenset[str]) -> str:
    if wish.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    for count, what in ((wish.hosts, "DNS or IP"), (wish.emails, "Email"), (wish.uris, "URI")):
        if count:
            return f"{what} subjectAltNames are not allowed"
    if not wish.common_name.startswith(NODE):
        return f"subject common name does not begin with {NODE}"
    return _usages_of(usages, _CLIENT_AUTH)


def _kubelet_serving(wish: Asked, usages: frozenset[str]) -> str:
    if wish.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    if not wish.hosts:
        return "at least one DNS or IP subjectAltName is required"
    for count, what in ((wish.emails, "Email"), (wish.uris, "URI")):
        if count:
            return f"{what} subjectAltNames are not allowed"
    if not wish.common_name.startswith(NODE):
        return f"subject common name does not begin with {NODE}"
    return _usages_of(usages, _SERVER_AUTH)


def _usages_of(usages: frozenset[str], purpose: str) -> str:
    if usages in ({"digital signature", purpose}, {*_KEY_USE, purpose}):
        return ""
    return f"usages did not match [digital signature key encipherment {purpose}]"


def _first_strange(usages: frozenset[str], purpose: str) -> str:
    return next(iter(sorted(usages - _KEY_USE - {purpose})), f"{purpose} is missing")


_JUDGES: Mapping[str, Callable[[Asked, frozenset[str]], str]] = {
    CLIENT: _client,
    KUBELET_CLIENT: _kubelet_client,
    KUBELET_SERVING: _kubelet_serving,
}
SIGNERS = tuple(_JUDGES)


def self_approving(request: Object, wish: Asked) -> tuple[tuple[str, str], ...]:
    """Return under which rights a node's request for a client certificate is approved by itself: (subresource, message).

    The rights are to `create` certificatesigningrequests with that subresource. None for other requests.
    """
    usages = frozenset(words(request, "spec", "usages"))
    if text(request, "spec", "signerName") != KUBELET_CLIENT or _kubelet_client(wish, usages):
        return ()
    same = text(request, "spec", "username") == wish.common_name
    told = "Auto approving {}kubelet client certificate after SubjectAccessReview."
    own = (("selfnodeclient", told.format("self ")),) if same else ()
    return (*own, ("nodeclient", told.format("")))
