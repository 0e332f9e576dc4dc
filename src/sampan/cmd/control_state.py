"""How the Kubernetes API of a data root stands: its process, its certificates, its audit log. Reads files only."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

from sampan.cmd.finding import FAIL, OK, WARN, Finding
from sampan.cmd.settings import DaemonSettings

_SOON = dt.timedelta(days=30)
_MUCH_BYTES = 1 << 30


def running(data_root: Path) -> tuple[int, str]:
    """Return pid and address of the control process; (0, "") when none runs."""
    control = data_root / "control"
    try:
        pid, address = int((control / "pid").read_text()), (control / "address").read_text().strip()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0, ""
    ours = b"sampan.cmd.control" in words and os.fsencode(data_root) in words
    return (pid, address) if ours else (0, "")


def lines(data_root: Path) -> list[str]:
    """Say how it stands for `sampan status`; nothing where there never was one."""
    control = data_root / "control"
    if not control.exists():
        return []
    pid, address = running(data_root)
    if not pid:
        return [f"Kubernetes API: does not run; its log is {control / 'log'}"]
    told = [f"Kubernetes API: https://{address} (pid {pid}); 'sampan kubeconfig' prints how to reach it"]
    if size := audited(control):
        told.append(f"audit log: {control / 'audit.log'} ({_human(size)} with those before it)")
    return told


def audited(control: Path) -> int:
    """Return how many bytes the audit logs have, 0 where nothing was written yet."""
    return sum(path.stat().st_size for path in control.glob("audit.log*"))


def check(settings: DaemonSettings) -> Iterator[Finding]:
    """Judge it for `sampan doctor`."""
    control = settings.data_root / "control"
    if not control.exists():
        yield Finding(OK, f"no Kubernetes API was started on {settings.data_root} yet")
        return
    pid, address = running(settings.data_root)
    if pid:
        yield Finding(OK, f"the API is https://{address} (pid {pid})")
    else:
        yield Finding(WARN, "the API does not run", f"'sampan up'; if it ends again, see {control / 'log'}")
    if (control / "pki").exists():
        yield from _certificates(control / "pki")
    yield _audit(control)


def _certificates(pki: Path) -> Iterator[Finding]:
    from cryptography import x509  # 30 ms that the other checks do not need

    now = dt.datetime.now(dt.UTC)
    ends: dict[str, dt.datetime] = {}
    for name in ("ca", "server", "admin"):
        try:
            found = x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())
        except (OSError, ValueError) as error:
            yield Finding(FAIL, f"{pki / name}.crt cannot be read: {error}", "restore it, or start the API anew")
            continue
        ends[name] = found.not_valid_after_utc
    late = {name: end for name, end in ends.items() if end - now < _SOON}
    for name, end in late.items():
        fix = (
            "it is made anew at the next start"
            if name != "ca"
            else f"move {pki} away: all clients need a new kubeconfig"
        )
        yield Finding(FAIL if end <= now else WARN, f"the certificate {name}.crt ends on {end:%Y-%m-%d}", fix)
    if ends and not late:
        yield Finding(OK, f"its certificates hold until {min(ends.values()):%Y-%m-%d}")


def _audit(control: Path) -> Finding:
    size, path = audited(control), control / "audit.log"
    if not (control / "audit-policy.yaml").exists():
        return Finding(OK, f"no audit log, as there is no {control / 'audit-policy.yaml'}")
    if size > _MUCH_BYTES:
        return Finding(WARN, f"the audit log {path} has {_human(size)}", "log less by its policy, or remove old files")
    return Finding(OK, f"the audit log {path} has {_human(size)}")


def _human(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
