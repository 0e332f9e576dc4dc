"""What the plan must know of the host and of the root filesystem: read once per launch, then everything is pure."""

from __future__ import annotations

from sampan.model.container import Struct


class UserFact(Struct, frozen=True, kw_only=True):
    """Who the first process is, resolved in the container's own /etc/passwd and /etc/group."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


class DeviceFact(Struct, frozen=True, kw_only=True):
    """A device node as it is on the host, and what the container may do with it."""

    path: str  # in the container
    kind: str  # "c" or "b"
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    permissions: str = "rwm"


class RateFact(Struct, frozen=True, kw_only=True):
    """A block-device limit with the device's numbers."""

    major: int
    minor: int
    rate: int


class HostFacts(Struct, frozen=True, kw_only=True):
    """The host's side of one launch."""

    machine: str = "x86_64"
    capabilities: tuple[str, ...] = ()  # what the daemon itself holds: no container can have more
    rlimits: dict[str, int] = {}  # the daemon's hard limits, -1 unlimited; {} when it may raise them
    oom_score_adj_floor: int = -1000
    cgroup_version: int = 1
    cgroup_path: str = ""
    user: UserFact = UserFact()
    devices: tuple[DeviceFact, ...] = ()  # asked for, or all of the host's for a privileged container
    rates: dict[str, tuple[RateFact, ...]] = {}  # by field of Resources
    init_path: str = ""  # the host's init program, when one was asked for
    masked_extra: tuple[str, ...] = ()  # the host's own paths to hide (a row per CPU)
    rro: bool = False  # recursive read-only mounts work here
    files: frozenset[str] = frozenset()  # sources of read-only binds that are no directories
    apparmor: bool = False
