"""managedFields: entries of an object's metadata that say which manager owns which fields.

Spec: meta/v1 ManagedFieldsEntry.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sampan.kube.apply import fields as sets
from sampan.kube.apply import owning
from sampan.kube.apply.extract import DEDUCED, Unindexed
from sampan.kube.apply.fields import Fields
from sampan.kube.apply.owning import Claim, Rules, Typed
from sampan.kube.apply.text import text_of
from sampan.kube.object import Object
from sampan.kube.schema.node import Node

MOST_UPDATERS = 10
"""Managers that update, with an entry of their own each; the oldest are folded into one beyond that."""
ANCIENT = "ancient-changes"
_UNOWNED = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip


class Manager(NamedTuple):
    """Who owns. Of an Apply the version is no part of who it is."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


class Owned(NamedTuple):
    fields: Fields
    time: str
    api_version: str


Managers = dict[Manager, Owned]


def read(obj: Object) -> Managers:
    """Return who owns what of an object. Entries that cannot be read are as good as not there."""
    out: Managers = {}
    for entry in (obj.get("metadata") or {}).get("managedFields") or ():
        if not isinstance(entry, dict):
            continue
        try:
            fields = sets.parsed(entry.get("fieldsV1"))
        except sets.Unreadable:
            continue
        version = str(entry.get("apiVersion") or "")
        operation = str(entry.get("operation") or "Update")
        manager = identity(str(entry.get("manager") or ""), operation, version, str(entry.get("subresource") or ""))
        out[manager] = Owned(fields, str(entry.get("time") or ""), version)
    return out


def claims_of(managers: Managers) -> dict[Manager, Claim]:
    return {manager: Claim(owned.fields, owned.api_version) for manager, owned in managers.items()}


def timed(claims: dict[Manager, Claim], before: Managers, now: str) -> Managers:
    """Return who owns what with times, without what nobody owns.

    Who gave something up keeps its time; `now` is for who is new or owns more.
    """
    out: Managers = {}
    for manager, claim in claims.items():
        fields, version = stripped(claim.fields), claim.version
        if not fields:
            continue
        old = before.get(manager)
        since = old.time if old is not None and not sets.difference(fields, old.fields) else now
        out[manager] = Owned(fields, since, version)
    return out


RULES: Rules = Rules(lambda typed, _version: typed, lambda _version, fields: fields)
"""Versions of a kind differ in nothing that owners would notice."""


def identity(name: str, operation: str, api_version: str, subresource: str = "") -> Manager:
    return Manager(name, operation, "" if operation == "Apply" else api_version, subresource)


def write(obj: Object, managers: Managers) -> None:
    """Put who owns what into an object."""
    entries = []
    for manager, owned in sorted(managers.items(), key=_order):
        entry: dict[str, Any] = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.api_version,
        }
        if owned.time:
            entry["time"] = owned.time
        entry["fieldsType"], entry["fieldsV1"] = "FieldsV1", owned.fields
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _order(item: tuple[Manager, Owned]) -> tuple[bool, str, str, str]:
    manager, owned = item
    return manager.operation != "Apply", owned.time, manager.name, owned.api_version


def stripped(fields: Fields) -> Fields:
    """Return a set without what nobody owns: identity, and what the server writes."""
    out = {key: value for key, value in fields.items() if key not in ("f:apiVersion", "f:kind")}
    metadata = out.get("f:metadata")
    if metadata is not None:
        kept = {key: value for key, value in metadata.items() if key[2:] not in _UNOWNED and key != sets.SELF}
        if kept:
            out["f:metadata"] = kept
        else:
            del out["f:metadata"]
    return out


def update(
    node: Node | None,
    live: Object | None,
    new: Object,
    manager: str,
    now: str,
    *,
    operation: str = "Update",
    subresource: str = "",
    api_version: str,
) -> None:
    """Write the managed fields of an object that a plain create, update or patch made.

    What it changed is its manager's now, and nobody else's. What the client sent as managedFields counts as what was
    there before; an empty list forgets them.
    """
    node = node if node is not None else DEDUCED
    given = (new.get("metadata") or {}).get("managedFields")
    who = identity(manager, operation, api_version, subresource)
    if live is None:
        _own_all(node, new, who, now, api_version)
        return
    managers = read(new) if given else {}
    if not managers and given != []:
        managers = read(live)
    old, bare = Typed(node, _bare(live)), Typed(node, _bare(new))
    try:
        claims, gained = owning.update(old, bare, api_version, claims_of(managers), who, RULES)
    except Unindexed:  # nothing can be said of such an object
        write(new, managers)
        return
    after = timed(claims, managers, now)
    if who in after and stripped(gained):
        after[who] = after[who]._replace(time=now)
    _fold(after)
    write(new, after)


def _own_all(node: Node, new: Object, who: Manager, now: str, api_version: str) -> None:
    """Let one manager own all of a new object. The set is written as text at once: a server makes many objects."""
    meta = new["metadata"]
    meta.pop("managedFields", None)
    shown = {key: value for key, value in meta.items() if key not in _UNOWNED}
    owned = {key: value for key, value in new.items() if key not in ("apiVersion", "kind", "metadata")}
    try:
        fields = text_of(node, {"metadata": shown, **owned} if shown else owned)
    except Unindexed:  # nothing can be said of such an object
        return
    if fields == "{}":
        return
    entry: dict[str, Any] = {"manager": who.name, "operation": who.operation, "apiVersion": api_version, "time": now}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": msgspec.Raw(fields.encode())}
    if who.subresource:
        entry["subresource"] = who.subresource
    meta["managedFields"] = [entry]


def _fold(managers: Managers) -> None:
    """Keep the number of updaters within bounds: the oldest become one."""
    updaters = sorted(
        (manager for manager in managers if manager.operation == "Update"), key=lambda item: managers[item].time
    )
    surplus = len(updaters) - MOST_UPDATERS
    if surplus <= 0:
        return
    folded = updaters[: surplus + 1]
    versions = {managers[manager].api_version for manager in folded}
    for version in versions:
        parts = [manager for manager in folded if managers[manager].api_version == version]
        fields: Fields = {}
        time = ""
        for manager in parts:
            owned = managers.pop(manager)
            fields, time = sets.join(fields, owned.fields), max(time, owned.time)
        managers[identity(ANCIENT, "Update", version)] = Owned(fields, time, version)


def _bare(obj: Object) -> Object:
    """Return an object without its managed fields, which own nothing themselves."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
