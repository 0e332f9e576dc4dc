"""What a node may do: read what its own pods need, and write about itself and them. Others are not judged here.

Spec: Kubernetes "Using Node Authorization".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sampan.api.kube.access import Attempt, Decision
from sampan.api.kube.node_graph import NodeGraph
from sampan.api.kube.request import User
from sampan.kube import selector

GROUP, PREFIX = "system:nodes", "system:node:"
LEASES = "kube-node-lease"
_READ, _WRITE = ("get", "list", "watch"), ("update", "patch")
_NO, _YES = Decision(False), Decision(True)

_ALWAYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "services"): _READ,
    ("", "events"): ("create", *_WRITE),
    ("events.k8s.io", "events"): ("create", *_WRITE),
    ("node.k8s.io", "runtimeclasses"): _READ,
    ("storage.k8s.io", "csidrivers"): _READ,
    ("certificates.k8s.io", "certificatesigningrequests"): ("create", *_READ),
    ("authentication.k8s.io", "tokenreviews"): ("create",),
    ("authorization.k8s.io", "subjectaccessreviews"): ("create",),
    ("authorization.k8s.io", "localsubjectaccessreviews"): ("create",),
}
"""(group, resource) -> verbs that need no relation."""


def node_of(user: User) -> str:
    """Return the name of the node that a user is, "" for another user."""
    return user.name.removeprefix(PREFIX) if user.name.startswith(PREFIX) and GROUP in user.groups else ""


class NodeAuthorizer:
    """The `Authorizer` of nodes."""

    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph
        self._judges: Mapping[tuple[str, str], Callable[[str, Attempt], bool]] = {
            ("", "secrets"): self._referred,
            ("", "configmaps"): self._referred,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._volume,
            ("", "serviceaccounts"): self._account,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
        }

    def authorize(self, attempt: Attempt) -> Decision:
        node = node_of(attempt.user)
        if not node or attempt.path:
            return _NO
        what = attempt.group, attempt.resource
        if attempt.verb in _ALWAYS.get(what, ()) and not attempt.subresource:
            return _YES
        judge = self._judges.get(what)
        if judge is None:
            return _NO
        if judge(node, attempt):
            return _YES
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _referred(self, node: str, attempt: Attempt) -> bool:
        return attempt.verb in _READ and not attempt.subresource and bool(attempt.name) and self._refers(node, attempt)

    def _claim(self, node: str, attempt: Attempt) -> bool:
        may = attempt.verb == "get" or (attempt.verb in _WRITE and attempt.subresource == "status")
        return may and attempt.subresource in ("", "status") and self._refers(node, attempt)

    def _volume(self, node: str, attempt: Attempt) -> bool:
        return attempt.verb == "get" and not attempt.subresource and self._graph.uses_volume(node, attempt.name)

    def _account(self, node: str, attempt: Attempt) -> bool:
        may = (attempt.verb, attempt.subresource) in (("create", "token"), ("get", ""))
        return may and self._refers(node, attempt)

    def _node(self, node: str, attempt: Attempt) -> bool:
        if attempt.verb == "create":
            return not attempt.subresource  # under its own name: admission sees to that
        if attempt.name != node or attempt.subresource not in ("", "status"):
            return False
        return attempt.verb in _WRITE or (attempt.verb in _READ and not attempt.subresource)

    def _pod(self, node: str, attempt: Attempt) -> bool:
        if attempt.subresource == "":
            if attempt.verb == "create":
                return True  # of mirror pods: admission sees to that
            if attempt.verb in ("list", "watch") and not attempt.name:
                return _selects(attempt.fields, node)
            if attempt.verb not in ("get", "delete"):
                return False
        elif (attempt.subresource, attempt.verb) not in (
            ("status", "update"),
            ("status", "patch"),
            ("eviction", "create"),
        ):
            return False
        return self._graph.has_pod(node, attempt.namespace, attempt.name)

    def _lease(self, node: str, attempt: Attempt) -> bool:
        if attempt.namespace != LEASES or attempt.subresource:
            return False
        return attempt.verb == "create" or (attempt.name == node and attempt.verb in ("get", "delete", *_WRITE))

    def _csi_node(self, node: str, attempt: Attempt) -> bool:
        own = attempt.name == node and attempt.verb in ("get", "delete", *_WRITE)
        return not attempt.subresource and (own or attempt.verb == "create")

    def _slice(self, node: str, attempt: Attempt) -> bool:
        return attempt.verb in ("list", "watch", "deletecollection") and _selects(attempt.fields, node)

    def _refers(self, node: str, attempt: Attempt) -> bool:
        return self._graph.refers(node, attempt.resource, attempt.namespace, attempt.name)


def _selects(fields: str, node: str) -> bool:
    """Return whether a field selector leaves objects of the node only."""
    try:
        terms = selector.parse_fields(fields)
    except selector.SelectorError:
        return False
    return any(term.field == "spec.nodeName" and term.equal and term.value == node for term in terms)
