"""Reviews: questions about access that are answered and not kept.

Spec: authentication.k8s.io/v1 TokenReview, SelfSubjectReview; authorization.k8s.io/v1 *AccessReview, SelfSubjectRulesReview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sampan.api.kube.access import Attempt, Authorizer
from sampan.api.kube.authn import Authentication
from sampan.api.kube.authz import MASTERS, Rbac
from sampan.api.kube.call import Call
from sampan.api.kube.plugins.node_restriction import NodeRestriction
from sampan.api.kube.request import User
from sampan.api.kube.subresources import Virtual
from sampan.api.kube.tokens import AccountTokens
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.rbac import Rule

_ATTRIBUTES = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
_AUTHN, _AUTHZ = "authentication.k8s.io", "authorization.k8s.io"


class Reviews:
    """Their bodies come decoded, valid and with their defaults."""

    def __init__(
        self,
        authorizer: Authorizer,
        held: Rbac,
        authentication: Authentication,
        tokens: AccountTokens,
        nodes: NodeRestriction,
    ) -> None:
        """`held`: knows the rules that a user has."""
        self._authorizer = authorizer
        self._held = held
        self._authentication = authentication
        self._tokens = tokens
        self._nodes = nodes

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
        self._nodes.check_token(call.request.user, call.target.namespace, call.target.name, body)
        return await self._tokens.request(call.target.namespace, call.target.name, body)

    async def _token_review(self, call: Call, body: Object) -> Object:
        spec = body["spec"]
        try:
            found = await self._authentication.review(spec["token"], spec.get("audiences") or ())
        except status.ApiError:
            return _answer(call, body, {"user": {}, "error": "invalid bearer token"})
        state: Object = {"authenticated": True, "user": _user(found.user)}
        if found.audiences:
            state["audiences"] = list(found.audiences)
        return _answer(call, body, state)

    async def _self_review(self, call: Call, body: Object) -> Object:
        return _answer(call, {"metadata": body.get("metadata")}, {"userInfo": _user(call.request.user)})

    async def _own_access_review(self, call: Call, body: Object) -> Object:
        return self._decided(call, body, call.request.user)

    async def _access_review(self, call: Call, body: Object) -> Object:
        spec = body["spec"]
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        user = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)
        return self._decided(call, body, user)

    def _decided(self, call: Call, body: Object, user: User) -> Object:
        resource, path = body["spec"].get("resourceAttributes"), body["spec"].get("nonResourceAttributes")
        if resource is None:
            attempt = Attempt(user, path.get("verb", ""), path=path.get("path") or "/")
        else:
            attempt = Attempt(user, **{key: resource.get(key, "") for key in _ATTRIBUTES})
        decision = self._authorizer.authorize(attempt)
        state: Object = {"allowed": decision.allowed}
        if decision.reason:
            state["reason"] = decision.reason
        return _answer(call, body, state)

    async def _rules_review(self, call: Call, body: Object) -> Object:
        rules = self._held.rules(call.request.user, body["spec"]["namespace"])
        if MASTERS in call.request.user.groups:
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
        "metadata": body.get("metadata") or {},
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
