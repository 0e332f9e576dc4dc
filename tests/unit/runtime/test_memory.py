import pytest

from conformance.runtime import RuntimeSuite, container
from sampan.base.clock import SystemClock
from sampan.runtime.memory import MemoryHost, MemoryRuntime
from sampan.runtime.port import LaunchSpec


class TestMemoryRuntime(RuntimeSuite):
    @pytest.fixture
    async def runtime(self):
        runtime = MemoryRuntime(clock=SystemClock())
        await runtime.prepare()
        yield runtime
        await runtime.close()


async def test_containers_outlive_the_runtime():
    host = MemoryHost()
    first = MemoryRuntime(clock=SystemClock(), host=host)
    of = container("sleep", "100")
    launched = await first.create(LaunchSpec(container=of, rootfs="/"))
    await first.start(of.id)
    await first.close()
    second = MemoryRuntime(clock=SystemClock(), host=host)
    await second.adopt(of)
    assert (await second.survey())[of.id].pid == launched.pid
    await second.signal(of.id, 9)
    assert (await second.wait(of.id)).code == 137


async def test_programs_can_be_added():
    runtime = MemoryRuntime(clock=SystemClock())

    async def seven(process):
        return 7

    runtime.programs["seven"] = seven
    of = container("/usr/bin/seven")
    await runtime.create(LaunchSpec(container=of, rootfs="/"))
    await runtime.start(of.id)
    assert (await runtime.wait(of.id)).code == 7
