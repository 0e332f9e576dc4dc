"""Views: what the control process looks at on every request or write, in memory."""

from __future__ import annotations

from sampan.api.kube.lookup import Lookup
from sampan.api.kube.records import Records
from sampan.api.kube.served import Registry
from sampan.api.kube.view import View
from sampan.base.errors import Unavailable
from sampan.kube.resource import Resource

_VIEWED = {
    "namespaces": "",
    "services": "",
    "serviceaccounts": "",
    "limitranges": "",
    "resourcequotas": "",
    "customresourcedefinitions": "apiextensions.k8s.io",
    "priorityclasses": "scheduling.k8s.io",
    "storageclasses": "storage.k8s.io",
    "ingressclasses": "networking.k8s.io",
    "runtimeclasses": "node.k8s.io",
    "roles": "rbac.authorization.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io",
    "rolebindings": "rbac.authorization.k8s.io",
    "clusterrolebindings": "rbac.authorization.k8s.io",
    "mutatingwebhookconfigurations": "admissionregistration.k8s.io",
    "validatingwebhookconfigurations": "admissionregistration.k8s.io",
    "mutatingadmissionpolicies": "admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings": "admissionregistration.k8s.io",
    "validatingadmissionpolicies": "admissionregistration.k8s.io",
    "validatingadmissionpolicybindings": "admissionregistration.k8s.io",
}
"""Plural -> group."""


class Views:
    """By plural. They show nothing before `start`: whoever listens to one does so before."""

    def __init__(self, records: Records, served: Registry) -> None:
        self._records = records
        self._resources = {plural: resource(served, group, plural) for plural, group in _VIEWED.items()}
        self._views = {plural: View(records, found) for plural, found in self._resources.items()}

    def __getitem__(self, plural: str) -> View:
        return self._views[plural]

    def lookup(self, plural: str) -> Lookup:
        """Return what finds an object that the view may not show yet."""
        return Lookup(self._views[plural], self._records, self._resources[plural])

    async def start(self) -> None:
        for view in self._views.values():
            await view.start()

    def close(self) -> None:
        for view in self._views.values():
            view.close()


def resource(served: Registry, group: str, plural: str) -> Resource:
    """Return a resource in version v1. Raises Unavailable where it is not served."""
    found = served.find(group, "v1", plural)
    if found is None:
        raise Unavailable(f"{plural} is not in the catalog")
    return found.resource
