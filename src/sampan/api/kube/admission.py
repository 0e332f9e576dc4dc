"""Admission: the ports of what may change or refuse a write between its decoding and the store.

Order is data: the composition root lists plugins; mutating ones run first, in order, then validating ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from sampan.api.kube.request import User
from sampan.kube.object import Object
from sampan.kube.resource import Resource


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

    def concerns(self, plural: str, group: str = "", subresource: str = "") -> bool:
        """Return whether this is a create or a change of such an object."""
        resource = self.resource
        return (
            resource.plural == plural
            and resource.group == group
            and self.subresource == subresource
            and self.object is not None
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
        for plugin in self._plugins:
            await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        for plugin in self._plugins:
            await plugin.validate(attributes)
