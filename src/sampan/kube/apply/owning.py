"""Who owns what after a change: plain updates take what they change, configurations are merged and may conflict.

Managers are any values that tell them apart. Each one's set is of the version of the object in which it wrote; an object
is converted to compare it there.

Spec: structured-merge-diff v6, merge.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from sampan.kube.apply import fields as sets
from sampan.kube.apply.compare import Comparison, compare
from sampan.kube.apply.extract import DEDUCED, fields_of, granular
from sampan.kube.apply.fields import Fields
from sampan.kube.apply.merging import child, merge, named, remove
from sampan.kube.schema.node import Kind, Node

Who = TypeVar("Who", bound=Hashable)


class Claim(NamedTuple):
    """What a manager owns, in terms of a version."""

    fields: Fields
    version: str


class Typed(NamedTuple):
    """An object, and the schema of the version that it is in."""

    node: Node
    value: Any


class Rules(NamedTuple):
    """`convert`: to a version; None: there is no such version any more. `keep`: of a set in terms of a version, what may
    be owned.
    """

    convert: Callable[[Typed, str], Typed | None]
    keep: Callable[[str, Fields], Fields]


class Conflicts(Exception):
    """Others own what a configuration would change: a set for each of them."""

    def __init__(self, found: dict[Any, Fields]) -> None:
        super().__init__(found)
        self.found = found


def update(
    live: Typed, new: Typed, version: str, claims: dict[Who, Claim], who: Who, rules: Rules
) -> tuple[dict[Who, Claim], Fields]:
    """Return who owns what after a plain change from `live` to `new`, and what it changed or added.

    Raises:
        Unindexed: a list has items that cannot be told apart.
    """
    claims, compared = _settle(live, new, version, _reconciled(live, claims, rules), who, rules, force=True)
    before = claims.get(who)
    kept = sets.difference(before.fields, compared.removed) if before else {}
    gained = rules.keep(version, compared.changed)
    claims[who] = Claim(rules.keep(version, sets.join(kept, gained)), version)
    return _less_empty(claims), gained


def apply(
    live: Typed, config: Any, version: str, claims: dict[Who, Claim], who: Who, rules: Rules, *, force: bool
) -> tuple[Any, dict[Who, Claim]]:
    """Return `live` with a configuration, and who owns what then. `live` is in terms of the configuration's version.

    Raises:
        Conflicts: others own what it changes, and it is not to be forced.
        Unindexed: a list has items that cannot be told apart.
    """
    claims = _reconciled(live, claims, rules)
    last = claims.get(who)
    claims[who] = Claim(rules.keep(version, fields_of(live.node, config)), version)
    merged = _pruned(live._replace(value=merge(live.node, live.value, config)), claims, who, last, rules)
    claims, _ = _settle(live, merged, version, claims, who, rules, force=force)
    return merged.value, _less_empty(claims)


def _settle(
    old: Typed, new: Typed, version: str, claims: dict[Who, Claim], who: Who, rules: Rules, *, force: bool
) -> tuple[dict[Who, Claim], Comparison]:
    """Take from all others what changed or went. Those whose version is no more lose all."""
    compared = {version: _filtered(compare(new.node, old.value, new.value), version, rules)}
    left: dict[Who, Claim] = {}
    conflicts: dict[Who, Fields] = {}
    for manager, claim in claims.items():
        if manager == who:
            left[manager] = claim
            continue
        if claim.version not in compared:
            there = _compared(old, new, claim.version, rules)
            if there is None:
                continue
            compared[claim.version] = there
        found = compared[claim.version]
        if taken := sets.intersection(claim.fields, found.changed):
            conflicts[manager] = taken
        gone = sets.join(found.changed, found.removed)
        left[manager] = claim._replace(fields=sets.difference(claim.fields, gone)) if gone else claim
    if conflicts and not force:
        raise Conflicts(conflicts)
    return _less_empty(left), compared[version]


def _compared(old: Typed, new: Typed, version: str, rules: Rules) -> Comparison | None:
    before, after = rules.convert(old, version), rules.convert(new, version)
    if before is None or after is None:
        return None
    return _filtered(compare(after.node, before.value, after.value), version, rules)


def _filtered(found: Comparison, version: str, rules: Rules) -> Comparison:
    return Comparison(*(rules.keep(version, part) for part in found))


def _less_empty(claims: dict[Who, Claim]) -> dict[Who, Claim]:
    return {who: claim for who, claim in claims.items() if claim.fields}


# --- pruning ----------------------------------------------------------------------------------------------------------


def _pruned(merged: Typed, claims: dict[Who, Claim], who: Who, last: Claim | None, rules: Rules) -> Typed:
    """Take out what this manager wanted the last time, and nobody wants now."""
    there = rules.convert(merged, last.version) if last is not None and last.fields else None
    if there is None or last is None:
        return merged
    wanted = named(there.node, last.fields)
    pruned = there._replace(value=remove(there.node, there.value, wanted))
    pruned = _with_owned(there, pruned, last.version, claims, rules)
    gone = sets.difference(_members(there), _members(pruned))
    pruned = there._replace(value=remove(there.node, there.value, sets.intersection(gone, wanted)))
    return rules.convert(pruned, claims[who].version) or merged


def _with_owned(merged: Typed, pruned: Typed, version: str, claims: dict[Who, Claim], rules: Rules) -> Typed:
    """Put back what somebody owns, first in terms of the version that was pruned."""
    owned: dict[str, Fields] = {version: {}}
    for claim in claims.values():
        owned[claim.version] = sets.join(owned.get(claim.version, {}), claim.fields)
    for other, fields in owned.items():
        whole, less = rules.convert(merged, other), rules.convert(pruned, other)
        if whole is None or less is None:
            continue
        stays = sets.join(_members(less), named(whole.node, fields))
        pruned = whole._replace(value=remove(whole.node, whole.value, sets.difference(_members(whole), stays)))
        merged = whole
    return rules.convert(pruned, version) or pruned


def _members(of: Typed) -> Fields:
    return named(of.node, fields_of(of.node, of.value))


# --- schemas that changed ---------------------------------------------------------------------------------------------


def _reconciled(live: Typed, claims: dict[Who, Claim], rules: Rules) -> dict[Who, Claim]:
    """Return claims in terms of schemas as they are now: what is of a piece by now is owned as that. Claims in versions that
    are no more go.
    """
    nodes: dict[str, Node | None] = {}
    out: dict[Who, Claim] = {}
    for who, claim in claims.items():
        if claim.version not in nodes:
            there = rules.convert(live, claim.version)
            nodes[claim.version] = there.node if there is not None else None
        node = nodes[claim.version]
        if node is not None:
            out[who] = claim._replace(fields=reconciled(node, claim.fields))
    return out


def reconciled(node: Node, fields: Fields) -> Fields:
    """Return a set in which what is of a piece has no parts; the same one where it has none already."""
    if node is DEDUCED or (node.kind is Kind.ANY and node.preserve_unknown):
        return fields
    changed: Fields = {}
    for key, inner in fields.items():
        part = child(node, key) if inner else None
        if part is not None:
            after = reconciled(part, inner) if _parted(part) else {}
            if after is not inner:
                changed[key] = after
    return {**fields, **changed} if changed else fields


def _parted(node: Node) -> bool:
    """Return whether parts of a value of this schema can be owned; scalars are left as they are."""
    return node.kind not in (Kind.ARRAY, Kind.MAP, Kind.OBJECT, Kind.ANY) or granular(
        node, [] if node.kind is Kind.ARRAY else {}
    )
