"""Boots the microVM and yields what its serial console says. Emulated (TCG): works where there is no KVM, too."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from soak.microvm.image import CACHE, QEMU, Boot

MARK = "@check "
MEMORY_MB = 768


def command(boot: Boot) -> list[str]:
    """Return qemu's command line. Writes to the root go to a temporary file of qemu's."""
    drive = "if=none,format=raw"
    return [
        *("setpriv", "--pdeathsig", "KILL", QEMU),  # it ends when the test's process is killed, too
        *("-M", "q35", "-accel", "tcg,tb-size=128", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MB)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-nographic", "-serial", "stdio", "-monitor", "none"),
        *("-kernel", str(boot.kernel), "-initrd", str(boot.initramfs)),
        *("-append", "console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on mitigations=off cgroup_no_v1=all"),
        *("-drive", f"{drive},id=root,file={boot.root},snapshot=on", "-device", "virtio-blk-pci,drive=root"),
        *("-drive", f"{drive},id=tree,file={boot.tree},snapshot=on", "-device", "virtio-blk-pci,drive=tree"),
    ]


def lines(boot: Boot, timeout_s: float) -> Iterator[str]:
    """Yield the lines of the console until the machine is off.

    Raises:
        TimeoutError: it was not off in time; it is now.
    """
    deadline = time.monotonic() + timeout_s
    environment = os.environ | {"TMPDIR": str(CACHE)}
    with subprocess.Popen(
        command(boot), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as machine:
        assert machine.stdout is not None
        try:
            rest = b""
            while chunk := _read(machine.stdout.fileno(), deadline):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace").rstrip("\r")
            yield rest.decode(errors="replace")
        finally:
            with contextlib.suppress(ProcessLookupError):
                machine.kill()


def _read(descriptor: int, deadline: float) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        raise TimeoutError("the microVM is not done in time")
    return os.read(descriptor, 1 << 16)


def report(line: str) -> dict[str, Any] | None:
    """Return what a line of the console says for programs, None for other lines."""
    _, mark, text = line.partition(MARK)
    return json.loads(text) if mark else None
