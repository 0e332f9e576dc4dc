"""Resource: what a URL names (group, version, plural) and the kind behind it. Data only; behaviour is in `strategy.py`.

Spec: Kubernetes API concepts, "Resource URIs"; apidiscovery.k8s.io/v2.
"""

from __future__ import annotations

import msgspec

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Subresource(msgspec.Struct, frozen=True):
    """`status`, `scale`, `eviction` …: the part of the path after the object's name.

    `kind`, `group`, `version` are those of the bodies: the resource's own where they are left out.
    """

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: str = ""
    group: str = ""
    version: str = ""


class Resource(msgspec.Struct, frozen=True):
    """A resource in one version. `storage` says under which group and version it is kept: its own where it is ""."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: tuple[Subresource, ...] = ()
    definition: str = ""  # name of its schema: io.k8s.api.core.v1.Pod
    storage: str = ""  # "v1" or "apps/v1" of the storage version where that differs
    stored_as: str = (
        ""  # "group/plural" that owns the keys where another resource does (events.k8s.io keeps core events)
    )

    @property
    def api_version(self) -> str:
        """Return `v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def prefix(self) -> str:
        """Return how all keys of this resource begin: `/apps/deployments/`; `/core/pods/` for the core group."""
        return f"/{self.stored_as}/" if self.stored_as else f"/{self.group or 'core'}/{self.plural}/"

    def key(self, namespace: str, name: str) -> str:
        """Return an object's key: `/core/pods/NAMESPACE/NAME`, `/core/nodes/NAME`."""
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def subresource(self, name: str) -> Subresource | None:
        return next((item for item in self.subresources if item.name == name), None)
