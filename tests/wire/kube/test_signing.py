"""Certificate requests by real clients: approved by kubectl, signed by the cluster, and good for whom they name.

Spec: Kubernetes "Certificates and Certificate Signing Requests".
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import ssl
import time
from urllib.request import Request, urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube import eventually

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET, SERVING = f"{CLIENT}-kubelet", "kubernetes.io/kubelet-serving"
PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
USAGES = ("digital signature", "client auth")
_numbers = itertools.count(1)


def asking(common_name: str, *organizations: str, names: tuple[x509.GeneralName, ...] = (), key=None):
    """Return a new key and a request for a certificate, both in PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, made


def request(plane, pem: bytes, signer: str = CLIENT, usages=USAGES, headers=None, **spec) -> str:
    """Ask; returns the name of the request."""
    name = f"csr-{next(_numbers)}"
    spec |= {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": list(usages)}
    plane.json("POST", PATH, {"metadata": {"name": name}, "spec": spec}, headers=headers)
    return name


def state(plane, name: str) -> dict:
    return plane.json("GET", f"{PATH}/{name}").get("status") or {}


def conditions(plane, name: str) -> dict[str, tuple[str, str]]:
    found = state(plane, name).get("conditions") or []
    return {each["type"]: (each.get("reason", ""), each.get("message", "")) for each in found}


def certificate(plane, name: str) -> bytes:
    found = eventually(lambda: state(plane, name).get("certificate"))
    return base64.b64decode(found)


def get(plane, home, private: bytes, pem: bytes, path: str) -> tuple[int, str]:
    """Ask over TLS with a certificate of one's own."""
    (home / "own.crt").write_bytes(pem)
    (home / "own.key").write_bytes(private)
    context: ssl.SSLContext = plane.tls()
    context.load_cert_chain(home / "own.crt", home / "own.key")
    with urlopen(Request(f"https://127.0.0.1:{plane.port}{path}"), context=context, timeout=10) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize(("kind", "usages"), [("ecdsa", USAGES), ("rsa", USAGES), ("rsa", ("client auth",))])
def test_what_kubectl_approves_authenticates(plane, tmp_path, kind, usages) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else None
    private, pem = asking("ann", "sailors", "cooks", key=key)
    name = request(plane, pem, usages=usages)
    assert plane.kubectl("get", "csr", name, "--no-headers").split()[-1] == "Pending"
    assert "approved" in plane.kubectl("certificate", "approve", name)
    made = certificate(plane, name)
    assert plane.kubectl("get", "csr", name, "--no-headers").split()[-1] == "Approved,Issued"
    (tmp_path / "kubeconfig").write_bytes(plane.kubeconfig.read_bytes())
    (tmp_path / "ann.crt").write_bytes(made)
    (tmp_path / "ann.key").write_bytes(private)
    given = ("--kubeconfig", str(tmp_path / "kubeconfig"))
    plane.kubectl(
        "config", "set-credentials", "ann", f"--client-certificate={tmp_path}/ann.crt",
        f"--client-key={tmp_path}/ann.key", *given,
    )  # fmt: skip
    told = plane.kubectl("auth", "whoami", "--user=ann", *given)
    assert "ann" in told
    assert "sailors cooks system:authenticated" in told.replace("[", "").replace("]", "")


def test_the_certificate_is_as_asked(plane) -> None:
    names = (x509.DNSName("ann.example"),)
    _, pem = asking("ann", names=names)
    name = request(plane, pem, expirationSeconds=3600, usages=(*USAGES, "key encipherment"))
    plane.kubectl("certificate", "approve", name)
    made = x509.load_pem_x509_certificate(certificate(plane, name))
    authority = x509.load_pem_x509_certificate((plane.directory / "pki" / "ca.crt").read_bytes())
    made.verify_directly_issued_by(authority)
    lasts = made.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=59) < lasts <= dt.timedelta(hours=1)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
    purposes = list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert purposes == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == list(names)


def test_what_is_denied_or_waits_is_not_signed(plane) -> None:
    _, pem = asking("ann")
    denied, waiting = request(plane, pem), request(plane, pem)
    assert "denied" in plane.kubectl("certificate", "deny", denied)
    foreign = request(plane, pem, "example.com/own")
    plane.kubectl("certificate", "approve", foreign)
    later = request(plane, pem)
    plane.kubectl("certificate", "approve", later)
    certificate(plane, later)  # requests are worked on in their order
    assert [state(plane, name).get("certificate") for name in (denied, waiting, foreign)] == [None] * 3
    assert plane.kubectl("get", "csr", denied, "--no-headers").split()[-1] == "Denied"


def test_an_answer_has_a_time(plane) -> None:
    _, pem = asking("ann")
    name = request(plane, pem)
    found = plane.json("GET", f"{PATH}/{name}")
    found["status"] = {"conditions": [{"type": "Denied", "status": "True", "reason": "Tested"}]}
    [condition] = plane.json("PUT", f"{PATH}/{name}/approval", found)["status"]["conditions"]
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
    assert abs(dt.datetime.fromisoformat(condition["lastUpdateTime"]).timestamp() - time.time()) < 5


ADDRESS = (x509.DNSName("one"),)
WRONG = [
    (CLIENT, asking("ann"), ("digital signature", "server auth"), "invalid usage for client certificate: server auth"),
    (KUBELET, asking("system:node:one"), USAGES, "subject organization is not system:nodes"),
    (KUBELET, asking("one", "system:nodes"), USAGES, "subject common name does not begin with system:node:"),
    (KUBELET, asking("system:node:one", "system:nodes", names=ADDRESS), USAGES, "DNS or IP subjectAltNames are not"),
    (KUBELET, asking("system:node:one", "system:nodes"), (*USAGES, "server auth"), "usages did not match"),
    (
        SERVING,
        asking("system:node:one", "system:nodes"),
        ("digital signature", "server auth"),
        "at least one DNS or IP",
    ),
    (SERVING, asking("system:node:one", "system:nodes", names=ADDRESS), USAGES, "usages did not match"),
]


@pytest.mark.parametrize(("signer", "asked", "usages", "why"), WRONG, ids=[case[3] for case in WRONG])
def test_signers_say_what_they_do_not_sign(plane, signer, asked, usages, why) -> None:
    name = request(plane, asked[1], signer, usages)
    plane.kubectl("certificate", "approve", name)
    eventually(lambda: "Failed" in conditions(plane, name))
    reason, message = conditions(plane, name)["Failed"]
    assert reason == "SignerValidationFailure"
    assert why in message
    assert "certificate" not in state(plane, name)


def test_a_node_serves_with_a_certificate_of_the_cluster(plane) -> None:
    names = (x509.DNSName("one"), *ADDRESS)
    _, pem = asking("system:node:one", "system:nodes", names=names)
    name = request(plane, pem, SERVING, ("digital signature", "server auth"))
    time.sleep(0.2)
    assert not conditions(plane, name), "nobody approves these but people"
    plane.kubectl("certificate", "approve", name)
    made = x509.load_pem_x509_certificate(certificate(plane, name))
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


BOOT = "system:bootstrappers:of-the-test"


@pytest.fixture(scope="module")
def approving(plane):
    """Those who may: machines with a token for a first certificate, nodes for the next one of their own."""
    nodes = "system:certificates.k8s.io:certificatesigningrequests"
    for name, role, group in (
        ("first", f"{nodes}:nodeclient", BOOT),
        ("next", f"{nodes}:selfnodeclient", "system:nodes"),
        ("ask", "system:node-bootstrapper", BOOT),
    ):
        plane.kubectl("create", "clusterrolebinding", f"csr-{name}", f"--clusterrole={role}", f"--group={group}")
    yield
    plane.kubectl("delete", "clusterrolebinding", "csr-first", "csr-next", "csr-ask")


def test_a_machine_becomes_a_node_by_itself(plane, approving, tmp_path) -> None:
    private, pem = asking("system:node:boat", "system:nodes")
    who = {"Impersonate-User": "system:bootstrap:abcdef", "Impersonate-Group": BOOT}
    name = request(plane, pem, KUBELET, headers=who)
    made = certificate(plane, name)
    assert conditions(plane, name)["Approved"] == (
        "AutoApproved",
        "Auto approving kubelet client certificate after SubjectAccessReview.",
    )
    code, text = get(plane, tmp_path, private, made, "/api/v1/services")
    assert (code, '"kubernetes"' in text) == (200, True)

    private, pem = asking("system:node:boat", "system:nodes")
    who = {"Impersonate-User": "system:node:boat", "Impersonate-Group": "system:nodes"}
    name = request(plane, pem, KUBELET, headers=who)
    certificate(plane, name)
    assert conditions(plane, name)["Approved"][1].startswith("Auto approving self kubelet client certificate")


def test_a_node_gets_none_of_another_by_itself(plane, approving) -> None:
    _, pem = asking("system:node:other", "system:nodes")
    who = {"Impersonate-User": "system:node:boat", "Impersonate-Group": "system:nodes"}
    name = request(plane, pem, KUBELET, headers=who)
    _, pem = asking("system:node:later", "system:nodes")
    mark = request(plane, pem, KUBELET, headers={"Impersonate-User": "x", "Impersonate-Group": BOOT})
    certificate(plane, mark)  # requests are worked on in their order
    assert not conditions(plane, name)
