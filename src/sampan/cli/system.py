"""The verbs on the whole: info, events, df and the prunes."""

from __future__ import annotations

import os
from collections.abc import Callable

from sampan.cli.containers import FILTER, FORMAT, filters
from sampan.cli.errors import UsageError
from sampan.cli.flags import BOOL, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, query
from sampan.cli.verb import Verb

_INFO = ("Name", "ServerVersion", "OperatingSystem", "KernelVersion", "Architecture", "NCPU", "MemTotal", "Driver",
         "CgroupDriver", "CgroupVersion", "DefaultRuntime", "DockerRootDir", "Containers", "ContainersRunning", "Images",
         "LiveRestoreEnabled")  # fmt: skip


def info(client: Client, given: Given) -> int:
    found = client.get("/info")
    assert isinstance(found, dict)  # noqa: S101  the API's shape
    if given.text("format"):
        from sampan.cli.table import render

        print(render(given.text("format"), found))
        return 0
    for name in _INFO:
        print(f"{name:<20} {found.get(name, '')}")
    for warning in found.get("Warnings") or ():
        print(warning)
    return 0


def events(client: Client, given: Given) -> int:
    import json
    import time

    from sampan.cli.table import render
    from sampan.cli.units import timestamp

    now_s = time.time()  # noqa: TID251  "10m ago" is by this machine's clock
    times = {name: timestamp(given.text(name), now_s) if given.text(name) else "" for name in ("since", "until")}
    answer = client.request("GET", "/events" + query(filters=filters(given.list("filter")), **times))
    for line in answer.lines():
        event = json.loads(line)
        text = render(given.text("format"), event) if given.text("format") else _event(event)
        print(text, flush=True)
    return 0


def _event(event: dict[str, object]) -> str:
    import time

    nanoseconds, actor = int(str(event["timeNano"])), event.get("Actor")
    assert isinstance(actor, dict)  # noqa: S101  the API's shape
    local = time.localtime(nanoseconds // 10**9)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{nanoseconds % 10**9:09d}" + time.strftime("%z", local)
    attributes = ", ".join(f"{key}={value}" for key, value in sorted((actor.get("Attributes") or {}).items()))
    words = f"{event['Type']} {event['Action']} {actor.get('ID', '')}"
    return f"{stamp} {words} ({attributes})" if attributes else f"{stamp} {words}"


def df(client: Client, given: Given) -> int:
    from sampan.cli.table import show
    from sampan.cli.units import human_size

    found = client.get("/system/df")
    assert isinstance(found, dict)  # noqa: S101  the API's shape
    containers, volumes, images = (found.get(name) or [] for name in ("Containers", "Volumes", "Images"))
    running = [one for one in containers if one.get("State") == "running"]
    used = [one for one in volumes if (one.get("UsageData") or {}).get("RefCount", 0) > 0]
    sizes = (
        ("Images", images, [one for one in images if one.get("Containers", 0) > 0], int(found.get("LayersSize") or 0)),
        ("Containers", containers, running, sum(int(one.get("SizeRw") or 0) for one in containers)),
        ("Local Volumes", volumes, used, sum(max(0, (one.get("UsageData") or {}).get("Size", 0)) for one in volumes)),
    )
    rows: list[dict[str, object]] = [
        {"Type": kind, "TotalCount": len(every), "Active": len(active), "Size": human_size(size)}
        for kind, every, active, size in sizes
    ]
    columns = (("TYPE", "Type"), ("TOTAL", "TotalCount"), ("ACTIVE", "Active"), ("SIZE", "Size"))
    show(rows, columns, given.text("format"))
    return 0


def _prune(kind: str, deleted: str) -> Callable[[Client, Given], int]:
    def prune(client: Client, given: Given) -> int:
        _confirm(given, kind)
        wanted = given.list("filter") + (["dangling=false"] if kind == "images" and given.on("all") else [])
        wanted += ["all=true"] if kind == "volumes" and given.on("all") else []
        result = client.request("POST", f"/{kind}/prune" + query(filters=filters(wanted))).json()
        assert isinstance(result, dict)  # noqa: S101  the API's shape
        for row in result.get(deleted) or ():
            print(row if isinstance(row, str) else " ".join(f"{action}: {what}" for action, what in row.items()))
        if "SpaceReclaimed" in result:
            from sampan.cli.units import human_size

            print(f"Total reclaimed space: {human_size(result['SpaceReclaimed'] or 0)}")
        return 0

    return prune


def _confirm(given: Given, kind: str) -> None:
    if given.on("force"):
        return
    if not os.isatty(0):
        raise UsageError(f"prune removes every unused one of the {kind}: say --force where nobody can be asked")
    if input(f"This removes all unused {kind}. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was removed")


def _prune_verb(kind: str, deleted: str) -> Verb:
    flags = (Flag("force", BOOL, "Do not ask", "f"), Flag("all", BOOL, "Also those with names", "a"), _PRUNE_FILTER)
    return Verb(_prune(kind, deleted), "[OPTIONS]", f"Remove unused {kind}.", flags)


_PRUNE_FILTER = Flag("filter", LIST, "Filter: key=value")
INFO = Verb(info, "[OPTIONS]", "Show what the engine and its host are.", (FORMAT,))
EVENTS = Verb(
    events, "[OPTIONS]", "Show what happens, as it happens.",
    (FILTER, FORMAT, Flag("since", TEXT, "Also what happened since this time"), Flag("until", TEXT, "End at this time")),
)  # fmt: skip
DF = Verb(df, "[OPTIONS]", "Show how much room images, containers and volumes take.", (FORMAT,))
PRUNE_CONTAINERS = _prune_verb("containers", "ContainersDeleted")
PRUNE_IMAGES = _prune_verb("images", "ImagesDeleted")
PRUNE_NETWORKS = _prune_verb("networks", "NetworksDeleted")
PRUNE_VOLUMES = _prune_verb("volumes", "VolumesDeleted")
