"""Driver options of bridge networks and endpoints, checked: what is not understood is refused, not ignored."""

from __future__ import annotations

import ipaddress
import re

from sampan.base.errors import InvalidArgument
from sampan.model.container import EndpointSpec, Struct
from sampan.model.network import Network

_PREFIX = "com.docker.network."
BRIDGE_NAME = _PREFIX + "bridge.name"
ENABLE_ICC = _PREFIX + "bridge.enable_icc"
MASQUERADE = _PREFIX + "bridge.enable_ip_masquerade"
HOST_BINDING = _PREFIX + "bridge.host_binding_ipv4"
DEFAULT_BRIDGE = _PREFIX + "bridge.default_bridge"
MTU = _PREFIX + "driver.mtu"
INTERFACE_PREFIX = _PREFIX + "container_iface_prefix"
ENABLE_IPV4, ENABLE_IPV6 = _PREFIX + "enable_ipv4", _PREFIX + "enable_ipv6"
GATEWAY_MODES = (_PREFIX + "bridge.gateway_mode_ipv4", _PREFIX + "bridge.gateway_mode_ipv6")
ENDPOINT_INTERFACE = _PREFIX + "endpoint.ifname"
_KNOWN = {
    BRIDGE_NAME,
    ENABLE_ICC,
    MASQUERADE,
    HOST_BINDING,
    DEFAULT_BRIDGE,
    MTU,
    INTERFACE_PREFIX,
    ENABLE_IPV4,
    ENABLE_IPV6,
    *GATEWAY_MODES,
}
_INTERFACE = re.compile(r"[^\s/:%]{1,15}")


class BridgeOptions(Struct, frozen=True, kw_only=True):
    """What a bridge network's options say. `mtu` 0 is the kernel's own."""

    bridge: str = ""
    icc: bool = True
    masquerade: bool = True
    host_binding: str = ""
    mtu: int = 0
    interface_prefix: str = "eth"


def bridge_options(network: Network) -> BridgeOptions:
    """Return the options of a bridge network.

    Raises:
        InvalidArgument: an unknown key of the com.docker.network namespace, or a value that does not fit.
    """
    options = network.options
    for key in options:
        if key.startswith(_PREFIX) and key not in _KNOWN:
            raise InvalidArgument(f"network option {key} is not known here; known are {', '.join(sorted(_KNOWN))}")
    for key in GATEWAY_MODES:
        if options.get(key, "nat") not in {"", "nat"}:
            raise InvalidArgument(f"network option {key}={options[key]}: only the mode nat is there")
    return BridgeOptions(
        bridge=_interface(options, BRIDGE_NAME),
        icc=_boolean(options, ENABLE_ICC),
        masquerade=_boolean(options, MASQUERADE),
        host_binding=_address(options, HOST_BINDING),
        mtu=_mtu(options),
        interface_prefix=_interface(options, INTERFACE_PREFIX) or "eth",
    )


def endpoint_interface(spec: EndpointSpec | None) -> str:
    """Return the interface name that an endpoint asks for, "" for the next free one."""
    options = spec.driver_options if spec is not None else {}
    for key in options:
        if key.startswith(_PREFIX) and key != ENDPOINT_INTERFACE:
            raise InvalidArgument(f"endpoint option {key} is not known here; known is {ENDPOINT_INTERFACE}")
    name = _interface(options, ENDPOINT_INTERFACE)
    if name == "lo":
        raise InvalidArgument(f"endpoint option {ENDPOINT_INTERFACE}=lo: every container has that one already")
    return name


def check_interface(name: str) -> str:
    """Return `name` when the kernel would take it as an interface's."""
    if not _INTERFACE.fullmatch(name) or name in {".", ".."}:
        raise InvalidArgument(f"interface name {name!r}: want 1 to 15 characters without space, '/', ':' and '%'")
    return name


def _interface(options: dict[str, str], key: str) -> str:
    value = options.get(key, "")
    return check_interface(value) if value else ""


def _boolean(options: dict[str, str], key: str, default: bool = True) -> bool:
    value = options.get(key, "")
    if value == "":
        return default
    if value in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if value in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise InvalidArgument(f"network option {key}={value}: want true or false")


def _address(options: dict[str, str], key: str) -> str:
    value = options.get(key, "")
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError as error:
        raise InvalidArgument(f"network option {key}={value}: not an IP address") from error


def _mtu(options: dict[str, str]) -> int:
    value = options.get(MTU, "")
    if value in {"", "0"}:
        return 0
    if not value.isascii() or not value.isdigit() or not 68 <= int(value) <= 65535:
        raise InvalidArgument(f"network option {MTU}={value}: want a number from 68 to 65535")
    return int(value)
