"""Host ports that are taken for containers: chosen, held and given back.

A `Holder` makes a port ours against everybody else on the host; the driver's is a listening socket, the twin's a set.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from sampan.base.errors import Conflict, Exhausted, InvalidArgument, Unsupported
from sampan.model.container import PortBinding, PublishedPort

Key = tuple[str, str, int]
"""(host address, protocol, port); the address "0.0.0.0" or "::" stands for all."""


class Held(Protocol):
    """A port that is ours until `close`."""

    def close(self) -> None: ...


Holder = Callable[[str, str, int], Held]
"""hold(host_ip, protocol, port); raises OSError, EADDRINUSE when somebody has it."""

EPHEMERAL = (32768, 60999)


class PortClaims:
    """The ports of all containers."""

    def __init__(self, hold: Holder, *, ephemeral: tuple[int, int] = EPHEMERAL, ipv6: bool = True) -> None:
        self._hold = hold
        self._low, self._high = ephemeral
        self._next = self._low
        self._ipv6 = ipv6
        self._owners: dict[Key, str] = {}
        self._held: dict[str, dict[Key, Held]] = {}

    def claim(
        self, owner: str, bindings: Iterable[PortBinding], *, default_host_ip: str = "", to_ipv6: bool = False
    ) -> tuple[PublishedPort, ...]:
        """Return the ports, all held for `owner`; or raise, none held. `to_ipv6`: the container has an IPv6 address.

        Raises:
            Conflict: somebody has the port.
            Exhausted: the range has no free one.
        """
        found: list[PublishedPort] = []
        try:
            for binding in bindings:
                found.extend(self._claim(owner, binding, default_host_ip, to_ipv6=to_ipv6))
        except BaseException:
            self.release(owner)
            raise
        return tuple(found)

    def reclaim(self, owner: str, ports: Iterable[PublishedPort]) -> list[PublishedPort]:
        """Hold the ports of a running container again; return those that somebody took meanwhile."""
        lost = []
        for port in ports:
            try:
                self._take(owner, (port.host_ip, port.protocol, port.host_port))
            except OSError:
                lost.append(port)
        return lost

    def release(self, owner: str) -> None:
        """Give all ports of `owner` back. Idempotent."""
        for key, held in self._held.pop(owner, {}).items():
            self._owners.pop(key, None)
            held.close()

    def close(self) -> None:
        """Give everything back."""
        for owner in list(self._held):
            self.release(owner)

    def held(self, owner: str) -> dict[Key, Held]:
        """Return what is held for `owner`."""
        return self._held.get(owner, {})

    def _claim(self, owner: str, binding: PortBinding, default: str, *, to_ipv6: bool) -> list[PublishedPort]:
        _check(binding)
        hosts = self._hosts(binding, default, to_ipv6=to_ipv6)
        for port in self._candidates(binding):
            keys = [(host, binding.protocol, port) for host in hosts]
            error = self._take_all(owner, keys)
            if error is None:
                return [
                    PublishedPort(
                        container_port=binding.container_port, protocol=binding.protocol, host_ip=host, host_port=port
                    )
                    for host in hosts
                ]
            if binding.host_port and binding.host_port_end <= binding.host_port:
                raise error
        first, last = (binding.host_port, binding.host_port_end) if binding.host_port else (self._low, self._high)
        raise Exhausted(f"Bind for {_shown(hosts[0])}:{first}-{last} failed: all ports are allocated")

    def _hosts(self, binding: PortBinding, default: str, *, to_ipv6: bool) -> list[str]:
        host = binding.host_ip or default
        if host:
            if ":" in host and binding.protocol == "udp" and not to_ipv6:
                raise Unsupported(
                    f"UDP port {binding.container_port} on [{host}]: the container has no IPv6 address, and UDP is not "
                    "relayed from IPv6 to IPv4; use an IPv4 host address or a network with --ipv6"
                )
            return [str(ipaddress.ip_address(host))]
        # Without a proxy of its own, UDP over IPv6 reaches only a container that has an IPv6 address.
        reachable = self._ipv6 and (binding.protocol == "tcp" or to_ipv6)
        return ["0.0.0.0", "::"] if reachable else ["0.0.0.0"]

    def _candidates(self, binding: PortBinding) -> Iterator[int]:
        if binding.host_port:
            yield from range(binding.host_port, max(binding.host_port, binding.host_port_end) + 1)
            return
        for _ in range(self._high - self._low + 1):
            candidate = self._next
            self._next = candidate + 1 if candidate < self._high else self._low
            yield candidate

    def _take_all(self, owner: str, keys: list[Key]) -> Conflict | None:
        taken: list[Key] = []
        for key in keys:
            try:
                self._take(owner, key)
            except OSError as error:
                for done in taken:
                    self._drop(owner, done)
                return self._refused(key, error)
            taken.append(key)
        return None

    def _take(self, owner: str, key: Key) -> None:
        if self._owners.get(key) == owner:
            return
        held = self._hold(*key)
        self._owners[key] = owner
        self._held.setdefault(owner, {})[key] = held

    def _drop(self, owner: str, key: Key) -> None:
        self._owners.pop(key, None)
        held = self._held.get(owner, {}).pop(key, None)
        if held is not None:
            held.close()

    def _refused(self, key: Key, error: OSError) -> Conflict:
        host, _protocol, port = key
        if error.errno == errno.EADDRINUSE:
            holder = self._holder(key)
            why = f"port is already allocated ({holder})" if holder else "port is already allocated"
        elif error.errno == errno.EADDRNOTAVAIL:
            why = "cannot assign requested address: the host has no such address"
        else:
            why = error.strerror or str(error)
        return Conflict(f"Bind for {_shown(host)}:{port} failed: {why}")

    def _holder(self, key: Key) -> str:
        _, protocol, port = key
        for (_, other_protocol, other_port), owner in self._owners.items():
            if (other_protocol, other_port) == (protocol, port):
                return f"container {owner[:12]}"
        return ""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check(binding: PortBinding) -> None:
    if binding.protocol not in {"tcp", "udp", "sctp"}:
        raise InvalidArgument(f"invalid proto: {binding.protocol}; want tcp or udp")
    if binding.protocol == "sctp":
        raise Unsupported("publishing SCTP ports is not there yet; publish TCP or UDP")
    if not 1 <= binding.container_port <= 65535 or not 0 <= binding.host_port <= 65535:
        raise InvalidArgument(f"invalid port {binding.host_port}:{binding.container_port}: want 1 to 65535")
    if binding.host_ip:
        try:
            ipaddress.ip_address(binding.host_ip)
        except ValueError as error:
            raise InvalidArgument(f"invalid host IP {binding.host_ip!r}: {error}") from error


class SetHolder:
    """A host without sockets: what conflicts is decided as the kernel would."""

    def __init__(self) -> None:
        self._taken: set[Key] = set()

    def __call__(self, host: str, protocol: str, port: int) -> Held:
        """Hold a port.

        Raises:
            OSError: EADDRINUSE when it is held.
        """
        version = ipaddress.ip_address(host).version
        for other, other_protocol, other_port in self._taken:
            same = (other_protocol, other_port) == (protocol, port) and ipaddress.ip_address(other).version == version
            if same and (other == host or "0.0.0.0" in {other, host} or "::" in {other, host}):
                raise OSError(errno.EADDRINUSE, "Address already in use")
        key = (host, protocol, port)
        self._taken.add(key)
        return _SetHeld(self._taken, key)


class _SetHeld:
    def __init__(self, taken: set[Key], key: Key) -> None:
        self._taken, self._key = taken, key

    def close(self) -> None:
        self._taken.discard(self._key)
