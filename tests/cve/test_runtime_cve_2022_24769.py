"""CVE-2022-24769: a container's capabilities are not inheritable, so programs of other users do not get them."""

from conformance.runtime import collect, container
from host.runtime_fixtures import needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.model.container import Process, Security
from sampan.runtime.port import LaunchSpec

pytestmark = needs_runtime


async def test_inheritable_and_ambient_sets_are_empty(world, rootfs):  # noqa: F811
    runtime = world.make()
    await runtime.prepare()
    for spec in ({}, {"security": Security(privileged=True)}, {"process": Process(user="bob")}):
        of = container("sh", "-c", "grep -E 'Cap(Inh|Amb|Eff)' /proc/self/status", **spec)
        await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        streams = await runtime.attach(of.id)
        await runtime.start(of.id)
        rows = dict(line.split(":\t") for line in (await collect(streams))["stdout"].decode().splitlines())
        assert rows["CapInh"] == rows["CapAmb"] == "0" * 16
        if "process" in spec:
            assert rows["CapEff"] == "0" * 16
