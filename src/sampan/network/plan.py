"""Which subnets, gateways and bridge a network gets. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from sampan.base.errors import AlreadyExists, Conflict, Exhausted, InvalidArgument
from sampan.model.container import Struct
from sampan.model.network import Network, Subnet
from sampan.network import options
from sampan.network.naming import bridge_name

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

POOLS: tuple[tuple[str, int], ...] = (
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
)
"""Where subnets that nobody chose come from: (pool, prefix length of a subnet)."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the host has already: networks that it routes to, by who holds them, and its interfaces."""

    routed: dict[str, str] = {}  # subnet -> interface
    interfaces: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # bridges of this daemon


class Defaults(Struct, frozen=True, kw_only=True):
    """How this daemon was started."""

    bridge: str
    bip: str | None = None
    seed: str = ""  # names the daemon: its IPv6 prefix is made from it


def allocate(wanted: Network, existing: Iterable[Network], surroundings: Surroundings, defaults: Defaults) -> Network:
    """Return `wanted` with bridge, subnets and gateways filled in.

    Raises:
        InvalidArgument: subnet, gateway, range or option that cannot be.
        Conflict: a subnet or bridge that is taken; the message says by whom.
        Exhausted: no pool has a free subnet left.
    """
    if wanted.driver != "bridge":
        return wanted
    others = [network for network in existing if network.id != wanted.id]
    chosen = options.bridge_options(wanted)
    is_default = wanted.builtin
    bridge = defaults.bridge if is_default else chosen.bridge or bridge_name(wanted.id)
    _check_bridge(bridge, others, surroundings, by_request=bool(chosen.bridge) or is_default)
    given = wanted.subnets
    if is_default and not given and defaults.bip:
        given = (_of_bip(defaults.bip),)
    taken = _Taken(others, surroundings, bridge)
    subnets = [_complete(subnet, taken) for subnet in given]
    _check_apart(subnets)
    versions = {ipaddress.ip_network(subnet.subnet).version for subnet in subnets}
    if wanted.ipv4 and 4 not in versions:
        subnets.insert(0, _complete(Subnet(subnet=taken.free_ipv4()), taken))
    if wanted.ipv6 and 6 not in versions:
        subnets.append(_complete(Subnet(subnet=taken.free_ipv6(defaults.seed)), taken))
    if not wanted.ipv6 and 6 in versions:
        raise InvalidArgument(f"network {wanted.name}: an IPv6 subnet needs --ipv6")
    subnets.sort(key=lambda subnet: ipaddress.ip_network(subnet.subnet).version)
    return msgspec.structs.replace(wanted, bridge=bridge, subnets=tuple(subnets))


def _of_bip(bip: str) -> Subnet:
    try:
        interface = ipaddress.ip_interface(bip)
    except ValueError as error:
        raise InvalidArgument(f"--bip {bip}: {error}; want an address with its prefix, as 172.30.0.1/16") from error
    if interface.ip == interface.network.network_address or interface.network.num_addresses < 4:
        raise InvalidArgument(f"--bip {bip}: want the bridge's own address with its prefix, as 172.30.0.1/16")
    return Subnet(subnet=str(interface.network), gateway=str(interface.ip))


def _check_bridge(bridge: str, others: list[Network], around: Surroundings, *, by_request: bool) -> None:
    options.check_interface(bridge)
    for network in others:
        if network.bridge == bridge:
            raise Conflict(
                f"bridge {bridge} belongs to network {network.name} ({network.id[:12]}): choose another name"
            )
    if bridge in around.interfaces and bridge not in around.own and not by_request:
        raise AlreadyExists(f"interface {bridge} is on the host already and is not ours")


class _Taken:
    """Subnets that are not free, and by whom."""

    def __init__(self, others: list[Network], around: Surroundings, bridge: str) -> None:
        self._rows: list[tuple[IPNetwork, str]] = []
        for network in others:
            for subnet in network.subnets:
                self._rows.append((ipaddress.ip_network(subnet.subnet), f"network {network.name} ({network.id[:12]})"))
        for text, interface in around.routed.items():
            if interface != bridge and interface not in around.own:
                self._rows.append((ipaddress.ip_network(text), f"the host's interface {interface}"))

    def holder(self, candidate: IPNetwork) -> tuple[IPNetwork, str] | None:
        for network, who in self._rows:
            if network.version == candidate.version and network.overlaps(candidate):
                return network, who
        return None

    def free_ipv4(self) -> str:
        for candidate in _candidates():
            if self.holder(candidate) is None:
                return str(candidate)
        raise Exhausted(
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network: "
            "all predefined address pools have been fully subnetted; remove unused networks or give --subnet"
        )

    def free_ipv6(self, seed: str) -> str:
        prefix = bytes([0xFD]) + hashlib.sha256(f"sampan ula {seed}".encode()).digest()[:5]
        for number in range(1 << 16):
            candidate = ipaddress.IPv6Network((prefix + number.to_bytes(2, "big") + bytes(8), 64))
            if self.holder(candidate) is None:
                return str(candidate)
        raise Exhausted("all IPv6 subnets of this daemon are in use; give --subnet")


def _candidates() -> Iterator[ipaddress.IPv4Network]:
    for pool, prefix in POOLS:
        yield from ipaddress.IPv4Network(pool).subnets(new_prefix=prefix)


def _complete(subnet: Subnet, taken: _Taken) -> Subnet:
    network = _subnet(subnet.subnet)
    found = taken.holder(network)
    if found is not None:
        raise Conflict(
            f"invalid pool request: Pool overlaps with other one on this address space: {network} overlaps with "
            f"{found[0]} of {found[1]}; choose another subnet"
        )
    inner = _range(subnet, network)
    gateway = subnet.gateway or str((inner or network)[1])
    for what, address in (("gateway", gateway), *subnet.reserved.items()):
        _inside(network, what, address)
    return msgspec.structs.replace(
        subnet,
        subnet=str(network),
        gateway=str(ipaddress.ip_address(gateway)),
        ip_range="" if inner is None else str(inner),
    )


def _subnet(text: str) -> IPNetwork:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid subnet {text}: {error}") from error
    if (
        text.partition("/")[0] != str(network.network_address)
        and ipaddress.ip_address(text.partition("/")[0]) != network.network_address
    ):
        raise InvalidArgument(f"invalid subnet {text}: it should be {network}")
    if network.num_addresses < 4:
        raise InvalidArgument(f"invalid subnet {text}: too small for a gateway and a container; the smallest is /30")
    if network.is_loopback or network.is_multicast or network.is_unspecified:
        raise InvalidArgument(f"invalid subnet {text}: reserved addresses cannot be a network's")
    return network


def _range(subnet: Subnet, network: IPNetwork) -> IPNetwork | None:
    if not subnet.ip_range:
        return None
    try:
        inner = ipaddress.ip_network(subnet.ip_range, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid ip-range {subnet.ip_range}: {error}") from error
    if inner.version != network.version or not inner.subnet_of(network):  # type: ignore[arg-type]
        raise InvalidArgument(f"invalid ip-range {subnet.ip_range}: not inside of the subnet {network}")
    return inner


def _inside(network: IPNetwork, what: str, text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid {what} address {text}: {error}") from error
    if address not in network:
        raise InvalidArgument(f"no matching subnet for {what} {text}: it is not inside of {network}")


def _check_apart(subnets: list[Subnet]) -> None:
    networks = [ipaddress.ip_network(subnet.subnet) for subnet in subnets]
    for index, network in enumerate(networks):
        for other in networks[:index]:
            if network.version == other.version:
                raise InvalidArgument(
                    f"subnets {other} and {network}: a bridge network has one subnet of each IP version"
                )
