"""Volumes."""

from __future__ import annotations

from aiohttp import web

from sampan.api.docker.call import Call
from sampan.api.docker.parse import query
from sampan.api.docker.parse.body import mapping
from sampan.api.docker.render.network import render_volume
from sampan.model.volume import Volume
from sampan.spec.docker.network import VolumeCreateRequest


async def list_all(call: Call) -> web.StreamResponse:
    found = call.engine.volumes(query.filters(call.query))
    return call.json({"Volumes": [render_volume(volume) for volume in found], "Warnings": None})


async def inspect(call: Call) -> web.StreamResponse:
    return call.json(render_volume(call.engine.volume(call.name)))


async def create(call: Call) -> web.StreamResponse:
    request = await call.decode(VolumeCreateRequest)
    wanted = Volume(
        name=request.name or "",
        driver=request.driver or "local",
        labels=mapping(request.labels),
        options=mapping(request.driver_opts),
        anonymous=not request.name,
    )
    return call.json(render_volume(await call.engine.create_volume(wanted)), 201)


async def remove(call: Call) -> web.StreamResponse:
    await call.engine.remove_volume(call.name, force=query.flag(call.query, "force"))
    return call.empty()


async def prune(call: Call) -> web.StreamResponse:
    removed, freed = await call.engine.prune_volumes(query.filters(call.query))
    return call.json({"VolumesDeleted": list(removed) or None, "SpaceReclaimed": freed})
