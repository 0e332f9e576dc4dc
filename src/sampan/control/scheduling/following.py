"""Following: the cluster by list and watch, of each object only what the scheduler reads. Or read once, for a look."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.control.controller import NAMESPACES, PODS
from sampan.control.scheduling import default_spread, gangs, nodes, pods, volumes
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.gangs import GROUPS
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import number
from sampan.kube.status import ApiError
from sampan.schedule.pod import Budget
from sampan.schedule.shape import Selector

NODES = Ref("", "v1", "nodes", namespaced=False)
CLAIMS = Ref("", "v1", "persistentvolumeclaims")
VOLUMES = Ref("", "v1", "persistentvolumes", namespaced=False)
CLASSES = Ref("storage.k8s.io", "v1", "storageclasses", namespaced=False)
CSI_NODES = Ref("storage.k8s.io", "v1", "csinodes", namespaced=False)
BUDGETS = Ref("policy", "v1", "poddisruptionbudgets")
SERVICES = Ref("", "v1", "services")
REPLICATION_CONTROLLERS = Ref("", "v1", "replicationcontrollers")
REPLICA_SETS = Ref("apps", "v1", "replicasets")
STATEFUL_SETS = Ref("apps", "v1", "statefulsets")
_NOTHING: Object = {}


class Part(NamedTuple):
    """A resource: `read` makes of an object what is kept (None: nothing), `take` is told (namespace, name, before, now)."""

    ref: Ref
    read: Callable[[Object], Any]
    take: Callable[[str, str, Any, Any], None]
    everywhere: bool = True  # servers have it


def parts(cluster: Cluster) -> tuple[list[Part], Part]:
    """Return what is read before pods are, and the pods."""
    spread = cluster.default_spread
    first = [
        Part(NAMESPACES, objects.labels, lambda _, name, __, now: cluster.namespace(name, now)),
        Part(CSI_NODES, nodes.limits, lambda _, name, __, now: cluster.limits(name, now or ())),
        Part(NODES, nodes.node, lambda _, name, __, now: cluster.node(name, now)),
        Part(CLASSES, volumes.storage_class, lambda _, name, __, now: cluster.storage_class(name, now)),
        Part(VOLUMES, volumes.volume, lambda _, name, __, now: cluster.volume(name, now)),
        Part(CLAIMS, volumes.claim, lambda namespace, name, _, now: cluster.claim(namespace, name, now)),
        Part(BUDGETS, budget, lambda namespace, name, _, now: cluster.budget(namespace, name, now)),
        Part(
            SERVICES,
            default_spread.selected_by_service,
            lambda namespace, name, _, now: spread.service(namespace, name, now),
        ),
        _controller(cluster, REPLICATION_CONTROLLERS, "ReplicationController", default_spread.selected_by_labels),
        _controller(cluster, REPLICA_SETS, "ReplicaSet", default_spread.selected),
        _controller(cluster, STATEFUL_SETS, "StatefulSet", default_spread.selected),
    ]
    groups = Part(
        GROUPS, gangs.least, lambda space, name, _, now: cluster.group(f"{space}/{name}", now), everywhere=False
    )
    shapes = pods.Shapes()
    return [*first, groups], Part(
        PODS, lambda obj: gangs.seen(obj, shapes.share), lambda _, __, before, now: cluster.pod(before, now)
    )


def _controller(cluster: Cluster, ref: Ref, kind: str, read: Callable[[Object], Selector]) -> Part:
    spread = cluster.default_spread
    return Part(ref, read, lambda namespace, name, _, now: spread.controller(namespace, f"{kind}/{name}", now))


def budget(obj: Object) -> Budget:
    """Return how many more pods of a set may be disrupted. Without a status yet: none."""
    selector = pods.selector(objects.at(obj, "spec", "selector"))
    allowed = number(obj, "status", "disruptionsAllowed")
    return Budget(objects.namespace(obj), (pods.NOTHING,) if selector is None else selector, allowed)


class Following:
    """Keeps a cluster up to date until it is closed."""

    def __init__(self, client: Client, cluster: Cluster) -> None:
        self._first, self._pods = parts(cluster)
        self._client = client
        self._informers: list[Informer] = []

    async def start(self) -> None:
        """Return when everything was read once: nodes before pods, so that pods find theirs."""
        await self._start(self._first)
        await self._start([self._pods])

    async def close(self) -> None:
        for informer in self._informers:
            await informer.close()

    async def _start(self, some: Iterable[Part]) -> None:
        informers = [_informer(self._client, part) for part in some if await _served(self._client, part)]
        self._informers += informers
        for informer in informers:
            await informer.synced()


def _informer(client: Client, part: Part) -> Informer:
    def keep(obj: Object) -> Object | None:
        found = part.read(obj)
        # no version is kept: every state is told, and to be told the same twice changes nothing
        return None if found is None else {"metadata": _NOTHING, "who": _who(obj), "kept": found}

    def changed(old: Object | None, new: Object | None) -> None:
        kept = new or old
        # what was never kept is told as it is when it goes
        if kept is not None and "who" in kept:
            namespace, name = kept["who"]
            part.take(namespace, name, old and old["kept"], new and new["kept"])

    informer = Informer(client, part.ref, keep=keep)
    informer.on_change(changed)
    informer.start()
    return informer


async def read_once(client: Client, cluster: Cluster, show: Callable[[Object], None] | None = None) -> None:
    """Take in the cluster as it is now. `show` is given each pod as it was read, with what the scheduler does not keep."""
    first, last = parts(cluster)
    for part in [*first, last]:
        if not await _served(client, part):
            continue
        async for page in client.pages(part.ref):
            for obj in page.items:
                if show is not None and part is last:
                    show(obj)
                found = part.read(obj)
                if found is not None:
                    namespace, name = _who(obj)
                    part.take(namespace, name, None, found)


async def _served(client: Client, part: Part) -> bool:
    """Return whether a server has a resource, and lets us read it."""
    if part.everywhere:
        return True
    try:
        await client.list(part.ref)
    except ApiError as error:
        if error.code in (403, 404):
            return False
        raise
    return True


def _who(obj: Object) -> tuple[str, str]:
    return sys.intern(objects.namespace(obj)), objects.name(obj)
