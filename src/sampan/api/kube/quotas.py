"""Quotas: what each namespace with a quota uses, exact at every moment, in memory.

What is admitted is counted at once, before the store shows it; what the store shows replaces that. One server counts for a
store: two of them on one store would each let in what the other has just let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction

from sampan.api.kube.records import Change, Records
from sampan.api.kube.served import Registry
from sampan.api.kube.view import View
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube import quota as rules
from sampan.kube.object import Object
from sampan.kube.quantity import Quantity
from sampan.kube.quota import NOTHING, Use
from sampan.kube.resource import Resource
from sampan.store.kv.port import Watch

_RETRY_S = 1.0
_log = log.get("kube")

Place = tuple[str, str]
"""(prefix of the resource's keys, name) of an object."""


class Exceeded(Exception):
    """A quota would be exceeded; the text says which, and by what."""


class _Namespace:
    """One namespace with quotas."""

    def __init__(self) -> None:
        self.shown: dict[Place, Use] = {}
        self.admitted: dict[Place, Use] = {}
        self.totals: dict[str, dict[str, Fraction]] = {}  # by quota
        self.watches: dict[str, Watch] = {}  # by prefix
        self.loading: dict[str, asyncio.Task[None]] = {}

    def use(self, place: Place) -> Use:
        return self.admitted.get(place) or self.shown.get(place, NOTHING)

    def close(self) -> None:
        for watch in self.watches.values():
            watch.close()
        for task in self.loading.values():
            task.cancel()
        self.loading.clear()


class Quotas:
    """Follows a view of quotas; make it before the view is started."""

    def __init__(self, view: View, records: Records, registry: Registry) -> None:
        self._view = view
        self._records = records
        self._registry = registry
        self._namespaces: dict[str, _Namespace] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        view.on_change(self._changed)

    def close(self) -> None:
        for namespace in self._namespaces.values():
            namespace.close()

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(namespace, quota)` when what it counts has changed, and for each quota there is."""
        self._listeners.append(listener)
        for quota in self._view:
            listener(objects.namespace(quota), objects.name(quota))

    async def used(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return what a quota's names come to, as text; None where there is no such quota."""
        quota = self._view.get(namespace, name)
        if quota is None:
            return None
        found = await self._ready(namespace)
        totals = found.totals.get(name, {})
        return {key: str(Quantity(totals.get(key, Fraction()), bound.form)) for key, bound in rules.hard(quota).items()}

    async def admit(self, resource: Resource, obj: Object) -> Callable[[], None]:
        """Count an object as it will be; returns what takes that back, should it not be stored.

        Raises:
            Exceeded: nothing is counted.
        """
        namespace, name = objects.namespace(obj), objects.name(obj)
        if namespace not in self._namespaces:
            return _nothing
        state = await self._ready(namespace)
        if resource.prefix not in state.watches:
            return _nothing
        place, new = (resource.prefix, name), rules.use(resource, obj)
        before = state.use(place)
        for quota in self._of(namespace):
            self._check(state, quota, before, new, obj)
        self._replace(namespace, state, place, admitted=new)

        def back() -> None:
            if state.admitted.get(place) is new:
                self._replace(namespace, state, place, admitted=None)

        return back

    # --- counting -----------------------------------------------------------------------------------------------------

    def _of(self, namespace: str) -> list[Object]:
        return sorted(self._view.of(namespace), key=objects.name)

    def _check(self, state: _Namespace, quota: Object, before: Use, new: Use, obj: Object) -> None:
        if not rules.counts(quota, new):
            return
        name, hard = objects.name(quota), rules.hard(quota)
        if new.pod and before is NOTHING and (unsaid := rules.unsaid(quota, obj.get("spec") or {})):
            raise Exceeded(f"failed quota: {name}: must specify {'; '.join(unsaid)}")
        held = before.amounts if rules.counts(quota, before) else {}
        totals = state.totals.get(name, {})
        over = []
        for key in sorted(hard):
            more = new.amounts.get(key, Fraction()) - held.get(key, Fraction())
            if more > 0 and totals.get(key, Fraction()) + more > hard[key].amount:
                over.append((key, more))
        if over:
            forms = {key: hard[key].form for key, _ in over}
            asked = ",".join(f"{key}={Quantity(more, forms[key])}" for key, more in over)
            used = ",".join(f"{key}={Quantity(totals.get(key, Fraction()), forms[key])}" for key, _ in over)
            most = ",".join(f"{key}={hard[key]}" for key, _ in over)
            raise Exceeded(f"exceeded quota: {name}, requested: {asked}, used: {used}, limited: {most}")

    def _replace(
        self, namespace: str, state: _Namespace, place: Place, *, admitted: Use | None, shown: Use | None = None
    ) -> None:
        """Change what is known of an object, and the totals with it. `shown`: None for as before."""
        before = state.use(place)
        if shown is not None:
            state.shown[place] = shown
        if shown is NOTHING:
            del state.shown[place]
        if admitted is not None:
            state.admitted[place] = admitted
        else:
            state.admitted.pop(place, None)
        after = state.use(place)
        for quota in self._view.of(namespace):
            name = objects.name(quota)
            totals = state.totals.setdefault(name, {})
            if _move(totals, quota, before, -1) | _move(totals, quota, after, 1):
                self._tell(namespace, name)

    def _tell(self, namespace: str, name: str) -> None:
        for listener in self._listeners:
            listener(namespace, name)

    # --- following ----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        namespace, name = objects.namespace(change.object), objects.name(change.object)
        state = self._namespaces.get(namespace)
        if change.type == "DELETED":
            if state is not None:
                state.totals.pop(name, None)
                if not self._view.of(namespace):
                    state.close()
                    del self._namespaces[namespace]
            return
        if state is None:
            state = self._namespaces[namespace] = _Namespace()
        for resource in self._counted(change.object):
            if resource.prefix not in state.watches and resource.prefix not in state.loading:
                state.loading[resource.prefix] = asyncio.ensure_future(self._load(namespace, state, resource))
        self._recount(state, change.object)
        self._tell(namespace, name)

    def _counted(self, quota: Object) -> list[Resource]:
        kinds = {rules.kinds_of(name) for name in rules.hard(quota)}
        return [
            served.resource
            for served in self._registry
            if (served.resource.plural, served.resource.group) in kinds
            and served.resource.namespaced
            and not served.resource.storage
        ]

    def _recount(self, state: _Namespace, quota: Object) -> None:
        totals: dict[str, Fraction] = {}
        for place in {*state.shown, *state.admitted}:
            _move(totals, quota, state.use(place), 1)
        state.totals[objects.name(quota)] = totals

    async def _load(self, namespace: str, state: _Namespace, resource: Resource) -> None:
        """Count what is there, and follow it from there."""
        try:
            await self._loaded(namespace, state, resource)
        except SampanError as error:
            _log.error("cannot count the %s of %s: %s", resource.plural, namespace, error)
            state.loading[resource.prefix] = asyncio.ensure_future(self._again(namespace, state, resource))
        else:
            del state.loading[resource.prefix]

    async def _again(self, namespace: str, state: _Namespace, resource: Resource) -> None:
        await asyncio.sleep(_RETRY_S)
        await self._load(namespace, state, resource)

    async def _loaded(self, namespace: str, state: _Namespace, resource: Resource) -> None:
        found, revision = await self._records.list(resource, namespace)
        uses = {(resource.prefix, objects.name(obj)): rules.use(resource, obj) for obj in found}
        for place in [place for place in state.shown if place[0] == resource.prefix and place not in uses]:
            self._replace(namespace, state, place, admitted=state.admitted.get(place), shown=NOTHING)
        for place, new in uses.items():
            self._replace(namespace, state, place, admitted=state.admitted.get(place), shown=new)

        def deliver(changes: Sequence[Change], revision: int) -> None:
            for change in changes:
                place, new = (resource.prefix, objects.name(change.object)), rules.use(resource, change.object)
                admitted = state.admitted.get(place)
                if change.type == "DELETED":
                    # another object of that name may have been let in since
                    kept = admitted if admitted is not None and admitted.uid != new.uid else None
                    self._replace(namespace, state, place, admitted=kept, shown=NOTHING)
                else:
                    self._replace(namespace, state, place, admitted=None, shown=new)

        def failed(error: SampanError) -> None:
            _log.warning("counting the %s of %s again: %s", resource.plural, namespace, error)
            state.watches.pop(resource.prefix, None)
            if self._namespaces.get(namespace) is state:
                state.loading[resource.prefix] = asyncio.ensure_future(self._load(namespace, state, resource))

        state.watches[resource.prefix] = self._records.watch(resource, revision, deliver, failed, namespace=namespace)

    async def _ready(self, namespace: str) -> _Namespace:
        """Return the state of a namespace when all in it has been counted."""
        state = self._namespaces[namespace]
        while state.loading:
            await asyncio.wait(list(state.loading.values()))
        return state


def _move(totals: dict[str, Fraction], quota: Object, of: Use, sign: int) -> bool:
    """Add or take away what an object uses of a quota; True where that is anything."""
    if of is NOTHING or not rules.counts(quota, of):
        return False
    for name, amount in of.amounts.items():
        totals[name] = totals.get(name, Fraction()) + sign * amount
    return True


def _nothing() -> None:
    return None
