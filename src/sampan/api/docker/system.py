"""Ping, version, info, disk usage, events, registry login, and what Sampan does not have."""

from __future__ import annotations

from aiohttp import web

from sampan.api.docker.call import STANDARD_HEADERS, Call, json_response
from sampan.api.docker.parse import query
from sampan.api.docker.parse.exec import credentials_of
from sampan.api.docker.render.container import count_phases
from sampan.api.docker.render.event import render_event
from sampan.api.docker.render.system import render_disk_usage, render_info, render_version
from sampan.base.errors import InvalidArgument, Unavailable, Unsupported
from sampan.engine.port import Credentials, Filters
from sampan.spec.docker.network import AuthConfig

_DISK_KINDS = frozenset({"image", "container", "volume", "build-cache"})
_PING_HEADERS = {
    **STANDARD_HEADERS,
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Content-Type": "text/plain; charset=utf-8",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


async def ping(call: Call) -> web.StreamResponse:
    """GET and HEAD /_ping: the daemon is ready, and what it speaks."""
    return web.Response(body=b"" if call.request.method == "HEAD" else b"OK", headers=_PING_HEADERS)


async def version(call: Call) -> web.StreamResponse:
    return call.json(render_version(call.engine.info()))


async def info(call: Call) -> web.StreamResponse:
    engine = call.engine
    counts = count_phases(engine.containers(all=True))
    return call.json(render_info(engine.info(), counts, len(engine.images.list()), call.clock.now_ns()))


async def disk_usage(call: Call) -> web.StreamResponse:
    kinds = frozenset(call.query.all("type")) or _DISK_KINDS
    if kinds - _DISK_KINDS:
        raise InvalidArgument(f"unknown object type: {', '.join(sorted(kinds - _DISK_KINDS))}")
    engine = call.engine
    rendered = render_disk_usage(
        await engine.disk_usage(),
        kinds,
        images=engine.list_images(Filters()),
        containers=engine.containers(all=True),
        volumes=engine.volumes(),
        now_ns=call.clock.now_ns(),
    )
    return call.json(rendered)


async def events(call: Call) -> web.StreamResponse:
    """Past events, then live ones until `until` or until the client leaves."""
    now_ns = call.clock.now_ns()
    since_ns, until_ns = (query.time_ns(call.query, name, now_ns) for name in ("since", "until"))
    if until_ns and since_ns > until_ns:
        raise InvalidArgument("`since` time cannot be after `until` time")
    found = call.engine.events(since_ns=since_ns, until_ns=until_ns, filters=query.filters(call.query))
    response = await call.stream("application/json")
    async for event in found:
        await response.write(call.json(render_event(event)).body)  # type: ignore[arg-type]
    await response.write_eof()
    return response


async def login(call: Call) -> web.StreamResponse:
    auth = await call.decode(AuthConfig)
    credentials = credentials_of(auth) or Credentials(server_address=auth.serveraddress or "")
    status = await call.engine.images.check_registry(credentials)
    return call.json({"Status": status or "Login Succeeded", "IdentityToken": ""})


async def no_plugins(_call: Call) -> web.StreamResponse:
    """GET /plugins: there are none."""
    return json_response([])


async def prune_build_cache(_call: Call) -> web.StreamResponse:
    """POST /build/prune, which `docker system prune` sends: there is no build cache."""
    return json_response({"CachesDeleted": None, "SpaceReclaimed": 0})


async def no_swarm(_call: Call) -> web.StreamResponse:
    raise Unavailable(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
        "swarm and try again: Sampan has no swarm mode, use its Kubernetes API for clusters."
    )


async def not_here(call: Call) -> web.StreamResponse:
    what = call.request.path.rpartition("/")[2] or call.request.path
    raise Unsupported(f"{what}: this operation of the Docker API is not supported by Sampan (yet)")


async def no_build(_call: Call) -> web.StreamResponse:
    raise Unsupported(
        "building images is not supported by Sampan yet: build elsewhere, then `docker load` or `docker pull` the image"
    )


async def no_checkpoints(_call: Call) -> web.StreamResponse:
    raise Unsupported("checkpoints are not supported by Sampan")


async def no_search(_call: Call) -> web.StreamResponse:
    raise Unsupported("searching a registry is not supported by Sampan: pull the image by its name")


async def busy(call: Call) -> web.StreamResponse:
    """GET /sampan/busy: whether parts of ended containers are still being removed from the host."""
    under_way = getattr(call.engine, "teardowns_under_way", None)
    return call.json({"TeardownsUnderWay": bool(under_way and under_way())})
