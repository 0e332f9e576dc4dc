"""Images: inspect, list rows, history, progress lines."""

from __future__ import annotations

from collections.abc import Mapping

from sampan.api.docker.render.config import Json, render_healthcheck
from sampan.api.docker.render.moment import rfc3339, unix_seconds
from sampan.engine.port import Progress
from sampan.model.image import Image, ImageConfig


def render_image(image: Image, storage_driver: str) -> Json:
    """Return the answer of `GET /images/{name}/json`."""
    rendered: Json = {
        "Id": image.id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Parent": image.parent,
        "Comment": image.comment,
        "Created": image.created_at or None,
        "DockerVersion": "",
        "Author": image.author,
        "Config": render_image_config(image.config),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size_bytes,
        "GraphDriver": {"Name": storage_driver, "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": rfc3339(image.tagged_at_ns)},
    }
    if image.variant:
        rendered["Variant"] = image.variant
    return rendered


def render_image_config(config: ImageConfig) -> Json:
    """Return an image's Config."""
    rendered: Json = {
        "Cmd": None if config.args is None else list(config.args),
        "Entrypoint": None if config.entrypoint is None else list(config.entrypoint),
        "Env": list(config.env) or None,
        "Labels": config.labels or None,
        "OnBuild": list(config.on_build) or None,
        "User": config.user,
        "Volumes": {path: {} for path in config.volumes} or None,
        "WorkingDir": config.cwd,
    }
    if config.exposed:
        rendered["ExposedPorts"] = {port: {} for port in config.exposed}
    if config.healthcheck is not None:
        rendered["Healthcheck"] = render_healthcheck(config.healthcheck)
    optional: Json = {"StopSignal": config.stop_signal, "Shell": list(config.shell)}
    return rendered | {key: value for key, value in optional.items() if value}


def render_image_row(image: Image, *, containers: int = -1, shared_bytes: int = -1) -> Json:
    """Return one row of `GET /images/json`; -1 means "not counted"."""
    return {
        "Containers": containers,
        "Created": unix_seconds(image.created_at),
        "Id": image.id,
        "Labels": image.config.labels or None,
        "ParentId": image.parent,
        "RepoDigests": list(image.digests),
        "RepoTags": list(image.tags),
        "SharedSize": shared_bytes,
        "Size": image.size_bytes,
    }


def render_history(image: Image) -> list[Json]:
    """Return the answer of `GET /images/{name}/history`: newest first, only the top has the image's id."""
    rows: list[Json] = [
        {
            "Comment": line.comment,
            "Created": unix_seconds(line.created_at),
            "CreatedBy": line.created_by,
            "Id": "<missing>",
            "Size": line.size_bytes,
            "Tags": None,
        }
        for line in reversed(image.history)
    ]
    if rows:
        rows[0] |= {"Id": image.id, "Tags": list(image.tags) or None}
    return rows


def render_progress(step: Progress) -> Json:
    """Return one line of a pull, push, load or import."""
    if step.stream:
        return {"stream": step.stream}
    line: Json = {}
    if step.status:
        line["status"] = step.status
    if step.total or step.current:
        detail = {"current": step.current, "total": step.total} if step.total else {"current": step.current}
        line |= {"progressDetail": detail, "progress": progress_bar(step.current, step.total)}
    elif step.id and step.status:
        line["progressDetail"] = {}
    if step.id:
        line["id"] = step.id
    if step.aux:
        line |= {"progressDetail": {}, "aux": step.aux}
    return line


def progress_bar(current: int, total: int) -> str:
    """Return "[====>   ]  1.5MB/3MB"."""
    if total <= 0:
        return f"{human_size(current)}"
    current = min(max(current, 0), total)
    done = current * 50 // total
    bar = "=" * done + (">" if done < 50 else "") + " " * (49 - done)
    return f"[{bar}] {human_size(current):>8}/{human_size(total)}"


def human_size(size_bytes: int) -> str:
    """Return a size in decimal units with four significant digits: "1.234MB"."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000 or unit == "PB":
            break
        size /= 1000
    return f"{size:.4g}{unit}"


def render_removed(rows: tuple[tuple[str, str], ...]) -> list[Json]:
    """Return [{"Untagged": …}, {"Deleted": …}] of ("untagged"|"deleted", what) rows."""
    return [{kind.capitalize(): what} for kind, what in rows]


def image_attributes(image: Image, name: str) -> Mapping[str, str]:
    """Return an image event's attributes."""
    return image.config.labels | {"name": name}
