"""Processes: spawned without fork, named by pid and start time, awaited by pidfd."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import os
import select
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_DEFAULT_SIGNALS = tuple(number for number in (signal.SIGPIPE, signal.SIGXFSZ) if number in signal.valid_signals())
"""Python ignores these; an ignored signal would be inherited by the container's program."""


_libc = ctypes.CDLL(None, use_errno=True)
_SYS_PIDFD_GETFD = 438


class Stat(NamedTuple):
    """Fields of /proc/PID/stat."""

    state: str
    parent: int
    flags: int
    start_ticks: int


PF_FORKNOEXEC = 0x40
"""Set in `Stat.flags` from fork until execve."""


def stat(pid: int) -> Stat | None:
    """Return the process's stat, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as source:
            text = source.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(fields[0].decode(), int(fields[1]), int(fields[6]), int(fields[19]))


def alive(pid: int, start_ticks: int = 0) -> bool:
    """Tell whether the process runs: the same one when `start_ticks` is given, and not a zombie."""
    found = stat(pid) if pid > 0 else None
    return found is not None and found.state not in "ZX" and start_ticks in (0, found.start_ticks)


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], descriptors: Mapping[int, int] | None = None
) -> tuple[int, int]:
    """Start a program; returns (pid, pidfd).

    Args:
        argv: its full command line; argv[0] is a path.
        env: its whole environment.
        descriptors: number in the child -> ours; 0-2 are /dev/null unless named, no other is passed.
    """
    passed = dict(descriptors or {})
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2) if number not in passed
    ]
    shifted = {target: _above(source, passed) for target, source in passed.items()}
    try:
        actions += [(os.POSIX_SPAWN_DUP2, source, target) for target, source in shifted.items()]
        pid = os.posix_spawn(
            argv[0], list(argv), dict(env), file_actions=actions, setsigdef=_DEFAULT_SIGNALS, setsigmask=()
        )
    finally:
        for target, source in shifted.items():
            if source != passed[target]:
                os.close(source)
    return pid, os.pidfd_open(pid)


def _above(source: int, passed: Mapping[int, int]) -> int:
    """Return `source`, or a copy of it that no DUP2 onto a child's number can overwrite first."""
    if source > max(passed):
        return source
    return fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, max(passed) + 1)


async def ended(pidfd: int) -> None:
    """Return when the process of `pidfd` has ended. May be cancelled and repeated."""
    if _readable(pidfd):
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    # a copy, so that several can wait for one process: the loop keeps one callback a descriptor
    copy = os.dup(pidfd)
    loop.add_reader(copy, wake, done)
    try:
        await done
    finally:
        loop.remove_reader(copy)
        os.close(copy)


def wake(future: asyncio.Future[None]) -> None:
    """Resolve a future that may have been cancelled meanwhile."""
    if not future.done():
        future.set_result(None)


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def reap(pid: int) -> int | None:
    """Collect an ended child; returns its shell-style exit code (128+signal), None when it is not our child."""
    try:
        _, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def send_signal(pidfd: int, number: int) -> bool:
    """Send a signal; returns False when the process is gone."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def open_pidfd(pid: int, start_ticks: int = 0) -> int:
    """Return a pidfd of exactly that process, -1 when it is gone."""
    if pid <= 0:
        return -1
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in {errno.ESRCH, errno.EINVAL}:
            return -1
        raise
    if start_ticks and not alive(pid, start_ticks):
        os.close(descriptor)
        return -1
    return descriptor


def copy_descriptor(pidfd: int, number: int) -> int:
    """Return our own copy of a descriptor of another process (pidfd_getfd(2), Linux 5.6).

    Raises:
        OSError: the process is gone, or has no such descriptor.
    """
    result = int(_libc.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def command_line(pid: int) -> list[str]:
    """Return a process's argv, [] when it is gone or has none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as source:
            text = source.read()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [os.fsdecode(part) for part in text.rstrip(b"\0").split(b"\0")] if text else []


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Yield (pid, argv) of every process that has one."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (argv := command_line(int(name))):
            yield int(name), argv
