"""Subresources: what comes after an object's name and is more than a part of it.

A resource's own table (`kube/resource.py`) says which there are; this module says what each does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

import msgspec

from sampan.api.kube import bodies
from sampan.api.kube.answers import json, warnings
from sampan.api.kube.bindings import Bindings
from sampan.api.kube.call import Call
from sampan.api.kube.evictions import Evictions
from sampan.api.kube.metadata import CONFINED
from sampan.api.kube.patches import APPLY_YAML, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Patches
from sampan.api.kube.reads import Reads
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.api.kube.served import Served
from sampan.api.kube.writes import Change, Make, Writes
from sampan.kube import catalog, decoding, status, stored
from sampan.kube import object as objects
from sampan.kube.kinds import scale
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.patch import merge as merge_patch
from sampan.kube.resource import Resource, Subresource
from sampan.kube.schema import builtin, check

_SCALE_PATCHES = (MERGE_PATCH, STRATEGIC_PATCH, APPLY_YAML)
"""A Scale has no lists: these say the same of it."""
Virtual = Callable[[Call, Object], Awaitable[Object]]
"""A resource or subresource that keeps nothing: the body in, the answer out (TokenReview, TokenRequest …)."""


class Subresources:
    """Answers requests with a subresource, and those to resources that keep nothing."""

    def __init__(
        self,
        reads: Reads,
        writes: Writes,
        patches: Patches,
        records: Records,
        bindings: Bindings,
        evictions: Evictions,
        virtual: Mapping[tuple[str, str, str], Virtual],
    ) -> None:
        """`virtual`: (group, plural, subresource) -> what answers its create."""
        self._reads = reads
        self._writes = writes
        self._patches = patches
        self._records = records
        self._bindings = bindings
        self._evictions = evictions
        self._virtual = {("", "bindings", ""): bindings.legacy, **virtual}

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
            return await self._evictions.evict(call, self._body(call))
        if target.subresource == "binding":
            return await self._bindings.bind(call, self._body(call))
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
        elif media not in _SCALE_PATCHES:
            raise status.unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join((JSON_PATCH, *_SCALE_PATCHES))
            )
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
