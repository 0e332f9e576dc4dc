"""Nothing is made in a namespace that is not there or is on its way out; some namespaces stay. Spec: NamespaceLifecycle."""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.lookup import Lookup
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.object import Object

IMMORTAL = ("default", "kube-system", "kube-public", "kube-node-lease")
_REVIEWS = ("localsubjectaccessreviews",)


class NamespaceLifecycle:
    name = "NamespaceLifecycle"

    def __init__(self, namespaces: Lookup) -> None:
        self._namespaces = namespaces

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation == "DELETE":
            if attributes.resource.plural == "namespaces" and attributes.name in IMMORTAL:
                raise status.forbidden("namespaces", "", attributes.name, "this namespace may not be deleted")
            return
        if attributes.operation != "CREATE" or not attributes.resource.namespaced:
            return
        if attributes.resource.plural in _REVIEWS:
            return
        namespace = await self._namespaces.find("", attributes.namespace)
        if namespace is None:
            raise status.not_found("namespaces", "", attributes.namespace)
        if objects.deleting(namespace):
            raise _terminating(attributes, namespace)

    async def validate(self, attributes: Attributes) -> None:
        pass


def _terminating(attributes: Attributes, namespace: Object) -> status.ApiError:
    resource, name = attributes.resource, objects.name(namespace)
    why = f"unable to create new content in namespace {name} because it is being terminated"
    error = status.forbidden(resource.plural, resource.group, attributes.name, why)
    if error.details is not None:
        error.details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            }
        ]
    return error
