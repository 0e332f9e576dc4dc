"""Mounts as facts: what is mounted where, the shared data root, and unmounting that may be repeated."""

from __future__ import annotations

import errno
import os
import re
from typing import NamedTuple

from sampan.host import syscalls


class MountRow(NamedTuple):
    """One line of /proc/self/mountinfo that matters to us."""

    target: str
    filesystem: str
    source: str
    options: str
    propagation: str  # "shared:N master:M …", "" when private


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text) if "\\" in text else text


def mounts_below(prefix: str) -> list[MountRow]:
    """Return the mounts at `prefix` and below it in this mount namespace, oldest first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        lines = table.read().splitlines()
    rows = []
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        target = _unescape(fields[4])
        if target == prefix or target.startswith(prefix.rstrip("/") + "/"):
            rows.append(MountRow(target, tail[0], _unescape(tail[1]), tail[2], " ".join(fields[6:])))
    return rows


def is_mount_point(path: str) -> bool:
    """Tell whether something is mounted at `path`; a missing path is not."""
    try:
        here, above = os.lstat(path), os.lstat(os.path.dirname(path))
    except FileNotFoundError:
        return False
    if here.st_dev != above.st_dev:
        return True
    return any(row.target == path for row in mounts_below(path))


def share_data_root(path: str) -> None:
    """Make `path` a shared mount of its own (bound on itself), so that mounts below reach every namespace. Idempotent."""
    os.makedirs(path, mode=0o711, exist_ok=True)
    path = os.path.realpath(path)
    row = next((row for row in mounts_below(path) if row.target == path), None)
    if row is None:
        syscalls.mount(path, path, flags=syscalls.MS_BIND)
    if row is None or "shared:" not in row.propagation:
        syscalls.mount(None, path, flags=syscalls.MS_SHARED)


def unshare_data_root(path: str) -> None:
    """Undo `share_data_root`; what is mounted below goes too. Idempotent."""
    path = os.path.realpath(path)
    for row in reversed(mounts_below(path)):
        unmount(row.target)


def unmount(path: str) -> bool:
    """Take the mount off `path`, lazily when it is busy; returns False when nothing was mounted there."""
    try:
        syscalls.umount(path, syscalls.UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOENT}:
            return False
        if error.errno != errno.EBUSY:
            raise
        syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    return True
