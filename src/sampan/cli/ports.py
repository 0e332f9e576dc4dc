"""`--publish` and `--expose` in the API's form."""

from __future__ import annotations

from sampan.cli.errors import UsageError

Bindings = dict[str, list[dict[str, str]]]


def publish(values: list[str]) -> tuple[dict[str, dict[str, str]], Bindings]:
    """Return ExposedPorts and PortBindings of `[ip:][host[-end]:]container[-end][/proto]` values."""
    bindings: Bindings = {}
    for value in values:
        for port, binding in _publish_one(value):
            bindings.setdefault(port, []).append(binding)
    return {port: {} for port in bindings}, bindings


def expose(values: list[str]) -> dict[str, dict[str, str]]:
    """Return ExposedPorts of `port[-end][/proto]` values."""
    ports: dict[str, dict[str, str]] = {}
    for value in values:
        numbers, _, protocol = value.partition("/")
        first, last = _range(numbers, value)
        ports.update({f"{port}/{protocol or 'tcp'}": {} for port in range(first, last + 1)})
    return ports


def _publish_one(value: str) -> list[tuple[str, dict[str, str]]]:
    rest, _, protocol = value.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise UsageError(f"invalid protocol in --publish {value}: use tcp, udp or sctp")
    address, rest = _split_address(rest)
    host, _, container = rest.rpartition(":")
    first, last = _range(container, value)
    if not host:
        return [(f"{port}/{protocol}", {"HostIp": address, "HostPort": ""}) for port in range(first, last + 1)]
    host_first, host_last = _range(host, value)
    if last == first and host_last > host_first:  # one container port, a host port chosen from a range
        return [(f"{first}/{protocol}", {"HostIp": address, "HostPort": host})]
    if last - first != host_last - host_first:
        raise UsageError(f"invalid ranges in --publish {value}: both must be of the same length")
    return [
        (f"{port}/{protocol}", {"HostIp": address, "HostPort": str(host_first + port - first)})
        for port in range(first, last + 1)
    ]


def _split_address(text: str) -> tuple[str, str]:
    if text.startswith("["):
        address, _, rest = text[1:].partition("]:")
        return address, rest
    if text.count(":") >= 2:
        address, _, rest = text.partition(":")
        return address, rest
    return "", text


def _range(text: str, whole: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        numbers = int(first), int(last if dash else first)
    except ValueError:
        raise UsageError(f"invalid port in {whole!r}: write [ip:][host:]container[/proto], such as 8080:80") from None
    if not 0 <= numbers[0] <= numbers[1] <= 65535:
        raise UsageError(f"invalid port in {whole!r}: ports go from 1 to 65535, ranges upward")
    return numbers
