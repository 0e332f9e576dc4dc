"""Bindings: a pod is given its node, once. Spec: core/v1 Binding."""

from __future__ import annotations

import msgspec

from sampan.api.kube.answers import json
from sampan.api.kube.call import Call
from sampan.api.kube.request import Response
from sampan.api.kube.served import Registry
from sampan.api.kube.writes import Change, Writes
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.fielderror import FieldError, not_supported, required
from sampan.kube.object import Object


class Bindings:
    """Answers a create of `pods/binding`, and of `bindings`, which is older and does the same."""

    def __init__(self, writes: Writes, registry: Registry) -> None:
        self._writes = writes
        self._registry = registry

    async def bind(self, call: Call, body: Object) -> Response:
        """Set a pod's node. Binds own no fields: the scheduler writes many of them.

        Raises:
            ApiError: 400, 404, 422; 409, it has a node already, is being deleted, or is another one than was meant.
        """
        if objects.name(body) not in ("", call.target.name):
            raise status.bad_request("name in URL does not match name in Binding object")
        if faults := _faults(body):
            raise status.invalid("Binding", "", call.target.name, faults)
        now = self._writes.now()

        async def make(live: Object) -> Object:
            _require_bindable(call, live, objects.metadata(body))
            meta = dict(objects.metadata(live))
            if annotations := objects.annotations(body):
                meta["annotations"] = {**objects.annotations(live), **annotations}
            state = {name: value for name, value in (live.get("status") or {}).items() if name != "nominatedNodeName"}
            others = [item for item in state.get("conditions") or () if item.get("type") != "PodScheduled"]
            placed = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
            return {
                **live,
                "metadata": meta,
                "spec": {**live["spec"], "nodeName": body["target"]["name"]},
                "status": {**state, "conditions": [*others, placed]},
            }

        await self._writes.change(call, Change(make, subresource="binding", own=False, shares=True))
        return json(status.success(code=201), 201)

    async def legacy(self, call: Call, body: Object) -> Object:
        """The same for a body that names its pod itself."""
        pods = self._registry.find("", "v1", "pods")
        if not objects.name(body):
            raise status.invalid("Binding", "", "", [required("metadata.name")])
        if pods is None:
            raise call.not_found(objects.name(body))
        target = call.target._replace(plural="pods", name=objects.name(body), subresource="binding")
        await self.bind(msgspec.structs.replace(call, served=pods, target=target), body)
        return status.success(code=201)


def _faults(body: Object) -> list[FieldError]:
    kind, name = objects.at(body, "target", "kind"), objects.at(body, "target", "name")
    faults = [] if kind in (None, "", "Node") else [not_supported("target.kind", kind, ["Node", "<empty>"])]
    return faults if name else [*faults, required("target.name")]


def _require_bindable(call: Call, live: Object, meant: Object) -> None:
    name, wanted = call.target.name, str(meant.get("uid") or "")
    if wanted not in ("", objects.uid(live)):
        raise call.conflict(
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {objects.uid(live)}"
        )
    version = str(meant.get("resourceVersion") or "")
    if version not in ("", "0", objects.resource_version(live)):
        raise call.conflict(
            f"Precondition failed: ResourceVersion in precondition: {version}, "
            f"ResourceVersion in object meta: {objects.resource_version(live)}"
        )
    if objects.deleting(live):
        raise call.conflict(f"pod {name} is being deleted, cannot be assigned to a host")
    if taken := objects.at(live, "spec", "nodeName"):
        raise call.conflict(f'pod {name} is already assigned to node "{taken}"')
    if live["spec"].get("schedulingGates"):
        raise call.conflict(f"pod {name} has non-empty .spec.schedulingGates")
