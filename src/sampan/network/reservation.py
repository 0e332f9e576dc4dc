"""Reservations: addresses, ports and slots chosen in memory, before anything is made."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from sampan.base.errors import Conflict, InvalidArgument, SampanError
from sampan.base.ids import IdSource
from sampan.model.container import Endpoint, EndpointSpec, PortBinding, PublishedPort
from sampan.model.network import Network
from sampan.network.addresses import AddressBook, mac_of
from sampan.network.claims import PortClaims
from sampan.network.options import bridge_options, endpoint_interface

Wish = tuple[Network, EndpointSpec]


class Reservations:
    """Makes endpoints and holds ports, and takes them back."""

    def __init__(self, addresses: AddressBook, ports: PortClaims, new_id: IdSource) -> None:
        self.addresses = addresses
        self.ports = ports
        self._new_id = new_id

    def endpoints(self, wishes: Iterable[Wish]) -> tuple[Endpoint, ...]:
        """Return an endpoint for each wish, or raise and hold nothing."""
        found: list[Endpoint] = []
        try:
            for network, spec in wishes:
                found.append(self.endpoint(network, spec))
        except BaseException:
            self.free(found)
            raise
        return tuple(found)

    def endpoint(self, network: Network, spec: EndpointSpec) -> Endpoint:
        """Return an endpoint with its addresses and MAC.

        Raises:
            InvalidArgument, Conflict, Exhausted: as the address book; nothing is held then.
        """
        if network.driver != "bridge":
            raise InvalidArgument(f"network {network.name} has driver {network.driver}: no interface can be on it")
        endpoint_interface(spec)
        if spec.mac:
            _check_mac(spec.mac)
        endpoint_id = self._new_id()
        found = Endpoint(
            network_id=network.id,
            network_name=network.name,
            endpoint_id=endpoint_id,
            aliases=spec.aliases,
            dns_names=spec.aliases,
            spec=spec,
        )
        try:
            for subnet in network.subnets:
                found = self._addressed(network, spec, found, subnet.subnet, subnet.gateway)
        except SampanError:
            self.free((found,))
            raise
        if (spec.ipv4 and not found.ipv4) or (spec.ipv6 and not found.ipv6):
            self.free((found,))
            raise InvalidArgument(f"network {network.name} has no subnet for the address {spec.ipv4 or spec.ipv6}")
        return msgspec.structs.replace(found, mac=spec.mac.lower() or mac_of(found.ipv4 or found.ipv6))

    def _addressed(self, network: Network, spec: EndpointSpec, found: Endpoint, subnet: str, gateway: str) -> Endpoint:
        net = ipaddress.ip_network(subnet)
        wanted = spec.ipv4 if net.version == 4 else spec.ipv6
        owner = found.endpoint_id
        address = (
            self.addresses.claim(network, wanted, owner) if wanted else self.addresses.take(network, net.version, owner)
        )
        if ipaddress.ip_address(address) not in net:
            self.addresses.give(network.id, address, owner)
            raise InvalidArgument(f"invalid address {wanted}: want an IPv{net.version} address of {subnet}")
        if net.version == 4:
            return msgspec.structs.replace(found, ipv4=address, ipv4_prefix=net.prefixlen, gateway=gateway)
        return msgspec.structs.replace(found, ipv6=address, ipv6_prefix=net.prefixlen, gateway6=gateway)

    def free(self, endpoints: Iterable[Endpoint]) -> None:
        """Give the addresses back. Idempotent."""
        for endpoint in endpoints:
            self.addresses.give(endpoint.network_id, endpoint.ipv4, endpoint.endpoint_id)
            self.addresses.give(endpoint.network_id, endpoint.ipv6, endpoint.endpoint_id)

    def adopt(self, endpoints: Iterable[Endpoint], networks: dict[str, Network]) -> list[str]:
        """Take the addresses of running containers again; return what could not be, in words."""
        lost = []
        for endpoint in endpoints:
            network = networks.get(endpoint.network_id)
            for address in (endpoint.ipv4, endpoint.ipv6):
                try:
                    if network is not None and address:
                        self.addresses.claim(network, address, endpoint.endpoint_id)
                except SampanError as error:
                    lost.append(error.message)
        return lost

    def publish(
        self,
        container_id: str,
        networks: Iterable[Network],
        endpoints: tuple[Endpoint, ...],
        wanted: tuple[PortBinding, ...],
    ) -> tuple[PublishedPort, ...]:
        """Hold the wanted ports. A container that is only on internal networks gets none, as with Docker.

        Raises:
            Conflict: the text is the one that docker users know.
        """
        by_id = {network.id: network for network in networks}
        target = exit_endpoint(endpoints, by_id)
        if target is None or not wanted:
            return ()
        binding = bridge_options(by_id[target.network_id]).host_binding
        try:
            return self.ports.claim(container_id, wanted, default_host_ip=binding, to_ipv6=bool(target.ipv6))
        except Conflict as error:
            raise Conflict(
                f"driver failed programming external connectivity on endpoint {container_id[:12]} "
                f"({target.endpoint_id}): {error.message}"
            ) from error


def exit_endpoint(endpoints: Iterable[Endpoint], networks: dict[str, Network]) -> Endpoint | None:
    """Return the endpoint that has the default route and the published ports: by priority, then by network name."""
    open_ = [
        endpoint
        for endpoint in endpoints
        if (network := networks.get(endpoint.network_id)) is not None and not network.internal
    ]
    return min(open_, key=_rank, default=None)


def _rank(endpoint: Endpoint) -> tuple[int, str]:
    priority = endpoint.spec.gateway_priority if endpoint.spec is not None else 0
    return -priority, endpoint.network_name


def _check_mac(mac: str) -> None:
    parts = mac.split(":")
    try:
        numbers = [int(part, 16) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or any(len(part) != 2 for part in parts):
        raise InvalidArgument(f"invalid MAC address {mac!r}: want six pairs of hex digits, as 02:42:ac:11:00:02")
    if numbers[0] & 1 or not any(numbers):
        raise InvalidArgument(f"invalid MAC address {mac}: multicast and all-zero addresses cannot be an interface's")
