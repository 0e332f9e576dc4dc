"""The control plane's keys and certificates, made at its first start below DATA_ROOT/control/pki.

Files are written beside and renamed, so that one that is there is whole; what is missing or near its end is made anew by the
next start. The certificate authority is never replaced: clients hold it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sampan.base.clock import Clock
from sampan.base.errors import DataLoss

CA_YEARS, LEAF_YEARS = 10, 1
_RENEW_DAYS = 30
KEY_BYTES = 32
_NAMES = (
    "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
)  # fmt: skip
SERVICE_ADDRESS = "10.96.0.1"
"""The first address of the services' range: the API itself, as pods see it."""


class Pki(msgspec.Struct, frozen=True):
    """Paths of PEM files."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.directory / "ca.key"

    @property
    def server(self) -> Path:
        return self.directory / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.directory / "server.key"

    @property
    def admin(self) -> Path:
        return self.directory / "admin.crt"

    @property
    def admin_key(self) -> Path:
        return self.directory / "admin.key"

    @property
    def accounts_key(self) -> Path:
        """Signs service accounts' tokens."""
        return self.directory / "service-accounts.key"

    @property
    def sealing_keys(self) -> Path:
        """JSON, key id -> 64 hex digits, the newest first: what secrets are encrypted with at rest."""
        return self.directory / "sealing-keys.json"

    def sealing(self) -> dict[str, bytes]:
        """Return the keys that values are sealed with, the newest first.

        Raises:
            DataLoss: the file is damaged.
        """
        try:
            keys = msgspec.json.decode(self.sealing_keys.read_bytes(), type=dict[str, str])
            opened = {name: bytes.fromhex(text) for name, text in keys.items()}
            if not opened or any(len(key) != KEY_BYTES for key in opened.values()):
                raise ValueError(f"it must have keys of {KEY_BYTES} bytes")  # noqa: TRY301  told like all other damage
            return opened
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise DataLoss(f"{self.sealing_keys} cannot be read ({error}): restore it, or secrets are lost") from error


def of(data_root: Path) -> Pki:
    """Return where a data root's keys are."""
    return Pki(data_root / "control" / "pki")


def ensure(data_root: Path, addresses: Iterable[str], clock: Clock) -> Pki:
    """Make what is missing, renew what is near its end. `addresses`: where the server can be reached. Idempotent.

    Raises:
        DataLoss: the authority or a key is damaged, and making it anew would lock clients out; or the keys of secrets are
            gone.
    """
    pki = of(data_root)
    pki.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = dt.datetime.fromtimestamp(clock.now_ns() / 1e9, dt.UTC)
    if not pki.ca.exists():
        if not pki.sealing_keys.exists():
            sealing = {f"key-{secrets.token_hex(4)}": secrets.token_hex(KEY_BYTES)}
            _write(pki.sealing_keys, msgspec.json.encode(sealing), 0o600)
        _make_authority(pki, now)
    authority, key = _authority(pki)
    wanted = [*_NAMES, socket.gethostname().lower(), "127.0.0.1", "::1", SERVICE_ADDRESS, *addresses]
    if not _good(pki.server, pki.server_key, authority, now, wanted):
        _issue(pki.server, pki.server_key, authority, key, now, name="kube-apiserver", server=wanted)
    if not _good(pki.admin, pki.admin_key, authority, now):
        _issue(pki.admin, pki.admin_key, authority, key, now, name="kubernetes-admin", group="system:masters")
    if pki.accounts_key.exists():
        load_key(pki.accounts_key)
    else:
        _write(pki.accounts_key, _private(ec.generate_private_key(ec.SECP256R1())), 0o600)
    if not pki.sealing_keys.exists():
        raise DataLoss(
            f"{pki.sealing_keys} is gone, and with it what reads the secrets in the store. Restore it from a copy. To go on "
            f"without those secrets, move {pki.directory} away: all keys are made anew, and clients need new credentials"
        )
    return pki


def _authority(pki: Pki) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the certificate authority and its key."""
    try:
        certificate = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    except ValueError as error:
        raise _damaged(pki.ca, "it is no certificate") from error
    key = load_key(pki.ca_key)
    if certificate.public_key() != key.public_key():
        raise _damaged(pki.ca_key, f"it is not the key of {pki.ca.name}")
    return certificate, key


def _damaged(path: Path, why: str) -> DataLoss:
    return DataLoss(f"{path} cannot be used: {why}. Restore it, or move {path.parent} away to make all keys anew")


def rotate(pki: Pki) -> str:
    """Add a new key that values are sealed with from the next start on; returns its id. The old ones still open values.

    Raises:
        DataLoss: the keys cannot be read.
    """
    keys = {name: key.hex() for name, key in pki.sealing().items()}
    name = f"key-{secrets.token_hex(4)}"
    _write(pki.sealing_keys, msgspec.json.encode({name: secrets.token_hex(KEY_BYTES), **keys}), 0o600)
    return name


def _make_authority(pki: Pki, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(pki.ca_key, _private(key), 0o600)
    _write(pki.ca, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _issue(
    path: Path,
    key_path: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    *,
    name: str,
    group: str = "",
    server: Iterable[str] = (),
) -> None:
    """Write a leaf certificate and its key; `server`: the names and addresses it is good for."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(subject, authority.subject, key.public_key(), now, LEAF_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if server:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(list(map(_alternative, dict.fromkeys(server)))), critical=False
        )
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write(key_path, _private(key), 0o600)
    _write(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))  # clients' clocks may be a little behind
        .not_valid_after(now + dt.timedelta(days=365 * years))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _good(path: Path, key_path: Path, authority: x509.Certificate, now: dt.datetime, names: Iterable[str] = ()) -> bool:
    """Return whether a certificate is there with its key, is of the authority, holds for a while yet, and has all names."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        certificate.verify_directly_issued_by(authority)
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return False
    if certificate.public_key() != key.public_key():  # a crash came between the writing of both
        return False
    if certificate.not_valid_after_utc - now < dt.timedelta(days=_RENEW_DAYS):
        return False
    wanted = {_alternative(name) for name in names}
    if not wanted:
        return True
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return wanted <= set(found)


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the private key in a file.

    Raises:
        DataLoss: there is none.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise _damaged(path, "it is not there") from error
    except (ValueError, TypeError) as error:
        raise _damaged(path, "it is no private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _damaged(path, "it is no ECDSA key")
    return key


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # what is sealed with a key may not outlive it
    finally:
        os.close(folder)
