"""Known escapes by runtime version, and which packages carry the fix although their version is older."""

from __future__ import annotations

import re

_ADVISORIES: tuple[tuple[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...], str], ...] = (
    ("runc", (((0,), (1, 1, 12)),), "CVE-2024-21626 (working directory and leaked descriptors)"),
    (
        "runc",
        (((0,), (1, 2, 8)), ((1, 3), (1, 3, 3))),
        "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881 (masked paths, /dev/console, procfs writes)",
    ),
    ("crun", (((0,), (1, 9)),), "CVE-2025-31133 and its family in part (masked paths and /dev through links)"),
)
"""(runtime, version ranges [from, below), what)."""

_BACKPORTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("runc", "1.1.5+ds1-1+deb12u1"): ("CVE-2024-21626",),
}
"""(package, version) -> advisories that this package fixes; later revisions of the same package fix them too."""


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _fixed(kind: str, package_version: str, text: str) -> bool:
    for (package, version), fixes in _BACKPORTED.items():
        same_line = package_version.split("+deb", 1)[0] == version.split("+deb", 1)[0]
        if package == kind and same_line and package_version >= version and any(fix in text for fix in fixes):
            return True
    return False


def warnings(kind: str, version: str, package_version: str = "") -> tuple[str, ...]:
    """Return a warning for each advisory that this version is open to."""
    numbers = _numbers(version)
    found = []
    for name, ranges, text in _ADVISORIES:
        hit = any(low <= numbers < high for low, high in ranges) if numbers else False
        if name == kind and hit and not _fixed(kind, package_version, text):
            found.append(f"{kind} {version} has known container escapes, {text}: install a newer {kind}")
    return tuple(found)


def package_versions() -> dict[str, str]:
    """Return the versions of Debian's runtime packages, read from dpkg's own record; {} elsewhere."""
    try:
        with open("/var/lib/dpkg/status", encoding="utf-8", errors="replace") as status:
            text = status.read()
    except OSError:
        return {}
    found = {}
    for name in ("runc", "crun", "conmon"):
        match = re.search(rf"^Package: {name}\n(?:[^\n]+\n)*?Version: (\S+)$", text, re.MULTILINE)
        if match:
            found[name] = match[1]
    return found
