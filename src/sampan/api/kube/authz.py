"""Authorization by roles: an index that views keep current, and decisions remembered until anything changes."""

from __future__ import annotations

from collections.abc import Sequence

from sampan.api.kube.access import Attempt, Authorizer, Decision
from sampan.api.kube.records import Change
from sampan.api.kube.request import User
from sampan.api.kube.view import View
from sampan.base.remember import SHORT
from sampan.kube import rbac
from sampan.kube.rbac import Index, Rule

MASTERS = "system:masters"
_REMEMBERED = 8192
_YES = Decision(True)


class AnyOf:
    """Asks authorizers in their order until one of them allows; refuses with all that the others said."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def authorize(self, attempt: Attempt) -> Decision:
        reasons = []
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attempt)
            if decision.allowed:
                return decision
            reasons += [decision.reason] if decision.reason else []
        return Decision(False, ", ".join(reasons))


class Rbac:
    """The `Authorizer`. The reason of a decision names the binding that allows, or the roles that are missing."""

    def __init__(self, roles: View, cluster_roles: View, bindings: View, cluster_bindings: View) -> None:
        self._index = Index()
        self._decisions: dict[tuple[object, ...], Decision] = {}
        self._generation = -1
        roles.on_change(lambda change: self._role("Role", change))
        cluster_roles.on_change(lambda change: self._role("ClusterRole", change))
        for view in (bindings, cluster_bindings):
            view.on_change(lambda change: self._index.put_binding(change.object, gone=change.type == "DELETED"))

    def _role(self, kind: str, change: Change) -> None:
        self._index.put_role(kind, change.object, gone=change.type == "DELETED")

    def authorize(self, attempt: Attempt) -> Decision:
        """Decide. Whoever is in system:masters may do everything."""
        user = attempt.user
        if MASTERS in user.groups:
            return _YES
        if self._generation != self._index.generation or len(self._decisions) > _REMEMBERED:
            self._decisions.clear()
            self._generation = self._index.generation
        if sum(map(len, attempt[1:9])) > SHORT:
            return self._decide(attempt)  # thousands of names as long as a request may be would fill the memory
        key = (user.name, user.groups, attempt[1:9])
        found = self._decisions.get(key)
        if found is None:
            found = self._decisions[key] = self._decide(attempt)
        return found

    def _decide(self, attempt: Attempt) -> Decision:
        user, lost = attempt.user, []
        for grant in self._index.grants(rbac.identities(user.name, user.groups), attempt.namespace):
            if grant.rules is None:
                lost.append(
                    f'{grant.binding.role_kind.lower()}.rbac.authorization.k8s.io "{grant.binding.role}" not found'
                )
            elif any(_allows(rule, attempt) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant}")
        told = lost[0] if len(lost) == 1 else f"[{', '.join(sorted(lost))}]"
        return Decision(False, f"RBAC: {told}" if lost else "")

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Return all rules that hold for a user in a namespace; "" for those that hold everywhere."""
        grants = self._index.grants(rbac.identities(user.name, user.groups), namespace)
        return [rule for grant in grants for rule in grant.rules or ()]

    def role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """Return a role's rules, None when there is no such role."""
        return self._index.role(kind, namespace, name)


def _allows(rule: Rule, attempt: Attempt) -> bool:
    if attempt.path:
        return rule.allows_path(attempt.verb, attempt.path)
    return rule.allows(attempt.verb, attempt.group, attempt.resource, attempt.subresource, attempt.name)
