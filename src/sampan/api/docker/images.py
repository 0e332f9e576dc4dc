"""Images: list, inspect, pull, push, load, save, import, tag, remove."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from sampan.api.docker.call import Call
from sampan.api.docker.parse import query
from sampan.api.docker.parse.exec import apply_changes, parse_credentials
from sampan.api.docker.render import image as render
from sampan.base.errors import DataLoss, InvalidArgument, Unsupported
from sampan.engine.port import Progress
from sampan.model.image import Image, ImageConfig
from sampan.spec.docker.api import MEDIA_TAR, REGISTRY_AUTH_HEADER

_NO_VIRTUAL_SIZE_VERSION = (1, 44)


async def list_all(call: Call) -> web.StreamResponse:
    found = call.engine.list_images(query.filters(call.query))
    users: dict[str, int] = {}
    for container in call.engine.containers(all=True):
        users[container.spec.image_id] = users.get(container.spec.image_id, 0) + 1
    rows = [render.render_image_row(image, containers=users.get(image.id, 0)) for image in found]
    if call.version < _NO_VIRTUAL_SIZE_VERSION:
        rows = [row | {"VirtualSize": row["Size"]} for row in rows]
    return call.json(rows)


async def inspect(call: Call) -> web.StreamResponse:
    image = call.engine.images.get(call.name)
    rendered = render.render_image(image, call.engine.info().storage_driver)
    if call.version < _NO_VIRTUAL_SIZE_VERSION:
        rendered["VirtualSize"] = rendered["Size"]
    return call.json(rendered)


async def history(call: Call) -> web.StreamResponse:
    return call.json(render.render_history(call.engine.images.get(call.name)))


def _emit(call: Call, action: str, image: Image, name: str) -> None:
    call.engine.emit("image", action, image.id, render.image_attributes(image, name))


async def _lines(call: Call, steps: AsyncIterator[Progress], action: str = "") -> AsyncIterator[object]:
    """Yield a step's line and tell the event of each image that was made."""
    async for step in steps:
        if step.image is not None and action:
            _emit(call, action, step.image, step.image.tags[0] if step.image.tags else step.image.id)
        line = render.render_progress(step)
        if line:
            yield line


def join_tag(name: str, tag: str) -> str:
    """Return name:tag, or name@digest when the tag is one."""
    if not tag:
        return name
    return f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"


def _has_tag(name: str) -> bool:
    return ":" in name.rpartition("/")[2] or "@" in name


async def create(call: Call) -> web.StreamResponse:
    """POST /images/create: pull (`fromImage`) or import (`fromSrc`)."""
    name, source = call.query.get("fromImage", ""), call.query.get("fromSrc", "")
    if name:
        return await _pull(call, name)
    if source == "-":
        return await _import(call)
    if source:
        raise Unsupported("importing from a URL is not supported by Sampan: fetch the file, then `docker import FILE`")
    raise InvalidArgument("one of fromImage and fromSrc must be given")


async def _pull(call: Call, name: str) -> web.StreamResponse:
    tag = call.query.get("tag", "")
    reference = join_tag(name, tag or ("" if _has_tag(name) else "latest"))
    credentials = parse_credentials(call.header(REGISTRY_AUTH_HEADER))
    steps = await call.engine.pull(reference, credentials, call.query.get("platform", ""))
    return await call.stream_json(_lines(call, steps))


async def _import(call: Call) -> web.StreamResponse:
    config = apply_changes(ImageConfig(), call.query.all("changes"))
    repository = call.query.get("repo", "")
    reference = join_tag(repository, call.query.get("tag", "")) if repository else ""
    steps = call.engine.images.import_rootfs(
        call.chunks(), reference=reference, config=config, message=call.query.get("message") or "Imported from -"
    )
    return await call.stream_json(_refusing(_lines(call, steps, "import")))


async def _refusing(lines: AsyncIterator[object]) -> AsyncIterator[object]:
    """A digest that does not match is the archive's fault here, not our store's."""
    try:
        async for line in lines:
            yield line
    except DataLoss as error:
        raise InvalidArgument(str(error)) from error


async def load(call: Call) -> web.StreamResponse:
    """POST /images/load: a docker or OCI archive."""
    steps = call.engine.images.load(call.chunks())
    return await call.stream_json(_refusing(_lines(call, steps, "load")))


async def save(call: Call) -> web.StreamResponse:
    """GET /images/get?names=… and GET /images/{name}/get."""
    names = (call.name,) if "name" in call.params else tuple(filter(None, call.query.all("names")))
    if not names:
        raise InvalidArgument("bad parameter: names must be given")
    chosen = [(name, call.engine.images.get(name)) for name in names]
    for name, image in chosen:
        _emit(call, "save", image, name)
    return await call.stream_bytes(call.engine.images.save(names), MEDIA_TAR)


async def push(call: Call) -> web.StreamResponse:
    credentials = parse_credentials(call.header(REGISTRY_AUTH_HEADER))
    reference = join_tag(call.name, call.query.get("tag", ""))
    image = call.engine.images.get(reference)

    async def lines() -> AsyncIterator[object]:
        async for line in _lines(call, call.engine.images.push(reference, credentials)):
            yield line
        _emit(call, "push", image, reference)

    return await call.stream_json(lines())


async def tag(call: Call) -> web.StreamResponse:
    target = join_tag(query.require(call.query, "repo"), call.query.get("tag", ""))
    image = await call.engine.images.tag(call.name, target)
    _emit(call, "tag", image, target if _has_tag(target) else f"{target}:latest")
    return call.empty(201)


async def remove(call: Call) -> web.StreamResponse:
    rows = await call.engine.remove_image(call.name, force=query.flag(call.query, "force"))
    return call.json(render.render_removed(rows))


async def prune(call: Call) -> web.StreamResponse:
    rows, freed = await call.engine.prune_images(query.filters(call.query))
    return call.json({"ImagesDeleted": render.render_removed(rows) or None, "SpaceReclaimed": freed})
