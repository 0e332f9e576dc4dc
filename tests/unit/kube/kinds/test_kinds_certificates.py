"""CertificateSigningRequests and their like: refusals, and that what was decided stays decided."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sampan.kube.kinds.certificates import STRATEGIES
from unit.kube.kinds.edits import GONE, edited, faults

STRATEGY = STRATEGIES["CertificateSigningRequest"]


def signed() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    pem = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
    return base64.b64encode(pem).decode()


CSR: Any = {
    "metadata": {"name": "me"},
    "spec": {"request": signed(), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
}


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("usages", [], "spec.usages: Required value"),
        ("usages", ["client auth", "client auth"], 'spec.usages[1]: Duplicate value: "client auth"'),
        (
            "expirationSeconds",
            60,
            "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 600 seconds (10 minutes)",
        ),
        ("signerName", GONE, "spec.signerName: Required value"),
        (
            "signerName",
            "e.io",
            (
                'spec.signerName: Invalid value: "e.io":'
                " must be a fully qualified domain and path of the form 'example.com/signer-name'"
            ),
        ),
        (
            "signerName",
            "local/x",
            'spec.signerName: Invalid value: "local": should be a domain with at least two segments separated by dots',
        ),
        (
            "signerName",
            "kubernetes.io/legacy-unknown",
            (
                'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown":'
                " the legacy signerName is not allowed via this API version"
            ),
        ),
        ("request", "AA==", 'spec.request: Invalid value: "AA==": PEM block type must be CERTIFICATE REQUEST'),
    ],
)
def test_refused(path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGY, CSR) == []
    assert faults(STRATEGY, edited(CSR, f"spec.{path}", value)) == [wrong]


def test_a_request_that_another_key_signed_is_refused() -> None:
    pem = base64.b64decode(CSR["spec"]["request"])
    der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))
    der[der.index(b"me")] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    [wrong] = faults(STRATEGY, edited(CSR, "spec.request", base64.b64encode(forged).decode()))
    assert wrong.endswith("x509: the signature is not valid")


def decided(*types: str, status: str = "True", certificate: str = "") -> Any:
    found = edited(CSR, "status", {"conditions": [{"type": type_, "status": status} for type_ in types]})
    if certificate:
        found["status"]["certificate"] = certificate
    return found


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (decided(), decided("Approved"), []),
        (decided(), decided("Denied"), []),
        (
            decided(),
            decided("Approved", "Denied"),
            [
                (
                    'status.conditions[1].type: Invalid value: "Denied":'
                    " Approved and Denied conditions are mutually exclusive"
                )
            ],
        ),
        (
            decided("Approved"),
            decided(),
            ['status.conditions: Forbidden: updates may not remove a condition of type "Approved"'],
        ),
        (
            decided(),
            decided("Approved", status="False"),
            ['status.conditions[0].status: Unsupported value: "False": supported values: "True"'],
        ),
        (decided(), decided("Approved", "Approved"), ['status.conditions[1].type: Duplicate value: "Approved"']),
    ],
)
def test_approval(old: Any, new: Any, wrong: list[str]) -> None:
    assert [str(fault) for fault in STRATEGY.validate_update(new, old)] == wrong


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (decided("Approved"), decided("Approved", certificate="AA=="), []),
        (
            decided(),
            decided("Approved"),
            ['status.conditions: Forbidden: updates may not add a condition of type "Approved"'],
        ),
        (
            decided("Approved", certificate="AA=="),
            decided("Approved", certificate="BB=="),
            ["status.certificate: Forbidden: updates may not modify existing certificate content"],
        ),
    ],
)
def test_status(old: Any, new: Any, wrong: list[str]) -> None:
    assert [str(fault) for fault in STRATEGY.validate_status(new, old)] == wrong


def test_what_is_asked_for_stays() -> None:
    new = edited(CSR, "spec.usages", ["server auth"])
    STRATEGY.prepare_update(new, CSR)
    assert new["spec"] == CSR["spec"]


def test_fields_and_names() -> None:
    assert STRATEGY.fields["spec.signerName"](CSR) == "kubernetes.io/kube-apiserver-client"
    assert STRATEGY.validate_name is not None
    assert STRATEGY.validate_name("Any Name") == ""
    assert STRATEGY.validate_name("a/b") == "may not contain '/'"


def test_trust_bundle() -> None:
    strategy = STRATEGIES["ClusterTrustBundle"]
    bundle = {
        "metadata": {"name": "e.io:s:a"},
        "spec": {"signerName": "e.io/s", "trustBundle": "-----BEGIN CERTIFICATE-----\n"},
    }
    assert faults(strategy, bundle) == []
    assert "must be named with prefix e.io:s:" in faults(strategy, edited(bundle, "metadata.name", "a"))[0]
    assert "at least one trust anchor" in faults(strategy, edited(bundle, "spec.trustBundle", ""))[0]
    assert strategy.validate_name is not None
    assert strategy.validate_name("e.io:s:a") == ""
    assert strategy.validate_name("e.io:S")
