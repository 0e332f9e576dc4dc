"""Names on the host. Each carries the daemon's tag, and comes from an id or a slot that was recorded before use."""

from __future__ import annotations

import re

from sampan.base.errors import InvalidArgument
from sampan.model.container import Endpoint, Struct

SLOT_RECORD = "netns-slot"
"""The kind of a pool slot's record."""


class Names(Struct, frozen=True, kw_only=True):
    """All names of one daemon, by its tag (4 to 6 hex digits: an interface name holds 15 characters)."""

    tag: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{4,6}", self.tag):
            raise InvalidArgument(f"network tag {self.tag!r}: want 4 to 6 hex digits")

    @property
    def alias(self) -> str:
        """The alias that marks our bridges, whose names are not ours to choose."""
        return f"sampan-{self.tag}"

    @property
    def table(self) -> str:
        return f"sampan-{self.tag}"

    @property
    def veth_prefix(self) -> str:
        return f"v{self.tag}"

    def veth(self, endpoint: Endpoint) -> str:
        """The host's end of a container's interface."""
        return f"{self.veth_prefix}{endpoint.slot or endpoint.endpoint_id[:8]}"

    def is_veth(self, name: str) -> bool:
        """Return whether an interface's name is one that `veth` gives."""
        return name.startswith(self.veth_prefix) and len(name) == len(self.veth_prefix) + 8

    def sandbox(self, container_id: str) -> str:
        """The namespace file of a container that has no slot."""
        return container_id[:12]

    def slot_sandbox(self, slot: str) -> str:
        """The namespace file of a pool slot."""
        return f"slot-{slot}"

    def slot_of(self, path: str) -> str:
        """The slot whose namespace file `path` is, "" when it is a container's own."""
        name = path.rpartition("/")[2]
        return name.removeprefix("slot-") if name.startswith("slot-") else ""


def bridge_name(network_id: str) -> str:
    """The default name of a user-defined network's bridge."""
    return f"br-{network_id[:12]}"
