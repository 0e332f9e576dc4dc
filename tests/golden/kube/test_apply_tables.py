"""What structured-merge-diff's own tests ask it, asked of our apply: 1,900 recorded calls and their answers.

The table is made by tests/tools/apply/extract.
"""

import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest
from backports import zstd

from sampan.kube.apply import fields as sets
from sampan.kube.apply import owning
from sampan.kube.apply.compare import compare
from sampan.kube.apply.extract import DEDUCED, fields_of
from sampan.kube.apply.merging import merge, remove
from sampan.kube.apply.owning import Claim, Conflicts, Typed
from sampan.kube.schema.node import Kind, Node

TABLE = json.loads(zstd.decompress((Path(__file__).parent / "apply-tables.json.zst").read_bytes()))
SCALARS = {
    "string": Kind.STRING,
    "numeric": Kind.NUMBER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "untyped": Kind.ANY,
}


def calls(name):
    """Schemas of OpenAPI do not say of one field that it is a map and a list as well, with owners for its parts."""
    found = [call for call in TABLE["calls"] if call["call"] == name and "__untyped_separable_" not in json.dumps(call)]
    return pytest.mark.parametrize("call", found, ids=map(str, range(len(found))))


# --- schemas ----------------------------------------------------------------------------------------------------------


@cache
def named(schema, name):
    if name == "__untyped_deduced_":
        return DEDUCED
    if name == "__untyped_atomic_":
        return Node(Kind.ANY)
    found = Node()
    _cached[schema, name] = found
    atom = next(each for each in TABLE["schemas"][schema]["types"] if each["name"] == name)
    fill(found, schema, atom)
    return found


_cached: dict = {}


def node(schema, ref):
    if "namedType" not in ref:
        found = Node()
        fill(found, schema, ref)
        if "elementRelationship" in ref:
            relate(found, ref["elementRelationship"])
        return found
    found = _cached.get((schema, ref["namedType"])) or named(schema, ref["namedType"])
    relation = ref.get("elementRelationship")
    if relation and found is not DEDUCED:
        found = copy.copy(found)
        found.memo = {}
        relate(found, relation)
    return found


def relate(found, relation):
    if found.kind is Kind.ARRAY:
        found.list_type = {"associative": "map" if found.list_map_keys else "set"}.get(relation, "atomic")
    else:
        found.map_type = {"separable": "granular"}.get(relation, relation)


def fill(found, schema, atom):
    if "map" in atom:
        says = atom["map"]
        found.kind = Kind.OBJECT if "fields" in says else Kind.MAP
        for field in says.get("fields", ()):
            child = node(schema, field["type"])
            if "default" in field:
                child = copy.copy(child)
                child.has_default, child.default = True, field["default"]
            found.properties[field["name"]] = child
        if "elementType" in says:
            found.element = node(schema, says["elementType"])
    elif "list" in atom:
        says = atom["list"]
        found.kind = Kind.ARRAY
        found.element = node(schema, says["elementType"])
        found.list_map_keys = tuple(says.get("keys", ()))
    else:
        says = {}
        found.kind = SCALARS[atom["scalar"]]
    if relation := says.get("elementRelationship"):
        relate(found, relation)


def root(value):
    """An object is a map: where there is none yet, an empty one."""
    return {} if value is None else value


# --- calls ------------------------------------------------------------------------------------------------------------


@calls("fields")
def test_fields(call):
    assert fields_of(node(*call["type"]), call["value"]) == call["set"]


@calls("compare")
def test_compare(call):
    found = compare(node(*call["type"]), root(call["value"]), root(call["new"]))
    assert (found.removed, found.modified, found.added) == (call["removed"], call["modified"], call["added"])


@calls("merge")
def test_merge(call):
    assert merge(node(*call["type"]), call["value"], call["config"]) == call["out"]


@calls("remove")
def test_remove(call):
    assert remove(node(*call["type"]), call["value"], call["set"]) == call["out"]


@calls("union")
def test_union(call):
    assert sets.join(call["first"], call["second"]) == call["out"]


@calls("intersection")
def test_intersection(call):
    assert sets.intersection(call["first"], call["second"]) == call["out"]


@calls("difference")
def test_difference(call):
    assert sets.difference(call["first"], call["second"]) == call["out"]


@calls("exclude")
def test_exclude(call):
    assert sets.exclude(call["first"], call["second"]) == call["out"]


@calls("update")
def test_update(call):
    claims, _ = owning.update(
        typed(call["live"]),
        typed(call["new"]),
        call["version"],
        claims_of(call["managers"]),
        call["manager"],
        rules(call),
    )
    assert shown(claims) == shown(claims_of(call["managersAfter"]))


@calls("apply")
def test_apply(call):
    live, config = typed(call["live"]), typed(call["config"])

    def answer():
        return owning.apply(
            live,
            config.value,
            call["version"],
            claims_of(call["managers"]),
            call["manager"],
            rules(call),
            force=call["force"],
        )

    if "conflicts" in call:
        with pytest.raises(Conflicts) as refused:
            answer()
        found = [[who, path] for who, fields in refused.value.found.items() for path in sets.paths(fields)]
        assert sorted(found) == sorted(call["conflicts"])
    elif call["error"]:
        with pytest.raises(ValueError):
            answer()
    else:
        value, claims = answer()
        assert shown(claims) == shown(claims_of(call["managersAfter"]))
        if "out" in call:
            assert root(value) == root(call["out"]["value"])


def typed(said):
    return Typed(node(*said["type"]), root(said["value"]))


def claims_of(managers):
    return {who: Claim(said["set"], said["version"]) for who, said in (managers or {}).items()}


def shown(claims):
    return {who: (claim.version, sets.paths(claim.fields)) for who, claim in claims.items()}


def renamed(value, version):
    """Convert as the tables' own converters do, where we ask for what was not recorded: they go by names of fields."""
    if not isinstance(value, dict):
        return value
    number = int(version[1:])

    def name_of(key):
        if len(set(key)) == 1:
            return key[0] * number
        return re.sub(r"_v\d$", f"_v{number}", key)

    return {name_of(key): renamed(item, version) for key, item in value.items()}


def _of_version(type_, version, of):
    return node(type_[0], {"namedType": version}) if re.fullmatch(r"v\d", type_[1]["namedType"]) else of.node


def rules(call):
    known = {
        (json.dumps(root(each["in"]["value"]), sort_keys=True), json.dumps(each["in"]["type"]), each["version"]): each
        for each in call["conversions"] or ()
    }
    types = {json.dumps(each["in"]["type"]): each["in"]["type"] for each in call["conversions"] or ()}
    types |= {json.dumps(call[key]["type"]): call[key]["type"] for key in ("live", "config", "new") if key in call}

    renames = any(each["error"] is None and each["in"]["value"] != each["out"]["value"] for each in known.values())

    def convert(of, version):
        value = json.dumps(of.value, sort_keys=True)
        for type_ in types:
            said = known.get((value, type_, version))
            if said is not None:
                return typed(said["out"]) if said["error"] is None else None
        if version in {each["version"] for each in call["conversions"] or () if each.get("missing")}:
            return None
        if not renames:
            return of
        return Typed(_of_version(call["live"]["type"], version, of), renamed(of.value, version))

    def keep(version, fields):
        ignored = call["ignored"].get(version)
        if ignored:
            fields = sets.exclude(fields, ignored)
        for given, out in call["filtered"].get(version, ()):
            if given == fields:
                return out
        return fields

    return owning.Rules(convert, keep)
