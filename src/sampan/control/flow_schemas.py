"""A flow schema says whether the priority level that it names is there. Spec: flowcontrol.apiserver.k8s.io/v1 FlowSchemaCondition."""

from __future__ import annotations

from collections.abc import Callable

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import text
from sampan.reconcile.loop import Loop

_GROUP = "flowcontrol.apiserver.k8s.io"
_SCHEMAS = Ref(_GROUP, "v1", "flowschemas", namespaced=False)
_LEVELS = Ref(_GROUP, "v1", "prioritylevelconfigurations", namespaced=False)


class FlowSchemas:
    name = "flow-schemas"

    def __init__(self, client: Client, now: Callable[[], str]) -> None:
        """`now`: RFC 3339."""
        self._client = client
        self._now = now
        self._schemas, self._levels = Informer(client, _SCHEMAS), Informer(client, _LEVELS)
        self._loop: Loop[str] = Loop(self.name, self._reconcile, workers=4)

    async def start(self) -> None:
        self._schemas.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._levels.on_change(self._level_changed)
        self._schemas.start()
        self._levels.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._schemas.close()
        await self._levels.close()

    def _level_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None:
            for schema in self._schemas:
                if _level(schema) == objects.name(new or old or {}):
                    self._loop.queue.add(objects.name(schema))

    async def _reconcile(self, name: str) -> None:
        await self._levels.synced()
        schema = self._schemas.get("", name)
        if schema is None:
            return
        level = _level(schema)
        here = self._levels.get("", level) is not None
        told = "and it exists" if here else "but there is no such object"
        condition = {
            "type": "Dangling",
            "status": "False" if here else "True",
            "reason": "Found" if here else "NotFound",
            "message": f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {told}',
        }
        conditions = objects.at(schema, "status", "conditions") or []
        before: Object = next((each for each in conditions if each.get("type") == "Dangling"), {})
        if {key: before.get(key) for key in condition} == condition:
            return
        changed = before.get("status") != condition["status"]
        condition["lastTransitionTime"] = self._now() if changed else before["lastTransitionTime"]
        kept = [each for each in conditions if each.get("type") != "Dangling"]
        await self._client.update(
            _SCHEMAS, {**schema, "status": {"conditions": [*kept, condition]}}, subresource="status"
        )


def _level(schema: Object) -> str:
    return text(schema, "spec", "priorityLevelConfiguration", "name")
