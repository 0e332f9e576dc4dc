"""The Linux calls that Python's `os` lacks. Each raises `OSError` with the path or what it was about.

Numbers of the newer calls (>= 424) are the same on every architecture. All calls release the GIL.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000

MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000

RESOLVE_NO_MAGICLINKS = 0x2
RESOLVE_NO_SYMLINKS = 0x4
RESOLVE_BENEATH = 0x8
RESOLVE_IN_ROOT = 0x10
"""openat2(2): `..`, absolute paths and absolute links stay below the directory, as after a chroot."""

OPEN_TREE_CLONE = 0x1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_FDCWD = -100


_SYS_STATMOUNT, _SYS_LISTMOUNT = 457, 458
_LSMT_ROOT = 0xFFFF_FFFF_FFFF_FFFF
STATMOUNT_SB_BASIC = 0x1
STATMOUNT_MNT_BASIC = 0x2
STATMOUNT_MNT_ROOT = 0x8
STATMOUNT_MNT_POINT = 0x10
STATMOUNT_FS_TYPE = 0x20

_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_OPENAT2 = 437
_SYS_MOUNT_SETATTR = 442


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _bytes(path: str | bytes | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def _check(result: int, *subjects: str | bytes | None) -> int:
    if result < 0:
        code = ctypes.get_errno()
        names = [os.fsdecode(subject) for subject in subjects if subject]
        raise OSError(code, os.strerror(code), names[-1] if names else None)
    return result


def mount(
    source: str | bytes | None,
    target: str | bytes,
    filesystem: str | None = None,
    flags: int = 0,
    options: str | bytes | None = None,
) -> None:
    """Mount `source` at `target` (mount(2)); `options` is the filesystem's own string, under 4096 bytes."""
    data = _bytes(options)
    if data is not None and len(data) >= 4096:
        raise OSError(errno.E2BIG, "mount options are longer than a page", os.fsdecode(target))
    result = _libc.mount(
        _bytes(source), _bytes(target), _bytes(filesystem), ctypes.c_ulong(flags | MS_SILENT), ctypes.c_char_p(data)
    )
    _check(result, target)


def umount(target: str | bytes, flags: int = 0) -> None:
    """Take the top mount off `target` (umount2(2))."""
    _check(_libc.umount2(_bytes(target), flags), target)


def unshare(flags: int) -> None:
    """Give the calling thread (not the process) new namespaces, or with `CLONE_FS` its own cwd, root and umask."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace open at `fd`; `kind` (a `CLONE_NEW…`) guards against mistakes."""
    _check(_libc.setns(fd, kind))


def openat2(dir_fd: int, path: str | bytes, flags: int, *, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Return a descriptor of `path` below `dir_fd`, resolved as `resolve` says. Always close-on-exec.

    Under a racing rename the kernel may answer EAGAIN; that is retried here.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = ctypes.c_char_p(_bytes(path))
    for _ in range(128):
        result = int(_libc.syscall(_SYS_OPENAT2, dir_fd, name, ctypes.byref(how), ctypes.sizeof(how)))
        if result >= 0 or ctypes.get_errno() not in {errno.EAGAIN, errno.EINTR}:
            return _check(result, path)
    raise OSError(errno.EAGAIN, "the tree changed each time while it was resolved", os.fsdecode(path))


def open_tree(dir_fd: int, path: str | bytes, flags: int) -> int:
    """Return a descriptor of the mount at `path`; with `OPEN_TREE_CLONE` of a detached copy (a bind mount to be)."""
    return _check(_libc.syscall(_SYS_OPEN_TREE, dir_fd, _bytes(path), flags | OPEN_TREE_CLOEXEC), path)


def move_mount(from_fd: int, to_dir_fd: int, to_path: str | bytes) -> None:
    """Attach the detached mount `from_fd` at `to_path` (empty: at `to_dir_fd` itself)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if to_path else MOVE_MOUNT_T_EMPTY_PATH)
    _check(_libc.syscall(_SYS_MOVE_MOUNT, from_fd, b"", to_dir_fd, _bytes(to_path), flags), to_path)


def mount_setattr(
    dir_fd: int, path: str | bytes, *, flags: int = 0, set_attributes: int = 0, clear: int = 0, propagation: int = 0
) -> None:
    """Change a mount's attributes, with `AT_RECURSIVE` of everything below too (Linux 5.12)."""
    attributes = _MountAttr(set_attributes, clear, propagation, 0)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR, dir_fd, _bytes(path), flags, ctypes.byref(attributes), ctypes.sizeof(attributes)
    )
    _check(result, path)


def listmount(namespace: int) -> list[int]:
    """Return the numbers of all mounts in the mount namespace of that id; they are never used twice (Linux 6.11)."""
    request = struct.pack("=IIQQQ", 32, 0, _LSMT_ROOT, 0, namespace)
    room = 512
    while True:
        numbers = (ctypes.c_uint64 * room)()
        count = _check(_libc.syscall(_SYS_LISTMOUNT, request, numbers, room, 0), "listmount")
        if count < room:
            return list(numbers[:count])
        room *= 4


def statmount(namespace: int, number: int, mask: int) -> bytes | None:
    """Return the struct statmount of a mount with its strings; None when it is gone (Linux 6.11)."""
    request = struct.pack("=IIQQQ", 32, 0, number, mask, namespace)
    answer = ctypes.create_string_buffer(1 << 14)
    try:
        _check(_libc.syscall(_SYS_STATMOUNT, request, answer, len(answer), 0), "statmount")
    except FileNotFoundError:
        return None
    return answer.raw[: int(struct.unpack_from("I", answer)[0])]


def syncfs(fd: int) -> None:
    """Wait until everything of the filesystem that has `fd` is on its disk."""
    _check(_libc.syncfs(fd))
