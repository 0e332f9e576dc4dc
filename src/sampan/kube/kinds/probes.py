"""Probes and lifecycle hooks of a container, and the handlers that both have.

Spec: core/v1 Probe, Lifecycle, LifecycleHandler.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, forbidden, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, text

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HEADER = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"


def of_container(container: Object, path: str, *, once: bool) -> Iterator[FieldError]:
    """Return the faults of a container's probes and hooks. `once`: it runs to its end, and has none."""
    for name in PROBES:
        if (found := container.get(name)) is not None:
            if once:
                yield forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")
            yield from _probe(found, f"{path}.{name}", ready=name == "readinessProbe")
    hooks = mapping(container, "lifecycle")
    if hooks and once:
        yield forbidden(f"{path}.lifecycle", "may not be set for init containers without restartPolicy=Always")
    for hook in ("postStart", "preStop"):
        if isinstance(handler := hooks.get(hook), dict):
            yield from _handler(handler, f"{path}.lifecycle.{hook}", _HOOK_HANDLERS)


def _probe(probe: Any, path: str, *, ready: bool) -> Iterator[FieldError]:
    yield from _handler(probe, path, _HANDLERS)
    for key in _NUMBERS:
        value = at(probe, key)
        if isinstance(value, int) and value < 0:
            yield invalid(f"{path}.{key}", value, "must be greater than or equal to 0")
    seconds, successes = at(probe, "terminationGracePeriodSeconds"), at(probe, "successThreshold")
    if isinstance(seconds, int) and ready:
        why = "must not be set for readinessProbes"
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, why)
    elif isinstance(seconds, int) and seconds <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")
    if not ready and isinstance(successes, int) and successes != 1:
        yield invalid(f"{path}.successThreshold", successes, "must be 1")


def _handler(handler: Any, path: str, kinds: Iterable[str]) -> Iterator[FieldError]:
    given = [kind for kind in kinds if at(handler, kind) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for kind in given[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    if isinstance(command := at(handler, "exec"), dict) and not command.get("command"):
        yield required(f"{path}.exec.command")
    for kind in ("httpGet", "tcpSocket"):
        if isinstance(found := at(handler, kind), dict):
            yield from port_or_name(found.get("port"), f"{path}.{kind}.port")
    if isinstance(grpc := at(handler, "grpc"), dict):
        yield from port_or_name(grpc.get("port"), f"{path}.grpc.port")
    yield from check.optional(f"{path}.httpGet.scheme", at(handler, "httpGet", "scheme"), ("HTTP", "HTTPS"))
    for index, header in enumerate(items(handler, "httpGet", "httpHeaders")):
        name = text(header, "name")
        if not name or not all(char.isascii() and (char.isalnum() or char == "-") for char in name):
            yield invalid(f"{path}.httpGet.httpHeaders[{index}].name", name, _HEADER)


def port_or_name(value: Any, path: str) -> Iterator[FieldError]:
    """Return what is wrong with a port given by number or name."""
    if isinstance(value, str):
        yield from check.name(path, value, names.port_name)
    else:
        yield from check.port(path, value if isinstance(value, int) else 0)
