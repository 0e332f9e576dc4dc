"""What a cluster has from its first start: namespaces, default roles, priority classes, the API's own service."""

from __future__ import annotations

from collections.abc import Iterable

from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube import rbac_defaults
from sampan.kube.kinds.scheduling import SYSTEM_CLASSES
from sampan.kube.object import Object
from sampan.kube.status import ApiError

_RBAC = "rbac.authorization.k8s.io"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def wanted(service_address: str, port: int) -> Iterable[tuple[Ref, Object]]:
    """Return resources and objects, in the order in which they can be made."""
    for name in NAMESPACES:
        yield Ref("", "v1", "namespaces", namespaced=False), {"metadata": {"name": name}}
    for role in rbac_defaults.ROLES:
        yield Ref(_RBAC, "v1", "clusterroles", namespaced=False), role
    for binding in rbac_defaults.BINDINGS:
        yield Ref(_RBAC, "v1", "clusterrolebindings", namespaced=False), binding
    for name, value in SYSTEM_CLASSES.items():
        description = f"Used for system critical pods that must {'run on their node' if 'node' in name else 'run in the cluster'}."
        yield (
            Ref("scheduling.k8s.io", "v1", "priorityclasses", namespaced=False),
            {"metadata": {"name": name}, "value": value, "description": description},
        )
    yield (
        Ref("", "v1", "services"),
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": service_address,
                "ports": [{"name": "https", "port": 443, "targetPort": port, "protocol": "TCP"}],
            },
        },
    )


async def ensure(client: Client, service_address: str, port: int) -> None:
    """Make what is missing; what is there stays as somebody may have changed it, but default roles give all they should.

    Raises:
        ApiError: it could not be made.
    """
    for ref, obj in wanted(service_address, port):
        try:
            await client.create(ref, obj)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            if ref.group == _RBAC:
                live = await client.get(ref, "", objects.name(obj))
                if (changed := rbac_defaults.reconciled(live, obj)) is not None:
                    await client.update(ref, changed)
