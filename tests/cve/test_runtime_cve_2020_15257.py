"""CVE-2020-15257: the monitor's socket must not be reachable from a container that shares the host's network.

Abstract sockets belong to the network namespace; ours are files in a directory that only root of the host can enter.
"""

import os
import stat

from conformance.runtime import collect, container
from host.runtime_fixtures import needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.runtime.port import LaunchSpec

pytestmark = needs_runtime


async def test_no_abstract_socket_is_reachable_from_the_hosts_network(world, rootfs):  # noqa: F811
    runtime = world.make()
    await runtime.prepare()
    of = container("sh", "-c", "cat /proc/net/unix")
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))  # no network namespace: the host's
    streams = await runtime.attach(of.id)
    await runtime.start(of.id)
    seen = (await collect(streams))["stdout"].decode()
    ours = [line for line in seen.splitlines() if of.id in line or str(world.exec_root) in line]
    assert not [line for line in ours if " @" in line]


async def test_sockets_and_state_are_roots_alone(world, rootfs):  # noqa: F811
    runtime = world.make()
    await runtime.prepare()
    of = container("sleep", "100")
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
    for path in (runtime.layout.bundle(of.id), runtime.layout.states, runtime.layout.tmp, runtime.layout.logs):
        found = os.stat(path)
        assert stat.S_IMODE(found.st_mode) & 0o077 == 0, path
        assert found.st_uid == 0
