"""What should exist for one daemon, by its records; and whether its API tells the same.

Records are read from the database, whether the daemon lives or not. Where it answers, what it tells of containers,
networks, volumes and images is compared with them, so that an object no call shows is a difference.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from sampan.cli.errors import CliError
from sampan.cli.http import Client
from sampan.cmd.ledger_host import Found, Roots, short
from sampan.image.layers import SCRATCH
from sampan.image.parse import chain_ids
from sampan.model.container import Container, Phase
from sampan.model.image import Image
from sampan.model.network import Network
from sampan.model.volume import Volume
from sampan.network.naming import SLOT_RECORD, Names
from sampan.network.pool import Slot
from sampan.network.reservation import exit_endpoint
from sampan.network.ruleset import Forward

T = TypeVar("T")

_HAS_PROCESS = (Phase.RUNNING, Phase.PAUSED)
_ON_THE_WAY = (Phase.STARTING, Phase.RESTARTING)
"""Phases in which a container may or may not have its things on the host."""


class Told(NamedTuple):
    """What must be there, and what may be, by kind. `starting`: containers whose process no record may know yet."""

    required: Found
    allowed: Found
    starting: set[str]


class Records(NamedTuple):
    """All records of a daemon, decoded."""

    containers: dict[str, Container]
    networks: dict[str, Network]
    volumes: dict[str, Volume]
    images: dict[str, Image]
    slots: dict[str, Slot]


def read_records(roots: Roots) -> Records:
    """Return the records as they are in one moment; none when there is no database yet."""
    rows: dict[str, dict[str, bytes]] = {}
    path = roots.data / "engine.db"
    if path.exists():
        for kind, key, value in _read(str(path)):
            rows.setdefault(kind, {})[key] = value

    def decoded(kind: str, type_: type[T]) -> dict[str, T]:
        return {key: msgspec.json.decode(value, type=type_) for key, value in rows.get(kind, {}).items()}

    return Records(
        decoded("container", Container),
        decoded("network", Network),
        decoded("volume", Volume),
        decoded("image", Image),
        decoded(SLOT_RECORD, Slot),
    )


def _read(path: str) -> list[tuple[str, str, bytes]]:
    """Read-only where SQLite can: without its side files, which a clean end removes, it must be able to make them."""
    for mode in ("ro", "rw"):
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=5)) as database:
                return database.execute("SELECT kind, key, value FROM record").fetchall()
        except sqlite3.OperationalError:
            if mode == "rw":
                raise
    return []


def told_by_records(roots: Roots, records: Records) -> Told:
    """Return what the records say must and may be on the host."""
    told = _Telling(roots, records)
    for container in records.containers.values():
        told.container(container)
    told.networks()
    told.store()
    told.rest()
    told.control()
    return Told(told.required, told.allowed, told.starting)


class _Telling:
    """Collects rows."""

    def __init__(self, roots: Roots, records: Records) -> None:
        self._roots = roots
        self._records = records
        self._names = Names(tag=roots.tag)
        self.required: Found = {}
        self.allowed: Found = {}
        self.starting: set[str] = set()

    def _must(self, kind: str, *rows: str) -> None:
        self.required.setdefault(kind, set()).update(rows)

    def _may(self, kind: str, *rows: str) -> None:
        self.allowed.setdefault(kind, set()).update(rows)

    def control(self) -> None:
        """The control process is the one that holds the store: there is one, or none."""
        with contextlib.suppress(FileNotFoundError):
            self._may("control process", (self._roots.data / "control" / "pid").read_text().strip())

    def container(self, container: Container) -> None:
        name, phase = short(container.id), container.state.phase
        self._may("container files", name)
        self._may("writable layer", name)
        self._may("shared memory", name)
        if phase in _HAS_PROCESS:
            self._running(container, name, self._must)
        elif phase in _ON_THE_WAY:
            self._running(container, name, self._may)
            self.starting.add(name)

    def _running(self, container: Container, name: str, row: Any) -> None:
        """Tell with `row` what a container with a process has."""
        row("process", f"{name} {container.state.pid}")
        row("monitor", name)
        row("bundle", name)
        row("runtime state", name)
        row("mount", f"data/containers/{name}/merged")
        self._may("mount", f"data/shm/{name}")
        self._may("exec monitor", name)
        self._may("cgroup", *(f"{root} {name}" for root in _hierarchies()))
        if os.path.dirname(container.state.sandbox_key) == str(self._roots.exec / "netns"):
            row("netns", os.path.basename(container.state.sandbox_key))
        for endpoint in container.state.endpoints:
            network = self._records.networks.get(endpoint.network_id)
            if network is not None and network.driver == "bridge":
                row("veth", self._names.veth(endpoint))
                row("bridge port", f"{network.bridge} {self._names.veth(endpoint)}")
        row("nft rule", *self._rules(container))

    def _rules(self, container: Container) -> list[str]:
        endpoint = exit_endpoint(container.state.endpoints, self._records.networks)
        if endpoint is None:
            return []
        rows = []
        for port in container.state.ports:
            target = endpoint.ipv6 if ":" in port.host_ip else endpoint.ipv4
            if target:
                forward = Forward(
                    host_ip=port.host_ip,
                    protocol=port.protocol,
                    host_port=port.host_port,
                    target_ip=target,
                    target_port=port.container_port,
                )
                rows.append(f"{forward.map} {forward.element}")
        return rows

    def networks(self) -> None:
        for network in self._records.networks.values():
            if network.driver != "bridge":
                continue
            self._must("nft table", self._names.table)
            self._must("bridge", network.bridge)
            for subnet in network.subnets:
                if subnet.gateway:
                    self._must("address", f"{network.bridge} {subnet.gateway}/{subnet.subnet.partition('/')[2]}")
        for slot in self._records.slots.values():
            self._may("netns", os.path.basename(slot.path))
            self._may("veth", self._names.veth(slot.endpoint))
            home = self._records.networks.get(slot.endpoint.network_id)
            if home is not None:
                self._may("bridge port", f"{home.bridge} {self._names.veth(slot.endpoint)}")

    def store(self) -> None:
        self._must("volume", *self._records.volumes)
        self._may("mount", *(f"data/volumes/{v.name}/_data" for v in self._records.volumes.values() if v.options))
        self._may("layer", SCRATCH)
        for image in self._records.images.values():
            self._must("layer", *(chain.removeprefix("sha256:") for chain in chain_ids(image.layers)))
            digests = [image.id, image.manifest_digest, *self._layer_blobs(image.manifest_digest)]
            self._must("blob", *(digest.removeprefix("sha256:") for digest in digests if digest))

    def _layer_blobs(self, manifest: str) -> list[str]:
        path = self._roots.data / "images/blobs/sha256" / manifest.removeprefix("sha256:")
        try:
            return [str(layer["digest"]) for layer in json.loads(path.read_bytes())["layers"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []  # a manifest that is missing is a difference already

    def rest(self) -> None:
        self._may("mount", "data", "exec/netns")
        self._may("socket", *(host.removeprefix("unix://") for host in self._roots.hosts))  # a killed daemon leaves it


def _hierarchies() -> Iterable[str]:
    from sampan.host.cgroup import Hierarchies

    return (os.path.basename(root) for root in Hierarchies().roots())


# --- the API ----------------------------------------------------------------------------------------------------------


def told_by_api(roots: Roots) -> Found | None:
    """Return the objects that the daemon of these roots tells of, None when it does not answer."""
    for host in roots.hosts:
        with contextlib.suppress(CliError, ValueError):
            client = Client(host)
            info: Any = client.get("/info")
            if os.path.realpath(info["DockerRootDir"]) == os.path.realpath(roots.data):
                return _ask(client)
    return None


def _ask(client: Client) -> Found:
    containers: Any = client.get("/containers/json?all=true")
    networks: Any = client.get("/networks")
    volumes: Any = client.get("/volumes")
    images: Any = client.get("/images/json?all=true")
    return {
        "container": {f"{short(row['Id'])} {row['State']}" for row in containers},
        "network": {row["Name"] for row in networks},
        "volume record": {row["Name"] for row in volumes["Volumes"] or ()},
        "image": {row["Id"] for row in images},
    }


def objects_of(records: Records) -> Found:
    """Return the objects as the API would tell them."""
    return {
        "container": {f"{short(c.id)} {_state(c)}" for c in records.containers.values()},
        "network": {network.name for network in records.networks.values()},
        "volume record": set(records.volumes),
        "image": set(records.images),
    }


def _state(container: Container) -> str:
    return "created" if container.state.phase is Phase.STARTING else str(container.state.phase)
