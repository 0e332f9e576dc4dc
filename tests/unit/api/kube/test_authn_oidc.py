"""Tokens of an OpenID Connect provider: whom they name, and which are refused."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sampan.api.kube import oidc
from sampan.api.kube.oidc import OidcTokens
from sampan.base.clock import ManualClock
from sampan.base.errors import InvalidArgument
from sampan.kube.status import ApiError

ISSUER = "https://id.example"
CONFIGURATION = """
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: "https://id.example", audiences: [sampan]}
  claimMappings:
    username: {claim: sub, prefix: "id:"}
    groups: {claim: groups, prefix: ""}
    uid: {claim: oid}
  claimValidationRules: [{claim: tenant, requiredValue: ours}]
"""
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
NOW = 1_700_000_000
CLAIMS = {"iss": ISSUER, "aud": "sampan", "sub": "ann", "exp": NOW + 60, "tenant": "ours", "groups": ["devs"]}


class Site:
    """What the provider's web site answers with."""

    def __init__(self) -> None:
        self.issuer = ISSUER
        self.keys = {"one": RSA, "two": EC}
        self.asked: list[str] = []
        self.down = False

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise OSError("down")
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": self.issuer, "jwks_uri": f"{ISSUER}/keys"}).encode()
        return json.dumps({"keys": [_jwk(name, key) for name, key in self.keys.items()]}).encode()


def _jwk(name: str, key) -> dict:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


def token(key=EC, kid: str = "two", alg: str = "ES256", **claims) -> str:
    told = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(told, key, algorithm=alg, headers={"kid": kid})


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW * 10**9)


@pytest.fixture
def tokens(site, clock) -> OidcTokens:
    [provider] = oidc.parse(CONFIGURATION.encode())
    return OidcTokens(provider, clock, site.fetch)


@pytest.mark.parametrize(
    "good", [token(), token(RSA, "one", "RS256"), token(RSA, "one", "PS256"), token(aud=["x", "sampan"])]
)
async def test_a_good_token_names_somebody(tokens, good) -> None:
    found = await tokens.find(good, ("here",))
    assert found is not None
    assert (found.user.name, found.user.groups, found.ends_s) == ("id:ann", ("devs",), NOW + 60)


@pytest.mark.parametrize(
    "bad",
    [
        token(exp=NOW), token(exp=NOW - 1), token(nbf=NOW + 5), token(aud="else"), token(aud=None), token(exp=None),
        token(STRANGER), token(STRANGER, "three"), token(kid="one"), token(RSA, "two", "RS256"), token(sub=""),
        token(sub=None), token(sub=["x"]), token(tenant="theirs"), token(tenant=None), token(email_verified=False),
        jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "two"}),
        jwt.encode(CLAIMS, "s" * 64, algorithm="HS256", headers={"kid": "two"}),
        token()[:-6] + "AAAAAA", jwt.encode(CLAIMS, EC, algorithm="ES256"),
    ],
)  # fmt: skip
async def test_a_bad_token_is_refused(tokens, bad) -> None:
    with pytest.raises(ApiError) as refusal:
        await tokens.find(bad, ("here",))
    assert refusal.value.code == 401


@pytest.mark.parametrize(
    "other", ["x", "", "a.b", "a.b.c", "é.é.é", token(iss="https://other.example"), token(iss=None)]
)
async def test_what_is_of_somebody_else_is_left_to_others(tokens, site, other) -> None:
    assert await tokens.find(other, ()) is None
    assert site.asked == []


async def test_a_provider_makes_nobody_of_the_system(clock, site) -> None:
    text = CONFIGURATION.replace('prefix: "id:"', 'prefix: ""')
    [provider] = oidc.parse(text.encode())
    tokens = OidcTokens(provider, clock, site.fetch)
    found = await tokens.find(token(groups=["devs", "system:masters", 3, "", None], oid="u-1"), ())
    assert (found.user.groups, found.user.uid) == (("devs",), "u-1")
    with pytest.raises(ApiError):
        await tokens.find(token(sub="system:admin"), ())
    single = await tokens.find(token(groups="devs"), ())
    assert single.user.groups == ("devs",)


async def test_new_keys_are_fetched_when_a_token_names_them(tokens, site, clock) -> None:
    await tokens.find(token(), ())
    await tokens.find(token(), ())
    assert len(site.asked) == 2
    site.keys["three"] = STRANGER
    with pytest.raises(ApiError):  # so soon nobody is asked again, or bad tokens would make load for the provider
        await tokens.find(token(STRANGER, "three"), ())
    clock.advance(31)
    assert await tokens.find(token(STRANGER, "three"), ()) is not None
    assert len(site.asked) == 4
    site.down = True
    clock.advance(3601)
    assert await tokens.find(token(exp=NOW + 9999), ()) is not None  # keys are kept while the provider is down


async def test_a_site_of_another_issuer_is_not_believed(tokens, site) -> None:
    site.issuer = "https://evil.example"
    with pytest.raises(ApiError):
        await tokens.find(token(), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://id.example", "http://id.example"),
        ("https://id.example", "file:///etc"),
        ("[sampan]", "[]"),
        ('claim: sub, prefix: "id:"', 'expression: "claims.sub"'),
        ('claim: sub, prefix: "id:"', "claim: sub"),
        ("kind: AuthenticationConfiguration", "kind: Policy"),
        ("apiserver.config.k8s.io/v1", "v1"),
        ("jwt:", "jwt: {"),
        ("claimMappings", "mappings"),
    ],
)
def test_a_configuration_that_is_none_is_refused(old: str, new: str) -> None:
    with pytest.raises(InvalidArgument):
        oidc.parse(CONFIGURATION.replace(old, new).encode())


def test_a_redirect_is_not_followed() -> None:
    """It could lead from https to where anybody can answer."""

    class Away(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Away) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(OSError, match="302"):
            oidc._fetcher("")(f"http://127.0.0.1:{server.server_port}/keys")
    assert asked == ["/keys"]
