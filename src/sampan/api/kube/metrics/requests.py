"""What was asked and how long it took, counted as answers go out.

Spec: Kubernetes Metrics Reference, apiserver_request_total, apiserver_request_duration_seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sampan.api.kube.access import Attempt
from sampan.api.kube.api import Served
from sampan.api.kube.metrics.text import Family, Labels, Sample, histogram
from sampan.api.kube.patches import APPLY_YAML
from sampan.api.kube.served import Registry
from sampan.base.histogram import Histogram

BUCKETS_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "post": "POST",
    "put": "PUT",
    "head": "HEAD",
}
_CONNECTED = ("attach", "exec", "portforward", "proxy")


class Route(NamedTuple):
    """What requests are counted by. Only what is served has a name here: a client cannot make new ones."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    scope: str = ""
    dry_run: str = ""

    @property
    def labels(self) -> Labels:
        """Return the labels, in the order of their names."""
        shown = (("component", "apiserver"), *self._asdict().items())
        return tuple(sorted(shown))


class RequestFigures:
    """Give it to the API as an observer."""

    def __init__(self, registry: Registry, running: Callable[[], dict[str, int]]) -> None:
        """`running`: kind of request -> how many are being answered."""
        self._registry = registry
        self._running = running
        self._totals: dict[tuple[Route, int], int] = {}
        self._times: dict[Route, Histogram] = {}

    def __call__(self, served: Served) -> None:
        """Count an answer. A watch is counted when it begins, and takes no time."""
        route = self._route(served)
        key = (route, served.response.status)
        self._totals[key] = self._totals.get(key, 0) + 1
        if served.response.stream is None:
            times = self._times.get(route)
            if times is None:
                times = self._times[route] = Histogram(BUCKETS_S)
            times.add(served.seconds)

    def _route(self, served: Served) -> Route:
        attempt = served.attempt
        verb = _VERBS.get(attempt.verb, "OTHER")
        found = self._registry.find(attempt.group, attempt.version, attempt.resource) if not attempt.path else None
        if found is None:
            return Route(verb)
        if verb == "PATCH" and served.request.headers.get("content-type", "").startswith(APPLY_YAML):
            verb = "APPLY"
        part = attempt.subresource
        if part and found.resource.subresource(part) is None:
            part = ""
        if part in _CONNECTED:
            verb = "CONNECT"
        dry_run = "All" if "dryRun=All" in served.request.query else ""
        return Route(verb, attempt.group, attempt.version, attempt.resource, part, _scope(attempt), dry_run)

    def families(self) -> list[Family]:
        """Return the figures as they are now."""
        totals = [
            Sample(tuple(sorted((*route.labels, ("code", str(code))))), count)
            for (route, code), count in sorted(self._totals.items())
        ]
        running = [Sample((("request_kind", kind),), count) for kind, count in sorted(self._running().items())]
        return [
            Family("apiserver_request_total", "counter", "Requests by verb, resource and HTTP code.", totals),
            Family(
                "apiserver_request_duration_seconds",
                "histogram",
                "How long answers took, without watches, by verb and resource.",
                [sample for route, times in sorted(self._times.items()) for sample in histogram(route.labels, times)],
            ),
            Family("apiserver_current_inflight_requests", "gauge", "Requests that are being answered.", running),
        ]


def _scope(attempt: Attempt) -> str:
    if attempt.name or attempt.verb == "create":
        return "resource"
    return "namespace" if attempt.namespace else "cluster"
