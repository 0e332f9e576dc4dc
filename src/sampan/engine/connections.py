"""Connections: a container's place on networks, from wish to attachment, and the files in /etc that follow from it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from sampan.base.errors import Conflict
from sampan.engine.machine import Machine
from sampan.engine.plan import dns_names, render_hosts, render_resolv
from sampan.engine.registry import Registry
from sampan.model.container import Container, ContainerSpec, Endpoint, EndpointSpec, PortBinding, with_state
from sampan.model.network import Network
from sampan.network.port import Attachment, NetworkDriver


class Connections:
    """Joins and leaves networks for the lifecycle. Holds which containers are joined, so that leaving happens once."""

    def __init__(self, registry: Registry, driver: NetworkDriver, machine: Machine) -> None:
        self._registry = registry
        self._driver = driver
        self._machine = machine
        self._joined: set[str] = set()

    def plan(self, spec: ContainerSpec) -> tuple[Endpoint, ...]:
        """Return the places that a new container wishes for; raises `NotFound` for an unknown network."""
        mode = spec.network.mode or "default"
        for link in spec.network.links:
            self._registry.container(link.partition(":")[0])
        if spec.network_disabled:
            mode = "none"
        if mode.startswith("container:"):
            self._registry.container(mode.partition(":")[2])
            return ()
        wishes = {self._registry.network(wish.network).id: wish for wish in spec.network.endpoints}
        first = self._registry.network(mode)
        wishes = {first.id: wishes.pop(first.id, EndpointSpec(network=mode, mac=spec.network.mac)), **wishes}
        return tuple(
            Endpoint(
                network_id=network_id,
                network_name=self._registry.networks[network_id].name,
                aliases=wish.aliases,
                spec=wish,
            )
            for network_id, wish in wishes.items()
        )

    def reserve(self, container: Container) -> Attachment:
        """Choose addresses and ports in memory; raises `Conflict` or `Exhausted` and changes nothing when it cannot."""
        mode = container.spec.network.mode
        if mode.startswith("container:"):
            return Attachment(sandbox_key=self._shared(container).state.sandbox_key)
        networks = self._networks(container.state.endpoints)
        if any(network.driver in ("host", "null") for network in networks):
            return Attachment(sandbox_key="", endpoints=container.state.endpoints)
        wishes = tuple(
            (network, endpoint.spec or EndpointSpec(network=network.name))
            for network, endpoint in zip(networks, container.state.endpoints, strict=True)
        )
        attachment = self._driver.reserve(container.id, wishes, self._ports(container))
        self._joined.add(container.id)
        return replace(attachment, endpoints=tuple(self._named(container, e) for e in attachment.endpoints))

    def _ports(self, container: Container) -> tuple[PortBinding, ...]:
        ports = list(container.spec.network.ports)
        if container.spec.network.publish_all:
            bound = {(port.container_port, port.protocol) for port in ports}
            for text in container.spec.network.exposed:
                numbers, _, protocol = text.partition("/")
                first, _, last = numbers.partition("-")
                ports += [
                    PortBinding(container_port=number, protocol=protocol or "tcp")
                    for number in range(int(first), int(last or first) + 1)
                    if (number, protocol or "tcp") not in bound
                ]
        return tuple(ports)

    def release(self, container_id: str, attachment: Attachment) -> None:
        """Take a reservation back that was never joined."""
        if container_id in self._joined:
            self._joined.discard(container_id)
            self._driver.release(container_id, attachment)

    async def join(self, container: Container, attachment: Attachment) -> Attachment:
        """Make what was reserved."""
        if container.id in self._joined:
            self._driver.set_resolvers(container.id, container.spec.network.dns)
            joined = await self._driver.join(container.id, attachment, self._networks(attachment.endpoints))
            return replace(joined, endpoints=tuple(self._named(container, e) for e in joined.endpoints))
        if any(network.driver == "null" for network in self._networks(attachment.endpoints)):
            self._joined.add(container.id)
            return replace(attachment, sandbox_key=await self._driver.make_sandbox(container.id))
        return attachment

    async def leave(self, container: Container) -> None:
        """Free addresses, ports and the namespace. Once per join, however often it is called."""
        if container.id in self._joined:
            await self._driver.leave(container.id, attachment_of(container))
            self._joined.discard(container.id)
            self._refresh_names(container.state.endpoints, without=container.id)

    def adopt(self, container: Container) -> None:
        """Take up a running container after a restart of the engine."""
        if container.state.sandbox_key and not container.spec.network.mode.startswith("container:"):
            self._joined.add(container.id)

    def resume(self, container: Container) -> None:
        """Take up the names that an adopted container asks and answers to, once its network is reconciled."""
        self._driver.set_resolvers(container.id, container.spec.network.dns)
        self.publish_names(container)

    def rewrite_files(self, container: Container) -> None:
        """Bring the files in /etc of a running container up to date with its networks."""
        self._machine.write_files(container.id, self.files(container, attachment_of(container)))

    def files(self, container: Container, attachment: Attachment) -> dict[str, str]:
        """Return the text of /etc/hosts, /etc/hostname and /etc/resolv.conf."""
        if container.spec.network.mode.startswith("container:"):
            container = self._shared(container)
            attachment = attachment_of(container)
        addresses: list[tuple[str, tuple[str, ...]]] = [
            (address, (container.name,) if self._has_dns(e.network_id) else ())
            for e in attachment.endpoints
            for address in (e.ipv4, e.ipv6)
            if address
        ]
        addresses += self._linked(container)
        nameserver = self._driver.nameserver(attachment) if attachment.endpoints and attachment.sandbox_key else None
        return {
            "hosts": render_hosts(container, addresses, self._bridge_gateway()),
            "hostname": container.hostname + "\n",
            "resolv.conf": render_resolv(container, nameserver, self._machine.resolv_conf()),
        }

    def publish_names(self, container: Container) -> None:
        """Tell the DNS server of the networks that a container joined."""
        self._refresh_names(container.state.endpoints)

    def refresh(self, network_id: str) -> None:
        """Tell the DNS server anew who is on a network."""
        if self._has_dns(network_id):
            self._driver.set_names(network_id, self._names(network_id, ""))

    def _refresh_names(self, endpoints: Iterable[Endpoint], without: str = "") -> None:
        for endpoint in endpoints:
            if self._has_dns(endpoint.network_id):
                self._driver.set_names(endpoint.network_id, self._names(endpoint.network_id, without))

    def _names(self, network_id: str, without: str) -> dict[str, tuple[str, ...]]:
        names: dict[str, tuple[str, ...]] = {}
        for container in self._registry.containers.values():
            if not container.running or container.id == without:
                continue
            for endpoint in container.state.endpoints:
                if endpoint.network_id == network_id:
                    found = tuple(address for address in (endpoint.ipv4, endpoint.ipv6) if address)
                    for name in endpoint.dns_names or dns_names(container, endpoint.aliases):
                        names[name] = names.get(name, ()) + found
        return names

    def _has_dns(self, network_id: str) -> bool:
        network = self._registry.networks.get(network_id)
        return network is not None and not network.builtin

    def _named(self, container: Container, endpoint: Endpoint) -> Endpoint:
        if not self._has_dns(endpoint.network_id):
            return endpoint
        return replace(endpoint, dns_names=dns_names(container, endpoint.aliases))

    def named(self, container: Container, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with the names that it answers to."""
        return self._named(container, endpoint)

    def _networks(self, endpoints: Iterable[Endpoint]) -> tuple[Network, ...]:
        return tuple(self._registry.network(endpoint.network_id) for endpoint in endpoints)

    def _shared(self, container: Container) -> Container:
        other = self._registry.container(container.spec.network.mode.partition(":")[2])
        if not other.running:
            raise Conflict(f"cannot join network of a non running container: {other.id}")
        return other

    def _linked(self, container: Container) -> list[tuple[str, tuple[str, ...]]]:
        rows = []
        for link in container.spec.network.links:
            reference, _, alias = link.partition(":")
            other = self._registry.container(reference)
            addresses = [e.ipv4 for e in other.state.endpoints if e.ipv4]
            if not addresses:
                raise Conflict(f"Cannot link to a non running container: /{other.name} AS /{container.name}/{alias}")
            rows.append((addresses[0], tuple(dict.fromkeys((alias or other.name, other.hostname, other.name)))))
        return rows

    def _bridge_gateway(self) -> str:
        for network in self._registry.networks.values():
            if network.builtin and network.driver == "bridge" and network.subnets:
                return network.subnets[0].gateway
        return "127.0.0.1"


def attachment_of(container: Container) -> Attachment:
    """Return what a container holds of networks now."""
    state = container.state
    return Attachment(
        sandbox_key=state.sandbox_key,
        slot=next((endpoint.slot for endpoint in state.endpoints if endpoint.slot), ""),
        endpoints=state.endpoints,
        ports=state.ports,
    )


def detached(container: Container) -> Container:
    """Return the container with no process and no place on any network, but with its wishes to be on them."""
    endpoints = tuple(
        replace(
            e, endpoint_id="", gateway="", ipv4="", ipv4_prefix=0, gateway6="", ipv6="", ipv6_prefix=0, mac="", slot=""
        )
        for e in container.state.endpoints
    )
    return with_state(container, pid=0, pid_start_ticks=0, endpoints=endpoints, ports=(), sandbox_key="")
