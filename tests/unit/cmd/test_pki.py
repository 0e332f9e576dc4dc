"""The control plane's keys: made once, renewed near their end, and readable by nobody else."""

from __future__ import annotations

import time

import pytest
from cryptography import x509

from sampan.base.clock import ManualClock
from sampan.base.errors import DataLoss
from sampan.cmd import pki

DAY_S = 24 * 3600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def contents(keys: pki.Pki) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in keys.directory.iterdir()}


def test_what_is_there_is_kept(tmp_path, clock) -> None:
    began = time.thread_time()
    keys = pki.ensure(tmp_path, ["10.0.0.5"], clock)
    print(f"{(time.thread_time() - began) * 1000:.1f} ms of CPU")
    before = contents(keys)
    pki.ensure(tmp_path, ["10.0.0.5"], clock)
    assert contents(keys) == before
    assert keys.directory.stat().st_mode & 0o777 == 0o700
    private = [path for path in keys.directory.iterdir() if path.suffix in (".key", ".json")]
    assert len(private) == 5
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


def test_whom_the_certificates_name(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, ["10.0.0.5", "box.example"], clock)
    server = x509.load_pem_x509_certificate(keys.server.read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kubernetes", "kubernetes.default.svc.cluster.local", "box.example"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    addresses = set(map(str, names.get_values_for_type(x509.IPAddress)))
    assert {"127.0.0.1", "::1", "10.96.0.1", "10.0.0.5"} <= addresses
    admin = x509.load_pem_x509_certificate(keys.admin.read_bytes())
    assert admin.subject.rfc4514_string() == "CN=kubernetes-admin,O=system:masters"
    authority = x509.load_pem_x509_certificate(keys.ca.read_bytes())
    for leaf in (server, admin):
        leaf.verify_directly_issued_by(authority)


def test_leaves_are_renewed_near_their_end_and_the_authority_stays(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    before = contents(keys)
    clock.advance(300 * DAY_S)
    pki.ensure(tmp_path, [], clock)
    assert contents(keys) == before
    clock.advance(40 * DAY_S)
    pki.ensure(tmp_path, [], clock)
    after = contents(keys)
    assert {name for name in before if before[name] != after[name]} == {
        "server.crt",
        "server.key",
        "admin.crt",
        "admin.key",
    }


def test_a_new_address_makes_a_new_certificate(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    before = contents(keys)
    pki.ensure(tmp_path, ["192.0.2.1"], clock)
    after = contents(keys)
    assert {name for name in before if before[name] != after[name]} == {"server.crt", "server.key"}


@pytest.mark.parametrize("missing", ["server.crt", "server.key", "admin.crt", "service-accounts.key"])
def test_what_is_missing_is_made_again(tmp_path, clock, missing) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    (keys.directory / missing).unlink()
    pki.ensure(tmp_path, [], clock)
    assert (keys.directory / missing).exists()


def test_a_damaged_certificate_is_made_again(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    keys.server.write_bytes(b"half of")
    pki.ensure(tmp_path, [], clock)
    x509.load_pem_x509_certificate(keys.server.read_bytes())


def test_a_rotation_keeps_what_opens_older_values(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    before = keys.sealing()
    name = pki.rotate(keys)
    after = keys.sealing()
    assert next(iter(after)) == name
    assert {key: after[key] for key in before} == before
    assert {len(key) for key in after.values()} == {32}


def test_the_keys_of_secrets_are_not_made_twice(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    kept = keys.sealing_keys.read_bytes()
    keys.sealing_keys.unlink()
    with pytest.raises(DataLoss, match="Restore it from a copy"):
        pki.ensure(tmp_path, [], clock)
    assert not keys.sealing_keys.exists()
    keys.sealing_keys.write_bytes(kept)
    pki.ensure(tmp_path, [], clock)


def test_damaged_keys_are_not_made_anew(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    for text in (b"", b"{", b'{"a":"xyz"}', b'{"a":"00"}', b"{}", b"[]"):
        keys.sealing_keys.write_bytes(text)
        pki.ensure(tmp_path, [], clock)
        with pytest.raises(DataLoss):
            keys.sealing()
        with pytest.raises(DataLoss):
            pki.rotate(keys)


def test_a_crash_between_key_and_certificate_is_made_good(tmp_path, clock) -> None:
    """Keys are written before their certificates: a renewal that was cut leaves two that do not belong together."""
    keys = pki.ensure(tmp_path, [], clock)
    for path in (keys.server_key, keys.admin_key):
        path.write_bytes(keys.accounts_key.read_bytes())
    pki.ensure(tmp_path, [], clock)
    for certificate, key in ((keys.server, keys.server_key), (keys.admin, keys.admin_key)):
        public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
        assert public == pki.load_key(key).public_key()
    keys.server_key.write_bytes(b"")
    keys.admin.write_bytes(b"-----BEGIN")
    pki.ensure(tmp_path, [], clock)
    assert pki.load_key(keys.server_key)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("ca.key", None, "it is not there"),
        ("ca.key", b"half of a", "it is no private key"),
        ("ca.crt", b"half of a", "it is no certificate"),
        ("service-accounts.key", b"", "it is no private key"),
    ],
)
def test_what_others_hold_is_never_made_anew(tmp_path, clock, name, content, why) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    path = keys.directory / name
    before = keys.ca.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataLoss, match=why):
        pki.ensure(tmp_path, [], clock)
    assert name == "ca.crt" or keys.ca.read_bytes() == before


def test_an_authority_has_its_own_key(tmp_path, clock) -> None:
    keys = pki.ensure(tmp_path, [], clock)
    keys.ca_key.write_bytes(keys.accounts_key.read_bytes())
    with pytest.raises(DataLoss, match=r"it is not the key of ca\.crt"):
        pki.ensure(tmp_path, [], clock)
