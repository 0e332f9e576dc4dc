"""Reviews: questions about access that are answered and not kept.

Spec: authentication.k8s.io/v1 TokenReview, SelfSubjectReview; authorization.k8s.io/v1 *AccessReview, SelfSubjectRulesReview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sampan.api.kube.access import Attempt
from sampan.api.kube.authn import AUTHENTICATED
from sampan.api.kube.authz import Rbac
from sampan.api.kube.call import Call
from sampan.api.kube.request import User
from sampan.api.kube.subresources import Virtual
from sampan.api.kube.tokens import AccountTokens
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.rbac import Rule

_AUTHN, _AUTHZ = "authentication.k8s.io", "authorization.k8s.io"


class Reviews:
    def __init__(self, authorizer: Rbac, tokens: AccountTokens) -> None:
        self._authorizer = authorizer
        self._tokens = tokens

    def virtual(self) -> Mapping[tuple[str, str, str], Virtual]:
        """Return what answers creates of these resources."""
        return {
            ("", "serviceaccounts", "token"): self._token_request,
            (_AUTHN, "tokenreviews", ""): self._token_review,
            (_AUTHN, "selfsubjectreviews", ""): self._self_review,
            (_AUTHZ, "subjectaccessreviews", ""): self._access_review,
            (_AUTHZ, "localsubjectaccessreviews", ""): self._access_review,
            (_AUTHZ, "selfsubjectaccessreviews", ""): self._own_access_review,
            (_AUTHZ, "selfsubjectrulesreviews", ""): self._rules_review,
        }

    async def _token_request(self, call: Call, body: Object) -> Object:
        return await self._tokens.request(call.target.namespace, call.target.name, body)

    async def _token_review(self, call: Call, body: Object) -> Object:
        spec = body.get("spec") or {}
        token = spec.get("token")
        if not isinstance(token, str) or not token:
            raise status.bad_request("token is required for TokenReview in authentication")
        try:
            found = await self._tokens.review(token, [str(item) for item in spec.get("audiences") or ()])
        except status.ApiError:
            found = None
        if found is None:
            state: Object = {"authenticated": False, "user": {}, "error": "the token is not good"}
        else:
            user, audiences = found
            groups = (*user.groups, AUTHENTICATED)
            state = {
                "authenticated": True,
                "user": _user(User(user.name, user.uid, groups, user.extra)),
                "audiences": audiences,
            }
        return _answer(call, body, state)

    async def _self_review(self, call: Call, body: Object) -> Object:
        return _answer(call, {"metadata": body.get("metadata")}, {"userInfo": _user(call.request.user)})

    async def _own_access_review(self, call: Call, body: Object) -> Object:
        return self._decided(call, body, call.request.user)

    async def _access_review(self, call: Call, body: Object) -> Object:
        spec = body.get("spec") or {}
        groups = tuple(str(item) for item in spec.get("groups") or ())
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        if not spec.get("user") and not groups:
            raise status.ApiError(
                422, "Invalid", "spec.user: Required value: at least one of user or group must be specified"
            )
        return self._decided(call, body, User(str(spec.get("user") or ""), str(spec.get("uid") or ""), groups, extra))

    def _decided(self, call: Call, body: Object, user: User) -> Object:
        spec = body.get("spec") or {}
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (path is None):
            raise status.ApiError(
                422,
                "Invalid",
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or "
                "resourceAttributes must be specified",
            )
        if isinstance(path, dict):
            attempt = Attempt(user, str(path.get("verb") or ""), path=str(path.get("path") or "/"))
        else:
            found = resource if isinstance(resource, dict) else {}
            text = {
                key: str(found.get(key) or "")
                for key in ("verb", "group", "version", "resource", "subresource", "namespace", "name")
            }
            attempt = Attempt(user, **text)
        decision = self._authorizer.authorize(attempt)
        state: Object = {"allowed": decision.allowed}
        if decision.reason:
            state["reason"] = decision.reason
        return _answer(call, body, state)

    async def _rules_review(self, call: Call, body: Object) -> Object:
        namespace = (body.get("spec") or {}).get("namespace")
        if not namespace:
            raise status.bad_request("no namespace on request")
        rules = self._authorizer.rules(call.request.user, str(namespace))
        if "system:masters" in call.request.user.groups:
            everything = frozenset({"*"})
            rules = [Rule(everything, everything, everything), Rule(everything, urls=("*",)), *rules]
        state = {
            "resourceRules": [_rule(rule) for rule in rules if not rule.urls],
            "nonResourceRules": [
                {"verbs": sorted(rule.verbs), "nonResourceURLs": sorted(rule.urls)} for rule in rules if rule.urls
            ],
            "incomplete": False,
        }
        return _answer(call, body, state)


def _rule(rule: Rule) -> Object:
    out: dict[str, Any] = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.groups),
        "resources": sorted(rule.resources),
    }
    if rule.names:
        out["resourceNames"] = sorted(rule.names)
    return out


def _answer(call: Call, body: Object, state: Object) -> Object:
    resource = call.served.resource
    spec = body.get("spec")
    out: Object = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"creationTimestamp": None, **(body.get("metadata") or {})},
        "status": state,
    }
    if spec is not None:
        out["spec"] = spec
    return out


def _user(user: User) -> Object:
    out: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        out["uid"] = user.uid
    if user.extra:
        out["extra"] = {key: list(values) for key, values in user.extra.items()}
    return out
