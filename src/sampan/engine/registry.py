"""Registry: the engine's containers, networks and volumes in memory, with their durable records.

Memory changes only after the commit, so nobody reads what a crash could take back; `record` and `erase` are for facts
that a crash cannot take back, as the host holds them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from sampan.base.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from sampan.model.container import Container
from sampan.model.network import Network
from sampan.model.volume import Volume
from sampan.store.port import RecordStore, Write

_T = TypeVar("_T", Container, Network, Volume)
_encode = msgspec.json.Encoder().encode


def put(record: Container | Network | Volume) -> Write:
    """Return the write that stores a record."""
    match record:
        case Container():
            return Write("container", record.id, _encode(record))
        case Network():
            return Write("network", record.id, _encode(record))
        case Volume():
            return Write("volume", record.name, _encode(record))


def delete(record: Container | Network | Volume) -> Write:
    """Return the write that removes a record."""
    return put(record)._replace(value=None)


class Registry:
    """What exists. One instance, one event loop."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self.containers: dict[str, Container] = {}
        self.networks: dict[str, Network] = {}
        self.volumes: dict[str, Volume] = {}
        self._names: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def load(self) -> None:
        """Read everything from the store."""
        self.containers = _decode(self._records.load("container"), Container)
        self.networks = _decode(self._records.load("network"), Network)
        self.volumes = _decode(self._records.load("volume"), Volume)
        self._names = {container.name: container.id for container in self.containers.values()}

    # --- containers ---------------------------------------------------------------------------------------------------

    def container(self, reference: str) -> Container:
        """Return the container of a full id, a name (with or without the leading slash) or a unique id prefix."""
        found = self.containers.get(reference)
        if found is None and (by_name := self._names.get(reference.removeprefix("/"))):
            found = self.containers.get(by_name)
        if found is None and reference:
            matches = [container_id for container_id in self.containers if container_id.startswith(reference)]
            if len(matches) > 1:
                raise InvalidArgument(f"multiple IDs found with provided prefix: {reference}; give more digits")
            found = self.containers[matches[0]] if matches else None
        if found is None:
            raise NotFound(f"No such container: {reference}")
        return found

    def lock(self, container_id: str) -> asyncio.Lock:
        """Return the lock under which a container changes."""
        return self._locks.setdefault(container_id, asyncio.Lock())

    def names(self) -> Iterable[str]:
        return self._names.keys()

    @contextmanager
    def claim(self, name: str, container_id: str) -> Iterator[None]:
        """Hold `name` for a container while it is being recorded; lets go of it when the block fails."""
        holder = self._names.get(name)
        if holder == container_id:
            yield
            return
        if holder is not None:
            raise AlreadyExists(
                f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        self._names[name] = container_id
        try:
            yield
        except BaseException:
            self._names.pop(name, None)
            raise

    async def save(self, container: Container, *more: Write) -> Container:
        """Make the container durable, then visible."""
        await self._records.commit(put(container), *more)
        self.show_container(container)
        return container

    def record(self, container: Container) -> asyncio.Future[None]:
        """Show the container now and make it durable soon.

        Only for what recovery would find out again from the host: a start that took effect, an end that the monitor
        has on record.
        """
        self.show_container(container)
        return self._records.commit(put(container))

    async def durable(self) -> None:
        """Return when everything recorded until now is durable."""
        await self._records.commit()

    def show_container(self, container: Container) -> None:
        """Make visible what is durable, or will be without fail."""
        before = self.containers.get(container.id)
        self.containers[container.id] = container
        self._names[container.name] = container.id
        if before is not None and before.name != container.name:
            self._names.pop(before.name, None)

    async def forget(self, container: Container, *more: Write) -> None:
        """Remove the container durably, then from view; its name is free."""
        await self._records.commit(delete(container), *more)
        self.hide_container(container)

    def erase(self, container: Container, *more: Write) -> asyncio.Future[None]:
        """Remove the container from view now and durably soon; only for what recovery would do again."""
        self.hide_container(container)
        return self._records.commit(delete(container), *more)

    def hide_container(self, container: Container) -> None:
        self.containers.pop(container.id, None)
        if self._names.get(container.name) == container.id:
            del self._names[container.name]
        self._locks.pop(container.id, None)

    # --- networks and volumes -----------------------------------------------------------------------------------------

    def network(self, reference: str) -> Network:
        """Return the network of an id, a name or a unique id prefix ("default" is the default bridge)."""
        if reference in self.networks:
            return self.networks[reference]
        name = "bridge" if reference == "default" else reference
        for network in self.networks.values():
            if network.name == name:
                return network
        matches = [
            network for network_id, network in self.networks.items() if reference and network_id.startswith(reference)
        ]
        if len(matches) > 1:
            raise Conflict(f"network {reference} is ambiguous ({len(matches)} matches found on id prefix)")
        if not matches:
            raise NotFound(f"network {reference} not found")
        return matches[0]

    def volume(self, name: str) -> Volume:
        try:
            return self.volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

    async def put(self, *records: Network | Volume) -> None:
        """Make networks and volumes durable, then visible."""
        await self._records.commit(*map(put, records))
        self.show(*records)

    async def drop(self, *records: Network | Volume) -> None:
        await self._records.commit(*map(delete, records))
        self.hide(*records)

    def show(self, *records: Network | Volume) -> None:
        """Make visible what was committed with something else."""
        for record in records:
            if isinstance(record, Network):
                self.networks[record.id] = record
            else:
                self.volumes[record.name] = record

    def hide(self, *records: Network | Volume) -> None:
        for record in records:
            if isinstance(record, Network):
                self.networks.pop(record.id, None)
            else:
                self.volumes.pop(record.name, None)


def _decode(raw: dict[str, bytes], kind: type[_T]) -> dict[str, _T]:
    decoder = msgspec.json.Decoder(kind)
    return {key: decoder.decode(value) for key, value in raw.items()}
