"""Your own daemon: Sampan's engine with a rule of yours in plain Python, behind Docker's API.

    sudo .venv/bin/python docs/examples/own_daemon.py /tmp/mine
    DOCKER_HOST=unix:///tmp/mine/docker.sock docker run --privileged busybox true    # refused, with your words

Every part is named here; take another wherever you like (a memory store, your own network driver …).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from sampan.api.docker.server import Server
from sampan.base.clock import SystemClock
from sampan.base.errors import Forbidden
from sampan.base.ids import random_id
from sampan.engine.linux import LinuxMachine
from sampan.engine.service import ContainerEngine, Parts, Settings
from sampan.host.mount import share_data_root
from sampan.image.overlay import OverlaySnapshotter
from sampan.image.service import ImageStore
from sampan.model.container import Container, ContainerSpec
from sampan.network.linux import LinuxNetworkDriver
from sampan.runtime.oci import OciRuntime
from sampan.store.sqlite import SqliteRecordStore
from sampan.volume.archive import TreeArchive
from sampan.volume.local import LocalVolumes

TAG = "0decaf"  # marks everything on the host that is this daemon's


class PoliteEngine(ContainerEngine):
    """Refuses privileged containers."""

    async def create(self, spec: ContainerSpec, name: str = "") -> tuple[Container, tuple[str, ...]]:
        if spec.security.privileged:
            raise Forbidden("no privileged containers on this machine: add the capabilities you need with --cap-add")
        return await super().create(spec, name)


async def main(home: Path) -> None:
    data, run, clock = home / "data", home / "run", SystemClock()
    share_data_root(str(data))
    records = SqliteRecordStore(str(data / "engine.db"))
    parts = Parts(
        records=records,
        images=ImageStore(data, records, clock),
        snapshotter=OverlaySnapshotter(data),
        runtime=OciRuntime(data_root=data, exec_root=run, tag=TAG, clock=clock),
        network=LinuxNetworkDriver(run, TAG, "polite0", "10.212.0.1/24", records, pool_size=2),
        volumes=LocalVolumes(data),
        archive=TreeArchive(),
        machine=LinuxMachine(data, run),
        clock=clock,
        new_id=random_id,
    )
    settings = Settings(
        id="polite", version="mine", data_root=str(data), exec_root=str(run), bridge="polite0", bip="10.212.0.1/24"
    )
    engine = PoliteEngine(parts, settings)
    await engine.open()
    server = Server(engine, (f"unix://{home}/docker.sock",))
    await server.start()
    print(f"export DOCKER_HOST=unix://{home}/docker.sock", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.close()
    await engine.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).absolute()))
