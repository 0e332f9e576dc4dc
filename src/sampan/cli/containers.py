"""The verbs on containers that are one call each, and `ps`."""

from __future__ import annotations

import sys

from sampan.cli.container_body import resources
from sampan.cli.container_flags import RESOURCES
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, INT, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, query, quote
from sampan.cli.run import each
from sampan.cli.verb import Verb

FILTER = Flag("filter", LIST, "Filter: key=value", "f")
FORMAT = Flag("format", TEXT, "json, or a template such as '{{.ID}} {{.Names}}'")
QUIET = Flag("quiet", BOOL, "Print only ids or names", "q")
NO_TRUNC = Flag("no-trunc", BOOL, "Do not shorten")


def filters(values: list[str]) -> str:
    """Return the API's `filters` value of `key=value` words, "" when there are none."""
    if not values:
        return ""
    import json

    terms: dict[str, list[str]] = {}
    for word in values:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"invalid filter '{word}': write key=value, such as status=running")
        terms.setdefault(key, []).append(value)
    return json.dumps(terms, separators=(",", ":"))


def ps(client: Client, given: Given) -> int:
    from sampan.cli.table import show

    everything = given.on("all") or given.on("latest") or given.has("last")
    limit = 1 if given.on("latest") else given.int("last")
    path = "/containers/json" + query(
        all=everything, limit=limit, size=given.on("size"), filters=filters(given.list("filter"))
    )
    containers = client.get(path)
    assert isinstance(containers, list)  # noqa: S101  the API's shape
    rows = [_row(each_one, whole=given.on("no-trunc")) for each_one in containers]
    size = (("SIZE", "Size"),) if given.on("size") else ()
    show(rows, (*_COLUMNS, *size), given.text("format"), quiet="ID" if given.on("quiet") else "")
    return 0


_COLUMNS = (("CONTAINER ID", "ID"), ("IMAGE", "Image"), ("COMMAND", "Command"), ("CREATED", "RunningFor"),
            ("STATUS", "Status"), ("PORTS", "Ports"), ("NAMES", "Names"))  # fmt: skip


def _row(container: dict[str, object], *, whole: bool) -> dict[str, object]:
    import time

    from sampan.cli.units import human_duration, human_size

    command = str(container["Command"])
    created = int(str(container["Created"]))
    labels, networks = container.get("Labels") or {}, container.get("NetworkSettings") or {}
    names, mounts = container["Names"], container.get("Mounts") or []
    assert isinstance(labels, dict) and isinstance(networks, dict) and isinstance(names, list)  # noqa: S101, PT018
    assert isinstance(mounts, list)  # noqa: S101  the API's shape
    return {
        "ID": container["Id"] if whole else str(container["Id"])[:12],
        "Image": container["Image"],
        "Command": f'"{command if whole or len(command) <= 20 else command[:19] + "…"}"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
        "RunningFor": human_duration(time.time() - created) + " ago",  # noqa: TID251  a client shows the wall clock
        "Ports": _ports(container.get("Ports") or []),
        "State": container["State"],
        "Status": container["Status"],
        "Names": ",".join(str(name).lstrip("/") for name in names),
        "Labels": ",".join(f"{key}={value}" for key, value in labels.items()),
        "Mounts": ",".join(str(mount.get("Name") or mount.get("Source", "")) for mount in mounts),
        "Networks": ",".join(networks.get("Networks") or {}),
        "Size": human_size(int(str(container.get("SizeRw") or 0))),
    }


def _ports(ports: object) -> str:
    assert isinstance(ports, list)  # noqa: S101  the API's shape
    shown = []
    for port in sorted(ports, key=lambda one: (one["PrivatePort"], one["Type"], one.get("IP", ""))):
        inside = f"{port['PrivatePort']}/{port['Type']}"
        address = str(port.get("IP", ""))
        if port.get("PublicPort"):
            host = f"[{address}]" if ":" in address else address
            shown.append(f"{host}:{port['PublicPort']}->{inside}")
        else:
            shown.append(inside)
    return ", ".join(dict.fromkeys(shown))


def stop(client: Client, given: Given) -> int:
    return _signalled(client, given, "stop")


def restart(client: Client, given: Given) -> int:
    return _signalled(client, given, "restart")


def _signalled(client: Client, given: Given, action: str) -> int:
    wishes = query(signal=given.text("signal"), t=given.int("time") if given.has("time") else given.int("timeout"))
    return each(given.words, lambda name: client.request("POST", f"/containers/{quote(name)}/{action}{wishes}").read())


def kill(client: Client, given: Given) -> int:
    wishes = query(signal=given.text("signal"))
    return each(given.words, lambda name: client.request("POST", f"/containers/{quote(name)}/kill{wishes}").read())


def pause(client: Client, given: Given) -> int:
    return each(given.words, lambda name: client.request("POST", f"/containers/{quote(name)}/pause").read())


def unpause(client: Client, given: Given) -> int:
    return each(given.words, lambda name: client.request("POST", f"/containers/{quote(name)}/unpause").read())


def rm(client: Client, given: Given) -> int:
    wishes = query(force=given.on("force"), v=given.on("volumes"), link=given.on("link"))
    ok = (404,) if given.on("force") else ()
    return each(
        given.words,
        lambda name: client.request("DELETE", f"/containers/{quote(name.strip('/'))}{wishes}", ok=ok).read(),
    )


def rename(client: Client, given: Given) -> int:
    old, new = given.words
    client.request("POST", f"/containers/{quote(old)}/rename{query(name=new)}").read()
    return 0


def wait(client: Client, given: Given) -> int:
    def one(name: str) -> None:
        result = client.request("POST", f"/containers/{quote(name)}/wait").json()
        assert isinstance(result, dict)  # noqa: S101  the API's shape
        print(result["StatusCode"])

    return each(given.words, one, echo=False)


def top(client: Client, given: Given) -> int:
    from sampan.cli.table import show

    name, *ps_args = given.words
    result = client.get(f"/containers/{quote(name)}/top{query(ps_args=' '.join(ps_args))}")
    assert isinstance(result, dict)  # noqa: S101  the API's shape
    titles = [str(title) for title in result["Titles"]]
    rows: list[dict[str, object]] = [dict(zip(titles, row, strict=True)) for row in result["Processes"] or []]
    show(rows, tuple((title, title) for title in titles))
    return 0


def port(client: Client, given: Given) -> int:
    from sampan.cli.run import inspect

    settings = inspect(client, given.words[0])["NetworkSettings"]
    assert isinstance(settings, dict)  # noqa: S101  the API's shape
    wanted = given.words[1] if len(given.words) > 1 else ""
    wanted = wanted if not wanted or "/" in wanted else f"{wanted}/tcp"
    found = [(inside, binding) for inside, bindings in (settings["Ports"] or {}).items() for binding in bindings or []]
    lines = []
    for inside, binding in found:
        address = f"[{binding['HostIp']}]" if ":" in binding["HostIp"] else binding["HostIp"]
        if wanted in ("", inside):
            lines.append(f"{'' if wanted else inside + ' -> '}{address}:{binding['HostPort']}")
    if wanted and not lines:
        raise CliError(f"no public port '{wanted}' published for {given.words[0]}")
    print("\n".join(lines))
    return 0


def update(client: Client, given: Given) -> int:
    wanted = resources(given)
    if given.has("restart"):
        name, _, count = given.text("restart").partition(":")
        wanted["RestartPolicy"] = {"Name": name, "MaximumRetryCount": int(count or 0)}
    if not wanted:
        raise UsageError("nothing to update: give a flag such as --memory or --restart")

    def one(container: str) -> None:
        result = client.request("POST", f"/containers/{quote(container)}/update", wanted).json()
        for warning in (result.get("Warnings") if isinstance(result, dict) else None) or ():
            print(f"WARNING: {warning}", file=sys.stderr)

    return each(given.words, one)


def diff(client: Client, given: Given) -> int:
    changes = client.get(f"/containers/{quote(given.words[0])}/changes")
    for change in changes if isinstance(changes, list) else ():
        print("CAD"[change["Kind"]], change["Path"])
    return 0


_NAMES = "CONTAINER [CONTAINER...]"
_SIGNAL = Flag("signal", TEXT, "Signal to send", "s")
_UPDATE = {"memory", "memory-reservation", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpu-rt-period",
           "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems", "pids-limit", "blkio-weight", "cpus"}  # fmt: skip
_TIME = (
    Flag("timeout", INT, "Seconds to wait before killing", "t"),
    Flag("time", INT, "The same as --timeout"),
)

PS = Verb(
    ps, "[OPTIONS]", "List containers.",
    (
        Flag("all", BOOL, "Show those that do not run, too", "a"),
        Flag("last", INT, "Show the last n created", "n"),
        Flag("latest", BOOL, "Show the one created last", "l"),
        Flag("size", BOOL, "Show sizes", "s"),
        FILTER, FORMAT, QUIET, NO_TRUNC,
    ),
)  # fmt: skip
STOP = Verb(stop, f"[OPTIONS] {_NAMES}", "Stop containers.", (_SIGNAL, *_TIME), (1, None))
RESTART = Verb(restart, f"[OPTIONS] {_NAMES}", "Restart containers.", (_SIGNAL, *_TIME), (1, None))
KILL = Verb(kill, f"[OPTIONS] {_NAMES}", "Send a signal to containers, KILL unless told.", (_SIGNAL,), (1, None))
PAUSE = Verb(pause, _NAMES, "Freeze all processes of containers.", (), (1, None))
UNPAUSE = Verb(unpause, _NAMES, "Thaw containers.", (), (1, None))
RM = Verb(
    rm, f"[OPTIONS] {_NAMES}", "Remove containers.",
    (
        Flag("force", BOOL, "Kill it first if it runs", "f"),
        Flag("volumes", BOOL, "Remove its anonymous volumes", "v"),
        Flag("link", BOOL, "Remove the link", "l"),
    ),
    (1, None),
)  # fmt: skip
RENAME = Verb(rename, "CONTAINER NEW_NAME", "Rename a container.", (), (2, 2))
WAIT = Verb(wait, _NAMES, "Wait until containers stop and print their exit codes.", (), (1, None))
TOP = Verb(top, "CONTAINER [ps OPTIONS]", "Show a container's processes.", (), (1, None), interspersed=False)
PORT = Verb(port, "CONTAINER [PORT[/PROTO]]", "Show published ports.", (), (1, 2))
UPDATE = Verb(
    update, f"[OPTIONS] {_NAMES}", "Change limits of containers.",
    (*(flag for flag in RESOURCES if flag.name in _UPDATE), Flag("restart", TEXT, "Restart policy")), (1, None),
)  # fmt: skip
DIFF = Verb(diff, "CONTAINER", "Show what changed in a container's filesystem.", (), (1, 1))
