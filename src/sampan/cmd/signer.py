"""The cluster's certificate authority as a signer of requests. Spec: Kubernetes "Kubernetes signers"; RFC 5280, 4.2.1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sampan.base.clock import Clock
from sampan.cmd.pki import Pki, load_key

_BEHIND = dt.timedelta(minutes=5)
"""Clients' clocks may be a little behind."""
_PURPOSES: Mapping[str, x509.ObjectIdentifier] = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
}
_KEY_USES: Mapping[str, str] = {
    "digital signature": "digital_signature",
    "signing": "digital_signature",
    "key encipherment": "key_encipherment",
}


class Signer:
    """Reads the authority's key for each certificate: few are asked for, and what is not in memory cannot leak from it."""

    def __init__(self, pki: Pki, clock: Clock) -> None:
        self._pki = pki
        self._clock = clock

    def sign(self, csr: x509.CertificateSigningRequest, usages: Iterable[str], seconds: int) -> bytes:
        """Return a certificate in PEM with the request's subject and names, never longer valid than the authority's.

        Raises:
            DataLoss: the authority's key cannot be read.
        """
        authority = x509.load_pem_x509_certificate(self._pki.ca.read_bytes())
        key: ec.EllipticCurvePrivateKey = load_key(self._pki.ca_key)
        now = dt.datetime.fromtimestamp(self._clock.now_ns() // 10**9, dt.UTC)
        wanted = list(usages)
        builder = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(authority.subject)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEHIND)
            .not_valid_after(min(now + dt.timedelta(seconds=seconds), authority.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        )
        if uses := {_KEY_USES[usage] for usage in wanted if usage in _KEY_USES}:  # one that allows nothing is no good
            builder = builder.add_extension(_key_usage(uses), critical=True)
        if purposes := [_PURPOSES[usage] for usage in wanted if usage in _PURPOSES]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        try:
            names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            pass
        else:
            builder = builder.add_extension(names.value, critical=names.critical)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(uses: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in uses,
        content_commitment=False,
        key_encipherment="key_encipherment" in uses,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
