"""certificates.k8s.io: CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at, name
from sampan.kube.reading import items, number, text, words
from sampan.kube.strategy import Strategy

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_LEAST_S = 600
_SIGNER_BYTES = 571
_ALWAYS_TRUE = ("Approved", "Denied", "Failed")
_STATUSES = ("False", "True", "Unknown")


# --- CertificateSigningRequest ----------------------------------------------------------------------------------------


def _request(obj: Object) -> list[FieldError]:
    usages, seconds = words(obj, "spec", "usages"), at(obj, "spec", "expirationSeconds")
    faults = list(_signed("spec.request", text(obj, "spec", "request")))
    if not usages:
        faults.append(required("spec.usages"))
    for index, usage in enumerate(usages):
        faults += check.one_of(f"spec.usages[{index}]", usage, USAGES)
    faults += check.unique("spec.usages", usages)
    faults += _signer("spec.signerName", text(obj, "spec", "signerName"))
    if isinstance(seconds, int) and seconds < _LEAST_S:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        faults.append(invalid("spec.expirationSeconds", seconds, why))
    return faults


def _signed(path: str, value: str) -> Iterator[FieldError]:
    """Check for a PKCS #10 request in PEM that its own key has signed."""
    from cryptography import x509  # 30 ms, for the few that ask for a certificate

    try:
        pem = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pem = b""
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        yield invalid(path, value, "PEM block type must be CERTIFICATE REQUEST")
        return
    try:
        found = x509.load_pem_x509_csr(pem)
        good = found.is_signature_valid
    except ValueError as error:
        yield invalid(path, value, str(error))
        return
    if not good:
        yield invalid(path, value, "x509: the signature is not valid")


def _signer(path: str, signer: str) -> Iterator[FieldError]:
    if not signer:
        yield required(path)
        return
    if signer == "kubernetes.io/legacy-unknown":
        yield invalid(path, signer, "the legacy signerName is not allowed via this API version")
        return
    domain, slash, rest = signer.partition("/")
    if not slash or "/" in rest:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(path, signer, why)
        return
    yield from _labels(path, domain, names.dns_label)
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from _labels(path, rest, names.dns_subdomain)
    if len(signer) > _SIGNER_BYTES:
        yield too_long(path, _SIGNER_BYTES)


def _labels(path: str, dotted: str, rule: names.Rule) -> Iterator[FieldError]:
    """Check each part between dots; the first bad one is told."""
    bad = ((label, why) for label in dotted.split(".") if (why := rule(label)))
    for label, why in bad:
        yield invalid(path, dotted, f'validating label "{label}": {why}')
        return


def _conditions(obj: Object) -> Iterator[FieldError]:
    conditions = items(obj, "status", "conditions")
    types = [text(each, "type") for each in conditions]
    for index, condition in enumerate(conditions):
        path, type_, status = f"status.conditions[{index}]", types[index], text(condition, "status")
        allowed = ("True",) if type_ in _ALWAYS_TRUE else _STATUSES
        if not type_:
            yield required(f"{path}.type")
        if not status:
            yield required(f"{path}.status")
        elif status not in allowed:
            yield not_supported(f"{path}.status", status, allowed)
        if {"Approved": "Denied", "Denied": "Approved"}.get(type_) in types[:index]:
            yield invalid(f"{path}.type", type_, "Approved and Denied conditions are mutually exclusive")
        if type_ in types[:index]:
            yield duplicate(f"{path}.type", type_)


def _of_type(obj: Object, type_: str) -> list[Object]:
    return [each for each in items(obj, "status", "conditions") if each.get("type") == type_]


def _kept(new: Object, old: Object) -> Iterator[FieldError]:
    for type_ in _ALWAYS_TRUE:
        if len(_of_type(new, type_)) < len(_of_type(old, type_)):
            yield forbidden("status.conditions", f'updates may not remove a condition of type "{type_}"')


def _validate_update(new: Object, old: Object) -> list[FieldError]:
    """Judge plain updates, which leave the status, and those of `/approval`, which decide."""
    return [*_conditions(new), *_kept(new, old)]


def _validate_status(new: Object, old: Object) -> list[FieldError]:
    faults = _validate_update(new, old)
    for type_ in ("Approved", "Denied"):
        now, before = _of_type(new, type_), _of_type(old, type_)
        if len(now) > len(before):
            faults.append(forbidden("status.conditions", f'updates may not add a condition of type "{type_}"'))
        elif len(now) == len(before) and now != before:
            faults.append(forbidden("status.conditions", f'updates may not modify a condition of type "{type_}"'))
    issued, given = text(old, "status", "certificate"), text(new, "status", "certificate")
    if issued and given != issued:
        faults.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return faults


def _keep_spec(new: Object, old: Object) -> None:
    """A request that has been made is never changed: what it asks for is what was decided on."""
    new["spec"] = old.get("spec")


# --- ClusterTrustBundle, PodCertificateRequest ------------------------------------------------------------------------


def _bundle(obj: Object) -> list[FieldError]:
    signer, bundle = text(obj, "spec", "signerName"), text(obj, "spec", "trustBundle")
    faults: list[FieldError] = []
    if signer:
        faults += _signer("spec.signerName", signer)
        prefix = signer.replace("/", ":") + ":"
        if not name(obj).startswith(prefix):
            why = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
            faults.append(invalid("metadata.name", name(obj), why))
    elif ":" in name(obj):
        why = 'ClusterTrustBundle without signer name must not have ":" in its name'
        faults.append(invalid("metadata.name", name(obj), why))
    if "-----BEGIN CERTIFICATE-----" not in bundle:
        faults.append(invalid("spec.trustBundle", "<value omitted>", "at least one trust anchor must be provided"))
    return faults


def _pod_request(obj: Object) -> list[FieldError]:
    faults = list(_signer("spec.signerName", text(obj, "spec", "signerName")))
    for field in ("podName", "serviceAccountName", "nodeName"):
        faults += check.required_name(f"spec.{field}", text(obj, "spec", field), names.dns_subdomain)
    seconds = at(obj, "spec", "maxExpirationSeconds")
    if seconds is not None and number(obj, "spec", "maxExpirationSeconds") < 3600:
        faults.append(invalid("spec.maxExpirationSeconds", seconds, "must be at least 3600"))
    return faults


def _default_pod_request(obj: Object) -> None:
    spec = at(obj, "spec")
    if isinstance(spec, dict) and spec.get("maxExpirationSeconds") is None:
        spec["maxExpirationSeconds"] = 86400


STRATEGIES: dict[str, Strategy] = {
    "CertificateSigningRequest": Strategy(
        prepare_update=_keep_spec,
        validate=_request,
        validate_update=_validate_update,
        validate_status=_validate_status,
        fields={"spec.signerName": lambda obj: text(obj, "spec", "signerName")},
        has_status=True,
        validate_name=names.path_segment,
    ),
    "ClusterTrustBundle": Strategy(
        validate=_bundle,
        validate_update=check.immutable("spec.signerName"),
        fields={"spec.signerName": lambda obj: text(obj, "spec", "signerName")},
        validate_name=lambda name: next(filter(None, map(names.dns_subdomain, name.split(":"))), ""),
    ),
    "PodCertificateRequest": Strategy(
        default=_default_pod_request,
        validate=_pod_request,
        validate_update=check.immutable("spec"),
        fields={
            "spec.signerName": lambda obj: text(obj, "spec", "signerName"),
            "spec.podName": lambda obj: text(obj, "spec", "podName"),
            "spec.nodeName": lambda obj: text(obj, "spec", "nodeName"),
        },
        has_status=True,
    ),
}
