"""Every route of the Docker API, in one visible list.

Spec: Docker Engine API v1.51, section "paths".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from sampan.api.docker import archive, attach, containers, images, networks, system, volumes
from sampan.api.docker.call import Call

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """`path` holds at most one parameter: {name}, or {name*} which may hold slashes."""

    method: str
    path: str
    handler: Handler


ROUTES = (
    # system
    Route("GET", "/_ping", system.ping),
    Route("HEAD", "/_ping", system.ping),
    Route("GET", "/version", system.version),
    Route("GET", "/info", system.info),
    Route("GET", "/events", system.events),
    Route("GET", "/system/df", system.disk_usage),
    Route("POST", "/auth", system.login),
    # containers
    Route("GET", "/containers/json", containers.list_all),
    Route("POST", "/containers/create", containers.create),
    Route("POST", "/containers/prune", containers.prune),
    Route("GET", "/containers/{name}/json", containers.inspect),
    Route("POST", "/containers/{name}/start", containers.start),
    Route("POST", "/containers/{name}/stop", containers.stop),
    Route("POST", "/containers/{name}/restart", containers.restart),
    Route("POST", "/containers/{name}/kill", containers.kill),
    Route("POST", "/containers/{name}/pause", containers.pause),
    Route("POST", "/containers/{name}/unpause", containers.unpause),
    Route("POST", "/containers/{name}/rename", containers.rename),
    Route("POST", "/containers/{name}/resize", containers.resize),
    Route("POST", "/containers/{name}/update", containers.update),
    Route("POST", "/containers/{name}/wait", containers.wait),
    Route("GET", "/containers/{name}/top", containers.top),
    Route("GET", "/containers/{name}/stats", containers.stats),
    Route("GET", "/containers/{name}/changes", containers.changes),
    Route("DELETE", "/containers/{name}", containers.remove),
    Route("POST", "/commit", containers.commit),
    Route("POST", "/containers/{name}/attach", attach.attach),
    Route("GET", "/containers/{name}/attach/ws", attach.attach_websocket),
    Route("GET", "/containers/{name}/logs", attach.logs),
    Route("HEAD", "/containers/{name}/archive", archive.stat),
    Route("GET", "/containers/{name}/archive", archive.read),
    Route("PUT", "/containers/{name}/archive", archive.write),
    Route("GET", "/containers/{name}/export", archive.export),
    Route("GET", "/containers/{name}/checkpoints", system.no_checkpoints),
    Route("POST", "/containers/{name}/checkpoints", system.no_checkpoints),
    Route("DELETE", "/containers/{name}/checkpoints/{rest*}", system.no_checkpoints),
    # exec
    Route("POST", "/containers/{name}/exec", attach.exec_create),
    Route("POST", "/exec/{name}/start", attach.exec_start),
    Route("POST", "/exec/{name}/resize", attach.exec_resize),
    Route("GET", "/exec/{name}/json", attach.exec_inspect),
    # images
    Route("GET", "/images/json", images.list_all),
    Route("POST", "/images/create", images.create),
    Route("POST", "/images/load", images.load),
    Route("POST", "/images/prune", images.prune),
    Route("GET", "/images/get", images.save),
    Route("GET", "/images/search", system.no_search),
    Route("GET", "/images/{name*}/json", images.inspect),
    Route("GET", "/images/{name*}/history", images.history),
    Route("GET", "/images/{name*}/get", images.save),
    Route("POST", "/images/{name*}/push", images.push),
    Route("POST", "/images/{name*}/tag", images.tag),
    Route("DELETE", "/images/{name*}", images.remove),
    Route("GET", "/distribution/{name*}/json", system.not_here),
    # networks
    Route("GET", "/networks", networks.list_all),
    Route("GET", "/networks/", networks.list_all),
    Route("POST", "/networks/create", networks.create),
    Route("POST", "/networks/prune", networks.prune),
    Route("GET", "/networks/{name}", networks.inspect),
    Route("DELETE", "/networks/{name}", networks.remove),
    Route("POST", "/networks/{name}/connect", networks.connect),
    Route("POST", "/networks/{name}/disconnect", networks.disconnect),
    # volumes
    Route("GET", "/volumes", volumes.list_all),
    Route("POST", "/volumes/create", volumes.create),
    Route("POST", "/volumes/prune", volumes.prune),
    Route("GET", "/volumes/{name}", volumes.inspect),
    Route("PUT", "/volumes/{name}", system.no_swarm),
    Route("DELETE", "/volumes/{name}", volumes.remove),
    # not here
    Route("POST", "/build", system.no_build),
    Route("POST", "/build/prune", system.prune_build_cache),
    Route("POST", "/build/cancel", system.no_build),
    Route("POST", "/session", system.no_build),
    Route("POST", "/grpc", system.no_build),
    Route("GET", "/plugins", system.no_plugins),
    *(Route(method, "/plugins/{name*}", system.not_here) for method in ("GET", "POST", "DELETE")),
    *(
        Route(method, f"/{noun}{rest}", system.no_swarm)
        for noun in ("swarm", "nodes", "services", "tasks", "secrets", "configs")
        for rest in ("", "/{name*}")
        for method in ("GET", "POST", "DELETE")
    ),
    # Sampan's own
    Route("GET", "/sampan/busy", system.busy),
)


class Router:
    """Finds a route by method and path: fixed paths by one look-up, others by the few patterns of their first part."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._fixed: dict[tuple[str, str], Handler] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Handler]]] = {}
        for route in routes:
            if "{" not in route.path:
                self._fixed[route.method, route.path] = route.handler
                continue
            first = route.path.split("/")[1]
            self._patterns.setdefault((route.method, first), []).append((_compile(route.path), route.handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """Return the handler and the path's parameters, None when there is no such route."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        first = path[1:].partition("/")[0]
        for pattern, handler in self._patterns.get((method, first), ()):
            match = pattern.fullmatch(path)
            if match:
                return handler, match.groupdict()
        return None


def _compile(path: str) -> re.Pattern[str]:
    pattern = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), re.DOTALL)
