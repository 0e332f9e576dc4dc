"""`sampan daemon`: the engine process, alone on its data root."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator

from sampan.base import log
from sampan.base.errors import Conflict, SampanError
from sampan.cmd.settings import DaemonSettings, load


def main(argv: list[str]) -> int:
    """Run the engine until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = load(argv)
        log.setup(settings.log_level)
        with _without_ca_files():
            from sampan.cmd.engine import check_listen, serve
        for host in settings.hosts:
            check_listen(host, tls=settings.tls_verify)
        with _exclusive(settings):
            asyncio.run(serve(settings))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _without_ca_files() -> Iterator[None]:
    """Keep aiohttp from reading the machine's CA certificates at import: 0.15 s; registries get a context of their own."""
    kept = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ.update(dict.fromkeys(kept, os.devnull))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _exclusive(settings: DaemonSettings) -> Iterator[None]:
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
