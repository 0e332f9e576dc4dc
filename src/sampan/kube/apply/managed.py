"""managedFields: entries of an object's metadata that say which manager owns which fields.

Spec: meta/v1 ManagedFieldsEntry.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sampan.kube.apply import fields as sets
from sampan.kube.apply.compare import Comparison, compare
from sampan.kube.apply.extract import DEDUCED
from sampan.kube.apply.fields import Fields
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
        if not isinstance(entry, dict) or not isinstance(entry.get("fieldsV1"), dict):
            continue
        version = str(entry.get("apiVersion") or "")
        operation = str(entry.get("operation") or "Update")
        manager = identity(str(entry.get("manager") or ""), operation, version, str(entry.get("subresource") or ""))
        out[manager] = Owned(entry["fieldsV1"], str(entry.get("time") or ""), version)
    return out


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
    managers = read(new) if given or live is None else {} if given == [] else read(live)
    who = identity(manager, operation, api_version, subresource)
    if live is None:
        _own_all(node, new, who, now, api_version)
        return
    changes = compare(node, _bare(live), _bare(new))
    if not changes.same:
        give_up(managers, changes, who)
        before = managers.get(who)
        kept = sets.difference(before.fields, changes.removed) if before else {}
        fields = stripped(sets.join(kept, changes.changed))
        if not fields:
            managers.pop(who, None)
        elif before is None or fields != before.fields:
            managers[who] = Owned(fields, now, api_version)
        _fold(managers)
    write(new, managers)


def _own_all(node: Node, new: Object, who: Manager, now: str, api_version: str) -> None:
    """Let one manager own all of a new object. The set is written as text at once: a server makes many objects."""
    meta = new["metadata"]
    meta.pop("managedFields", None)
    shown = {key: value for key, value in meta.items() if key not in _UNOWNED}
    owned = {key: value for key, value in new.items() if key not in ("apiVersion", "kind", "metadata")}
    fields = text_of(node, {"metadata": shown, **owned} if shown else owned)
    if fields == "{}":
        return
    entry: dict[str, Any] = {"manager": who.name, "operation": who.operation, "apiVersion": api_version, "time": now}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": msgspec.Raw(fields.encode())}
    if who.subresource:
        entry["subresource"] = who.subresource
    meta["managedFields"] = [entry]


def give_up(managers: Managers, changes: Comparison, who: Manager) -> None:
    """Take what was changed or removed from all other managers."""
    gone = sets.join(changes.changed, changes.removed)
    for manager, owned in list(managers.items()):
        if manager != who:
            left = sets.difference(owned.fields, gone)
            if left:
                managers[manager] = owned._replace(fields=left)
            else:
                del managers[manager]


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
