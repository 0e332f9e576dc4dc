"""Which addresses of which network are in use, and by which endpoint. In memory; the engine's records are the truth."""

from __future__ import annotations

import ipaddress
import threading

from sampan.base.errors import Conflict, Exhausted, InvalidArgument
from sampan.model.network import Network, Subnet


class _Pool:
    """The addresses of one subnet. Given out in turn: one that was just freed rests as long as others are free."""

    def __init__(self, subnet: Subnet) -> None:
        self.network = ipaddress.ip_network(subnet.subnet)
        inner = ipaddress.ip_network(subnet.ip_range) if subnet.ip_range else self.network
        self._first, self._last = int(inner.network_address), int(inner.broadcast_address)
        self.used: dict[int, str] = {int(self.network.network_address): "the network"}
        if self.network.version == 4:
            self.used[int(self.network.broadcast_address)] = "broadcast"
        if subnet.gateway:
            self.used[int(ipaddress.ip_address(subnet.gateway))] = "the gateway"
        for name, text in subnet.reserved.items():
            self.used[int(ipaddress.ip_address(text))] = f"reserved as {name}"
        self._next = self._first

    def take(self, owner: str) -> str | None:
        size = self._last - self._first + 1
        for _ in range(min(size, len(self.used) + 1)):
            candidate = self._next
            self._next = candidate + 1 if candidate < self._last else self._first
            if candidate not in self.used:
                self.used[candidate] = owner
                return str(
                    ipaddress.ip_address(candidate) if self.network.version == 4 else ipaddress.IPv6Address(candidate)
                )
        return None


class AddressBook:
    """Addresses by owner (an endpoint's id). Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, tuple[_Pool, ...]] = {}

    def take(self, network: Network, version: int, owner: str) -> str:
        """Return a free address of the network.

        Raises:
            Exhausted: none is left.
        """
        with self._lock:
            for pool in self._of(network):
                if pool.network.version == version:
                    found = pool.take(owner)
                    if found is not None:
                        return found
        raise Exhausted(
            f"no available IPv{version} addresses on this network's address pools: {network.name} ({network.id[:12]}); "
            "remove containers from it or make a larger network"
        )

    def claim(self, network: Network, text: str, owner: str) -> str:
        """Return the address `text`, now the owner's. The same owner may claim again.

        Raises:
            InvalidArgument: not an address of the network.
            Conflict: somebody else's.
        """
        address, pool = self._find(network, text)
        with self._lock:
            holder = pool.used.setdefault(int(address), owner)
        if holder != owner:
            raise Conflict(f"Address already in use: {address} on network {network.name} is held by {holder[:12]}")
        return str(address)

    def holder(self, network: Network, text: str) -> str:
        """Return who has the address, "" for nobody."""
        address, pool = self._find(network, text)
        with self._lock:
            return pool.used.get(int(address), "")

    def give(self, network_id: str, text: str, owner: str) -> None:
        """Free the address when it is the owner's. Idempotent."""
        if not text:
            return
        address = ipaddress.ip_address(text)
        with self._lock:
            for pool in self._pools.get(network_id, ()):
                if address in pool.network and pool.used.get(int(address)) == owner:
                    del pool.used[int(address)]

    def forget(self, network_id: str) -> None:
        """Drop a deleted network."""
        with self._lock:
            self._pools.pop(network_id, None)

    def _find(self, network: Network, text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, _Pool]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidArgument(f"invalid IP address {text!r}: {error}") from error
        with self._lock:
            for pool in self._of(network):
                if address in pool.network:
                    return address, pool
        subnets = ", ".join(subnet.subnet for subnet in network.subnets)
        raise InvalidArgument(
            f"invalid address {text}: it is not inside of network {network.name} ({subnets or 'no subnet'})"
        )

    def _of(self, network: Network) -> tuple[_Pool, ...]:
        pools = self._pools.get(network.id)
        if pools is None:
            pools = self._pools[network.id] = tuple(_Pool(subnet) for subnet in network.subnets)
        return pools


def mac_of(address: str) -> str:
    """Return the MAC address that belongs to an IP address: the same one every time."""
    return (bytes([0x02, 0x42]) + ipaddress.ip_address(address).packed[-4:]).hex(":")
