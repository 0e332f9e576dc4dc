"""Recovery: at start, make the host and the records agree. What runs is adopted, what is unknown is removed.

The engine may have been killed between any two instructions, the monitors too, and the machine may have been reset.
"""

from __future__ import annotations

import asyncio

from sampan.base import log
from sampan.base.clock import Clock
from sampan.engine.connections import Connections, attachment_of, detached
from sampan.engine.lifecycle import Lifecycle
from sampan.engine.machine import Machine
from sampan.engine.plan import starts_with_engine
from sampan.engine.registry import Registry
from sampan.image.port import Images, Snapshotter
from sampan.model.container import Container, Phase, move
from sampan.model.volume import Volume
from sampan.network.port import NetworkDriver
from sampan.runtime.port import Exit, Found, Runtime
from sampan.volume.port import Volumes

_log = log.get("recovery")
LOST = Exit(
    code=255, error="its end was not seen: the machine or the container's monitor stopped while the engine was away"
)


class Recovery:
    """One run of it, before the first request is answered."""

    def __init__(
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        runtime: Runtime,
        network: NetworkDriver,
        connections: Connections,
        images: Images,
        snapshotter: Snapshotter,
        volumes: Volumes,
        machine: Machine,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._runtime = runtime
        self._network = network
        self._connections = connections
        self._images = images
        self._snapshotter = snapshotter
        self._volumes = volumes
        self._machine = machine
        self._clock = clock

    async def run(self, *, fresh: bool) -> None:
        """Adopt, finish or undo everything. `fresh`: the records are new, so data found on disk is taken up, not removed."""
        found = await self._runtime.survey()
        ended: list[tuple[Container, Exit]] = []
        for container in list(self._registry.containers.values()):
            outcome = await self._settle(container, found.get(container.id))
            if outcome is not None:
                ended.append((self._registry.containers[container.id], outcome))
        running = {
            c.id: attachment_of(c) for c in self._registry.containers.values() if c.running and c.state.sandbox_key
        }
        for container, _ in ended:
            running.pop(container.id, None)
        await self._network.reconcile(tuple(self._registry.networks.values()), running)
        for container, exited in ended:
            async with self._registry.lock(container.id):
                await self._lifecycle.ended(container, exited)
        await self._registry.durable()  # the sweep deletes the monitors' records of these ends
        await self._sweep(found)
        await self._images.reconcile()
        await self._settle_volumes(fresh=fresh)
        for container in list(self._registry.containers.values()):
            if container.running:
                self._connections.resume(container)
            elif starts_with_engine(container):
                self._lifecycle.resume_restart(container)

    async def _settle(self, container: Container, found: Found | None) -> Exit | None:
        """Adopt a container that runs; return how it ended when it did meanwhile; put back a start that was cut."""
        phase = container.state.phase
        if phase is Phase.STARTING:
            if found is None or not (found.started or found.ending):
                await self._put_back(container)
                return None
            container = await self._registry.save(
                move(
                    container,
                    Phase.RUNNING,
                    pid=found.pid,
                    pid_start_ticks=found.pid_start_ticks,
                    started_at_ns=self._clock.now_ns(),
                )
            )
        elif phase not in (Phase.RUNNING, Phase.PAUSED):
            return None
        self._connections.adopt(container)
        if found is None or not self._same_process(container, found):
            return LOST
        if found.exit is not None:
            return found.exit
        await self._runtime.adopt(container)
        self._lifecycle.watch(container)
        return None

    def _same_process(self, container: Container, found: Found) -> bool:
        return (
            found.exit is not None
            or found.ending
            or (found.pid, found.pid_start_ticks)
            == (
                container.state.pid,
                container.state.pid_start_ticks,
            )
        )

    async def _put_back(self, container: Container) -> None:
        before = Phase.EXITED if container.state.started_at_ns else Phase.CREATED
        await self._registry.save(detached(move(container, before)))

    async def _sweep(self, found: dict[str, Found]) -> None:
        """Remove whatever the host has of containers that are not known or do not run."""
        containers = self._registry.containers
        alive = {container.id for container in containers.values() if container.running}
        jobs = [self._runtime.delete(container_id) for container_id in found.keys() - alive]
        for container_id in set(await self._snapshotter.containers()) - alive:
            known = container_id in containers
            jobs.append(self._snapshotter.unmount(container_id) if known else self._snapshotter.remove(container_id))
        for container_id in set(await self._machine.survey()) - alive:
            known = container_id in containers
            jobs.append(self._machine.unmount_shm(container_id) if known else self._machine.discard(container_id))
        unknown = {*found, *await self._snapshotter.containers(), *await self._machine.survey()} - containers.keys()
        jobs += [self._runtime.remove_logs(container_id) for container_id in unknown]
        for result in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(result, BaseException):
                _log.error("a leftover could not be removed: %s", result)

    async def _settle_volumes(self, *, fresh: bool) -> None:
        """Make recorded volumes' directories, and remove those whose removal was recorded."""
        known = self._registry.volumes
        on_disk = set(await self._volumes.survey())
        for name in known.keys() - on_disk:
            await self._volumes.create(known[name])
        for name in on_disk - known.keys():
            volume = self._volumes.place(Volume(name=name, created_at_ns=self._clock.now_ns()))
            if fresh:
                await self._registry.put(volume)
                _log.warning("volume %s was on disk but in no record; it was taken up", name)
            else:
                await self._volumes.remove(volume)
