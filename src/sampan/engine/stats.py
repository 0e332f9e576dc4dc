"""Stats: samples of what containers use, with the sample before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from msgspec.structs import replace

from sampan.base.clock import Clock
from sampan.base.errors import NotFound, SampanError
from sampan.engine.machine import Machine
from sampan.engine.port import Stats
from sampan.engine.registry import Registry
from sampan.network.port import NetworkDriver, NetworkUsage
from sampan.runtime.port import Runtime, Usage

_PERIOD_S = 1.0


class Sampler:
    """Takes samples when somebody asks; nothing is polled otherwise."""

    def __init__(
        self, registry: Registry, runtime: Runtime, network: NetworkDriver, machine: Machine, clock: Clock
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._network = network
        self._machine = machine
        self._clock = clock

    async def follow(self, reference: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """Yield a sample a second, or one (after a first, unseen one, unless `one_shot`)."""
        container_id = self._registry.container(reference).id
        previous: Stats | None = None
        if not one_shot and not stream:
            previous = await self._sample(container_id, None)
            await asyncio.sleep(_PERIOD_S)
        while True:
            try:
                previous = await self._sample(container_id, previous)
            except NotFound:
                return
            yield previous
            if not stream:
                return
            await asyncio.sleep(_PERIOD_S)

    async def _sample(self, container_id: str, previous: Stats | None) -> Stats:
        container = self._registry.container(container_id)
        usage = Usage()
        networks: tuple[NetworkUsage, ...] = ()
        if container.running:
            try:
                usage = await self._runtime.usage(container_id)
                if container.state.sandbox_key:
                    networks = await self._network.usage(container.state.sandbox_key)
            except SampanError:
                usage, networks = Usage(), ()  # it ended meanwhile
        sample = Stats(
            time_ns=self._clock.now_ns(),
            system_cpu_ns=self._machine.system_cpu_ns(),
            online_cpus=self._machine.online_cpus(),
            usage=usage,
            networks=networks,
        )
        if previous is None:
            return sample
        return replace(
            sample,
            previous_time_ns=previous.time_ns,
            previous_system_cpu_ns=previous.system_cpu_ns,
            previous=previous.usage,
        )
