"""The engine's composition root: real parts are named here and nowhere else."""

from __future__ import annotations

import asyncio
import gc
import signal

from sampan import __version__
from sampan.api.docker.server import Server, check_listen
from sampan.base import log
from sampan.base.clock import SystemClock
from sampan.base.ids import random_id
from sampan.cmd.control_child import ControlChild
from sampan.cmd.identity import identity, tag_of
from sampan.cmd.settings import DaemonSettings
from sampan.engine.linux import LinuxMachine
from sampan.engine.service import ContainerEngine, Parts, Settings
from sampan.host.mount import share_data_root
from sampan.image.overlay import OverlaySnapshotter
from sampan.image.service import ImageStore
from sampan.network.linux import LinuxNetworkDriver
from sampan.runtime.oci import OciRuntime
from sampan.store.sqlite import SqliteRecordStore
from sampan.volume.archive import TreeArchive
from sampan.volume.local import LocalVolumes

__all__ = ["check_listen", "compose", "serve"]

_log = log.get("daemon")


def compose(settings: DaemonSettings) -> ContainerEngine:
    """Return an engine of real parts on these roots."""
    data_root, exec_root, clock = settings.data_root, settings.exec_root, SystemClock()
    share_data_root(str(data_root))
    tag = tag_of(data_root)
    records = SqliteRecordStore(data_root / "engine.db")
    images = ImageStore(
        data_root,
        records,
        clock,
        insecure_registries=settings.insecure_registries,
        registry_mirrors=settings.registry_mirrors,
    )
    return ContainerEngine(
        Parts(
            records=records,
            images=images,
            snapshotter=OverlaySnapshotter(data_root),
            runtime=OciRuntime(
                data_root=data_root,
                exec_root=exec_root,
                tag=tag,
                clock=clock,
                default_runtime=settings.default_runtime or None,
                runtimes=settings.runtimes,
                default_ulimits=settings.default_ulimits,
            ),
            network=LinuxNetworkDriver(
                exec_root, tag, settings.bridge, settings.bip, records, pool_size=settings.netns_pool
            ),
            volumes=LocalVolumes(data_root),
            archive=TreeArchive(),
            machine=LinuxMachine(data_root, exec_root),
            clock=clock,
            new_id=random_id,
        ),
        Settings(
            id=identity(data_root / "engine-id"),
            version=__version__,
            data_root=str(data_root),
            exec_root=str(exec_root),
            bridge=settings.bridge,
            bip=settings.bip,
            labels=settings.labels,
            registry_mirrors=settings.registry_mirrors,
            insecure_registries=settings.insecure_registries,
        ),
    )


async def serve(settings: DaemonSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = compose(settings)
    await engine.open()
    server = Server(engine, settings.hosts, tls=settings.tls if settings.tls_verify else None, group=settings.group)
    await server.start()
    control = _control(settings)
    # Long-lived objects are never garbage: frozen, they cost no collection again.
    gc.collect()
    gc.freeze()
    _log.info("ready on %s", ", ".join(settings.hosts))
    await stop.wait()
    _log.info("stopping; containers go on running")
    await server.close()
    if control is not None:
        await control.close()
    await engine.close()


def _control(settings: DaemonSettings) -> ControlChild | None:
    """Return the control process, begun, where one is wanted."""
    if not settings.api_listen:
        return None
    child = ControlChild(
        settings.data_root,
        settings.api_listen,
        settings.log_level,
        settings.api_plain_listen,
        settings.store,
        settings.policies,
        scheduler=settings.scheduler,
        scheduler_policy=settings.scheduler_policy,
    )
    child.start()
    return child
