"""Which pods are on which node, and what they refer to: all that a node has to see. Kept current by watches.

Spec: Kubernetes "Using Node Authorization".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from sampan.api.kube.records import Records
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import catalog
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.store.kv.port import Event, Watch

_log = log.get("kube")
_PAGE = 1000
_FEW = 32
_AGAIN_S = 1.0

_Changed = Callable[[str, bytes | None], None]
Reference = tuple[str, str]
"""Plural and name, such as ("secrets", "tls"), in the pod's namespace."""


class _Named(msgspec.Struct, rename="camel", gc=False):
    name: str = ""


class _Value(msgspec.Struct, rename="camel", gc=False):
    secret_key_ref: _Named | None = None
    config_map_key_ref: _Named | None = None


class _Variable(msgspec.Struct, rename="camel", gc=False):
    value_from: _Value | None = None


class _Variables(msgspec.Struct, rename="camel", gc=False):
    secret_ref: _Named | None = None
    config_map_ref: _Named | None = None


class _Container(msgspec.Struct, rename="camel", gc=False):
    env: list[_Variable] | None = None
    env_from: list[_Variables] | None = None


class _Secret(msgspec.Struct, rename="camel", gc=False):
    secret_name: str = ""


class _Claim(msgspec.Struct, rename="camel", gc=False):
    claim_name: str = ""


class _Source(msgspec.Struct, rename="camel", gc=False):
    secret: _Named | None = None
    config_map: _Named | None = None


class _Projected(msgspec.Struct, rename="camel", gc=False):
    sources: list[_Source] | None = None


class _Driver(msgspec.Struct, rename="camel", gc=False):
    """Of csi, whose secret it is, and of other drivers."""

    node_publish_secret_ref: _Named | None = None
    secret_ref: _Named | None = None
    secret_name: str = ""


class _Volume(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    secret: _Secret | None = None
    config_map: _Named | None = None
    persistent_volume_claim: _Claim | None = None
    ephemeral: dict[str, msgspec.Raw] | None = None
    projected: _Projected | None = None
    csi: _Driver | None = None
    azure_file: _Driver | None = None
    cephfs: _Driver | None = None
    flex_volume: _Driver | None = None
    iscsi: _Driver | None = None
    rbd: _Driver | None = None
    scale_io: _Driver | None = msgspec.field(default=None, name="scaleIO")
    storageos: _Driver | None = None


class _PodSpec(msgspec.Struct, rename="camel", gc=False):
    node_name: str = ""
    service_account_name: str = ""
    image_pull_secrets: list[_Named] | None = None
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Named
    spec: _PodSpec


class _ClaimSpec(msgspec.Struct, rename="camel", gc=False):
    volume_name: str = ""


class _ClaimObject(msgspec.Struct, gc=False):
    spec: _ClaimSpec


_pod = msgspec.json.Decoder(_Pod).decode
_claim = msgspec.json.Decoder(_ClaimObject).decode


class NodeGraph:
    """Questions are plain calls. It lags behind the store by what its watches have not told yet."""

    def __init__(self, records: Records) -> None:
        self._by_node: dict[str, dict[str, tuple[Reference, ...]]] = {}
        self._node_of: dict[str, str] = {}
        self._volume_of: dict[str, str] = {}
        self._pods = _Follower(records, _resource("pods"), self._pod_changed, self._node_of)
        self._claims = _Follower(records, _resource("persistentvolumeclaims"), self._claim_changed, self._volume_of)

    async def start(self) -> None:
        await self._pods.start()
        await self._claims.start()

    def close(self) -> None:
        """Stop following. May be repeated."""
        self._pods.close()
        self._claims.close()

    def has_pod(self, node: str, namespace: str, name: str) -> bool:
        return self._node_of.get(f"{namespace}/{name}") == node

    def refers(self, node: str, plural: str, namespace: str, name: str) -> bool:
        """Return whether a pod on the node refers to an object of its namespace."""
        start, wanted = f"{namespace}/", (plural, name)
        pods = self._by_node.get(node, {})
        return any(wanted in references for pod, references in pods.items() if pod.startswith(start))

    def uses_volume(self, node: str, volume: str) -> bool:
        """Return whether a pod on the node has a claim that is bound to a volume."""
        for pod, references in self._by_node.get(node, {}).items():
            namespace = pod.partition("/")[0]
            if any(
                plural == "persistentvolumeclaims" and self._volume_of.get(f"{namespace}/{name}") == volume
                for plural, name in references
            ):
                return True
        return False

    def _pod_changed(self, key: str, value: bytes | None) -> None:
        spec = _pod(value).spec if value is not None and b'"nodeName":"' in value else None
        before = self._node_of.pop(key, None)
        if before is not None:
            left = self._by_node[before]
            left.pop(key, None)
            if not left:
                del self._by_node[before]
        if spec is not None and spec.node_name:
            self._node_of[key] = spec.node_name
            found = tuple(sorted(set(_references(key.partition("/")[2], spec))))
            self._by_node.setdefault(spec.node_name, {})[key] = _shared(found) if len(found) <= _FEW else found

    def _claim_changed(self, key: str, value: bytes | None) -> None:
        volume = _claim(value).spec.volume_name if value is not None else ""
        if volume:
            self._volume_of[key] = volume
        else:
            self._volume_of.pop(key, None)


class _Follower:
    """Tells of each object of a resource, by `namespace/name`, as it is kept; None for one that is gone."""

    def __init__(self, records: Records, resource: Resource, changed: _Changed, known: Collection[str]) -> None:
        """`known`: the keys that have been told and may be gone when all is read again."""
        self._store = records.store(resource)
        self._prefix = resource.prefix
        self._changed = changed
        self._known = known
        self._watch: Watch | None = None
        self._again: asyncio.Task[None] | None = None

    async def start(self) -> None:
        found: set[str] = set()
        after, revision = "", 0
        while True:
            page = await self._store.range(self._prefix, after=after, limit=_PAGE, revision=revision)
            revision = page.revision
            for item in page.items:
                found.add(key := item.key.removeprefix(self._prefix))
                self._changed(key, item.value)
            if not page.remaining:
                break
            after = page.items[-1].key
        for key in set(self._known) - found:
            self._changed(key, None)
        self._watch = self._store.watch(self._prefix, revision, self._deliver, self._failed)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._again is not None:
            self._again.cancel()

    def _deliver(self, events: Sequence[Event], revision: int) -> None:
        for event in events:
            self._changed(event.key.removeprefix(self._prefix), event.value)

    def _failed(self, error: SampanError) -> None:
        _log.warning("reading all below %s again: %s", self._prefix, error)
        self._again = asyncio.ensure_future(self._restart())

    async def _restart(self) -> None:
        while True:
            try:
                await self.start()
            except SampanError as error:
                _log.error("cannot read %s: %s", self._prefix, error)
                await asyncio.sleep(_AGAIN_S)
            else:
                return


def references(pod: Object) -> frozenset[Reference]:
    """Return what a node that has this pod may read because of it."""
    found = msgspec.convert(pod, _Pod)
    return frozenset(_references(found.metadata.name, found.spec))


@lru_cache(maxsize=16384)
def _shared(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    """Return the same tuple for the same references: the pods of one workload differ in their names only."""
    return references


def _references(pod: str, spec: _PodSpec) -> Iterator[Reference]:
    if spec.service_account_name:
        yield "serviceaccounts", spec.service_account_name
    for secret in spec.image_pull_secrets or ():
        yield "secrets", secret.name
    for containers in (spec.containers, spec.init_containers, spec.ephemeral_containers):
        for container in containers or ():
            yield from _of_container(container)
    for volume in spec.volumes or ():
        yield from _of_volume(pod, volume)


def _of_container(container: _Container) -> Iterator[Reference]:
    values = (variable.value_from for variable in container.env or ())
    named = [(value.secret_key_ref, value.config_map_key_ref) for value in values if value is not None]
    named += [(source.secret_ref, source.config_map_ref) for source in container.env_from or ()]
    yield from _named(named)


def _of_volume(pod: str, volume: _Volume) -> Iterator[Reference]:
    if volume.secret is not None:
        yield "secrets", volume.secret.secret_name
    if volume.persistent_volume_claim is not None:
        yield "persistentvolumeclaims", volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        yield "persistentvolumeclaims", f"{pod}-{volume.name}"
    sources = (volume.projected.sources if volume.projected else None) or ()
    yield from _named([(None, volume.config_map), *((source.secret, source.config_map) for source in sources)])
    drivers = (volume.csi, volume.azure_file, volume.cephfs, volume.flex_volume, volume.iscsi, volume.rbd,
               volume.scale_io, volume.storageos)  # fmt: skip
    for driver in drivers:
        if driver is not None:
            yield from _named([(driver.node_publish_secret_ref, None), (driver.secret_ref, None)])
            if driver.secret_name:
                yield "secrets", driver.secret_name


def _named(pairs: Iterable[tuple[_Named | None, _Named | None]]) -> Iterator[Reference]:
    """Yield the references of pairs of a secret and a config map."""
    for secret, config in pairs:
        if secret is not None:
            yield "secrets", secret.name
        if config is not None:
            yield "configmaps", config.name


def _resource(plural: str) -> Resource:
    return next(item for item in catalog.RESOURCES if (item.group, item.plural) == ("", plural))
