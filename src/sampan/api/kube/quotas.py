"""Quotas: what each namespace with a quota uses, exact at every moment, in memory.

What is admitted is counted at once, before the store shows it; what the store shows replaces that. One server counts for a
store: two of them on one store would each let in what the other has just let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sampan.api.kube.records import Change, Records, change
from sampan.api.kube.served import Registry
from sampan.api.kube.view import View
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube import quota as rules
from sampan.kube import stored
from sampan.kube.object import Object
from sampan.kube.quota import NOTHING, Bound, Use
from sampan.kube.resource import Resource
from sampan.store.kv.port import Event, Watch

_RETRY_S = 1.0
_PAGE = 200
_log = log.get("kube")

Place = tuple[str, str]
"""(prefix of the resource's keys, name) of an object."""


class Exceeded(Exception):
    """A quota would be exceeded; the text says which, and by what."""


class _Quota(NamedTuple):
    """A quota, what it bounds, and what is used of it."""

    object: Object
    hard: dict[str, Bound]
    totals: dict[str, int]
    scoped: bool

    def counts(self, of: Use) -> bool:
        return not self.scoped or rules.counts(self.object, of)

    def add(self, of: Use, sign: int) -> bool:
        """Add or take away what an object uses; True where it is counted here."""
        if of is NOTHING or not self.counts(of):
            return False
        for name in self.hard:
            if amount := of.amounts.get(name):
                self.totals[name] = self.totals.get(name, 0) + sign * amount
        return True


class _Namespace:
    """One namespace with quotas."""

    def __init__(self) -> None:
        self.quotas: dict[str, _Quota] = {}
        self.names: frozenset[str] = frozenset()  # that any of them bounds
        self.scoped = False  # whether any of them has scopes
        self.shown: dict[Place, Use] = {}
        self.admitted: dict[Place, Use] = {}
        self.uids: dict[Place, str] = {}  # of what was admitted
        self.watches: dict[str, Watch] = {}  # by prefix
        self.loading: dict[str, asyncio.Task[None]] = {}

    def use(self, place: Place) -> Use:
        return self.admitted.get(place) or self.shown.get(place, NOTHING)

    def put(self, quota: Object) -> bool:
        """Take in a quota, new or changed; True where it bounds what no other did: objects are to be looked at again."""
        name, spec = objects.name(quota), quota.get("spec") or {}
        before = self.quotas.get(name)
        if before is not None and before.object.get("spec") == spec:
            return False  # its status has changed: by us
        made = _Quota(quota, rules.hard(quota), {}, bool(spec.get("scopes") or spec.get("scopeSelector")))
        for place in {*self.shown, *self.admitted}:
            made.add(self.use(place), 1)
        self.quotas[name] = made
        names = frozenset(name for each in self.quotas.values() for name in each.hard)
        scoped = any(each.scoped for each in self.quotas.values())
        more = not names <= self.names or scoped > self.scoped
        self.names, self.scoped = names, scoped
        return more

    def use_of(self, resource: Resource, obj: Object) -> Use:
        return rules.use(resource, obj, self.names, scoped=self.scoped)

    def replace(self, place: Place, *, admitted: Use | None, shown: Use | None = None) -> Iterable[str]:
        """Change what is known of an object; returns the quotas that count it. `shown`: None for as before."""
        before = self.use(place)
        if shown is not None:
            self.shown[place] = shown
        if shown is NOTHING:
            del self.shown[place]
        if admitted is not None:
            self.admitted[place] = admitted
        else:
            self.admitted.pop(place, None)
            self.uids.pop(place, None)
        after = self.use(place)
        if after is before:
            return ()
        return [name for name, quota in self.quotas.items() if quota.add(before, -1) | quota.add(after, 1)]

    def close(self) -> None:
        """Stop following."""
        for watch in self.watches.values():
            watch.close()
        for task in self.loading.values():
            task.cancel()
        self.watches.clear()
        self.loading.clear()


class Quotas:
    """Follows a view of quotas; make it before the view is started."""

    def __init__(self, view: View, records: Records, registry: Registry) -> None:
        self._records = records
        self._registry = registry
        self._namespaces: dict[str, _Namespace] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        view.on_change(self._changed)

    def close(self) -> None:
        for state in self._namespaces.values():
            state.close()

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(namespace, quota)` when what it counts has changed, and for each quota there is."""
        self._listeners.append(listener)
        for namespace, state in self._namespaces.items():
            for name in state.quotas:
                listener(namespace, name)

    async def used(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return what a quota's names come to, as text; None where there is no such quota."""
        state = await self._ready(namespace)
        quota = state.quotas.get(name) if state is not None else None
        if quota is None:
            return None
        return {key: rules.shown(quota.totals.get(key, 0), bound.form) for key, bound in quota.hard.items()}

    async def admit(self, resource: Resource, obj: Object) -> Callable[[], None]:
        """Count an object as it will be; returns what takes that back, should it not be stored.

        Raises:
            Exceeded: nothing is counted.
        """
        namespace = objects.namespace(obj)
        state = await self._ready(namespace)
        if state is None or resource.prefix not in state.watches:
            return _nothing
        place, new = (resource.prefix, objects.name(obj)), state.use_of(resource, obj)
        before = state.use(place)
        for name in sorted(state.quotas):
            _check(name, state.quotas[name], before, new, obj)
        state.uids[place] = objects.uid(obj)
        self._tell(namespace, state.replace(place, admitted=new))

        def back() -> None:
            if state.admitted.get(place) is new:
                self._tell(namespace, state.replace(place, admitted=None))

        return back

    def _tell(self, namespace: str, names: Iterable[str]) -> None:
        for name in names:
            for listener in self._listeners:
                listener(namespace, name)

    # --- following ----------------------------------------------------------------------------------------------------

    def _changed(self, changed: Change) -> None:
        quota = changed.object
        namespace, name = objects.namespace(quota), objects.name(quota)
        if changed.type == "DELETED":
            state = self._namespaces.get(namespace)
            if state is not None:
                state.quotas.pop(name, None)
                if not state.quotas:
                    self._namespaces.pop(namespace).close()
            return
        state = self._namespaces.setdefault(namespace, _Namespace())
        if state.put(quota):
            state.close()
        for resource in self._counted(state.names):
            if resource.prefix not in state.watches and resource.prefix not in state.loading:
                state.loading[resource.prefix] = asyncio.ensure_future(self._load(namespace, state, resource))
        self._tell(namespace, [name])

    def _counted(self, names: Iterable[str]) -> list[Resource]:
        kinds = set(map(rules.kinds_of, names))
        return [
            served.resource
            for served in self._registry
            if (served.resource.plural, served.resource.group) in kinds
            and served.resource.namespaced
            and not served.resource.storage
        ]

    async def _load(self, namespace: str, state: _Namespace, resource: Resource, delay_s: float = 0.0) -> None:
        """Count what is there, and follow it from there."""
        await asyncio.sleep(delay_s)
        try:
            uses, revision = await self._read(namespace, state, resource)
        except SampanError as error:
            _log.error("cannot count the %s of %s: %s", resource.plural, namespace, error)
            state.loading[resource.prefix] = asyncio.ensure_future(self._load(namespace, state, resource, _RETRY_S))
            return
        gone = [place for place in state.shown if place[0] == resource.prefix and place not in uses]
        counting: set[str] = set()
        for place, new in [*uses.items(), *((place, NOTHING) for place in gone)]:
            counting.update(state.replace(place, admitted=state.admitted.get(place), shown=new))
        self._tell(namespace, counting)
        self._follow(namespace, state, resource, revision)
        state.loading.pop(resource.prefix, None)

    async def _read(self, namespace: str, state: _Namespace, resource: Resource) -> tuple[dict[Place, Use], int]:
        """Return what the objects of a namespace use, and the revision of that; read in pages, so that others have a turn."""
        store, prefix = self._records.store(resource), resource.key(namespace, "")
        uses: dict[Place, Use] = {}
        # where only their number counts, objects need not be decoded
        same = state.use_of(resource, {}) if rules.by_count(resource, state.names, scoped=state.scoped) else None
        page = await store.range(prefix, limit=_PAGE)
        while True:
            for item in page.items:
                use = same or state.use_of(resource, stored.decode(item.value, item.mod_revision))
                uses[resource.prefix, item.key.rpartition("/")[2]] = use
            if not page.remaining:
                return uses, page.revision
            await asyncio.sleep(0)
            page = await store.range(prefix, after=page.items[-1].key, limit=_PAGE, revision=page.revision)

    def _follow(self, namespace: str, state: _Namespace, resource: Resource, revision: int) -> None:
        def deliver(events: Sequence[Event], _: int) -> None:
            for event in events:
                self._tell(namespace, _taken_in(state, resource, event))

        def failed(error: SampanError) -> None:
            _log.warning("counting the %s of %s again: %s", resource.plural, namespace, error)
            state.watches.pop(resource.prefix, None)
            if self._namespaces.get(namespace) is state:
                state.loading[resource.prefix] = asyncio.ensure_future(self._load(namespace, state, resource))

        store, prefix = self._records.store(resource), resource.key(namespace, "")
        state.watches[resource.prefix] = store.watch(prefix, revision, deliver, failed)

    async def _ready(self, namespace: str) -> _Namespace | None:
        """Return the state of a namespace when all in it has been counted; None where it has no quota."""
        while (state := self._namespaces.get(namespace)) is not None and state.loading:
            await asyncio.wait(list(state.loading.values()))
        return state


def _taken_in(state: _Namespace, resource: Resource, event: Event) -> Iterable[str]:
    """Count what the store shows; returns the quotas that count it."""
    place = (resource.prefix, event.key.rpartition("/")[2])
    admitted = state.admitted.get(place)
    uid = state.uids.get(place, "")
    if admitted is not None and event.previous is None and uid.encode() in (event.value or b""):
        return state.replace(place, admitted=None, shown=admitted)  # what was let in has been made: it need not be read
    changed = change(event)
    new = state.use_of(resource, changed.object)
    if changed.type != "DELETED":
        return state.replace(place, admitted=None, shown=new)
    # another object of that name may have been let in since
    kept = admitted if uid != objects.uid(changed.object) else None
    return state.replace(place, admitted=kept, shown=NOTHING)


def _check(name: str, quota: _Quota, before: Use, new: Use, obj: Object) -> None:
    if not quota.counts(new):
        return
    if new.pod and before is NOTHING and (unsaid := rules.unsaid(quota.object, obj.get("spec") or {})):
        raise Exceeded(f"failed quota: {name}: must specify {'; '.join(unsaid)}")
    held = before.amounts if quota.counts(before) else {}
    over = []
    for key, bound in quota.hard.items():
        more = new.amounts.get(key, 0) - held.get(key, 0)
        if more > 0 and quota.totals.get(key, 0) + more > bound.amount:
            over.append((key, more, bound))
    if over:
        over.sort()
        asked = ",".join(f"{key}={rules.shown(more, bound.form)}" for key, more, bound in over)
        used = ",".join(f"{key}={rules.shown(quota.totals.get(key, 0), bound.form)}" for key, _, bound in over)
        most = ",".join(f"{key}={bound}" for key, _, bound in over)
        raise Exceeded(f"exceeded quota: {name}, requested: {asked}, used: {used}, limited: {most}")


def _nothing() -> None:
    return None
