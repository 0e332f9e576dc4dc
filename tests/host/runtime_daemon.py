"""A process that uses a runtime and dies at a crash point, or on the word: the stand-in for a killed daemon.

argv: data_root exec_root tag rootfs name operation…   Each operation works on one container, kept in data_root/container.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from conformance.runtime import ENV, container
from sampan.base import ids
from sampan.base.clock import SystemClock
from sampan.model.container import Container, Process, Resources
from sampan.runtime.oci import OciRuntime
from sampan.runtime.port import ExecSpec, LaunchSpec


async def operate(runtime: OciRuntime, of: Container, rootfs: str, operation: str) -> None:
    match operation:
        case "create":
            await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        case "exec":
            await runtime.exec(of, ids.random_id(), ExecSpec(args=("sleep", "100"), env=ENV))
        case "update":
            resources = Resources(memory_bytes=64 << 20, pids_limit=50)
            spec = msgspec.structs.replace(of.spec, resources=resources)
            await runtime.update(msgspec.structs.replace(of, spec=spec))
        case "kill":
            await runtime.signal(of.id, 9)
        case "die":
            os.kill(os.getpid(), 9)
        case _:
            await getattr(runtime, operation)(of.id)


async def main(data_root: str, exec_root: str, tag: str, rootfs: str, *operations: str) -> None:
    record = Path(data_root) / "container"
    if record.exists():
        of = msgspec.json.decode(record.read_bytes(), type=Container)
    else:
        script = os.environ.get("PROGRAM", "while true; do read line && echo got $line; done")
        of = container("sh", "-c", script, process=Process(stdin_open=True, stdin_once=True))
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_bytes(msgspec.json.encode(of))
    runtime = OciRuntime(data_root=Path(data_root), exec_root=Path(exec_root), tag=tag, clock=SystemClock())
    await runtime.prepare()
    for operation in operations:
        await operate(runtime, of, rootfs, operation)
    await runtime.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
