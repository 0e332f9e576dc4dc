"""Bodies of network and volume requests.

Spec: Docker Engine API v1.51, operations NetworkCreate, NetworkConnect, NetworkDisconnect, VolumeCreate.
"""

from __future__ import annotations

from msgspec import field

from sampan.spec.docker.container import EndpointSettings
from sampan.spec.docker.wire import StringMap, Wire


class IPAMPool(Wire, frozen=True, kw_only=True):
    subnet: str | None = None
    ip_range: str | None = field(name="IPRange", default=None)
    gateway: str | None = None
    auxiliary_addresses: StringMap = None
    aux_address: StringMap = None


class IPAM(Wire, frozen=True, kw_only=True):
    driver: str | None = None
    options: StringMap = None
    config: list[IPAMPool] | None = None


class NetworkCreateRequest(Wire, frozen=True, kw_only=True):
    name: str | None = None
    check_duplicate: bool | None = None
    driver: str | None = None
    scope: str | None = None
    enable_ipv4: bool | None = field(name="EnableIPv4", default=None)
    enable_ipv6: bool | None = field(name="EnableIPv6", default=None)
    ipam: IPAM | None = field(name="IPAM", default=None)
    internal: bool | None = None
    attachable: bool | None = None
    ingress: bool | None = None
    config_only: bool | None = None
    options: StringMap = None
    labels: StringMap = None


class NetworkConnectRequest(Wire, frozen=True, kw_only=True):
    container: str | None = None
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(Wire, frozen=True, kw_only=True):
    container: str | None = None
    force: bool | None = None


class VolumeCreateRequest(Wire, frozen=True, kw_only=True):
    name: str | None = None
    driver: str | None = None
    driver_opts: StringMap = None
    labels: StringMap = None


class AuthConfig(Wire, frozen=True, kw_only=True, rename=None):
    """X-Registry-Auth (base64url JSON) and the body of POST /auth; the wire has lower case here."""

    username: str | None = None
    password: str | None = None
    auth: str | None = None
    email: str | None = None
    serveraddress: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None
