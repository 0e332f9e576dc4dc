"""IP addresses and networks. Spec: Kubernetes CEL "IP address library", "CIDR library"."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import Native

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Interface: TypeAlias = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class IpValue(Native):
    type_name = "net.IP"

    def __init__(self, address: _Address) -> None:
        self.address = address

    @property
    def text(self) -> str:
        return str(self.address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IpValue) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)


class CidrValue(Native):
    type_name = "net.CIDR"

    def __init__(self, interface: _Interface) -> None:
        self.interface = interface

    @property
    def text(self) -> str:
        return str(self.interface)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CidrValue) and other.interface == self.interface

    def __hash__(self) -> int:
        return hash(self.interface)


def _ip(text: str) -> IpValue:
    if not isinstance(text, str):
        raise TypeError
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Fault(f'IP Address "{text}" parse error during conversion from string: {error}') from None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        raise Fault("IPv4-mapped IPv6 address and addresses with a zone are not allowed")
    return IpValue(address)


def _cidr(text: str) -> CidrValue:
    address, slash, _ = text.partition("/")
    _ip(address)
    if not slash:
        raise Fault(f'network address parse error during conversion from string: "{text}" has no prefix length')
    try:
        return CidrValue(ipaddress.ip_interface(text))
    except ValueError as error:
        raise Fault(f"network address parse error during conversion from string: {error}") from None


def _is(make: Callable[[str], Any]) -> Callable[[str], bool]:
    def judge(text: str) -> bool:
        try:
            make(text)
        except Fault:
            return False
        return True

    return judge


def _global(value: IpValue) -> bool:
    at = value.address
    return not (
        at.is_unspecified or at.is_loopback or at.is_multicast or at.is_link_local or str(at) == "255.255.255.255"
    )


def _link_local_multicast(value: IpValue) -> bool:
    at = value.address
    inside = ipaddress.ip_network("224.0.0.0/24" if at.version == 4 else "ff02::/16")
    return at in inside


def _contains_ip(value: CidrValue, other: Any) -> bool:
    return (other if isinstance(other, IpValue) else _ip(other)).address in value.interface.network


def _contains_cidr(value: CidrValue, other: Any) -> bool:
    inner = (other if isinstance(other, CidrValue) else _cidr(other)).interface.network
    outer = value.interface.network
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # one version


IpValue.methods = {
    "family": lambda value: value.address.version,
    "isUnspecified": lambda value: value.address.is_unspecified,
    "isLoopback": lambda value: value.address.is_loopback,
    "isLinkLocalMulticast": _link_local_multicast,
    "isLinkLocalUnicast": lambda value: value.address.is_link_local,
    "isGlobalUnicast": _global,
}
CidrValue.methods = {
    "ip": lambda value: IpValue(value.interface.ip),
    "prefixLength": lambda value: value.interface.network.prefixlen,
    "masked": lambda value: _cidr(str(value.interface.network)),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
}

ADDRESS_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "ip": _ip,
    "isIP": _is(_ip),
    "ip.isCanonical": lambda text: _ip(text).text == text,
    "cidr": _cidr,
    "isCIDR": _is(_cidr),
}
