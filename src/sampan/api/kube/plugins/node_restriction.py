"""A node writes about itself and the pods on it, and gives itself no labels that others decide by. Spec: NodeRestriction."""

from __future__ import annotations

from typing import Any

from sampan.api.kube.admission import Attributes
from sampan.api.kube.node_authz import LEASES, node_of
from sampan.api.kube.node_graph import NodeGraph, references
from sampan.api.kube.request import User
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.object import Object

_MIRROR = "kubernetes.io/config.mirror"
_RESTRICTED = "node-restriction.kubernetes.io"
_OWN_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
})  # fmt: skip
_OWN_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction:
    name = "NodeRestriction"

    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        node = node_of(attributes.user)
        if not node or attributes.object is None:
            return
        what = attributes.resource.group, attributes.resource.plural
        if what == ("", "nodes"):
            self._node(node, attributes, attributes.object)
        elif what == ("", "pods") and attributes.subresource != "eviction":
            self._pod(node, attributes, attributes.object)
        elif what == ("coordination.k8s.io", "leases"):
            _own(node, attributes, attributes.namespace == LEASES and attributes.name == node)
        elif what == ("storage.k8s.io", "csinodes"):
            _own(node, attributes, attributes.name == node)

    def check_token(self, user: User, namespace: str, account: str, body: Object) -> None:
        """Refuse a node a token that is not bound to a pod on it.

        Raises:
            ApiError: 403
        """
        node, bound = node_of(user), objects.at(body, "spec", "boundObjectRef") or {}
        if not node:
            return
        if bound.get("kind") != "Pod" or not bound.get("name") or not bound.get("uid"):
            raise status.forbidden("serviceaccounts", "", account, "node requested token not bound to a pod")
        if not self._graph.has_pod(node, namespace, bound["name"]):
            raise status.forbidden(
                "serviceaccounts", "", account, "node requested token bound to a pod scheduled on a different node"
            )

    def _node(self, node: str, attributes: Attributes, new: Object) -> None:
        old = attributes.old
        if attributes.name != node:
            raise _refusal(attributes, f'node "{node}" is not allowed to modify node "{attributes.name}"')
        if old is not None and not attributes.subresource and _taints(new) != _taints(old):
            raise _refusal(attributes, f'node "{node}" is not allowed to modify taints')
        if objects.metadata(new).get("ownerReferences") != (
            objects.metadata(old).get("ownerReferences") if old is not None else None
        ):
            raise _refusal(attributes, f'node "{node}" is not allowed to modify ownerReferences')
        before, after = objects.labels(old) if old is not None else {}, objects.labels(new)
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        if forbidden := sorted(key for key in changed if not _may_set(key)):
            raise _refusal(attributes, f"is not allowed to modify labels: {', '.join(forbidden)}")

    def _pod(self, node: str, attributes: Attributes, new: Object) -> None:
        if attributes.operation == "CREATE":
            self._mirror(node, attributes, new)
        elif attributes.old is not None and objects.labels(new) != objects.labels(attributes.old):
            raise _refusal(attributes, f'node "{node}" cannot update labels through pod status')

    def _mirror(self, node: str, attributes: Attributes, pod: Object) -> None:
        spec = pod.get("spec") or {}
        if _MIRROR not in objects.annotations(pod):
            raise _refusal(
                attributes, f'pod does not have "{_MIRROR}" annotation, node "{node}" can only create mirror pods'
            )
        if spec.get("nodeName") != node:
            raise _refusal(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
        if _refers(pod):
            raise _refusal(
                attributes, f'node "{node}" can not create pods that reference service accounts or other API objects'
            )


def _own(node: str, attributes: Attributes, allowed: bool) -> None:
    if not allowed:
        kind = attributes.resource.kind
        raise _refusal(attributes, f'node "{node}" can only write the {kind} of its own name')


def _refusal(attributes: Attributes, why: str) -> status.ApiError:
    return status.forbidden(attributes.resource.plural, attributes.resource.group, attributes.name, why)


def _taints(node: Object) -> Any:
    return objects.at(node, "spec", "taints") or []


def _may_set(label: str) -> bool:
    """Return whether a node may change its own label: those of kubernetes.io and k8s.io are few."""
    domain = label.partition("/")[0] if "/" in label else ""
    if domain == _RESTRICTED or domain.endswith(f".{_RESTRICTED}"):
        return False
    reserved = any(domain == own or domain.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io"))
    allowed = any(domain == own or domain.endswith(f".{own}") for own in _OWN_LABEL_DOMAINS)
    return not reserved or allowed or label in _OWN_LABELS


def _refers(pod: Object) -> bool:
    """Return whether a pod refers to objects that only the API has: its node could read all of them."""
    spec = pod.get("spec") or {}
    sources = ("projected", "ephemeral", "csi")
    if any(source in volume for volume in spec.get("volumes") or () for source in sources):
        return True
    return bool(spec.get("resourceClaims") or references(pod))
