"""`authorizer` in expressions: may who asks do something else, too. Spec: Kubernetes CEL library "Authorizer"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sampan.api.kube.access import Attempt, Authorizer, Decision
from sampan.api.kube.request import User
from sampan.kube.admission.ask import Ask
from sampan.kube.cel.value import Native

_ACCOUNTS = "system:serviceaccounts"


class Asking(Native):
    """`authorizer` itself."""

    type_name = "kubernetes.authorization.Authorizer"

    def __init__(self, authorizer: Authorizer, user: User, ask: Ask) -> None:
        self._authorizer = authorizer
        self._user = user
        self._ask = ask
        self.fields = {"requestResource": Asking._of_request}
        self.methods: Mapping[str, Callable[..., Any]] = {
            "path": lambda me, path: Check(me._authorizer, Attempt(me._user, "", path=path)),  # noqa: SLF001
            "group": lambda me, group: Check(me._authorizer, Attempt(me._user, "", group)),  # noqa: SLF001
            "serviceAccount": Asking._as_account,
        }

    def _of_request(self) -> Check:
        ask = self._ask
        place = ask.resource
        attempt = Attempt(
            self._user, "", place.group, place.version, place.resource, ask.subresource, ask.namespace, ask.name
        )
        return Check(self._authorizer, attempt)

    def _as_account(self, namespace: str, name: str) -> Asking:
        groups = (_ACCOUNTS, f"{_ACCOUNTS}:{namespace}", "system:authenticated")
        return Asking(self._authorizer, User(f"system:serviceaccount:{namespace}:{name}", groups=groups), self._ask)


class Check(Native):
    """A path or a resource, said part by part, and at last what to do to it."""

    type_name = "kubernetes.authorization.ResourceCheck"

    def __init__(self, authorizer: Authorizer, attempt: Attempt) -> None:
        self._authorizer = authorizer
        self._attempt = attempt
        self.methods: Mapping[str, Callable[..., Any]] = {
            **{part: _setter(part) for part in ("resource", "subresource", "namespace", "name")},
            "fieldSelector": _setter("fields"),
            "labelSelector": lambda me, _: me,  # roles do not look at labels
            "check": lambda me, verb: Said(me._authorizer.authorize(me._attempt._replace(verb=verb))),  # noqa: SLF001
        }


def _setter(part: str) -> Callable[..., Any]:
    return lambda me, value: Check(me._authorizer, me._attempt._replace(**{part: value}))  # noqa: SLF001


class Said(Native):
    """The decision."""

    type_name = "kubernetes.authorization.Decision"
    methods: Mapping[str, Callable[..., Any]] = {
        "allowed": lambda me: me.decision.allowed,
        "reason": lambda me: me.decision.reason,
        "errored": lambda _: False,
        "error": lambda _: "",
    }

    def __init__(self, decision: Decision) -> None:
        self.decision = decision


def told(user: User) -> dict[str, Any]:
    """Return a user as requests tell it. Spec: authentication.k8s.io/v1 UserInfo."""
    info: dict[str, Any] = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    if user.extra:
        info["extra"] = msgspec.to_builtins(user.extra)
    return {key: value for key, value in info.items() if value}
