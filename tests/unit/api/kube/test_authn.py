"""Who asks: what is remembered, and for how long."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sampan.api.kube.access import Attempt, Decision
from sampan.api.kube.authn import Authentication, Found, StaticTokens
from sampan.api.kube.request import ANONYMOUS, Request, User
from sampan.base.clock import ManualClock
from sampan.kube.status import ApiError

NOW = 1_700_000_000


class Nobody:
    def authorize(self, attempt: Attempt) -> Decision:
        return Decision(False)


class Counting:
    """A source that knows one token until it is taken back."""

    def __init__(self, ends_s: float = NOW + 1000) -> None:
        self.asked = 0
        self.ends_s = ends_s

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        self.asked += 1
        return Found(User("x"), tuple(audiences), self.ends_s) if token == "good" else None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW * 10**9)


def asking(**headers: str) -> Request:
    return Request("GET", "/", headers=headers)


def certificate(
    name: str | None, *groups: str, begins: int = -60, ends: int = 3600, names_before: tuple[str, ...] = ()
) -> bytes:
    """Return a certificate, DER; the handshake has verified it, so who signed it does not matter here."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, before) for before in names_before]
    parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*parts, *([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])])
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + dt.timedelta(seconds=begins))
        .not_valid_after(now + dt.timedelta(seconds=ends))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


async def refused(authentication: Authentication, request: Request) -> int:
    with pytest.raises(ApiError) as refusal:
        await authentication.authenticate(request)
    return refusal.value.code


async def test_without_credentials_one_is_anonymous(clock) -> None:
    assert await Authentication([], Nobody(), clock, ("a",)).authenticate(asking()) is ANONYMOUS


async def test_a_token_is_remembered_for_seconds(clock) -> None:
    source = Counting()
    authentication = Authentication([StaticTokens({"s": User("static")}), source], Nobody(), clock, ("a",))
    for _ in range(3):
        user = await authentication.authenticate(asking(authorization="Bearer good"))
        assert (user.name, user.groups) == ("x", ("system:authenticated",))
    assert source.asked == 1
    clock.advance(11)
    await authentication.authenticate(asking(authorization="Bearer good"))
    assert source.asked == 2
    assert (await authentication.authenticate(asking(authorization="Bearer s"))).name == "static"
    assert await refused(authentication, asking(authorization="Bearer bad")) == 401


async def test_a_token_is_not_remembered_past_its_end(clock) -> None:
    authentication = Authentication([Counting(NOW + 3)], Nobody(), clock, ("a",))
    await authentication.authenticate(asking(authorization="Bearer good"))
    clock.advance(2)
    await authentication.authenticate(asking(authorization="Bearer good"))
    clock.advance(1)
    assert await refused(authentication, asking(authorization="Bearer good")) == 401


async def test_a_certificate_names_user_and_groups(clock) -> None:
    authentication = Authentication([Counting()], Nobody(), clock, ("a",))
    request = asking(authorization="Bearer bad")
    request.certificate = certificate("ann", "devs", "ops")
    user = await authentication.authenticate(request)
    assert (user.name, user.groups) == ("ann", ("devs", "ops", "system:authenticated"))


async def test_of_several_names_the_one_counts_that_was_approved(clock) -> None:
    """Those who approve certificates judge the last name: a node could else have one for anybody."""
    from sampan.kube import signing

    key = ec.generate_private_key(ec.SECP256R1())
    names = ("system:kube-controller-manager", "system:node:one")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = asking()
    request.certificate = certificate(names[1], names_before=names[:1])
    user = await Authentication([], Nobody(), clock, ("a",)).authenticate(request)
    assert user.name == signing.asked(csr).common_name == "system:node:one"


@pytest.mark.parametrize(
    "der", [certificate("x", begins=-100, ends=0), certificate("x", begins=1), certificate(None, "system:masters")]
)
async def test_a_certificate_that_is_not_good(clock, der) -> None:
    request = asking()
    request.certificate = der
    assert await refused(Authentication([], Nobody(), clock, ("a",)), request) == 401


async def test_a_certificate_ends_while_its_connection_goes_on(clock) -> None:
    authentication = Authentication([], Nobody(), clock, ("a",))
    request = asking()
    request.certificate = certificate("x", ends=5)
    await authentication.authenticate(request)
    clock.advance(6)
    assert await refused(authentication, request) == 401


async def test_what_is_remembered_is_bounded(clock) -> None:
    class All:
        async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
            return Found(User(token))

    authentication = Authentication([All()], Nobody(), clock, ("a",))
    for number in range(5000):
        await authentication.authenticate(asking(authorization=f"Bearer {number}"))
    assert len(authentication._known) == 4096


async def test_known_credentials_take_microseconds(clock) -> None:
    authentication = Authentication([Counting()], Nobody(), clock, ("a",))
    request = asking(authorization="Bearer good")
    requests = {"token": request, "certificate": Request("GET", "/", certificate=certificate("x"))}
    for kind, one in requests.items():
        best = min([await _microseconds(authentication, one) for _ in range(5)])
        print(f"{kind}: {best:.2f} us")
        assert best < 8  # 5 where nothing else runs


async def _microseconds(authentication: Authentication, request: Request, count: int = 2000) -> float:
    began = time.thread_time()
    for _ in range(count):
        await authentication.authenticate(request)
    return (time.thread_time() - began) / count * 1e6
