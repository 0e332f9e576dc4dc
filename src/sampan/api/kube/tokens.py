"""Service accounts' tokens: signed statements of who the bearer is, bound to objects that must still be there.

Spec: authentication.k8s.io/v1 TokenRequest, TokenReview; Kubernetes "Managing Service Accounts"; RFC 7519.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from sampan.api.kube.authn import CREDENTIAL, Found
from sampan.api.kube.impersonation import account_groups
from sampan.api.kube.records import Records
from sampan.api.kube.request import User
from sampan.api.kube.served import Registry
from sampan.base.clock import Clock
from sampan.kube import object as objects
from sampan.kube import rfc3339, status
from sampan.kube.object import Object

ISSUER = "https://kubernetes.default.svc.cluster.local"
SHORTEST_S, LONGEST_S = 600, 365 * 24 * 3600
_ALGORITHM = "ES256"
_LEEWAY_S = 60
"""For how long after its deletion is due an object still stands: what tears it down may need its token."""
_SKEW_S = 60
"""By how much the clock may have been set back, or another server's be ahead, since a token was made."""
_PREFIX = "system:serviceaccount:"
_BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class AccountTokens:
    """Makes tokens and judges them."""

    def __init__(
        self,
        key_pem: bytes,
        records: Records,
        registry: Registry,
        clock: Clock,
        new_id: Callable[[], str],
        audiences: Sequence[str] = (ISSUER,),
    ) -> None:
        """`audiences`: those of this server; a token for none of them is for somebody else."""
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "service accounts' tokens are signed with ECDSA"  # noqa: S101
        self._key = key
        self._public = key.public_key()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        self._records = records
        self._registry = registry
        self._clock = clock
        self._new_id = new_id
        self.audiences = tuple(audiences)

    def public_keys(self) -> Object:
        """Return the set of keys by which anybody can judge our tokens (RFC 7517)."""
        key = ECAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [{"use": "sig", "kid": self._key_id, "alg": _ALGORITHM, **key}]}

    # --- make

    def issue(
        self, account: Object, *, audiences: Sequence[str], seconds: int, bound: Object | None = None
    ) -> tuple[str, int]:
        """Return a token for an account, and when it ends, in seconds since the epoch."""
        now = self._clock.now_ns() // 10**9
        namespace, name = objects.namespace(account), objects.name(account)
        about: dict[str, Any] = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": objects.uid(account)},
        }
        if bound is not None:
            about[bound["kind"].lower()] = {"name": bound["name"], "uid": bound["uid"]}
            if node := bound.get("node"):
                about["node"] = node
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "nbf": now,
            "iss": ISSUER,
            "jti": self._new_id(),
            "sub": f"{_PREFIX}{namespace}:{name}",
            "kubernetes.io": about,
        }
        return self.signed(claims), now + seconds

    def signed(self, claims: dict[str, Any]) -> str:
        """Return claims as a token."""
        return jwt.encode(claims, self._key, _ALGORITHM, headers={"kid": self._key_id})

    async def request(self, namespace: str, name: str, body: Object) -> Object:
        """Answer a TokenRequest that is valid and has its defaults.

        Raises:
            ApiError: 404, no such account or bound object; 409, the bound object is another one of that name.
        """
        spec = body["spec"]
        account = await self._account(namespace, name)
        if account is None:
            raise status.not_found("serviceaccounts", "", name)
        seconds = int(spec["expirationSeconds"])
        audiences = spec.get("audiences") or list(self.audiences)
        bound = await self._bound(namespace, name, spec.get("boundObjectRef"))
        token, ends = self.issue(account, audiences=audiences, seconds=min(seconds, LONGEST_S), bound=bound)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": rfc3339.render(ends)},
        }

    async def _bound(self, namespace: str, account: str, reference: Any) -> Object | None:
        if not isinstance(reference, dict) or not reference:
            return None
        kind = str(reference.get("kind"))
        if kind not in _BOUND:
            raise status.bad_request(
                f"cannot bind token to object of type {reference.get('apiVersion') or ''}, Kind={kind}"
            )
        found = await self._object(kind, namespace, str(reference.get("name")))
        if found is None:
            raise status.not_found(_BOUND[kind], "", str(reference.get("name")))
        if reference.get("uid") not in (None, "", objects.uid(found)):
            raise status.conflict(
                _BOUND[str(reference["kind"])],
                "",
                objects.name(found),
                "the UID in the bound object reference does not match",
            )
        bound: Object = {"kind": reference["kind"], "name": objects.name(found), "uid": objects.uid(found)}
        if reference["kind"] == "Pod":
            if objects.at(found, "spec", "serviceAccountName") != account:
                raise status.bad_request(
                    f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
                )
            if node := objects.at(found, "spec", "nodeName"):
                live = await self._object("Node", "", str(node))
                bound["node"] = {"name": node, **({"uid": objects.uid(live)} if live else {})}
        return bound

    # --- judge

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        """Return whose token it is, None when it is not one of ours. See `TokenSource`."""
        claims = self._claims(token, audiences)
        if claims is None:
            return None
        given = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        meant = tuple(audience for audience in audiences if audience in given)
        return Found(await self._user(claims), meant, float(claims["exp"]))

    def _claims(self, token: str, audiences: Sequence[str]) -> dict[str, Any] | None:
        """Return what a token says; None when it is not of this issuer.

        Raises:
            ApiError: 401, it is, and is not good.
        """
        try:
            if jwt.decode(token, options={"verify_signature": False}).get("iss") != ISSUER:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=list(audiences),
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "nbf", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.DecodeError:
            return None
        except jwt.PyJWTError as error:
            raise status.unauthorized() from error
        now = self._clock.now_ns() / 1e9
        if not claims["nbf"] - _SKEW_S <= now < claims["exp"]:
            raise status.unauthorized()
        return claims

    def verified(self, token: str, issuer: str) -> dict[str, Any] | None:
        """Return what a token without an end says; None when it is not of this issuer.

        Raises:
            ApiError: 401, it is, and we did not sign it.
        """
        try:
            if jwt.decode(token, options={"verify_signature": False}).get("iss") != issuer:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError as error:
            raise status.unauthorized() from error
        except jwt.PyJWTError:
            return None
        return claims

    async def live(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object that tokens are bound to, None when it is gone or should be."""
        found = await (
            self._account(namespace, name) if kind == "ServiceAccount" else self._object(kind, namespace, name)
        )
        return found if found is not None and self._stands(found, objects.uid(found)) else None

    async def _user(self, claims: dict[str, Any]) -> User:
        about = claims.get("kubernetes.io") or {}
        namespace, account = about.get("namespace"), about.get("serviceaccount") or {}
        name = f"{_PREFIX}{namespace}:{account.get('name')}"
        live = await self._account(str(namespace), str(account.get("name")))
        if not self._stands(live, account.get("uid")) or live is None or name != claims["sub"]:
            raise status.unauthorized()
        extra = {CREDENTIAL: (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
        for kind in _BOUND:
            if isinstance(bound := about.get(kind.lower()), dict):
                told = kind == "Node" and "pod" in about  # where the pod was: the token ends with the pod only
                found = None if told else await self._object(kind, str(namespace), str(bound.get("name")))
                if not told and not self._stands(found, bound.get("uid")):
                    raise status.unauthorized()
                if kind != "Secret":
                    for part in ("name", "uid"):
                        if bound.get(part):
                            extra[f"authentication.kubernetes.io/{kind.lower()}-{part}"] = (str(bound[part]),)
        return User(name, objects.uid(live), account_groups(name), extra)

    def _stands(self, live: Object | None, uid: object) -> bool:
        """Return whether what a token is bound to is the same object still, and not one that should be gone by now."""
        if live is None or objects.uid(live) != uid:
            return False
        ends = objects.metadata(live).get("deletionTimestamp")
        return not ends or self._clock.now_ns() / 1e9 <= rfc3339.parse(str(ends)) + _LEEWAY_S

    async def _account(self, namespace: str, name: str) -> Object | None:
        return await self._find("serviceaccounts", namespace, name)

    async def _object(self, kind: str, namespace: str, name: str) -> Object | None:
        plural = _BOUND.get(kind)
        return await self._find(plural, "" if kind == "Node" else namespace, name) if plural else None

    async def _find(self, plural: str, namespace: str, name: str) -> Object | None:
        served = self._registry.find("", "v1", plural)
        return await self._records.get(served.resource, namespace, name) if served else None
