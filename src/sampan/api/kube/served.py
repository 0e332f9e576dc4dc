"""Served: a resource with all that serving it takes; and the registry of those that are served now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from sampan.kube.kinds.scale import BUILTIN, Paths
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.kube.schema import structural
from sampan.kube.schema.node import Node
from sampan.kube.strategy import Strategy


class Conversion(Protocol):
    """Between the version that is served and the one that is stored. May change what it is given."""

    async def to_storage(self, objects: list[Object]) -> list[Object]: ...

    async def from_storage(self, objects: list[Object]) -> list[Object]: ...


class Served(msgspec.Struct, frozen=True):
    """One resource in one version."""

    resource: Resource
    strategy: Strategy
    node: Node | None = None
    """The schema; None where objects are taken as they come."""
    conversion: Conversion | None = None
    """None: what is stored is what is served."""
    scale: Paths = BUILTIN
    """Where the replicas are that `/scale` shows."""
    dynamic: bool = False
    """Of a CRD: unknown fields are pruned and defaults filled in by the schema."""

    def fill(self, obj: Object) -> None:
        """Fill in what was left out; a custom resource loses what its schema does not know."""
        if self.dynamic and self.node is not None:
            structural.prune(self.node, obj)
            structural.default(self.node, obj)
        self.strategy.default(obj)


class Registry:
    """What is served: built-in resources, and dynamic ones that come and go."""

    def __init__(self, builtin: Iterable[Served]) -> None:
        self._builtin = {_key(served.resource): served for served in builtin}
        self._dynamic: dict[tuple[str, str, str], Served] = {}
        self._listeners: list[Callable[[], None]] = []

    def find(self, group: str, version: str, plural: str) -> Served | None:
        key = (group, version, plural)
        return self._builtin.get(key) or self._dynamic.get(key)

    @property
    def builtin(self) -> list[Resource]:
        """Return the resources that are served from the start, and always."""
        return [served.resource for served in self._builtin.values()]

    def by_kind(self, group: str, version: str, kind: str) -> Served | None:
        return next(
            (
                served
                for served in self
                if (served.resource.group, served.resource.version, served.resource.kind) == (group, version, kind)
            ),
            None,
        )

    def __iter__(self) -> Iterator[Served]:
        yield from self._builtin.values()
        yield from self._dynamic.values()

    def replace_dynamic(self, dynamic: Iterable[Served]) -> None:
        """Serve these besides the built-in ones; a built-in one of the same name goes first."""
        self._dynamic = {_key(served.resource): served for served in dynamic}
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the dynamic resources changed."""
        self._listeners.append(listener)


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


def builtin(
    resources: Iterable[Resource],
    strategy_of: Callable[[Resource], Strategy],
    node_of: Callable[[str], Node | None],
    conversions: Mapping[tuple[str, str, str], Conversion],
) -> list[Served]:
    """Return the built-in resources as served. Conversions go by (group, version, plural)."""
    return [
        Served(
            resource,
            strategy_of(resource),
            node_of(resource.definition) if resource.definition else None,
            conversions.get((resource.group, resource.version, resource.plural)),
        )
        for resource in resources
    ]
