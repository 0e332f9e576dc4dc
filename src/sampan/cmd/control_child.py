"""The control process as the engine's child: started, looked after, adopted after the engine was killed, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sampan.base import log
from sampan.host import process

FIRST_DELAY_S, LAST_DELAY_S = 0.1, 30.0
_STEADY_S = 20.0
"""What has run for so long had a good start: the next one does not wait for long."""
_END_S = 10.0
_WHO = 5
"""How many words of its command line say that a process is a control process, and on which data root."""

_log = log.get("control")


class ControlChild:
    """Keeps one control process running on a data root."""

    def __init__(
        self,
        data_root: Path,
        listen: str,
        log_level: str,
        plain: str = "",
        store: str = "",
        policies: Sequence[str] = (),
        *,
        scheduler: bool = True,
        scheduler_policy: str = "default",
    ) -> None:
        self._directory = data_root / "control"
        self._argv = [sys.executable, "-m", "sampan.cmd.control", "--data-root", str(data_root), "--listen", listen]
        self._argv += ["--log-level", log_level, *(["--plain-listen", plain] if plain else [])]
        self._argv += ["--store", store] if store else []
        self._argv += [word for folder in policies for word in ("--policies", folder)]
        self._argv += [] if scheduler else ["--no-scheduler"]
        self._argv += ["--scheduler-policy", scheduler_policy] if scheduler_policy != "default" else []
        self._task: asyncio.Task[None] | None = None
        self._pidfd = -1
        self._pid = 0

    def start(self) -> None:
        """Begin; returns at once. The engine is ready before and without it."""
        self._task = asyncio.create_task(self._keep(), name="control process")

    async def close(self) -> None:
        """End the control process and wait for it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._pidfd >= 0:
            process.send_signal(self._pidfd, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.ended(self._pidfd), _END_S)
            self._let_go()

    async def _keep(self) -> None:
        delay_s = FIRST_DELAY_S / 2
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if not self._adopt():
                self._spawn()
            await process.ended(self._pidfd)
            self._let_go()
            delay_s = FIRST_DELAY_S if loop.time() - began > _STEADY_S else min(LAST_DELAY_S, delay_s * 2)
            told = "the control process ended (see %s/log); the Kubernetes API is started again in %.1f s"
            _log.warning(told, self._directory, delay_s)
            await asyncio.sleep(delay_s)

    def _adopt(self) -> bool:
        """Take up a control process that an earlier engine left; one with other flags is told to go."""
        pid = self._holder()
        if not pid:
            return False
        try:
            self._pidfd = process.open_pidfd(pid)
        except ProcessLookupError:
            return False
        words = process.command_line(pid)
        if words[:_WHO] != self._argv[:_WHO]:
            self._let_go()  # the pid is an older process's, and by now somebody else's
            return False
        if words != self._argv:
            process.send_signal(self._pidfd, signal.SIGTERM)
        self._pid = 0  # no child of ours: somebody else reaps it
        _log.info("the control process %d was running and is kept", pid)
        return True

    def _holder(self) -> int:
        """Return the pid of the process that holds the control store, 0 when none does."""
        try:
            lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(OSError, ValueError):
                return int((self._directory / "pid").read_text())
        finally:
            os.close(lock)
        return 0

    def _spawn(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._pid, self._pidfd = process.spawn(
                self._argv, env=dict(os.environ), descriptors={1: descriptor, 2: descriptor}
            )
        finally:
            os.close(descriptor)

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self._pid:
            process.reap(self._pid)
            self._pid = 0
