"""The API server, put together: registry, verbs, pages. What it stands on (store, access, admission) is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sampan.api.kube.access import Authenticator, Authorizer
from sampan.api.kube.admission import Chain
from sampan.api.kube.answers import Renderer
from sampan.api.kube.api import EVENTS, Api, Page, Verbs
from sampan.api.kube.api import Served as Answered
from sampan.api.kube.bindings import Bindings
from sampan.api.kube.deletes import Deletes
from sampan.api.kube.discovery import Discovery
from sampan.api.kube.evictions import Evictions
from sampan.api.kube.health import Check, Health
from sampan.api.kube.leases import Expiry
from sampan.api.kube.metrics.page import Figures, Metrics
from sampan.api.kube.metrics.requests import RequestFigures
from sampan.api.kube.openapi import OpenApi, Schemas
from sampan.api.kube.openapi_v2 import OpenApiV2
from sampan.api.kube.patches import Patches
from sampan.api.kube.reads import Reads
from sampan.api.kube.records import Records
from sampan.api.kube.served import Conversion, Registry, builtin
from sampan.api.kube.subresources import Subresources, Virtual
from sampan.api.kube.watch import Watches
from sampan.api.kube.writes import Writes
from sampan.base.clock import Clock
from sampan.kube import catalog
from sampan.kube.kinds import autoscaling, event
from sampan.kube.object import Object
from sampan.kube.schema import builtin as schemas

EVENT_TTL_S = 3600


class Randomness(msgspec.Struct, frozen=True):
    """Where names come from."""

    uid: Callable[[], str]
    suffix: Callable[[], str]
    """Five characters that end a generated name."""


class PlainConversion:
    """Between two versions that pure functions translate."""

    def __init__(self, to_storage: Callable[[Object], Object], from_storage: Callable[[Object], Object]) -> None:
        self._to_storage = to_storage
        self._from_storage = from_storage

    async def to_storage(self, objects: list[Object]) -> list[Object]:
        return [self._to_storage(obj) for obj in objects]

    async def from_storage(self, objects: list[Object]) -> list[Object]:
        return [self._from_storage(obj) for obj in objects]


_CONVERSIONS: Mapping[tuple[str, str, str], Conversion] = {
    ("events.k8s.io", "v1", "events"): PlainConversion(event.to_core, event.from_core),
    ("autoscaling", "v1", "horizontalpodautoscalers"): PlainConversion(autoscaling.to_v2, autoscaling.from_v2),
}


def registry() -> Registry:
    """Return what is served from the start: the catalog."""
    return Registry(builtin(catalog.RESOURCES, catalog.strategy, schemas.find, _CONVERSIONS))


class ApiServer(msgspec.Struct, frozen=True):
    """The parts that others need to reach."""

    api: Api
    registry: Registry
    watches: Watches

    async def close(self) -> None:
        """End what runs by itself. The store is its owner's."""
        await self.watches.close()


def build(
    records: Records,
    served: Registry,
    authenticator: Authenticator,
    authorizer: Authorizer,
    chain: Chain,
    clock: Clock,
    randomness: Randomness,
    *,
    virtual: Mapping[tuple[str, str, str], Virtual] | None = None,
    pages: Sequence[Page] = (),
    observers: Sequence[Callable[[Answered], None]] = (),
    custom: Schemas | None = None,
    checks: Mapping[str, Check] | None = None,
    figures: Sequence[Figures] = (),
) -> ApiServer:
    """Return a server over what is given. `figures`: what others know for /metrics."""
    renderer = Renderer(clock)
    expiry = Expiry(clock, {EVENTS: EVENT_TTL_S})
    reads = Reads(records, renderer)
    writes = Writes(records, chain, renderer, clock, randomness.uid, randomness.suffix, expiry)
    patches = Patches(writes)
    deletes = Deletes(records, chain, renderer, clock)
    evictions = Evictions(records, chain, deletes, writes.now)
    subresources = Subresources(reads, writes, patches, records, Bindings(writes, served), evictions, virtual or {})
    watches = Watches(records, clock, served)
    discovery, openapi = Discovery(served), OpenApi(served, custom)
    counted = RequestFigures(served, lambda: api.running)
    metrics = Metrics(counted, records, served, watches.count, clock, figures)
    health = Health(checks or {}, lambda: _paths(served))
    api = Api(
        served,
        Verbs(reads, writes, patches, deletes, subresources, watches.watch),
        authenticator,
        authorizer,
        clock,
        pages=(health.page, discovery.page, openapi.page, OpenApiV2(openapi).page, metrics.page, *pages),
        observers=(counted, *observers),
    )
    return ApiServer(api, served, watches)


def _paths(served: Registry) -> list[str]:
    groups = {f"/apis/{item.resource.api_version}" if item.resource.group else "/api/v1" for item in served}
    return sorted(
        {
            *groups,
            "/api",
            "/apis",
            "/healthz",
            "/livez",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
            "/metrics",
        }
    )
