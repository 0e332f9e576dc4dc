"""Nobody grants what they do not hold: writes of roles and bindings.

A role may be written by who holds all of its rules, or may `escalate` it; a binding by who holds all rules of its role, or
may `bind` that role. Spec: Kubernetes "Using RBAC Authorization", "Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sampan.api.kube.access import Attempt, Authorizer
from sampan.api.kube.admission import Attributes
from sampan.api.kube.authz import MASTERS, Rbac
from sampan.api.kube.records import Records
from sampan.kube import catalog, rbac, status
from sampan.kube.object import Object
from sampan.kube.rbac import Rule

GROUP = "rbac.authorization.k8s.io"
_ROLES, _BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")
_BY_PLURAL = {resource.plural: resource for resource in catalog.RESOURCES if resource.group == GROUP}
_ALL = frozenset({"*"})
_EVERYTHING = (Rule(_ALL, _ALL, _ALL), Rule(_ALL, urls=("*",)))


class RbacEscalation:
    name = "RBACEscalation"

    def __init__(self, held: Rbac, authorizer: Authorizer, records: Records) -> None:
        """`held`: knows what a user holds. `authorizer`: all that decides, to know whether they may escalate or bind."""
        self._rbac = held
        self._authorizer = authorizer
        self._records = records

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        resource, new = attributes.resource, attributes.object
        if resource.group != GROUP or new is None or attributes.subresource or MASTERS in attributes.user.groups:
            return
        if resource.plural in _ROLES:
            self._role(attributes, new)
        elif resource.plural in _BINDINGS:
            await self._binding(attributes, new)

    def _role(self, attributes: Attributes, new: Object) -> None:
        if _same(new, attributes.old, ("rules", "aggregationRule")):
            return
        if self._may(attributes, "escalate", attributes.resource.plural, attributes.name):
            return
        aggregated = bool(new.get("aggregationRule"))
        self._holds(attributes, [*rbac.rules_of(new), *(_EVERYTHING if aggregated else ())])

    async def _binding(self, attributes: Attributes, new: Object) -> None:
        if _same(new, attributes.old, ("subjects", "roleRef")):
            return
        binding = rbac.binding_of(new)
        plural = "roles" if binding.role_kind == "Role" else "clusterroles"
        if self._may(attributes, "bind", plural, binding.role):
            return
        role = await self._records.get(_BY_PLURAL[plural], attributes.namespace, binding.role)
        if role is None:
            raise status.not_found(plural, GROUP, binding.role)
        self._holds(attributes, rbac.rules_of(role))

    def _may(self, attributes: Attributes, verb: str, plural: str, name: str) -> bool:
        attempt = Attempt(attributes.user, verb, GROUP, "v1", plural, "", attributes.namespace, name)
        return self._authorizer.authorize(attempt).allowed

    def _holds(self, attributes: Attributes, rules: Iterable[Rule]) -> None:
        user, resource = attributes.user, attributes.resource
        lacking = rbac.missing(self._rbac.rules(user, attributes.namespace), rules)
        if lacking:
            listed = "\n".join(sorted(map(_text, lacking)))
            raise status.forbidden(
                resource.plural,
                GROUP,
                attributes.name,
                f'user "{user.name}" (groups={_quoted(user.groups)}) is attempting to grant RBAC permissions not '
                f"currently held:\n{listed}",
            )


def _same(new: Object, old: Object | None, parts: Sequence[str]) -> bool:
    return old is not None and all((new.get(part) or None) == (old.get(part) or None) for part in parts)


def _text(rule: Rule) -> str:
    named = {
        "NonResourceURLs": rule.urls,
        "APIGroups": rule.groups,
        "Resources": rule.resources,
        "ResourceNames": rule.names,
        "Verbs": rule.verbs,
    }
    return "{" + ", ".join(f"{name}:{_quoted(sorted(words))}" for name, words in named.items() if words) + "}"


def _quoted(words: Iterable[str]) -> str:
    return "[" + " ".join(msgspec.json.encode(word).decode() for word in words) + "]"
