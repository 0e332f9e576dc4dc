"""Networks and volumes."""

from __future__ import annotations

from collections.abc import Iterable

from sampan.api.docker.render.config import Json
from sampan.api.docker.render.moment import rfc3339
from sampan.engine.port import Container
from sampan.model.container import Endpoint
from sampan.model.network import Network, Subnet
from sampan.model.volume import Volume


def render_network(network: Network, endpoints: Iterable[tuple[Container, Endpoint]] | None = None) -> Json:
    """Return a network; `endpoints` fills Containers (inspect), a list leaves it empty."""
    user_made = bool(network.subnets)
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created_at_ns),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": network.ipam_options or ({} if user_made and not network.builtin else None),
            "Config": [_render_subnet(subnet) for subnet in network.subnets] or None,
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {container.id: _render_member(container, endpoint) for container, endpoint in endpoints or ()},
        "Options": network.options,
        "Labels": network.labels,
    }


def _render_subnet(subnet: Subnet) -> Json:
    row: Json = {"Subnet": subnet.subnet}
    if subnet.ip_range:
        row["IPRange"] = subnet.ip_range
    if subnet.gateway:
        row["Gateway"] = subnet.gateway
    if subnet.reserved:
        row["AuxiliaryAddresses"] = subnet.reserved
    return row


def _render_member(container: Container, endpoint: Endpoint) -> Json:
    return {
        "Name": container.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ipv4}/{endpoint.ipv4_prefix}" if endpoint.ipv4 else "",
        "IPv6Address": f"{endpoint.ipv6}/{endpoint.ipv6_prefix}" if endpoint.ipv6 else "",
    }


def render_volume(volume: Volume, usage: tuple[int, int] | None = None) -> Json:
    """Return a volume; `usage` is (bytes, containers that use it)."""
    labels = volume.labels | ({"com.docker.volume.anonymous": ""} if volume.anonymous else {})
    row: Json = {
        "CreatedAt": rfc3339(volume.created_at_ns // 1_000_000_000 * 1_000_000_000),
        "Driver": volume.driver,
        "Labels": labels or None,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }
    if usage is not None:
        row["UsageData"] = {"Size": usage[0], "RefCount": usage[1]}
    return row
