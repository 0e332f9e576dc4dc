"""Controller: what the composition root starts and stops, and the resources that controllers share."""

from __future__ import annotations

from typing import Protocol

from sampan.client.port import Ref


class Controller(Protocol):
    name: str

    async def start(self) -> None:
        """Begin; returns at once."""
        ...

    async def close(self) -> None:
        """Stop. May be repeated."""
        ...


NAMESPACES = Ref("", "v1", "namespaces", namespaced=False)
SERVICE_ACCOUNTS = Ref("", "v1", "serviceaccounts")
CONFIG_MAPS = Ref("", "v1", "configmaps")
EVENTS = Ref("", "v1", "events")
QUOTAS = Ref("", "v1", "resourcequotas")
PODS = Ref("", "v1", "pods")
LEASES = Ref("coordination.k8s.io", "v1", "leases")
JOBS = Ref("batch", "v1", "jobs")
CLUSTER_ROLES = Ref("rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False)
SERVICES = Ref("", "v1", "services")
IP_ADDRESSES = Ref("networking.k8s.io", "v1", "ipaddresses", namespaced=False)
SERVICE_CIDRS = Ref("networking.k8s.io", "v1", "servicecidrs", namespaced=False)
SIGNING_REQUESTS = Ref("certificates.k8s.io", "v1", "certificatesigningrequests", namespaced=False)
ACCESS_REVIEWS = Ref("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
SECRETS = Ref("", "v1", "secrets")
