"""Networks: made, removed, joined and left by their users."""

from __future__ import annotations

from ipaddress import ip_interface

from msgspec.structs import replace

from sampan.base.clock import Clock
from sampan.base.errors import Conflict, Forbidden, InvalidArgument, NotFound
from sampan.base.ids import IdSource
from sampan.engine.connections import Connections
from sampan.engine.events import Events
from sampan.engine.filters import check_keys, select_networks
from sampan.engine.plan import check_name
from sampan.engine.port import Filters
from sampan.engine.registry import Registry
from sampan.model.container import Container, Endpoint, EndpointSpec, with_state
from sampan.model.network import Network, Subnet
from sampan.network.port import NetworkDriver

BUILTIN = {"bridge": "bridge", "host": "host", "none": "null"}
"""Networks that every engine has: name -> driver."""


class Networks:
    """The networks of this engine."""

    def __init__(
        self,
        registry: Registry,
        driver: NetworkDriver,
        connections: Connections,
        events: Events,
        new_id: IdSource,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._connections = connections
        self._events = events
        self._new_id = new_id
        self._clock = clock

    async def ensure_builtin(self, bridge: str, bip: str) -> None:
        """Record the default networks; `bip` (address/prefix) or the bridge's name may have changed since."""
        for name, driver in BUILTIN.items():
            known = next((n for n in self._registry.networks.values() if n.builtin and n.name == name), None)
            wanted = known or Network(
                id=self._new_id(), name=name, driver=driver, builtin=True, created_at_ns=self._clock.now_ns()
            )
            if driver == "bridge":
                address, _, prefix = bip.partition("/")
                wanted = replace(
                    wanted, bridge=bridge, subnets=(Subnet(subnet=_subnet(address, prefix), gateway=address),)
                )
            if wanted != known:
                await self._registry.put(wanted)

    async def create(self, wanted: Network) -> tuple[Network, str]:
        """Make a network; a name that is taken is refused."""
        check_name(wanted.name)
        if wanted.driver not in ("bridge", ""):
            if wanted.driver in ("host", "null"):
                raise Forbidden(f'only one instance of "{wanted.driver}" network is allowed')
            raise NotFound(
                f'could not find plugin {wanted.driver} in v1 plugin registry: plugin "{wanted.driver}" not found'
            )
        if wanted.name in BUILTIN or wanted.name in ("default", "container"):
            raise Forbidden(f"operation is not permitted on predefined {wanted.name} network ")
        if any(network.name == wanted.name for network in self._registry.networks.values()):
            raise Conflict(f"network with name {wanted.name} already exists")
        planned = replace(wanted, id=self._new_id(), driver="bridge", created_at_ns=self._clock.now_ns(), builtin=False)
        network = self._driver.allocate_network(planned, tuple(self._registry.networks.values()))
        await self._registry.put(network)
        try:
            await self._driver.create_network(network)
        except BaseException:
            await self._driver.delete_network(network)
            await self._registry.drop(network)
            raise
        self._tell("create", network)
        return network, ""

    def used(self) -> set[str]:
        """Return the ids of networks that containers use now."""
        return {
            endpoint.network_id
            for container in self._registry.containers.values()
            if container.running
            for endpoint in container.state.endpoints
        }

    def endpoints(self, network_id: str) -> tuple[tuple[Container, Endpoint], ...]:
        """Return the running containers on a network."""
        return tuple(
            (container, endpoint)
            for container in self._registry.containers.values()
            if container.running
            for endpoint in container.state.endpoints
            if endpoint.network_id == network_id
        )

    def select(self, filters: Filters) -> tuple[Network, ...]:
        return select_networks(self._registry.networks.values(), filters, self.used())

    async def remove(self, reference: str) -> None:
        network = self._registry.network(reference)
        if network.builtin:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        holders = self.endpoints(network.id)
        if holders:
            names = ", ".join(
                f'name:"{container.name}" id:"{endpoint.endpoint_id[:12]}"' for container, endpoint in holders
            )
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints ({names}); "
                "disconnect or stop them first"
            )
        await self._registry.drop(network)
        await self._driver.delete_network(network)
        self._tell("destroy", network)

    async def prune(self, filters: Filters) -> tuple[str, ...]:
        """Remove networks that no container, running or not, is on."""
        check_keys(filters, {"label", "label!", "until"})
        wished = {e.network_id for c in self._registry.containers.values() for e in c.state.endpoints}
        removed = []
        labels = Filters(terms={k: v for k, v in filters.terms.items() if k.startswith("label")})
        for network in self.select(labels):
            if not network.builtin and network.id not in wished:
                await self.remove(network.id)
                removed.append(network.name)
        return tuple(removed)

    async def connect(self, reference: str, container_reference: str, spec: EndpointSpec) -> None:
        """Put a container on a network, at once when it runs, else at its next start."""
        network = self._registry.network(reference)
        container = self._registry.container(container_reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            mode = container.spec.network.mode
            if mode == "host" or network.driver == "host":
                raise InvalidArgument("container cannot be connected to host network; make it without host networking")
            if mode.startswith("container:"):
                raise InvalidArgument(
                    "container sharing network namespace with another container or host cannot be connected to any other network"
                )
            if network.driver == "null" or mode == "none":
                raise InvalidArgument(
                    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                )
            if any(endpoint.network_id == network.id for endpoint in container.state.endpoints):
                raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
            endpoint = Endpoint(network_id=network.id, network_name=network.name, aliases=spec.aliases, spec=spec)
            if container.running:
                made = await self._driver.connect(container.id, container.state.sandbox_key, network, spec)
                endpoint = self._connections.named(container, replace(made, aliases=spec.aliases, spec=spec))
            saved = await self._registry.save(with_state(container, endpoints=(*container.state.endpoints, endpoint)))
            if saved.running:
                self._connections.publish_names(saved)
                self._connections.rewrite_files(saved)
            self._tell("connect", network, container=container.id)

    async def disconnect(self, reference: str, container_reference: str, *, force: bool) -> None:
        network = self._registry.network(reference)
        try:
            container = self._registry.container(container_reference)
        except NotFound:
            if force:
                return
            raise
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            gone = next((e for e in container.state.endpoints if e.network_id == network.id), None)
            if gone is None:
                raise Forbidden(f"container {container.id} is not connected to network {network.name}")
            if container.spec.network.mode == "host":
                raise InvalidArgument("container cannot be disconnected from host network")
            left = tuple(e for e in container.state.endpoints if e is not gone)
            # recorded first: after a kill in between, what is on the host too much is taken away at start
            saved = await self._registry.save(with_state(container, endpoints=left))
            if saved.running:
                await self._driver.disconnect(saved.id, saved.state.sandbox_key, gone)
            self._connections.refresh(network.id)
            if saved.running:
                self._connections.rewrite_files(saved)
            self._tell("disconnect", network, container=saved.id)

    def _tell(self, action: str, network: Network, **attributes: str) -> None:
        self._events.emit("network", action, network.id, {"name": network.name, "type": network.driver, **attributes})


def _subnet(address: str, prefix: str) -> str:
    try:
        return str(ip_interface(f"{address}/{prefix or 16}").network)
    except ValueError as error:
        raise InvalidArgument(f"--bip {address}/{prefix}: {error}; write it as 10.1.0.1/16") from None
