"""Networks."""

from __future__ import annotations

from aiohttp import web

from sampan.api.docker.call import Call
from sampan.api.docker.parse import query
from sampan.api.docker.parse.network import parse_endpoint, parse_network_create
from sampan.api.docker.render.network import render_network
from sampan.base.errors import InvalidArgument
from sampan.spec.docker.network import NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest


async def list_all(call: Call) -> web.StreamResponse:
    return call.json([render_network(network) for network in call.engine.networks(query.filters(call.query))])


async def inspect(call: Call) -> web.StreamResponse:
    scope = call.query.get("scope", "")
    if scope not in ("", "local", "swarm", "global"):
        raise InvalidArgument(f"invalid network scope {scope[:60]!r}")
    network = call.engine.network(call.name)
    return call.json(render_network(network, call.engine.network_endpoints(network.id)))


async def create(call: Call) -> web.StreamResponse:
    network, warning = await call.engine.create_network(parse_network_create(await call.decode(NetworkCreateRequest)))
    return call.json({"Id": network.id, "Warning": warning}, 201)


async def remove(call: Call) -> web.StreamResponse:
    await call.engine.remove_network(call.name)
    return call.empty()


async def connect(call: Call) -> web.StreamResponse:
    request = await call.decode(NetworkConnectRequest)
    if not request.container:
        raise InvalidArgument("invalid container name or ID: it is empty")
    await call.engine.connect(call.name, request.container, parse_endpoint(call.name, request.endpoint_config))
    return call.empty(200)


async def disconnect(call: Call) -> web.StreamResponse:
    request = await call.decode(NetworkDisconnectRequest)
    if not request.container:
        raise InvalidArgument("invalid container name or ID: it is empty")
    await call.engine.disconnect(call.name, request.container, force=request.force or False)
    return call.empty(200)


async def prune(call: Call) -> web.StreamResponse:
    removed = await call.engine.prune_networks(query.filters(call.query))
    return call.json({"NetworksDeleted": list(removed) or None})
