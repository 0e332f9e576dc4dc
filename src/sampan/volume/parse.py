"""What a volume may be called, and what the options of driver "local" mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sampan.base.errors import InvalidArgument, Unsupported

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = ("type", "device", "o")
_NEEDS = {"type": ("device",), "device": ("type",), "o": ("device", "type")}

RDONLY, BIND, REC, REMOUNT = 0x1, 0x1000, 0x4000, 0x20
_FLAGS = {
    "ro": RDONLY, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "sync": 0x10, "dirsync": 0x80, "mand": 0x40,
    "noatime": 0x400, "nodiratime": 0x800, "bind": BIND, "rbind": BIND | REC, "relatime": 0x200000,
    "strictatime": 0x1000000, "lazytime": 0x2000000,
}  # fmt: skip
_CLEARED = {
    "rw": 0x1, "suid": 0x2, "dev": 0x4, "exec": 0x8, "async": 0x10, "nomand": 0x40, "atime": 0x400, "diratime": 0x800,
    "norelatime": 0x200000, "nostrictatime": 0x1000000, "defaults": 0,
}  # fmt: skip
"""Linux mount(2) flags by mount(8)'s words; what is in neither table is the filesystem's own option."""


class MountOptions(NamedTuple):
    """Arguments of mount(2)."""

    filesystem: str
    device: str
    flags: int
    data: str

    @property
    def bind(self) -> bool:
        return bool(self.flags & BIND)


def check_name(name: str) -> None:
    """Raise `InvalidArgument` for a name that docker would refuse, too."""
    if len(name) == 1:
        raise InvalidArgument("volume name is too short, names should be at least two alphanumeric characters")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )
    if len(name) > 255:
        raise InvalidArgument("volume name is too long, names may have at most 255 characters")


def mount_options(options: Mapping[str, str]) -> MountOptions | None:
    """Return what to mount for the driver's options; None when the volume is a plain directory.

    Raises:
        InvalidArgument: an unknown option, or one that needs another.
        Unsupported: a size limit.
    """
    if "size" in options:
        raise Unsupported("quota size requested but no quota support: leave the size option out")
    for name in options:
        if name not in _OPTIONS:
            raise InvalidArgument(f'invalid option: "{name}"')
        for needed in _NEEDS[name]:
            if not options.get(needed):
                raise InvalidArgument(f'missing required option: "{needed}"')
    if not options:
        return None
    flags, data = _words(options.get("o", ""))
    return MountOptions(options["type"], options["device"], flags, data)


def _words(text: str) -> tuple[int, str]:
    flags, data = 0, []
    for word in filter(None, text.split(",")):
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word in _CLEARED:
            flags &= ~_CLEARED[word]
        else:
            data.append(word)
    return flags, ",".join(data)


def server_address(data: str) -> str:
    """Return the `addr=` of an NFS mount's options, "" when there is none."""
    return next((word.removeprefix("addr=") for word in data.split(",") if word.startswith("addr=")), "")
