"""CVE-2019-5736: a container must not reach the host's runtime program through /proc/self/exe.

An exec of `/proc/self/exe` makes the runtime start itself inside the container; a library of the container could then
write to it. The program must be the same afterwards, and the copy that ran must not be writable.
"""

import hashlib
from pathlib import Path

import pytest

from conformance.runtime import ENV, container
from host.runtime_fixtures import RUNTIMES, needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.base import ids
from sampan.base.errors import RuntimeFailed
from sampan.runtime.port import ExecSpec, LaunchSpec

pytestmark = needs_runtime


@pytest.mark.parametrize("name", RUNTIMES)
async def test_the_runtime_program_is_unchanged(world, rootfs, name):  # noqa: F811
    runtime = world.make(default_runtime=name)
    await runtime.prepare()
    program = Path(runtime.info().runtimes[name])
    before = hashlib.sha256(program.read_bytes()).hexdigest()
    # keeps trying to open for writing whatever program any process of this container is
    writer = "while :; do for p in /proc/[0-9]*; do (echo overwritten > $p/exe) 2>/dev/null; done; done"
    of = container("sh", "-c", writer)
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
    await runtime.start(of.id)
    for program_inside in ("/proc/self/exe", "/bin/link-to-exe"):
        try:
            running = await runtime.exec(of, ids.random_id(), ExecSpec(args=(program_inside, "--version"), env=ENV))
            await running.wait()
        except RuntimeFailed as error:
            assert error.exit_code in (125, 126, 127)
    await runtime.delete(of.id)
    assert hashlib.sha256(program.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("name", RUNTIMES)
async def test_an_entrypoint_of_proc_self_exe(world, rootfs, name):  # noqa: F811
    runtime = world.make(default_runtime=name)
    await runtime.prepare()
    program = Path(runtime.info().runtimes[name])
    before = program.read_bytes()
    of = container("/proc/self/exe")
    try:
        await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        await runtime.start(of.id)
        await runtime.wait(of.id)
    except RuntimeFailed:
        pass
    await runtime.delete(of.id)
    assert program.read_bytes() == before
