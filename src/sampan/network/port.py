"""NetworkDriver: network namespaces, bridges, addresses, published ports and names.

Names of everything derive from a network's or container's id, or from a pool slot recorded before use, and carry the
daemon's tag. Nothing here keeps a truth of its own: the engine passes what should be.
"""

from __future__ import annotations

from typing import Protocol

from sampan.model.container import Endpoint, EndpointSpec, PortBinding, PublishedPort, Struct
from sampan.model.network import Network


class Attachment(Struct, frozen=True, kw_only=True):
    """A container's whole connection to the world, as `join` made it."""

    sandbox_key: str  # path of its network namespace
    slot: str = ""  # the pool slot that it came from
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


class NetworkUsage(Struct, frozen=True, kw_only=True):
    """Counters of one interface in a container, by the container's view."""

    interface: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class NetworkDriver(Protocol):
    """Makes and removes what networks are made of. Every method may be repeated; teardown goes on past errors.

    Raises `Exhausted` (no address, no port left), `Conflict` (port or subnet taken; the message names the holder),
    `InvalidArgument` (an address outside of its subnet).
    """

    def allocate_network(self, wanted: Network, existing: tuple[Network, ...]) -> Network:
        """Return `wanted` with subnets, gateways and the bridge's name filled in and checked. No side effect."""
        ...

    async def create_network(self, network: Network) -> None:
        """Make the bridge, its address and its rules."""
        ...

    async def delete_network(self, network: Network) -> None: ...

    def reserve(
        self, container_id: str, wishes: tuple[tuple[Network, EndpointSpec], ...], ports: tuple[PortBinding, ...]
    ) -> Attachment:
        """Choose addresses, host ports and, when the wishes allow it, a prepared pool slot, in memory only.

        The engine records the result durably, then calls `join`. `release` takes it back.
        """
        ...

    async def join(self, container_id: str, attachment: Attachment, networks: tuple[Network, ...]) -> Attachment:
        """Make the namespace, interfaces, routes and port rules of a reservation; returns it with MAC addresses."""
        ...

    async def make_sandbox(self, container_id: str) -> str:
        """Make a namespace with only `lo` up (mode "none"); returns its path."""
        ...

    async def leave(self, container_id: str, attachment: Attachment) -> None:
        """Drop ports, then the namespace (never a veth), and release the addresses. Idempotent."""
        ...

    def release(self, container_id: str, attachment: Attachment) -> None:
        """Give a reservation back that was never joined."""
        ...

    async def connect(self, container_id: str, sandbox_key: str, network: Network, spec: EndpointSpec) -> Endpoint:
        """Add one interface to a running container."""
        ...

    async def disconnect(self, container_id: str, sandbox_key: str, endpoint: Endpoint) -> None: ...

    def set_names(self, network_id: str, names: dict[str, tuple[str, ...]]) -> None:
        """Replace the DNS answers of a user-defined network: name -> addresses."""
        ...

    def set_resolvers(self, container_id: str, servers: tuple[str, ...]) -> None:
        """Pass the container's questions about other names on to `servers` (its --dns), not to the host's resolvers.

        Call it before or after `join`; after a restart again. `leave` ends it.
        """
        ...

    def nameserver(self, attachment: Attachment) -> str | None:
        """Return the address to put into resolv.conf, None when the host's own resolvers serve (default bridge)."""
        ...

    async def usage(self, sandbox_key: str) -> tuple[NetworkUsage, ...]: ...

    async def reconcile(self, networks: tuple[Network, ...], attachments: dict[str, Attachment]) -> None:
        """Make the host as this says, by the daemon's tag: adopt what is right, remove the rest, refill the pool."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """Return what keeps published ports or containers' way out closed, and the fix for each."""
        ...

    async def close(self) -> None:
        """Let go; running containers keep their network (published ports too)."""
        ...
