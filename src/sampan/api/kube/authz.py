"""Authorization by roles: an index that views keep current, and decisions remembered until anything changes."""

from __future__ import annotations

from sampan.api.kube.access import Attempt, Decision
from sampan.api.kube.records import Change
from sampan.api.kube.request import User
from sampan.api.kube.view import View
from sampan.kube import rbac
from sampan.kube.rbac import Index, Rule

MASTERS = "system:masters"
_REMEMBERED = 8192
_YES, _NO = Decision(True), Decision(False)


class Rbac:
    """The `Authorizer`."""

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
        key = (user.name, user.groups, *attempt[1:])
        found = self._decisions.get(key)
        if found is None:
            found = self._decisions[key] = self._decide(attempt)
        return found

    def _decide(self, attempt: Attempt) -> Decision:
        for rule in self.rules(attempt.user, attempt.namespace):
            if attempt.path:
                if rule.allows_path(attempt.verb, attempt.path):
                    return _YES
            elif rule.allows(attempt.verb, attempt.group, attempt.resource, attempt.subresource, attempt.name):
                return _YES
        return _NO

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Return all rules that hold for a user in a namespace; "" for those that hold everywhere."""
        return list(self._index.rules(rbac.identities(user.name, user.groups), namespace))

    def role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """Return a role's rules, None when there is no such role."""
        return self._index.role(kind, namespace, name)
