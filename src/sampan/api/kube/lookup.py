"""Lookup: an object by its name, from memory; one that the view does not show yet is read from the store."""

from __future__ import annotations

from sampan.api.kube.records import Records
from sampan.api.kube.view import View
from sampan.kube.object import Object
from sampan.kube.resource import Resource


class Lookup:
    def __init__(self, view: View, records: Records, resource: Resource) -> None:
        """`resource`: the one that is viewed."""
        self._view = view
        self._records = records
        self._resource = resource

    async def find(self, namespace: str, name: str) -> Object | None:
        """Return the object, shared: do not change it; None where there is none."""
        return self._view.get(namespace, name) or await self._records.get(self._resource, namespace, name)
