"""delete and deletecollection: preconditions, grace, finalizers, propagation.

Spec: Kubernetes API concepts, "Resource deletion"; k8s.io/apiserver rest.BeforeDelete.
"""

from __future__ import annotations

import asyncio

import msgspec

from sampan.api.kube import admission
from sampan.api.kube.admission import Chain
from sampan.api.kube.answers import Renderer, json, warnings
from sampan.api.kube.call import Call
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.api.kube.selection import Selection
from sampan.base.clock import Clock
from sampan.kube import decoding, rfc3339, status, stored
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.store.kv.port import CompareFailed, Item, Op

ATTEMPTS = 8
_AT_ONCE = 32
"""So many members of a collection share a write to the disk."""
_LONGEST_GRACE_S = 2**31
"""Of later times there is no timestamp."""
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_POLICIES = ("", "Orphan", "Foreground", "Background")


class Preconditions(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class Options(msgspec.Struct, rename="camel"):
    """Spec: meta/v1 DeleteOptions."""

    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    orphan_dependents: bool | None = None
    preconditions: Preconditions = msgspec.field(default_factory=Preconditions)
    dry_run: list[str] = []

    @property
    def policy(self) -> str:
        """Return Orphan, Foreground, Background, or "" for the kind's own."""
        if self.orphan_dependents is not None:
            return "Orphan" if self.orphan_dependents else "Background"
        return self.propagation_policy


class Outcome(msgspec.Struct):
    """What became of a deletion: the object as it last was, and whether it is gone."""

    item: Item
    gone: bool


class Deletes:
    """The verbs delete and deletecollection."""

    def __init__(self, records: Records, chain: Chain, renderer: Renderer, clock: Clock) -> None:
        self._records = records
        self._chain = chain
        self._renderer = renderer
        self._clock = clock

    async def delete(self, call: Call) -> Response:
        """Remove an object, or mark it where somebody has to do something first.

        Raises:
            ApiError: 404; 409, a precondition does not hold.
        """
        wanted, resource = options(call), call.served.resource
        _warn(call, wanted)
        outcome = await self.remove(call, wanted)
        if outcome.gone and not call.served.strategy.answers_with_object:
            details = {
                "name": call.target.name,
                "group": resource.group,
                "kind": resource.plural,
                "uid": objects.uid(stored.decode(outcome.item.value, 0)),
            }
            found = status.success(details={key: value for key, value in details.items() if value})
            return json(found, headers=warnings(call))
        return await self._renderer.item(call, outcome.item)

    async def delete_collection(self, call: Call) -> Response:
        """Delete the objects that a list with these selectors shows; answers with that list."""
        resource, store = call.served.resource, self._records.store(call.served.resource)
        wanted, selection = options(call), Selection.of(call)
        _warn(call, wanted)
        page = await store.range(resource.key(call.target.namespace, "") if call.target.namespace else resource.prefix)
        items = [item for item in page.items if selection.matches(item.key, item.value)]
        for start in range(0, len(items), _AT_ONCE):
            await asyncio.gather(*(self._remove_member(call, wanted, item) for item in items[start : start + _AT_ONCE]))
        return await self._renderer.list(call, items, {"resourceVersion": str(page.revision)})

    async def _remove_member(self, call: Call, wanted: Options, item: Item) -> None:
        space, _, name = item.key.removeprefix(call.served.resource.prefix).rpartition("/")
        one = msgspec.structs.replace(call, target=call.target._replace(namespace=space, name=name), warnings=[])
        try:
            await self.remove(one, wanted)
        except status.ApiError as error:
            if error.code != 404:  # somebody else was faster
                raise

    async def remove(self, call: Call, wanted: Options) -> Outcome:
        """Delete one object as `wanted` says; tried again while others write it."""
        resource = call.served.resource
        key = resource.key(call.target.namespace, call.target.name)
        for _ in range(ATTEMPTS):
            item = await self._records.store(resource).get(key)
            if item is None:
                raise call.not_found()
            try:
                return await self._remove(call, wanted, item)
            except CompareFailed:
                continue
        raise call.conflict()

    async def _remove(self, call: Call, wanted: Options, item: Item) -> Outcome:
        obj = stored.decode(item.value, item.mod_revision)
        _check(call, wanted.preconditions, obj)
        await self._admit(call, obj)
        metadata = objects.metadata(obj)
        before = stored.encode(obj)
        _finalize(metadata, wanted.policy or _natural_policy(call, metadata))
        grace = _grace(call, wanted, obj)
        waits = bool(metadata.get("finalizers")) or grace > 0 or _namespace_waits(obj)
        if not waits:
            return await self._gone(call, item)
        if not metadata.get("deletionTimestamp") or grace < int(metadata.get("deletionGracePeriodSeconds") or 0):
            metadata.setdefault("deletionTimestamp", "")
            metadata["deletionTimestamp"] = rfc3339.render(self._clock.now_ns() // 10**9 + grace)
            metadata["deletionGracePeriodSeconds"] = grace
            if call.served.strategy.has_generation:
                metadata["generation"] = int(metadata.get("generation") or 0) + 1
            if obj.get("kind") == "Namespace":
                obj.setdefault("status", {})["phase"] = "Terminating"
        return await self._marked(call, item, obj, before)

    async def _gone(self, call: Call, item: Item) -> Outcome:
        if call.dry_run:
            return Outcome(item, gone=True)
        store = self._records.store(call.served.resource)
        revision = await store.commit([Op(item.key, None, item.mod_revision)])
        return Outcome(item._replace(mod_revision=revision), gone=True)

    async def _marked(self, call: Call, item: Item, obj: Object, before: bytes) -> Outcome:
        value = stored.encode(obj)
        if value == before or call.dry_run:
            return Outcome(item._replace(value=value), gone=False)
        revision = await self._records.store(call.served.resource).commit([Op(item.key, value, item.mod_revision)])
        return Outcome(item._replace(value=value, mod_revision=revision), gone=False)

    async def _admit(self, call: Call, obj: Object) -> None:
        attributes = admission.of_call(call, "DELETE", None, obj)
        await self._chain.mutate(attributes)
        await self._chain.validate(attributes)


def options(call: Call) -> Options:
    """Return the options of a deletion: the body's, else the query's. A dry run that the body asks for is the call's.

    Raises:
        ApiError: 400, 422
    """
    found = Options()
    if call.request.body.strip():
        media = call.request.headers.get("content-type", "") or "application/json"
        body = decoding.decode(call.request.body, media, strict_duplicates=False).object
        if body.get("kind") not in (None, "", "DeleteOptions"):
            raise status.bad_request("decoded object cannot be converted to DeleteOptions")
        try:
            found = msgspec.convert({key: value for key, value in body.items() if value is not None}, Options)
        except msgspec.ValidationError as error:
            raise status.bad_request(f"DeleteOptions cannot be read: {error}") from error
        if found.dry_run:
            call.request.parameters["dryRun"] = found.dry_run
    request = call.request
    if request.parameter("gracePeriodSeconds") and found.grace_period_seconds is None:
        found.grace_period_seconds = call.integer("gracePeriodSeconds")
    found.propagation_policy = found.propagation_policy or request.parameter("propagationPolicy")
    if "orphanDependents" in request.parameters and found.orphan_dependents is None:
        found.orphan_dependents = request.flag("orphanDependents")
    if found.propagation_policy and found.orphan_dependents is not None:
        raise status.ApiError(
            422,
            "Invalid",
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: '
            f'"{found.propagation_policy}": orphanDependents and deletionPropagation cannot be both set',
        )
    if found.propagation_policy not in _POLICIES:
        raise status.ApiError(
            422,
            "Invalid",
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "{found.propagation_policy}": '
            'supported values: "Foreground", "Background", "Orphan"',
        )
    return found


def _check(call: Call, wanted: Preconditions, obj: Object) -> None:
    pairs = (
        ("UID", wanted.uid, objects.uid(obj), "UID"),
        ("ResourceVersion", wanted.resource_version, objects.resource_version(obj), "ResourceVersion"),
    )
    for what, asked, found, label in pairs:
        if asked and asked != found:
            raise call.conflict(
                f"Precondition failed: {what} in precondition: {asked}, {label} in object meta: {found}"
            )


def _warn(call: Call, wanted: Options) -> None:
    if call.served.strategy.orphan_warning and not wanted.policy:
        call.warnings.append(call.served.strategy.orphan_warning)


def _natural_policy(call: Call, metadata: Object) -> str:
    """Return the policy of a deletion that names none: what the finalizers say already, else the kind's own."""
    if not call.served.strategy.orphans or not {ORPHAN, FOREGROUND}.isdisjoint(metadata.get("finalizers") or ()):
        return ""
    return "Orphan"


def _finalize(metadata: Object, policy: str) -> None:
    """Add or take away the finalizers that make the garbage collector do what a propagation policy says."""
    if not policy:
        return
    kept = [item for item in metadata.get("finalizers") or [] if item not in (ORPHAN, FOREGROUND)]
    kept += {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    if kept:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)


def _grace(call: Call, wanted: Options, obj: Object) -> int:
    """Return for how many seconds a node may still work on the object's end."""
    if call.served.strategy.grace_s is None:
        return 0
    natural = call.served.strategy.grace_s(obj)
    if natural == 0 or wanted.grace_period_seconds is None:
        return natural
    return min(wanted.grace_period_seconds, _LONGEST_GRACE_S) if wanted.grace_period_seconds >= 0 else 1


def _namespace_waits(obj: Object) -> bool:
    return obj.get("kind") == "Namespace" and bool(objects.at(obj, "spec", "finalizers"))
