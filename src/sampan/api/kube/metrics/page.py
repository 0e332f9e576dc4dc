"""/metrics: all figures as one text."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterable

from sampan.api.kube.health import version
from sampan.api.kube.metrics.requests import RequestFigures
from sampan.api.kube.metrics.text import CONTENT_TYPE, Family, Sample, render
from sampan.api.kube.records import Records
from sampan.api.kube.request import Request, Response
from sampan.api.kube.served import Registry
from sampan.base.clock import Clock
from sampan.kube import status
from sampan.store.kv.port import Store

Figures = Callable[[], Iterable[Family]]
COUNTED_FOR_S = 30.0
"""Objects are counted no more often: that reads all of a kind's keys."""


class Metrics:
    """Answers /metrics."""

    def __init__(
        self,
        requests: RequestFigures,
        records: Records,
        registry: Registry,
        watches: Callable[[], int],
        clock: Clock,
        further: Iterable[Figures] = (),
    ) -> None:
        """`further`: what others know, such as the process' owner about the process."""
        self._requests = requests
        self._records = records
        self._registry = registry
        self._watches = watches
        self._clock = clock
        self._further = tuple(further)
        self._objects: list[Sample] = []
        self._counted_s = float("-inf")

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        if request.path.rstrip("/") != "/metrics":
            return None
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        families = [*self._requests.families(), *await self._stored(), *self._process()]
        families += [family for figures in self._further for family in figures()]
        return Response(200, render(families).encode(), CONTENT_TYPE)

    async def _stored(self) -> list[Family]:
        if self._clock.monotonic_s() - self._counted_s > COUNTED_FOR_S:
            self._objects = [sample async for sample in self._count()]
            self._counted_s = self._clock.monotonic_s()
        stores: dict[int, tuple[str, Store]] = {}
        for served in self._registry:
            store = self._records.store(served.resource)
            stores.setdefault(id(store), (served.resource.plural if stores else "main", store))
        revisions = [Sample((("store", name),), store.revision) for name, store in stores.values()]
        return [
            Family("apiserver_resource_objects", "gauge", "Stored objects by kind.", self._objects),
            Family("etcd_debugging_mvcc_current_revision", "gauge", "The newest revision of each store.", revisions),
        ]

    async def _count(self) -> AsyncIterator[Sample]:
        for served in self._registry:
            resource = served.resource
            if resource.storage or "list" not in resource.verbs:
                continue
            page = await self._records.store(resource).range(resource.prefix, limit=1)
            count = len(page.items) + page.remaining
            yield Sample((("group", resource.group), ("resource", resource.plural)), count)

    def _process(self) -> list[Family]:
        told = version()
        about = (("git_version", told["gitVersion"]), ("major", told["major"]), ("minor", told["minor"]), ("platform", told["platform"]))  # fmt: skip
        collections = [
            Sample((("generation", str(number)),), generation["collections"])
            for number, generation in enumerate(gc.get_stats())
        ]
        python = (("implementation", sys.implementation.name), ("version", told["goVersion"].removeprefix("python")))
        return [
            Family(
                "apiserver_longrunning_requests",
                "gauge",
                "Open watches.",
                [Sample((("verb", "WATCH"),), self._watches())],
            ),
            Family("kubernetes_build_info", "gauge", "The version that is served.", [Sample(about, 1)]),
            Family("python_gc_collections_total", "counter", "Collections of the garbage collector.", collections),
            Family("python_info", "gauge", "What it runs on.", [Sample(python, 1)]),
        ]
