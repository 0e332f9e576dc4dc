"""create, update and patch: one way for all kinds from a body to the store.

A create: decode, default, admit, prepare, validate, own (managedFields), commit. A change is the same with the live object
beside it, tried again when another writer was faster and the client named no version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from sampan.api.kube import admission, bodies, metadata
from sampan.api.kube.admission import Attributes, Chain
from sampan.api.kube.answers import Renderer
from sampan.api.kube.call import Call
from sampan.api.kube.leases import Expiry
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.api.kube.served import Served
from sampan.base.clock import Clock
from sampan.base.errors import NotFound
from sampan.kube import object as objects
from sampan.kube import rfc3339, status, stored
from sampan.kube.apply import update as own
from sampan.kube.fielderror import FieldError
from sampan.kube.object import Object
from sampan.store.kv.port import CompareFailed, Item, Op

ATTEMPTS = 8


class Changed(NamedTuple):
    """The outcome of a change: what is stored now, whether it was made new, and whether it is gone with it."""

    item: Item
    created: bool = False
    gone: bool = False


Make = Callable[[Object], Awaitable[Object]]


class Change(NamedTuple):
    """What makes the new object out of the live one, and how it is judged.

    `make` gets a copy of the live object in the served version and may change and return it; where it `shares` it gets the
    object that the new one is compared with, and changes nothing in place. `own` writes the managed fields; it is left
    out where `make` did so (apply).
    """

    make: Make
    subresource: str = ""
    again: bool = True
    own: bool = True
    shares: bool = False
    create: Callable[[], Awaitable[Object]] | None = None


class Writes:
    """The verbs create, update and patch, and the way that other writes go too."""

    def __init__(
        self,
        records: Records,
        chain: Chain,
        renderer: Renderer,
        clock: Clock,
        new_uid: Callable[[], str],
        new_suffix: Callable[[], str],
        expiry: Expiry,
    ) -> None:
        """`new_suffix`: five characters that end a generated name."""
        self._records = records
        self._chain = chain
        self._renderer = renderer
        self._clock = clock
        self._new_uid = new_uid
        self._new_suffix = new_suffix
        self._expiry = expiry

    def now(self) -> str:
        """Return the time as metadata has it."""
        return rfc3339.render(self._clock.now_ns() // 10**9)

    # --- create -------------------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Response:
        """Make a new object out of the body.

        Raises:
            ApiError: 400, 409 (there is one of that name), 422, and what admission says.
        """
        obj = bodies.decode(call)
        bodies.place(call, obj)
        item = await self.create_object(call, obj)
        return await self._renderer.item(call, item, 201)

    async def create_object(self, call: Call, obj: Object, *, own_fields: bool = True) -> Item:
        """Keep a new object of the served version, which may be changed on the way."""
        meta = objects.metadata(obj)
        version = str(meta.pop("resourceVersion", ""))
        if version.isdecimal() and version.strip("0"):  # what is no version says nothing
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        generated = not meta.get("name") and bool(meta.get("generateName"))
        for attempt in range(ATTEMPTS):
            fresh = _copy(obj) if generated else obj
            if generated:
                objects.metadata(fresh)["name"] = metadata.generated_name(str(meta["generateName"]), self._new_suffix())
            try:
                return await self._create(call, fresh, own_fields=own_fields)
            except CompareFailed as error:
                if generated and attempt < ATTEMPTS - 1:
                    continue
                resource = call.served.resource
                raise status.already_exists(resource.plural, resource.group, objects.name(fresh)) from error
        raise AssertionError("the loop returns or raises")

    async def _create(self, call: Call, obj: Object, *, own_fields: bool) -> Item:
        served, resource = call.served, call.served.resource
        metadata.born(obj, uid=self._new_uid(), now=self.now(), generation=served.strategy.has_generation)
        if served.strategy.has_status and not served.strategy.born_with_status:
            obj.pop("status", None)
        served.fill(obj)
        attributes = admission.of_call(call, "CREATE", obj, None)
        if not objects.name(obj):  # a plugin may give a name
            raise status.invalid(resource.kind, resource.group, "", [metadata.NAMELESS])
        await self._chain.mutate(attributes)
        served.strategy.prepare_create(obj)
        metadata.tidy(obj)
        strategy = served.strategy
        if faults := [*metadata.validate(served, obj), *strategy.validate_create(obj), *strategy.validate(obj)]:
            raise status.invalid(resource.kind, resource.group, objects.name(obj), faults)
        await self._chain.validate(attributes)
        if own_fields:
            own(served.node, None, obj, call.manager, self.now(), api_version=resource.api_version)
        with _taken_back(attributes):
            [obj] = await served.conversion.to_storage([obj]) if served.conversion else [obj]
            return await self._commit(call, resource.key(objects.namespace(obj), objects.name(obj)), obj, 0)

    # --- update -------------------------------------------------------------------------------------------------------

    async def update(self, call: Call, subresource: str = "") -> Response:
        """Replace an object, or what a subresource shows of it, by the body; of some kinds it is made where it is not there."""
        given = bodies.decode(call)
        bodies.place(call, given)
        body, strategy = stored_form(given), call.served.strategy
        versionless = objects.resource_version(given) in ("", "0")

        async def make(live: Object) -> Object:
            if versionless and strategy.update_names_version:
                resource = call.served.resource
                raise status.invalid(resource.kind, resource.group, call.target.name, [metadata.VERSIONLESS])
            return msgspec.json.decode(body, type=Object)

        async def create() -> Object:
            if (uid := objects.uid(given)) != "":
                raise call.conflict(f"Precondition failed: UID in precondition: {uid}, UID in object meta: ")
            objects.metadata(given).pop("resourceVersion", None)
            return given

        creates = create if strategy.update_creates and not subresource else None
        changed = await self.change(call, Change(make, subresource=subresource, again=versionless, create=creates))
        return await self.answer(call, changed)

    async def answer(self, call: Call, changed: Changed) -> Response:
        """Answer with what is stored now."""
        return await self._renderer.item(call, changed.item, 201 if changed.created else 200)

    async def change(self, call: Call, change: Change) -> Changed:
        """Change an object; made again from the newest state when another writer was faster.

        Raises:
            ApiError: 404; 409, it is not at the version that the new object names; 422; and what admission says.
        """
        resource = call.served.resource
        key = resource.key(call.target.namespace, call.target.name)
        for attempt in range(ATTEMPTS):
            item = await self._records.store(resource).get(key)
            try:
                if item is None:
                    if change.create is None:
                        raise call.not_found()
                    call.may("create")
                    made = await self.create_object(call, await change.create(), own_fields=change.own)
                    return Changed(made, created=True)
                return await self._change(call, change, item)
            except CompareFailed as error:
                if not change.again or attempt == ATTEMPTS - 1:
                    raise call.conflict() from error
        raise AssertionError("the loop returns or raises")

    async def _change(self, call: Call, change: Change, item: Item) -> Changed:
        served, resource = call.served, call.served.resource
        old, live = await self._live(served, item, 1 if change.shares else 2)
        new = await change.make(live)
        metadata.match(call, new, old)
        metadata.carry(new, old)
        metadata.confine(served, change.subresource, new, old)
        served.fill(new)
        attributes = admission.of_call(call, "UPDATE", new, old, change.subresource)
        await self._chain.mutate(attributes)
        faults = _prepared(served, change.subresource, new, old)
        if faults:
            raise status.invalid(resource.kind, resource.group, objects.name(new), faults)
        await self._chain.validate(attributes)
        with _taken_back(attributes):
            return await self._keep(call, change, item, old, new)

    async def _keep(self, call: Call, change: Change, item: Item, old: Object, new: Object) -> Changed:
        """Write the managed fields of an admitted change, and commit it."""
        served = call.served
        if change.own:
            if metadata.alike(new, old) and not _reowned(new, old):
                return Changed(item)
            own(
                served.node,
                old,
                new,
                call.manager,
                self.now(),
                subresource=change.subresource,
                api_version=served.resource.api_version,
            )
        elif _same(new, old):
            return Changed(item)
        [new] = await served.conversion.to_storage([new]) if served.conversion else [new]
        if metadata.finished(new):
            await self._remove(call, item)
            return Changed(item._replace(value=stored.encode(new)), gone=True)
        return Changed(await self._commit(call, item.key, new, item.mod_revision, item))

    async def _live(self, served: Served, item: Item, copies: int) -> tuple[Object, Object]:
        """Return the live object in the served version: to compare with, and to change."""
        made = [stored.decode(item.value, item.mod_revision) for _ in range(copies)]
        made = await served.conversion.from_storage(made) if served.conversion else made
        return made[0], made[-1]

    # --- the store ----------------------------------------------------------------------------------------------------

    async def _commit(self, call: Call, key: str, obj: Object, expect: int, before: Item | None = None) -> Item:
        value = stored.encode(obj)
        store = self._records.store(call.served.resource)
        if call.dry_run:
            return Item(key, value, 0, before.mod_revision if before else store.revision, 1)
        lease = await self._expiry.lease(call.served.resource, store)
        try:
            revision = await store.commit([Op(key, value, expect, lease)])
        except NotFound:
            raise status.too_many_requests("the lease of short-lived objects has just ended") from None
        return Item(key, value, before.create_revision if before else revision, revision, 1)

    async def _remove(self, call: Call, item: Item) -> None:
        if not call.dry_run:
            await self._records.store(call.served.resource).commit([Op(item.key, None, item.mod_revision)])


def stored_form(obj: Object) -> bytes:
    """Return an object as JSON, to make fresh copies of."""
    return msgspec.json.encode(obj)


def _prepared(served: Served, subresource: str, new: Object, old: Object) -> list[FieldError]:
    """Bring a changed object into the state in which it is kept; returns what is wrong with it.

    A subresource that is a part of the object can have changed no more than that part.
    """
    strategy = served.strategy
    if subresource == "status":
        strategy.prepare_status(new, old)
    elif not subresource:
        strategy.prepare_update(new, old)
    metadata.count_generation(strategy, new, old)
    metadata.tidy(new)
    faults = metadata.validate_update(served, new, old)
    if subresource == "status":
        return [*faults, *strategy.validate_status(new, old)]
    if strategy.validate_change is not None:  # through whatever subresource
        return [*faults, *strategy.validate_change(new, old)]
    judge = strategy.validate_parts.get(subresource) if subresource else strategy.validate_update
    if judge is not None:
        faults += judge(new, old)
    return [*faults, *strategy.validate(new)] if subresource in ("", *_WHOLE) else faults


_WHOLE = ("ephemeralcontainers", "resize")
"""Subresources after which the whole object has to be right."""


@contextmanager
def _taken_back(attributes: Attributes) -> Iterator[None]:
    """Tell those who counted on an admitted write, should it fail."""
    try:
        yield
    except BaseException:
        for told in attributes.failed:
            told()
        raise


def _reowned(new: Object, old: Object) -> bool:
    """Return whether a client changed who owns which fields, as kubectl does on its way to server-side apply."""
    given = objects.metadata(new).get("managedFields")
    return given is not None and given != objects.metadata(old).get("managedFields")


def _same(new: Object, old: Object) -> bool:
    """Return whether two objects say the same, in whatever order of their fields."""
    return new == old and _sorted(new) == _sorted(old)  # to Python 1, 1.0 and true are equal


_sorted = msgspec.json.Encoder(order="deterministic").encode


def _copy(obj: Object) -> Object:
    return msgspec.json.decode(msgspec.json.encode(obj), type=Object)
