"""NetworkDriver without a host: the same choices and refusals, nothing made. For simulation, and for the engine's tests."""

from __future__ import annotations

import msgspec

from sampan.base import ids
from sampan.base.errors import NotFound
from sampan.base.ids import IdSource
from sampan.model.container import Endpoint, EndpointSpec, PortBinding
from sampan.model.network import Network
from sampan.network import plan
from sampan.network.addresses import AddressBook
from sampan.network.claims import PortClaims, SetHolder
from sampan.network.naming import Names
from sampan.network.options import bridge_options, endpoint_interface
from sampan.network.plan import Defaults, Surroundings
from sampan.network.port import Attachment, NetworkUsage
from sampan.network.reservation import Reservations
from sampan.network.resolving import EMBEDDED_NAMESERVER, resolves_names


class MemoryNetworkDriver:
    """See `port.NetworkDriver`. `sandboxes` maps a namespace's path to the interfaces in it."""

    def __init__(
        self, tag: str = "0000", bridge: str = "sampan0", bip: str | None = None, *, new_id: IdSource = ids.random_id
    ) -> None:
        self._names = Names(tag=tag)
        self._defaults = Defaults(bridge=bridge, bip=bip, seed=tag)
        self._reservations = Reservations(AddressBook(), PortClaims(SetHolder()), new_id)
        self._networks: dict[str, Network] = {}
        self.bridges: set[str] = set()
        self.sandboxes: dict[str, dict[str, str]] = {}  # path -> interface -> endpoint id
        self.resolvers: dict[str, tuple[str, ...]] = {}
        self.names: dict[str, dict[str, tuple[str, ...]]] = {}

    def allocate_network(self, wanted: Network, existing: tuple[Network, ...]) -> Network:
        """Return `wanted` filled in and checked against the other networks."""
        return plan.allocate(wanted, existing, Surroundings(), self._defaults)

    async def create_network(self, network: Network) -> None:
        """Take the network in."""
        if network.driver == "bridge":
            bridge_options(network)
            self._networks[network.id] = network
            self.bridges.add(network.bridge)

    async def delete_network(self, network: Network) -> None:
        """Leave the network out. Idempotent."""
        self._networks.pop(network.id, None)
        self.bridges.discard(network.bridge)
        self.names.pop(network.id, None)
        self._reservations.addresses.forget(network.id)

    def reserve(
        self, container_id: str, wishes: tuple[tuple[Network, EndpointSpec], ...], ports: tuple[PortBinding, ...]
    ) -> Attachment:
        """Choose addresses and ports."""
        for network, _ in wishes:
            self._networks.setdefault(network.id, network)
        attachment = Attachment(
            sandbox_key=f"/memory/netns/{self._names.sandbox(container_id)}",
            endpoints=self._reservations.endpoints(wishes),
        )
        try:
            published = self._reservations.publish(container_id, self._networks.values(), attachment.endpoints, ports)
        except BaseException:
            self.release(container_id, attachment)
            raise
        return msgspec.structs.replace(attachment, ports=published)

    def release(self, container_id: str, attachment: Attachment) -> None:
        """Give a reservation back. Idempotent."""
        self._reservations.ports.release(container_id)
        self._reservations.free(attachment.endpoints)

    async def join(self, container_id: str, attachment: Attachment, networks: tuple[Network, ...]) -> Attachment:
        """Make the sandbox."""
        self.sandboxes[attachment.sandbox_key] = {}
        for endpoint in attachment.endpoints:
            self._plug(attachment.sandbox_key, endpoint)
        return attachment

    def _plug(self, path: str, endpoint: Endpoint) -> None:
        inside = self.sandboxes.get(path)
        if inside is None:
            raise NotFound(f"no network namespace at {path}: the container does not run")
        prefix = bridge_options(self._networks[endpoint.network_id]).interface_prefix
        free = next(name for number in range(len(inside) + 1) if (name := f"{prefix}{number}") not in inside)
        inside[endpoint_interface(endpoint.spec) or free] = endpoint.endpoint_id

    async def make_sandbox(self, container_id: str) -> str:
        """Make a sandbox without interfaces."""
        path = f"/memory/netns/{self._names.sandbox(container_id)}"
        self.sandboxes[path] = {}
        return path

    async def leave(self, container_id: str, attachment: Attachment) -> None:
        """Drop the sandbox. Idempotent."""
        self.sandboxes.pop(attachment.sandbox_key, None)
        self.resolvers.pop(container_id, None)
        self.release(container_id, attachment)

    async def connect(self, container_id: str, sandbox_key: str, network: Network, spec: EndpointSpec) -> Endpoint:
        """Add an interface."""
        self._networks[network.id] = network
        endpoint = self._reservations.endpoint(network, spec)
        try:
            self._plug(sandbox_key, endpoint)
        except BaseException:
            self._reservations.free((endpoint,))
            raise
        return endpoint

    async def disconnect(self, container_id: str, sandbox_key: str, endpoint: Endpoint) -> None:
        """Take an interface away. Idempotent."""
        inside = self.sandboxes.get(sandbox_key, {})
        for name in [name for name, owner in inside.items() if owner == endpoint.endpoint_id]:
            del inside[name]
        self._reservations.free((endpoint,))

    def set_names(self, network_id: str, names: dict[str, tuple[str, ...]]) -> None:
        """Keep the names."""
        self.names[network_id] = dict(names)

    def set_resolvers(self, container_id: str, servers: tuple[str, ...]) -> None:
        """Keep the resolvers."""
        self.resolvers[container_id] = servers

    def nameserver(self, attachment: Attachment) -> str | None:
        """Return the embedded server's address when a user-defined network is among the endpoints."""
        return EMBEDDED_NAMESERVER if resolves_names(attachment.endpoints, self._networks) else None

    async def usage(self, sandbox_key: str) -> tuple[NetworkUsage, ...]:
        """Return zero counters."""
        return tuple(NetworkUsage(interface=name) for name in self.sandboxes.get(sandbox_key, {}))

    async def reconcile(self, networks: tuple[Network, ...], attachments: dict[str, Attachment]) -> None:
        """Hold what is said, and nothing else."""
        self._networks = {network.id: network for network in networks if network.driver == "bridge"}
        self.bridges = {network.bridge for network in self._networks.values()}
        kept = {attachment.sandbox_key for attachment in attachments.values()}
        for path in self.sandboxes.keys() - kept:
            del self.sandboxes[path]
        for owner, attachment in attachments.items():
            self._reservations.ports.reclaim(owner, attachment.ports)
            self._reservations.adopt(attachment.endpoints, self._networks)
            inside = self.sandboxes.setdefault(attachment.sandbox_key, {})
            for endpoint in attachment.endpoints:
                if endpoint.endpoint_id not in inside.values():
                    self._plug(attachment.sandbox_key, endpoint)

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: there is no host."""
        return ()

    async def close(self) -> None:
        """Let go."""
        self._reservations.ports.close()
