"""`sampan daemon`: the engine process. The composition root: real parts are named here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import sys
from pathlib import Path

from sampan import __version__
from sampan.api.docker.server import Server, check_listen
from sampan.base import log
from sampan.base.clock import SystemClock
from sampan.base.errors import Conflict, SampanError
from sampan.base.ids import random_id
from sampan.cmd.settings import DaemonSettings, load
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

_log = log.get("daemon")


def main(argv: list[str]) -> int:
    """Run the engine until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = load(argv)
        log.setup(settings.log_level)
        for host in settings.hosts:
            check_listen(host, tls=settings.tls_verify)
        with _exclusive(settings):
            asyncio.run(_serve(settings))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _exclusive(settings: DaemonSettings):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Hold the data root for this process alone; a stale pidfile is replaced."""
    for directory in (settings.data_root, settings.exec_root):
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = os.open(settings.data_root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another daemon uses {settings.data_root} (its pid is in {settings.pidfile}): stop it, or give this one "
                "its own --data-root, --exec-root and --bridge"
            ) from None
        settings.pidfile.parent.mkdir(parents=True, exist_ok=True)
        settings.pidfile.write_text(f"{os.getpid()}\n")
        yield
        settings.pidfile.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _identity(path: Path) -> str:
    """Return the text at `path`, made once: an id that outlives the process."""
    with contextlib.suppress(FileNotFoundError):
        if text := path.read_text().strip():
            return text
    text = random_id()
    temporary = path.with_suffix(".new")
    temporary.write_text(text + "\n")
    os.replace(temporary, path)
    return text


def tag_of(data_root: Path) -> str:
    """Return the daemon's tag: six hex digits in the name of everything it makes on the host."""
    return _identity(data_root / "tag")[:6]


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
            id=_identity(data_root / "engine-id"),
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


async def _serve(settings: DaemonSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = compose(settings)
    await engine.open()
    server = Server(engine, settings.hosts, tls=settings.tls if settings.tls_verify else None, group=settings.group)
    await server.start()
    # Long-lived objects are never garbage: frozen, they cost no collection again.
    gc.collect()
    gc.freeze()
    _log.info("ready on %s", ", ".join(settings.hosts))
    await stop.wait()
    _log.info("stopping; containers go on running")
    await server.close()
    await engine.close()
