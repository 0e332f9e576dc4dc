"""apply: a configuration says which fields its manager wants, and with which values.

What the manager wanted before and wants no more goes, unless somebody else wants it. What others own and the configuration
would change is a conflict, unless the client forces it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.apply import fields as sets
from sampan.kube.apply import owning
from sampan.kube.apply.extract import DEDUCED, Unindexed, below, fields_of, granular
from sampan.kube.apply.fields import Fields
from sampan.kube.apply.managed import RULES, Manager, Managers, claims_of, identity, read, timed, write
from sampan.kube.apply.merging import less_emptied, merge
from sampan.kube.apply.owning import Conflicts, Typed
from sampan.kube.object import Object
from sampan.kube.schema.node import Node

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


def apply(
    node: Node | None,
    live: Object | None,
    config: Object,
    manager: str,
    now: str,
    *,
    force: bool = False,
    subresource: str = "",
    api_version: str,
    ignored: tuple[str, ...] = (),
) -> Object:
    """Return what comes of applying `config` to `live` (None: there is nothing yet), with managed fields.

    `ignored`: fields at the top that this (sub)resource does not change; the configuration may have them in vain.

    Raises:
        ApiError: 400, the configuration does not fit the schema; 409, with a cause for each field others own.
    """
    node = node if node is not None else DEDUCED
    if (config.get("metadata") or {}).get("managedFields"):
        raise status.bad_request("metadata.managedFields must be nil")
    config = {key: value for key, value in config.items() if key not in ignored}
    _check(node, config, "")
    merged: Object
    old = Typed(node, _without_managed(live) if live is not None else _shell(config))
    managers = read(live) if live is not None else {}
    claims, who = claims_of(managers), identity(manager, "Apply", api_version, subresource)
    wanted = _versionless(config)
    try:
        try:
            merged, claims = owning.apply(old, wanted, api_version, claims, who, RULES, force=force)
        except Conflicts as conflicts:
            if not _kubectls_own(node, live, manager, conflicts.found):
                raise _refusal(conflicts.found, managers) from None
            merged, claims = owning.apply(old, wanted, api_version, claims, who, RULES, force=True)
    except Unindexed as error:
        raise status.bad_request(f"failed to create typed patch object ({_about(config)}): {error}") from error
    merged = less_emptied(merged or {}, merge(node, old.value, wanted))
    after = timed(claims, managers, now)
    if who in after and who in managers and after[who].fields != managers[who].fields:
        after[who] = after[who]._replace(time=now)  # the time tells when the set changed last
    _remember(merged, config, manager)
    write(merged, after)
    return merged


def _check(node: Node, value: Any, path: str) -> None:
    if isinstance(value, dict) and granular(node, value):
        for name, item in value.items():
            field = below(node, name)
            if field is None:
                raise status.bad_request(
                    f"failed to create typed patch object: {path}.{name}: field not declared in schema"
                )
            _check(field, item, f"{path}.{name}")
    elif isinstance(value, list) and granular(node, value) and node.element is not None:
        for index, item in enumerate(value):
            if node.list_type == "map" and not isinstance(item, dict):
                raise status.bad_request(
                    f"failed to create typed patch object: {path}[{index}]: associative list with keys may not have "
                    "non-map elements"
                )
            _check(node.element, item, f"{path}[{index}]")


def _kubectls_own(node: Node, live: Object | None, manager: str, conflicts: dict[Manager, Fields]) -> bool:
    """Return whether the conflicts are only with what kubectl itself applied from the client's side before."""
    text = objects.annotations(live or {}).get(LAST_APPLIED)
    if manager != _KUBECTL or not text:
        return False
    try:
        allowed = fields_of(node, msgspec.json.decode(text, type=Object))
    except (msgspec.MsgspecError, Unindexed):
        return False
    return not any(sets.difference(fields, allowed) for fields in conflicts.values())


def _refusal(conflicts: dict[Manager, Fields], managers: Managers) -> status.ApiError:
    causes, lines = [], []
    for manager in sorted(conflicts):
        version = managers[manager].api_version
        who = f'"{manager.name}"' + (f' with subresource "{manager.subresource}"' if manager.subresource else "")
        if manager.operation == "Update":
            who += f" using {version}"
            if managers[manager].time:
                who += f" at {managers[manager].time}"
        listed = sets.paths(conflicts[manager])
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for path in listed
        ]
        shown = "".join(f"\n- {path}" for path in listed)
        lines.append(f"conflict with {who}: {listed[0]}" if len(listed) == 1 else f"conflicts with {who}:{shown}")
    count = len(causes)
    head = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: "
    text = head + (lines[0] if len(lines) == 1 else "\n".join(lines))
    return status.ApiError(409, "Conflict", text, details={"causes": causes})


def _remember(merged: Object, config: Object, manager: str) -> None:
    """Keep kubectl's annotation of the last configuration true, where an object has one."""
    if manager == _KUBECTL and LAST_APPLIED in objects.annotations(merged):
        annotations = {key: value for key, value in objects.annotations(config).items() if key != LAST_APPLIED}
        meta = {**config.get("metadata", {}), "annotations": annotations}
        text = msgspec.json.encode({**config, "metadata": meta}, order="sorted").decode() + "\n"
        merged["metadata"] = {**merged["metadata"], "annotations": {**objects.annotations(merged), LAST_APPLIED: text}}


def _without_managed(obj: Object) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def _versionless(config: Object) -> Object:
    """Return a configuration without the version that it may name: that one is judged elsewhere."""
    meta = {key: value for key, value in (config.get("metadata") or {}).items() if key != "resourceVersion"}
    return {**config, "metadata": meta}


def _shell(config: Object) -> Object:
    return {"apiVersion": config.get("apiVersion"), "kind": config.get("kind"), "metadata": {}}


def _about(config: Object) -> str:
    kind = f"{config.get('apiVersion')}, Kind={config.get('kind')}"
    return f"{objects.namespace(config)}/{objects.name(config)}; {kind}"
