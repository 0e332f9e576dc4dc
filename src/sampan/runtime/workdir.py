"""The working directory: made when missing, and never outside of the container (CVE-2024-21626)."""

from __future__ import annotations

import errno
import os

from sampan.base.errors import RuntimeFailed
from sampan.host import rootfs, syscalls
from sampan.runtime.facts import UserFact


def make(root_fd: int, path: str, user: UserFact) -> None:
    """Make sure that it exists in the root.

    Raises:
        InvalidArgument: it leads into procfs, or to something that is no directory.
    """
    rootfs.make_working_directory(root_fd, path, user.uid, user.gid)


def check(pid: int, path: str) -> None:
    """Prove that the waiting process stands where the path leads inside its own root.

    Raises:
        RuntimeFailed: it stands elsewhere: a link, or a descriptor of the host's, led it out.
    """
    try:
        here = os.stat(f"/proc/{pid}/cwd")
        root_fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended already
    try:
        inside = syscalls.openat2(
            root_fd, path, os.O_PATH | os.O_DIRECTORY, resolve=syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
        )
        try:
            found = os.fstat(inside)
        finally:
            os.close(inside)
    except OSError:
        found = None
    finally:
        os.close(root_fd)
    if found is None or (found.st_dev, found.st_ino) != (here.st_dev, here.st_ino):
        raise _breakout("create", path)


def check_exec(root_fd: int, path: str) -> None:
    """Prove that an exec's working directory is inside the container's root, with no descriptor on the way.

    Raises:
        RuntimeFailed: it is not there, or leads out.
    """
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    try:
        os.close(syscalls.openat2(root_fd, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _breakout("exec", path) from error
        # /proc/self of the container is nobody's here, so a path through it ends here too
        raise RuntimeFailed(
            "OCI runtime exec failed: exec failed: unable to start container process: "
            f'chdir to cwd ("{path}") set in config.json failed: {os.strerror(error.errno or 0).lower()}: unknown',
            127,
        ) from error


def _breakout(stage: str, path: str) -> RuntimeFailed:
    return RuntimeFailed(
        f"OCI runtime {stage} failed: current working directory is outside of container mount namespace root "
        f'-- possible container breakout detected (the working directory is "{path}"): unknown'
    )
