"""What a cluster has from its first start: namespaces, default roles, priority classes and levels, the API's own service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sampan.client.port import Client, Ref
from sampan.kube import flow_defaults, rbac_defaults, rfc3339
from sampan.kube import object as objects
from sampan.kube.kinds.scheduling import SYSTEM_CLASSES
from sampan.kube.object import Object
from sampan.kube.status import ApiError

_RBAC = "rbac.authorization.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
CONTROLLERS = (
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "generic-garbage-collector",
    "namespace-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "service-cidrs-controller",
    "ttl-after-finished-controller",
)
"""The controllers of this process: each acts as the service account of its name in kube-system."""

_SYSTEM = "kube-system"
_SERVICES, _ENDPOINTS = Ref("", "v1", "services"), Ref("", "v1", "endpoints")
_SLICES = Ref("discovery.k8s.io", "v1", "endpointslices")
_CONFIG_MAPS, _ACCOUNTS = Ref("", "v1", "configmaps"), Ref("", "v1", "serviceaccounts")
_CIDRS = Ref("networking.k8s.io", "v1", "servicecidrs", namespaced=False)
_REWRITTEN = (_ENDPOINTS, _SLICES)
"""What says where the API is now, whatever it said before."""


class Place(msgspec.Struct, frozen=True):
    """Where the API is: the virtual address of its service, its range, and the address and port behind it.

    `address` is "" where only this machine reaches the API: then no endpoint is told. `ca`: PEM.
    """

    service_address: str
    service_cidr: str
    address: str
    port: int
    url: str
    ca: str


def wanted(place: Place, now_s: int) -> Iterable[Sequence[tuple[Ref, Object]]]:
    """Return resources and objects, in stages: what is in one can be made at once, after the stages before it."""
    yield [(Ref("", "v1", "namespaces", namespaced=False), {"metadata": {"name": name}}) for name in NAMESPACES]
    yield [*_roles(), *_priorities(), *_told(place, now_s)]
    yield [
        *((Ref(_RBAC, "v1", "clusterrolebindings", namespaced=False), obj) for obj in rbac_defaults.BINDINGS),
        *((Ref(_RBAC, "v1", "rolebindings"), obj) for obj in rbac_defaults.NAMESPACED_BINDINGS),
        *((Ref(_FLOW, "v1", "flowschemas", namespaced=False), obj) for obj in flow_defaults.SCHEMAS),
        *((_ACCOUNTS, {"metadata": {"name": name, "namespace": _SYSTEM}}) for name in CONTROLLERS),
        *_service(place),
    ]


def _roles() -> Iterable[tuple[Ref, Object]]:
    for role in rbac_defaults.ROLES:
        yield Ref(_RBAC, "v1", "clusterroles", namespaced=False), role
    for role in rbac_defaults.NAMESPACED_ROLES:
        yield Ref(_RBAC, "v1", "roles"), role


def _priorities() -> Iterable[tuple[Ref, Object]]:
    for name, value in SYSTEM_CLASSES.items():
        description = f"Used for system critical pods that must {'run on their node' if 'node' in name else 'run in the cluster'}."
        yield (
            Ref("scheduling.k8s.io", "v1", "priorityclasses", namespaced=False),
            {"metadata": {"name": name}, "value": value, "description": description},
        )
    for level in flow_defaults.LEVELS:
        yield Ref(_FLOW, "v1", "prioritylevelconfigurations", namespaced=False), level


def _told(place: Place, now_s: int) -> Iterable[tuple[Ref, Object]]:
    """Yield the config maps by which programs find out whom to trust."""
    yield _config_map(_SYSTEM, "extension-apiserver-authentication", {"client-ca-file": place.ca})
    since = rfc3339.render(now_s)[:10]
    yield _config_map(_SYSTEM, "kube-apiserver-legacy-service-account-token-tracking", {"since": since})
    yield _config_map("kube-public", "cluster-info", {"kubeconfig": _kubeconfig(place)})


def _config_map(namespace: str, name: str, data: dict[str, str]) -> tuple[Ref, Object]:
    return _CONFIG_MAPS, {"metadata": {"name": name, "namespace": namespace}, "data": data}


def _kubeconfig(place: Place) -> str:
    """Return a kubeconfig that knows the cluster and nobody; JSON is YAML too."""
    trusted = msgspec.json.decode(msgspec.json.encode(place.ca.encode()))  # bytes are base64 in JSON
    cluster = {"certificate-authority-data": trusted, "server": place.url}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}]}
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode()


def _service(place: Place) -> Iterable[tuple[Ref, Object]]:
    """Yield the API's own service, the range it is of, and what is behind it."""
    meta = {"name": "kubernetes", "namespace": "default"}
    port = {"name": "https", "port": 443, "targetPort": place.port, "protocol": "TCP"}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    yield (
        _SERVICES,
        {"metadata": {**meta, "labels": labels}, "spec": {"clusterIP": place.service_address, "ports": [port]}},
    )
    yield _CIDRS, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [place.service_cidr]}}
    behind: dict[str, Any] = {"name": "https", "port": place.port, "protocol": "TCP"}
    found = [place.address] if place.address else []
    yield (
        _ENDPOINTS,
        {
            "metadata": {**meta, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": address}], "ports": [behind]} for address in found],
        },
    )
    yield (
        _SLICES,
        {
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv6" if ":" in place.address else "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in found],
            "ports": [behind],
        },
    )


async def ensure(client: Client, place: Place, now_s: int) -> None:
    """Make what is missing; what is there stays as somebody may have changed it, but default roles give all they should.

    Raises:
        ApiError: it could not be made.
    """
    for stage in wanted(place, now_s):
        present: dict[Ref, dict[tuple[str, str], Object]] = {}
        for ref in dict.fromkeys(ref for ref, _ in stage):
            listed = await client.list(ref)
            present[ref] = {(objects.namespace(obj), objects.name(obj)): obj for obj in listed.items}
        # at once: the store writes together what comes together
        await asyncio.gather(
            *(
                _ensure(client, ref, obj, present[ref].get((objects.namespace(obj), objects.name(obj))))
                for ref, obj in stage
            )
        )


async def _ensure(client: Client, ref: Ref, obj: Object, live: Object | None) -> None:
    if live is None:
        try:
            await client.create(ref, obj)
        except ApiError as error:
            if error.reason != "AlreadyExists":  # by another server on the same store
                raise
    elif ref.group == _RBAC:
        if (changed := rbac_defaults.reconciled(live, obj)) is not None:
            await client.update(ref, changed)
    elif ref in _REWRITTEN and any(live.get(part) != obj.get(part) for part in ("subsets", "endpoints", "ports")):
        await client.update(ref, {**obj, "metadata": live["metadata"]})
