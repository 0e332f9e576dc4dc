"""Files of a container: `docker cp` and `docker export`."""

from __future__ import annotations

import base64

import msgspec
from aiohttp import web

from sampan.api.docker.call import STANDARD_HEADERS, Call
from sampan.api.docker.parse import query
from sampan.engine.port import PathStat
from sampan.spec.docker.api import MEDIA_TAR, PATH_STAT_HEADER


def render_path_stat(stat: PathStat) -> str:
    """Return the header's value: base64 JSON."""
    fields = {
        "name": stat.name,
        "size": stat.size,
        "mode": stat.mode,
        "mtime": stat.mtime,
        "linkTarget": stat.link_target,
    }
    return base64.b64encode(msgspec.json.encode(fields)).decode()


async def stat(call: Call) -> web.StreamResponse:
    """HEAD /containers/{name}/archive."""
    found = await call.engine.path_stat(call.name, query.require(call.query, "path"))
    return web.Response(headers={**STANDARD_HEADERS, PATH_STAT_HEADER: render_path_stat(found)})


async def read(call: Call) -> web.StreamResponse:
    """GET /containers/{name}/archive: a tar of one path."""
    found, chunks = await call.engine.read_archive(call.name, query.require(call.query, "path"))
    return await call.stream_bytes(chunks, MEDIA_TAR, {PATH_STAT_HEADER: render_path_stat(found)})


async def write(call: Call) -> web.StreamResponse:
    """PUT /containers/{name}/archive: unpack a tar into a directory."""
    await call.engine.write_archive(
        call.name,
        query.require(call.query, "path"),
        call.chunks(),
        no_overwrite_dir_non_dir=query.flag(call.query, "noOverwriteDirNonDir"),
        copy_uid_gid=query.flag(call.query, "copyUIDGID"),
    )
    return call.empty(200)


async def export(call: Call) -> web.StreamResponse:
    """GET /containers/{name}/export: the whole tree as a tar."""
    return await call.stream_bytes(await call.engine.export(call.name), "application/octet-stream")
