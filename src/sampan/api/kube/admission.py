"""Admission: the ports of what may change or refuse a write between its decoding and the store.

Order is data: the composition root lists plugins; mutating ones run first, in order, then validating ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from sampan.api.kube import warning
from sampan.api.kube.call import Call
from sampan.api.kube.request import User
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.kube.status import ApiError


class Attributes(msgspec.Struct):
    """A write under admission. `object` may be changed in place by `mutate`; it is None for DELETE and CONNECT."""

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old: Object | None
    user: User
    dry_run: bool = False
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    warnings: list[str] = msgspec.field(default_factory=list)
    audit: dict[str, str] = msgspec.field(default_factory=dict)  # annotations for the audit log
    failed: list[Callable[[], None]] = msgspec.field(default_factory=list)  # called where the write fails after all
    repeat: bool = False
    """Set where somebody outside of the server changed the object: all that mutate look at it once more."""
    again: bool = False
    """This is that second time."""
    memory: dict[str, Any] = msgspec.field(default_factory=dict)
    """What plugins keep between both times, each under its name."""

    def concerns(self, plural: str, group: str = "", subresource: str = "") -> bool:
        """Return whether this is a create or a change of such an object."""
        resource = self.resource
        return (
            resource.plural == plural
            and resource.group == group
            and self.subresource == subresource
            and self.object is not None
        )


def of_call(call: Call, operation: str, obj: Object | None, old: Object | None, subresource: str = "") -> Attributes:
    """Return a write as admission sees it."""
    return Attributes(
        operation=operation,
        resource=call.served.resource,
        subresource=subresource,
        namespace=call.target.namespace,
        name=(objects.name(obj) if obj else "") or call.target.name,
        object=obj,
        old=old,
        user=call.request.user,
        dry_run=call.dry_run,
        warnings=call.warnings,
        audit=call.request.annotations,
    )


class Plugin(Protocol):
    """One rule. Both methods raise `ApiError` to refuse the write, and change nothing outside of `attributes`."""

    name: str

    async def mutate(self, attributes: Attributes) -> None: ...

    async def validate(self, attributes: Attributes) -> None: ...


class Chain:
    """All plugins of a server."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self._plugins = tuple(plugins)

    async def mutate(self, attributes: Attributes) -> None:
        """Let all plugins change the object; twice where one says so."""
        with _warned(attributes):
            for plugin in self._plugins:
                await plugin.mutate(attributes)
            if attributes.repeat:
                attributes.again = True
                for plugin in self._plugins:
                    await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        with _warned(attributes):
            for plugin in self._plugins:
                await plugin.validate(attributes)


@contextmanager
def _warned(attributes: Attributes) -> Iterator[None]:
    """Give a refusal the warnings that came before it."""
    try:
        yield
    except ApiError as error:
        error.headers = (*error.headers, *warning.headers(attributes.warnings))
        raise
