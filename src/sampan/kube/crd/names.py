"""Which names a definition gets: in a group, every name belongs to one resource. And the conditions that say so.

Spec: apiextensions.k8s.io/v1 CustomResourceDefinitionStatus; condition types NamesAccepted, Established, Terminating.
"""

from __future__ import annotations

from collections.abc import Iterable

from sampan.kube import object as objects
from sampan.kube.crd.definition import storage_version
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text, words

_OURS = ("NamesAccepted", "Established", "Terminating")


def accepted(crd: Object) -> bool:
    """Return whether a definition has its names already."""
    return condition(crd, "NamesAccepted") == "True"


def condition(crd: Object, type_: str) -> str:
    """Return True, False or Unknown; "" where nothing is said."""
    return next(
        (text(each, "status") for each in items(crd, "status", "conditions") if text(each, "type") == type_), ""
    )


def _taken(crd: Object) -> tuple[set[str], set[str]]:
    """Return the resource names and the kinds that a definition wants."""
    names = mapping(crd, "spec", "names")
    resources = {text(names, "plural"), text(names, "singular"), *words(names, "shortNames")} - {""}
    return resources, {text(names, "kind"), text(names, "listKind")} - {""}


def conflict(crd: Object, others: Iterable[Object]) -> tuple[str, str]:
    """Return reason and message of what others of its group have of its names, ("", "") for nothing."""
    resources, kinds = _taken(crd)
    for other in others:
        if text(other, "spec", "group") != text(crd, "spec", "group") or objects.name(other) == objects.name(crd):
            continue
        held, held_kinds = _taken(other)
        if both := sorted(resources & held):
            return _conflict(crd, both[0])
        if both := sorted(kinds & held_kinds):
            kind = both[0]
            reason = "KindConflict" if kind == text(crd, "spec", "names", "kind") else "ListKindConflict"
            return reason, f'"{kind}" is already in use'
    return "", ""


def _conflict(crd: Object, name: str) -> tuple[str, str]:
    names = mapping(crd, "spec", "names")
    for field, reason in (("plural", "PluralConflict"), ("singular", "SingularConflict")):
        if names.get(field) == name:
            return reason, f'"{name}" is already in use'
    return "ShortNamesConflict", f'"{name}" is already in use'


def order(crds: Iterable[Object]) -> list[Object]:
    """Return definitions in the order in which they get names: who has them keeps them, then the oldest."""
    return sorted(
        crds,
        key=lambda crd: (not accepted(crd), text(crd, "metadata", "creationTimestamp"), objects.name(crd)),
    )


def status(crd: Object, reason: str, message: str, now: str) -> Object:
    """Return the status that a definition should have; `reason`, `message`: of the conflict over its names."""
    before = mapping(crd, "status")
    names = {key: value for key, value in mapping(crd, "spec", "names").items() if value}
    fine = not reason
    others = [each for each in items(before, "conditions") if each.get("type") not in _OURS]
    conditions = [
        _condition(before, "NamesAccepted", fine, reason or "NoConflicts", message or "no conflicts found", now)
    ]
    if fine or condition(crd, "Established") == "True":
        said = ("InitialNamesAccepted", "the initial names have been accepted")
        conditions.append(_condition(before, "Established", True, *said, now))
    else:
        conditions.append(_condition(before, "Established", False, "NotAccepted", "not all names are accepted", now))
    if objects.deleting(crd):
        said = ("InstanceDeletionInProgress", "CustomResource deletion is in progress")
        conditions.append(_condition(before, "Terminating", True, *said, now))
    kept = mapping(before, "acceptedNames") or {"plural": "", "kind": ""}
    stored, current = words(before, "storedVersions"), storage_version(crd)
    return {
        **before,
        "acceptedNames": names if fine else kept,
        "storedVersions": stored if current in stored else [*stored, current],
        "conditions": [*others, *conditions],
    }


def _condition(before: Object, type_: str, value: bool, reason: str, message: str, now: str) -> Object:
    said = "True" if value else "False"
    old = next((each for each in items(before, "conditions") if each.get("type") == type_), {})
    since = old.get("lastTransitionTime") if old.get("status") == said else now
    return {"type": type_, "status": said, "lastTransitionTime": since, "reason": reason, "message": message}
