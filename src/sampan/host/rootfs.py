"""Facts of a container's root filesystem, read by the host without ever leaving that root.

Paths in an image are hostile: every look-up resolves as if chrooted (openat2 RESOLVE_IN_ROOT), and a working directory
that leads into procfs is refused (CVE-2024-21626: a leaked descriptor of the host reached by /proc/self/fd).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from sampan.base.errors import InvalidArgument
from sampan.host import syscalls

_OWN_FILESYSTEMS = ("dev", "proc", "sys")
MAX_DATABASE_BYTES = 8 << 20


def read_inside(root_fd: int, path: str) -> str:
    """Return the text of a regular file inside the root, "" when there is none."""
    try:
        descriptor = syscalls.openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENXIO}:
            return ""
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return ""
    with open(descriptor, encoding="utf-8", errors="surrogateescape") as source:
        return source.read(MAX_DATABASE_BYTES)


class User:
    """A resolved user."""

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
        self.uid, self.gid, self.groups, self.home = uid, gid, groups, home


def _rows(text: str, columns: int) -> list[list[str]]:
    rows = (line.strip().split(":") for line in text.splitlines() if line and not line.startswith("#"))
    return [row for row in rows if len(row) >= columns]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def resolve_user(root_fd: int, wanted: str, extra_groups: tuple[str, ...] = ()) -> User:
    """Return who `name|uid[:group|gid]` is in this root; "" is root.

    A number need not be in /etc/passwd. Without an explicit group the user's own is used, with all groups that list it.

    Raises:
        InvalidArgument: an unknown name, or a number out of range.
    """
    name, _, group = (wanted or "0").partition(":")
    passwd, groups = _rows(read_inside(root_fd, "etc/passwd"), 6), _rows(read_inside(root_fd, "etc/group"), 3)
    uid, gid, home, login = _find_user(passwd, name or "0")
    members: set[int] = set()
    if group:
        gid = _find_group(groups, group)
    elif login:
        members = {
            int(row[2]) for row in groups if len(row) > 3 and login in row[3].split(",") and _number(row[2]) is not None
        }
    members |= {_find_group(groups, item) for item in extra_groups}
    return User(uid, gid, tuple(sorted(members | {gid})), home)


def _find_user(passwd: list[list[str]], name: str) -> tuple[int, int, str, str]:
    """Return (uid, gid, home, login name)."""
    number = _number(name)
    for row in passwd:
        if row[0] == name or (number is not None and _number(row[2]) == number):
            uid, gid = _number(row[2]), _number(row[3])
            if uid is not None and gid is not None:
                return _in_range(uid, name), _in_range(gid, name), row[5] or "/", row[0]
    if number is None:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    return _in_range(number, name), 0, "/", ""


def _find_group(groups: list[list[str]], name: str) -> int:
    number = _number(name)
    for row in groups:
        found = _number(row[2])
        if row[0] == name and found is not None:
            return _in_range(found, name)
    if number is None:
        raise InvalidArgument(f"unable to find group {name}: no matching entries in group file")
    return _in_range(number, name)


def _in_range(number: int, name: str) -> int:
    if number > 0x7FFFFFFF:
        raise InvalidArgument(f"uids and gids must be in range 0-2147483647: {name}")
    return number


def check_mount_points(root_fd: int) -> None:
    """Refuse a root whose /dev, /proc or /sys is a link: runtimes that make files there would follow it to the host.

    Raises:
        InvalidArgument: one is. (CVE-2026-41579 and its family.)
    """
    for name in _OWN_FILESYSTEMS:
        with contextlib.suppress(OSError):
            target = os.readlink(name, dir_fd=root_fd)
            raise InvalidArgument(
                f"/{name} of the image is a symbolic link to {target}: possible container breakout; remove it from the image"
            )


def make_working_directory(root_fd: int, path: str, uid: int, gid: int) -> None:
    """Make sure that `path` is a directory inside the root; missing parts are made and owned by the user.

    Raises:
        InvalidArgument: it leads into procfs or sysfs, through a loop, or to something that is no directory.
    """
    pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
    here: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            here = here[:-1]
            continue
        if here[:1] == ["proc"] and (len(here) > 1 or part != "sys"):
            raise InvalidArgument(f'the working directory "{path}" leads into /proc: possible container breakout')
        if here and here[0] in _OWN_FILESYSTEMS:
            return  # other file systems in the container: nothing to make here
        target = _step(root_fd, here, part, uid, gid, path)
        if target is None:
            here.append(part)
            continue
        links += 1
        if links > 40:
            raise InvalidArgument(f'the working directory "{path}" has a loop of symbolic links')
        here = [] if target.startswith("/") else here
        pending += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]


def _step(root_fd: int, here: list[str], part: str, uid: int, gid: int, path: str) -> str | None:
    """Enter (or make) one directory; returns the target instead when it is a symbolic link."""
    parent = syscalls.openat2(
        root_fd,
        "/".join(here) or ".",
        os.O_PATH | os.O_DIRECTORY,
        resolve=syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS,
    )
    try:
        with contextlib.suppress(OSError):
            return os.readlink(part, dir_fd=parent)
        try:
            os.close(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent))
        except FileNotFoundError:
            os.mkdir(part, 0o755, dir_fd=parent)
            os.chown(part, uid, gid, dir_fd=parent, follow_symlinks=False)
        except NotADirectoryError as error:
            raise InvalidArgument(f"Cannot mkdir: {path} is not a directory") from error
    finally:
        os.close(parent)
    return None
