"""`sampan doctor`: is this machine fit, and what to type where it is not. Runs with the daemon dead or alive.

Every check looks at the real thing: it mounts an overlay, starts a container by each runtime, asks nftables.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sampan.base import log
from sampan.base.clock import SystemClock
from sampan.base.errors import SampanError
from sampan.cmd import control_state
from sampan.cmd.finding import FAIL, OK, WARN, Finding
from sampan.cmd.settings import DaemonSettings, load
from sampan.host import syscalls
from sampan.host.cgroup import Hierarchies
from sampan.host.nft import NftError, mine
from sampan.host.overlay import mount_overlay
from sampan.runtime.oci import OciRuntime

MINIMUM_KERNEL = (6, 1)
_CONTROLLERS = ("memory", "cpu", "cpuset", "pids")
_LEAST_FREE_BYTES = 1 << 30
_LEAST_FREE_INODES = 10_000
_OLDEST_SANE_S = 1_767_225_600  # 2026-01-01: earlier than any release of this program
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised

Check = Callable[[DaemonSettings], Iterator[Finding]]


def main(argv: list[str]) -> int:
    """Print every finding; 1 when something is missing that containers need."""
    try:
        settings = load(argv)
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    log.setup("error")
    worst, marks = 0, _marks()
    for name, check in CHECKS:
        for finding in _safely(check, settings):
            print(f"{marks[finding.state]} {name:<11} {finding.what}")
            if finding.fix:
                print(f"  {'':<11} fix: {finding.fix}")
            worst = max(worst, int(finding.state == FAIL))
    print("\nsomething is missing: see the lines marked fail" if worst else "\nthis machine can run containers")
    return worst


def _marks() -> dict[str, str]:
    marks = {OK: "ok  ", WARN: "warn", FAIL: "fail"}
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return marks
    return {state: f"\x1b[{color}m{marks[state]}\x1b[0m" for state, color in ((OK, 32), (WARN, 33), (FAIL, 31))}


def _safely(check: Check, settings: DaemonSettings) -> Iterator[Finding]:
    """A check that breaks is a finding, not the end of the others."""
    try:
        yield from check(settings)
    except (OSError, SampanError, NftError) as error:
        yield Finding(FAIL, f"the check broke: {error}")


def kernel(_: DaemonSettings) -> Iterator[Finding]:
    release = os.uname().release
    yield judge_kernel(release)


def judge_kernel(release: str) -> Finding:
    """Return whether a kernel release such as `6.1.0-18-amd64` is new enough."""
    numbers = tuple(int(part) for part in release.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit())
    wanted = ".".join(map(str, MINIMUM_KERNEL))
    if numbers >= MINIMUM_KERNEL:
        return Finding(OK, f"Linux {release} (needs {wanted})")
    return Finding(FAIL, f"Linux {release} is older than {wanted}", "use Debian 12, Ubuntu 24.04 or newer")


def privileges(_: DaemonSettings) -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding(FAIL, "not root: the engine mounts and makes namespaces", "sudo sampan doctor")
        return
    status = Path("/proc/self/status").read_text()
    held = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    if held >> 24 & 1:
        yield Finding(OK, "root")
    else:
        yield Finding(WARN, "root without CAP_SYS_RESOURCE: rlimits above this shell's own are lowered to it")


def cgroups(_: DaemonSettings) -> Iterator[Finding]:
    found = Hierarchies()
    kind = "v2" if found.version == 2 else "hybrid (limits by v1)" if found.hybrid else "v1"
    missing = [name for name in _CONTROLLERS if name not in found.controllers]
    if found.version == 2 and "cpuacct" in missing:
        missing.remove("cpuacct")
    if missing:
        yield Finding(WARN, f"{kind} without {', '.join(missing)}: these limits cannot be set",
                      "boot with cgroup_enable=memory, or enable them in cgroup.subtree_control")  # fmt: skip
    else:
        yield Finding(OK, f"{kind}: {', '.join(found.controllers)}")


def overlay(settings: DaemonSettings) -> Iterator[Finding]:
    """Mount one on the filesystem that would hold the layers."""
    place = _existing(settings.data_root)
    try:
        with tempfile.TemporaryDirectory(prefix=".sampan-doctor-", dir=place) as directory:
            root = Path(directory)
            for name in ("lower", "upper", "work", "merged"):
                (root / name).mkdir()
            mount_overlay([root / "lower"], root / "upper", root / "work", root / "merged", volatile=False)
            syscalls.umount(str(root / "merged"), syscalls.MNT_DETACH)
    except OSError as error:
        if error.errno == errno.ENODEV:
            yield Finding(FAIL, "the kernel has no overlayfs", "modprobe overlay")
        else:
            yield Finding(FAIL, f"overlayfs cannot be mounted on {place}: {error.strerror}",
                          "give --data-root on ext4, xfs or btrfs; overlay on overlay does not work")  # fmt: skip
        return
    yield Finding(OK, f"overlayfs works on {place}")


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return path if path.is_dir() else _existing(path.parent)


def nftables(_: DaemonSettings) -> Iterator[Finding]:
    try:
        chains = mine().query("list chains")
    except (SampanError, NftError) as error:
        yield Finding(FAIL, str(error), "apt-get install libnftables1 nftables; modprobe nf_tables")
        return
    yield Finding(OK, "libnftables answers")
    yield from _dropping(chains)


def _dropping(chains: list[dict[str, dict[str, object]]]) -> Iterator[Finding]:
    """Foreign base chains that drop what is forwarded, which closes containers' networks unless they are told."""
    for row in chains:
        chain = row.get("chain", {})
        if (
            chain.get("hook") == "forward"
            and chain.get("policy") == "drop"
            and not str(chain.get("table", "")).startswith("sampan")
        ):
            where = f"{chain.get('family')} {chain.get('table')} {chain.get('name')}"
            yield Finding(WARN, f"the chain '{where}' drops forwarded packets",
                          "containers' traffic needs an accept rule there (ufw: 'ufw route allow in on sampan0'; "
                          "Docker: chain DOCKER-USER)")  # fmt: skip


def forwarding(_: DaemonSettings) -> Iterator[Finding]:
    if Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1":
        yield Finding(OK, "net.ipv4.ip_forward is 1")
    elif os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        yield Finding(OK, "net.ipv4.ip_forward is 0: the daemon turns it on for its own bridge")
    else:
        yield Finding(
            FAIL, "net.ipv4.ip_forward is 0 and cannot be written", "sysctl -w net.ipv4.ip_forward=1 on the host"
        )


def runtimes(settings: DaemonSettings) -> Iterator[Finding]:
    """Run a container by each runtime, as the daemon does when it starts."""
    if os.geteuid() != 0:
        yield Finding(WARN, "not tested without root")
        return
    with tempfile.TemporaryDirectory(prefix="sampan-doctor-") as directory:
        yield from asyncio.run(_runtimes(settings, directory))


async def _runtimes(settings: DaemonSettings, directory: str) -> list[Finding]:
    place, tag = Path(directory), f"doctor-{os.getpid()}"
    runtime = OciRuntime(data_root=place, exec_root=place, tag=tag, clock=SystemClock(), runtimes=settings.runtimes)
    try:
        await runtime.prepare()
    except SampanError as error:
        return [Finding(FAIL, str(error), "apt-get install crun runc conmon")]
    finally:
        _remove_cgroups(tag)
    info = runtime.info()
    found = [
        Finding(OK, f"{name} {version} ({info.runtimes[name]})") for name, version in sorted(info.versions.items())
    ]
    found.append(Finding(OK, f"{info.default} is the default; monitor conmon {info.monitor_version}"))
    found += [Finding(WARN, text.partition(": install")[0], _NEWER) for text in info.warnings]
    return found


def _remove_cgroups(tag: str) -> None:
    """The runtimes remove the test container's group; the parent above it is ours."""
    for root in Hierarchies().roots():
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{root}/sampan-{tag}")


_NEWER = "install a newer one from your distribution's security or backports suite, or name another by --add-runtime"


def disk(settings: DaemonSettings) -> Iterator[Finding]:
    place = _existing(settings.data_root)
    found = os.statvfs(place)
    free, inodes = found.f_bavail * found.f_frsize, found.f_favail
    text = f"{free / 1e9:.1f} GB free on {place}"
    if free < _LEAST_FREE_BYTES:
        yield Finding(WARN, f"only {text}", "'sampan image prune -a', or --data-root on a larger disk")
    elif found.f_files and inodes < _LEAST_FREE_INODES:
        yield Finding(
            WARN, f"only {inodes} inodes free on {place}", "remove small files, or --data-root on another disk"
        )
    else:
        yield Finding(OK, text)


def clock(_: DaemonSettings) -> Iterator[Finding]:
    if time.time() < _OLDEST_SANE_S:
        yield Finding(FAIL, f"it is {time.strftime('%Y-%m-%d')} here: certificates and tokens will be refused",
                      "set the date, and install chrony or systemd-timesyncd")  # fmt: skip
        return
    # struct timex begins with `modes`: zero only reads. 256 bytes are more than any architecture's.
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(256))
    if state == _TIME_ERROR:
        yield Finding(
            WARN,
            "the clock is not synchronised",
            "apt-get install systemd-timesyncd (harmless in a virtual machine with its host's clock)",
        )
    else:
        yield Finding(OK, "the clock is synchronised")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("kernel", kernel),
    ("privileges", privileges),
    ("cgroups", cgroups),
    ("overlay", overlay),
    ("nftables", nftables),
    ("forwarding", forwarding),
    ("runtimes", runtimes),
    ("disk", disk),
    ("clock", clock),
    ("kubernetes", control_state.check),
)
"""In the order of the report."""
