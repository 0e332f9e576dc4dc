"""Against answers of a real dockerd 28.5 (tests/golden/docker_api/*.json): same keys everywhere, same values where the
values are not the host's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sampan.api.docker.parse.container import parse_create
from sampan.api.docker.render.container import render_inspect, render_row
from sampan.engine.port import HostInfo, RuntimeInfo
from sampan.model.container import Container, ContainerState, Endpoint, MountKind, MountPoint, Phase

GOLDEN = Path(__file__).parent / "docker_api"
INFO = HostInfo(
    id="x",
    name="h",
    version="1",
    kernel="6",
    operating_system="Debian",
    os_version="12",
    architecture="x86_64",
    cpus=2,
    memory_bytes=1 << 34,
    data_root="/var/lib/engine",
    exec_root="/run/engine",
    runtime=RuntimeInfo(default="runc", cgroup_version="1"),
)


def time_ns(text: str) -> int:
    from sampan.api.docker.parse.query import time_ns as parse

    if text.startswith("0001"):
        return 0
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return parse({"t": whole + "Z"}, "t", 0) + int((fraction + "0" * 9)[:9])


def rebuild(golden: dict) -> Container:
    """Return the container that dockerd described."""
    asked = golden["Config"] | {"HostConfig": golden["HostConfig"]}
    spec = parse_create(msgspec.json.encode(asked))
    spec = msgspec.structs.replace(spec, image_id=golden["Image"])
    state, settings = golden["State"], golden["NetworkSettings"]
    endpoints = tuple(
        Endpoint(
            network_id=row["NetworkID"],
            network_name=name,
            endpoint_id=row["EndpointID"],
            aliases=tuple(row["Aliases"] or ()),
            gateway=row["Gateway"],
            ipv4=row["IPAddress"],
            ipv4_prefix=row["IPPrefixLen"],
            mac=row["MacAddress"],
        )
        for name, row in settings["Networks"].items()
    )
    mounts = tuple(
        MountPoint(
            kind=MountKind(row["Type"]),
            source=row["Source"],
            target=row["Destination"],
            name=row.get("Name", ""),
            driver=row.get("Driver", ""),
            mode=row["Mode"],
            read_only=not row["RW"],
            propagation=row["Propagation"],
        )
        for row in golden["Mounts"]
    )
    return Container(
        id=golden["Id"],
        name=golden["Name"].removeprefix("/"),
        created_at_ns=time_ns(golden["Created"]),
        spec=spec,
        state=ContainerState(
            phase=Phase(state["Status"]),
            pid=state["Pid"],
            exit_code=state["ExitCode"],
            error=state["Error"],
            started_at_ns=time_ns(state["StartedAt"]),
            finished_at_ns=time_ns(state["FinishedAt"]),
            endpoints=endpoints,
            sandbox_key=settings["SandboxKey"],
        ),
        mounts=mounts,
        args=(golden["Path"], *golden["Args"]),
        env=tuple(golden["Config"]["Env"] or ()),
        cwd=golden["Config"]["WorkingDir"],
        user=golden["Config"]["User"],
        hostname=golden["Config"]["Hostname"],
        log_path=golden["LogPath"],
    )


HOST_OWN = {"GraphDriver", "SandboxID"}


def differences(ours: object, theirs: object, path: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} missing" for key in theirs.keys() - ours.keys() if key not in HOST_OWN]
        found += [f"{path}.{key} extra" for key in ours.keys() - theirs.keys()]
        for key in ours.keys() & theirs.keys() - HOST_OWN:
            found += differences(ours[key], theirs[key], f"{path}.{key}")
        return found
    return [] if ours == theirs else [f"{path}: {ours!r} is not {theirs!r}"]


@pytest.mark.parametrize("name", ["plain", "made", "gone", "full"])
def test_inspect_is_dockerds(name):
    golden = json.loads((GOLDEN / f"inspect-{name}.json").read_text())
    ours = json.loads(msgspec.json.encode(render_inspect(rebuild(golden), INFO)))
    found = differences(ours, golden)
    if name == "full":  # its start failed after dockerd had written these files; ours are there after a start
        found = [text for text in found if not text.startswith((".HostnamePath", ".HostsPath", ".ResolvConfPath"))]
    assert found == []


def test_list_rows_are_dockerds():
    rows = json.loads((GOLDEN / "list.json").read_text())
    for row in rows:
        golden = json.loads((GOLDEN / f"inspect-{row['Names'][0][1:]}.json").read_text())
        ours = json.loads(msgspec.json.encode(render_row(rebuild(golden), 0, (0, row["SizeRootFs"]))))
        row["SizeRw"] = 0  # omitted by dockerd when zero
        for free in ("Status", "Mounts", "NetworkSettings"):
            row.pop(free)
            ours.pop(free)
        assert differences(ours, row) == []
