"""Subresources: what comes after an object's name and is more than a part of it.

A resource's own table (`kube/resource.py`) says which there are; this module says what each does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

import msgspec

from sampan.api.kube import bodies
from sampan.api.kube.answers import json, warnings
from sampan.api.kube.call import Call
from sampan.api.kube.deletes import Deletes, options
from sampan.api.kube.metadata import CONFINED
from sampan.api.kube.patches import JSON_PATCH, Patches
from sampan.api.kube.reads import Reads
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.api.kube.served import Registry, Served
from sampan.api.kube.writes import Change, Make, Writes
from sampan.kube import catalog, decoding, status, stored
from sampan.kube import object as objects
from sampan.kube.fielderror import required
from sampan.kube.kinds import scale
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.patch import merge as merge_patch
from sampan.kube.resource import Resource, Subresource
from sampan.kube.schema import builtin, check

Virtual = Callable[[Call, Object], Awaitable[Object]]
"""A resource or subresource that keeps nothing: the body in, the answer out (TokenReview, TokenRequest …)."""


class Subresources:
    """Answers requests with a subresource, and those to resources that keep nothing."""

    def __init__(
        self,
        reads: Reads,
        writes: Writes,
        patches: Patches,
        deletes: Deletes,
        records: Records,
        registry: Registry,
        virtual: Mapping[tuple[str, str, str], Virtual],
    ) -> None:
        """`virtual`: (group, plural, subresource) -> what answers its create."""
        self._reads = reads
        self._writes = writes
        self._patches = patches
        self._deletes = deletes
        self._records = records
        self._registry = registry
        self._virtual = virtual

    async def answer(self, call: Call) -> Response:
        """Answer a request with a subresource.

        Raises:
            ApiError: 404, 405, 501, and what the write says.
        """
        target, resource = call.target, call.served.resource
        found = resource.subresource(target.subresource)
        if found is None:
            raise status.ApiError(404, "NotFound", "the server could not find the requested resource")
        if call.verb not in found.verbs:
            raise status.method_not_allowed()
        if (virtual := self._virtual.get((resource.group, resource.plural, target.subresource))) is not None:
            return await self.virtual(call, virtual)
        if target.subresource == "scale":
            return await self._scale(call)
        if target.subresource == "eviction":
            return await self._evict(call)
        if target.subresource == "binding":
            return await self._bind(call)
        if target.subresource in CONFINED:
            return await self._part(call)
        raise status.ApiError(
            501,
            "NotImplemented",
            f"{resource.plural}/{target.subresource} needs a node agent, and this control plane has none yet",
        )

    def keeps_nothing(self, call: Call) -> Virtual | None:
        """Return what answers a create of a resource that keeps nothing, None for others."""
        resource = call.served.resource
        return self._virtual.get((resource.group, resource.plural, ""))

    async def virtual(self, call: Call, answer: Virtual) -> Response:
        """Answer a create of what keeps nothing.

        Raises:
            ApiError: 400, 422: the body is not what its kind takes; and what the answer says.
        """
        found = call.served.resource.subresource(call.target.subresource)
        asked = msgspec.structs.replace(call, served=_of_bodies(found)) if found is not None else call
        obj = bodies.decode(asked)
        bodies.place(asked, obj)
        asked.served.strategy.default(obj)
        if faults := asked.served.strategy.validate(obj):
            resource = asked.served.resource
            raise status.invalid(resource.kind, resource.group, objects.name(obj), faults)
        return json(await answer(call, obj), 201, warnings(asked))

    async def _part(self, call: Call) -> Response:
        """`/status` and its like: a view of the whole object through which only a part can be changed."""
        if call.verb == "get":
            return await self._reads.get(call)
        if call.verb == "patch":
            return await self._patches.patch(call, call.target.subresource)
        return await self._writes.update(call, call.target.subresource)

    # --- scale --------------------------------------------------------------------------------------------------------

    async def _scale(self, call: Call) -> Response:
        paths = call.served.scale
        if call.verb == "get":
            item = await self._records.store(call.served.resource).get(
                call.served.resource.key(call.target.namespace, call.target.name)
            )
            if item is None:
                raise call.not_found()
            return json(scale.to_scale(stored.decode(item.value, item.mod_revision), paths))
        change = self._scaler(call, paths)
        changed = await self._writes.change(call, Change(change, subresource="scale"))
        obj = stored.decode(changed.item.value, changed.item.mod_revision)
        return json(scale.to_scale(obj, paths), headers=warnings(call))

    def _scaler(self, call: Call, paths: scale.Paths) -> Make:
        """Return what a body does to the replicas of a live object."""
        media = decoding.media_of(call.request.headers.get("content-type", ""))
        if call.verb == "update":
            given = decoding.decode(call.request.body, media, strict_duplicates=False).object
            change: Callable[[Object], Object] = lambda _: given  # noqa: E731
        elif media == JSON_PATCH:
            operations = json_patch.parse(call.request.body)
            change = lambda current: json_patch.apply(current, operations)  # noqa: E731
        else:
            merged = decoding.decode(call.request.body, decoding.YAML, strict_duplicates=False).object
            change = lambda current: merge_patch.apply(current, merged)  # noqa: E731

        async def make(live: Object) -> Object:
            wanted = _scale_of(change(scale.to_scale(live, paths)))
            if objects.resource_version(wanted) not in ("", "0", objects.resource_version(live)):
                raise call.conflict()
            return scale.from_scale(live, wanted, paths)

        return make

    def _body(self, call: Call) -> Object:
        """Return a subresource's body, checked against the schema of its kind."""
        parts = call.served.resource.subresources
        [found] = (part for part in parts if part.name == call.target.subresource)
        return bodies.decode(msgspec.structs.replace(call, served=_of_bodies(found)))

    # --- pods ---------------------------------------------------------------------------------------------------------

    async def _bind(self, call: Call) -> Response:
        """Give a pod its node. Binds own no fields: the scheduler writes many of them."""
        body = self._body(call)
        node = objects.at(body, "target", "name")
        if not isinstance(node, str) or not node:
            raise status.invalid("Binding", "", call.target.name, [required("target.name")])
        return await self.bind(call, node, objects.annotations(body))

    async def bind(self, call: Call, node: str, annotations: Mapping[str, str]) -> Response:
        """Set a pod's node, once.

        Raises:
            ApiError: 404; 409, it has one already or is being deleted.
        """
        now = self._writes.now()

        async def make(live: Object) -> Object:
            if objects.deleting(live):
                raise call.conflict(f"pod {call.target.name} is being deleted, cannot be assigned to a host")
            if taken := objects.at(live, "spec", "nodeName"):
                raise call.conflict(f'pod {call.target.name} is already assigned to node "{taken}"')
            if live["spec"].get("schedulingGates"):
                raise call.conflict(f"pod {call.target.name} has non-empty .spec.schedulingGates")
            live["spec"]["nodeName"] = node
            if annotations:
                objects.metadata(live).setdefault("annotations", {}).update(annotations)
            conditions = live.setdefault("status", {}).setdefault("conditions", [])
            conditions[:] = [item for item in conditions if item.get("type") != "PodScheduled"]
            conditions.append(
                {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
            )
            return live

        await self._writes.change(call, Change(make, subresource="binding", own=False))
        return json(status.success(code=201), 201)

    async def _evict(self, call: Call) -> Response:
        """Delete a pod where its disruption budgets allow it. Spec: policy/v1 Eviction."""
        wanted = self._body(call).get("deleteOptions") or {}
        request = msgspec.structs.replace(
            call.request,
            body=msgspec.json.encode(wanted) if wanted else b"",
            headers={"content-type": "application/json"},
        )
        one = msgspec.structs.replace(call, request=request)
        chosen = options(one)
        pod = await self._records.get(call.served.resource, call.target.namespace, call.target.name)
        if pod is None:
            raise call.not_found()
        if objects.at(pod, "status", "phase") not in ("Succeeded", "Failed", "Pending") and not objects.deleting(pod):
            await self._spend_budget(one, pod)
        await self._deletes.remove(one, chosen)
        return json(status.success(code=201), 201)

    async def _spend_budget(self, call: Call, pod: Object) -> None:
        budgets = self._registry.find("policy", "v1", "poddisruptionbudgets")
        if budgets is None:
            return
        found, _ = await self._records.list(budgets.resource, call.target.namespace)
        covering = [budget for budget in found if scale.selects(objects.at(budget, "spec", "selector"), pod)]
        if len(covering) > 1:
            raise status.internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        for budget in covering:
            if int(objects.at(budget, "status", "observedGeneration") or 0) < int(
                objects.metadata(budget).get("generation") or 0
            ):
                raise _disrupted(budget, f"{objects.name(budget)} is still being processed by the server.", 10)
            allowed = int(objects.at(budget, "status", "disruptionsAllowed") or 0)
            if allowed <= 0:
                raise _disrupted(budget)
            if call.dry_run:
                continue
            state = budget["status"]
            state["disruptionsAllowed"] = allowed - 1
            state.setdefault("disruptedPods", {})[objects.name(pod)] = self._writes.now()
            await self._records.update(budgets.resource, budget, int(objects.resource_version(budget)))


@lru_cache(maxsize=16)
def _of_bodies(part: Subresource) -> Served:
    """Return the kind of a subresource's bodies as if it were served by itself."""
    version = part.version or "v1"
    definition = f"io.k8s.api.{part.group.partition('.')[0] or 'core'}.{version}.{part.kind}"
    resource = Resource(part.group, version, part.name, part.kind, definition=definition)
    return Served(resource, catalog.strategy(resource), builtin.find(definition))


def _scale_of(wanted: object) -> Object:
    """Return what a body asks for as a Scale, checked against its schema."""
    refused = 'Scale in version "v1" cannot be handled as a Scale: '
    if not isinstance(wanted, dict):
        raise status.bad_request(f"{refused}it is no object")
    try:
        check.check(builtin.definition("io.k8s.api.autoscaling.v1.Scale"), wanted)
    except check.WrongType as error:
        raise status.bad_request(f"{refused}{error}") from error
    return wanted


def _disrupted(budget: Object, why: str = "", retry_after_s: int = 0) -> status.ApiError:
    name, state = objects.name(budget), budget.get("status") or {}
    why = why or (
        f"{name} needs {state.get('desiredHealthy', 0)} healthy pods and has {state.get('currentHealthy', 0)} currently"
    )
    error = status.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after_s)
    cause = {"reason": "DisruptionBudget", "message": f"The disruption budget {why}"}
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
