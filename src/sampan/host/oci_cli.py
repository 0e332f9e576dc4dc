"""OCI runtimes by name: which there are, what they are, and running their commands."""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import NamedTuple

from sampan.host import process
from sampan.host.launcher import Launcher

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC0"}
COMMAND_TIMEOUT_S = 60.0


class Runtime(NamedTuple):
    """One installed runtime. `kind` is the implementation: "crun", "runc" or another."""

    name: str
    path: str
    kind: str
    version: str


class Result(NamedTuple):
    """How a command ended."""

    exit_code: int
    output: str


async def run(launcher: Launcher, argv: list[str], *, stdin: bytes = b"") -> Result:
    """Run a short command to its end; its output and errors come back together."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        descriptors = {0: source.fileno(), 1: output.fileno(), 2: output.fileno()}
        pid, pidfd = await launcher.spawn(argv, env=ENVIRONMENT, descriptors=descriptors)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await process.ended(pidfd)
        except TimeoutError:
            process.send_signal(pidfd, 9)
            await process.ended(pidfd)
        finally:
            os.close(pidfd)
        code = process.reap(pid)
        output.seek(0)
        return Result(255 if code is None else code, output.read(1 << 20).decode(errors="replace"))


def find(name: str) -> str:
    """Return the full path of a program in the usual places, "" when it is not there."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else ""
    candidates = (f"{directory}/{name}" for directory in ENVIRONMENT["PATH"].split(":"))
    return next((path for path in candidates if os.access(path, os.X_OK)), "")


async def identify(launcher: Launcher, name: str, path: str) -> Runtime:
    """Ask a runtime what it is."""
    result = await run(launcher, [path, "--version"])
    first = result.output.partition("\n")[0].strip()
    words = first.split()
    kind = words[0] if words and result.exit_code == 0 else "unknown"
    version = words[-1] if len(words) > 1 and result.exit_code == 0 else ""
    return Runtime(name, path, kind, version)
