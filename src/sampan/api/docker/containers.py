"""Containers: life, truth, and housekeeping. Streams are in attach.py, files in archive.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from sampan.api.docker.call import Call
from sampan.api.docker.errors import prefixed
from sampan.api.docker.parse import query
from sampan.api.docker.parse.container import parse_create, parse_signal
from sampan.api.docker.parse.exec import apply_changes, parse_image_config
from sampan.api.docker.parse.keys import parse_keys
from sampan.api.docker.parse.resources import check_cpus, parse_update
from sampan.api.docker.render import container as render
from sampan.api.docker.render.event import render_stats
from sampan.base.errors import InvalidArgument, NotFound, SampanError
from sampan.model.container import Resources
from sampan.model.image import ImageConfig
from sampan.spec.docker.api import MEDIA_JSON
from sampan.spec.docker.container import Config, UpdateRequest

_CONDITIONS = ("", "not-running", "next-exit", "removed")
_SIGNAL_VERSION = (1, 42)


async def create(call: Call) -> web.StreamResponse:
    spec = parse_create(await call.body(), platform=call.query.get("platform", ""))
    check_cpus(spec.resources, call.engine.info().cpus)
    try:
        made, warnings = await call.engine.create(spec, call.query.get("name", ""))
    except NotFound as error:
        # To the docker CLI a 404 here means one thing: pull the image.
        call.engine.images.get(spec.image)
        raise InvalidArgument(str(error)) from error
    return call.json({"Id": made.id, "Warnings": list(warnings)}, 201)


async def list_all(call: Call) -> web.StreamResponse:
    found = call.engine.containers(
        query.filters(call.query),
        all=query.flag(call.query, "all"),
        limit=max(query.integer(call.query, "limit") or 0, 0),
    )
    now_ns, sized = call.clock.now_ns(), query.flag(call.query, "size")
    sizes = [await call.engine.container_size(row.id) if sized else None for row in found]
    return call.json([render.render_row(row, now_ns, size) for row, size in zip(found, sizes, strict=True)])


async def inspect(call: Call) -> web.StreamResponse:
    engine = call.engine
    found = engine.container(call.name)
    size = await engine.container_size(found.id) if query.flag(call.query, "size") else None
    return call.json(render.render_inspect(found, engine.info(), engine.execs(found.id), size))


async def start(call: Call) -> web.StreamResponse:
    if call.request.can_read_body and (call.request.content_length is None or call.request.content_length > 7):
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    if call.query.get("checkpoint"):
        raise InvalidArgument("checkpoints are not supported by Sampan")
    parse_keys(call.query.get("detachKeys", ""))
    await call.engine.start(call.name)
    return call.empty()


def _stop_signal(call: Call) -> str:
    return parse_signal(call.query.get("signal", "")) if call.version >= _SIGNAL_VERSION else ""


async def stop(call: Call) -> web.StreamResponse:
    await call.engine.stop(call.name, signal=_stop_signal(call), timeout_s=query.integer(call.query, "t"))
    return call.empty()


async def restart(call: Call) -> web.StreamResponse:
    await call.engine.restart(call.name, signal=_stop_signal(call), timeout_s=query.integer(call.query, "t"))
    return call.empty()


async def kill(call: Call) -> web.StreamResponse:
    try:
        await call.engine.kill(call.name, parse_signal(call.query.get("signal", "")) or "KILL")
    except SampanError as error:
        if error.message.lower().startswith("cannot kill container"):
            raise
        raise prefixed(f"cannot kill container: {call.name}", error) from error
    return call.empty()


async def pause(call: Call) -> web.StreamResponse:
    await call.engine.pause(call.name)
    return call.empty()


async def unpause(call: Call) -> web.StreamResponse:
    await call.engine.unpause(call.name)
    return call.empty()


async def rename(call: Call) -> web.StreamResponse:
    if not call.query.get("name"):
        raise InvalidArgument("Neither old nor new names may be empty")
    await call.engine.rename(call.name, call.query["name"])
    return call.empty()


async def resize(call: Call) -> web.StreamResponse:
    await call.engine.resize(call.name, *query.size(call.query))
    return call.empty(200)


async def update(call: Call) -> web.StreamResponse:
    changes, policy = parse_update(await call.decode(UpdateRequest))
    check_cpus(Resources(**changes), call.engine.info().cpus)  # type: ignore[arg-type]
    return call.json({"Warnings": list(await call.engine.update(call.name, changes, policy)) or None})


async def wait(call: Call) -> web.StreamResponse:
    """The head goes out at once: `docker run` starts the container only when it has it."""
    condition = call.query.get("condition", "")
    if condition not in _CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    waiter = call.engine.wait(call.name, condition or "not-running")
    try:
        response = await call.stream(MEDIA_JSON)
        ended = await waiter.result()
        await response.write(call.json({"StatusCode": ended.code}).body)  # type: ignore[arg-type]
        await response.write_eof()
        return response
    finally:
        waiter.cancel()


async def remove(call: Call) -> web.StreamResponse:
    await call.engine.remove(
        call.name,
        force=query.flag(call.query, "force"),
        volumes=query.flag(call.query, "v"),
        link=query.flag(call.query, "link"),
    )
    return call.empty()


async def top(call: Call) -> web.StreamResponse:
    rows = await call.engine.top(call.name, call.query.get("ps_args") or "-ef")
    return call.json({"Processes": [list(row) for row in rows.rows], "Titles": list(rows.titles)})


async def stats(call: Call) -> web.StreamResponse:
    streamed = query.flag(call.query, "stream", default=True)
    one_shot = query.flag(call.query, "one-shot") and call.version >= (1, 41)
    found, memory_bytes = call.engine.container(call.name), call.engine.info().memory_bytes
    samples = call.engine.stats(found.id, stream=streamed, one_shot=one_shot)

    async def lines() -> AsyncIterator[object]:
        async for sample in samples:
            yield render_stats(found.name, found.id, sample, memory_bytes)

    return await call.stream_json(lines())


async def changes(call: Call) -> web.StreamResponse:
    return call.json(render.render_changes(await call.engine.changes(call.name)))


async def prune(call: Call) -> web.StreamResponse:
    removed, freed = await call.engine.prune_containers(query.filters(call.query))
    return call.json({"ContainersDeleted": list(removed) or None, "SpaceReclaimed": freed})


async def commit(call: Call) -> web.StreamResponse:
    """POST /commit: an image of a container's writable layer, its config overlaid by the body and the changes."""
    config = await call.decode(Config)
    reference = query.require(call.query, "container")
    found = call.engine.container(reference)
    repository, tag = call.query.get("repo", ""), call.query.get("tag", "")
    wanted = parse_image_config(config) if config != Config() else None
    if call.query.all("changes"):
        process = found.spec.process
        base = wanted or ImageConfig(
            entrypoint=process.entrypoint,
            args=process.args,
            env=found.env,
            cwd=found.cwd,
            user=found.user,
            labels=found.spec.labels,
            volumes=found.spec.volumes,
            exposed=found.spec.network.exposed,
        )
        wanted = apply_changes(base, call.query.all("changes"))
    made = await call.engine.commit(
        found.id,
        image=f"{repository}:{tag or 'latest'}" if repository else "",
        config=wanted,
        author=call.query.get("author", ""),
        message=call.query.get("comment", ""),
        pause=query.flag(call.query, "pause", default=True),
    )
    return call.json({"Id": made.id}, 201)
