"""Structural schemas: what values break of them, and what is left alone because it was there before."""

from __future__ import annotations

import time

import pytest

from sampan.kube.schema import structural

TEXT = {"type": "string", "pattern": "^[[:alpha:]]+$"}
ITEM = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}, "text": TEXT}}
SCHEMA = {
    "type": "object",
    "properties": {
        "text": TEXT,
        "flag": {"type": "boolean"},
        "count": {"type": "integer", "maximum": 5},
        "map": {"type": "object", "additionalProperties": TEXT},
        "list": {"type": "array", "items": TEXT},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": ITEM,
        },
    },
}
NODE = structural.node_of(SCHEMA)


def wrong(new, *old):
    return [fault.path for fault in structural.validate(NODE, new, **({"old": old[0]} if old else {}))]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^[[:alpha:]]+$", "abc", True),
        ("^[[:alpha:]]+$", "a1", False),
        (r"^\p{Greek}+$", "αβγ", True),
        (r"^\d+$", "١٢", False),
        ("^a$", "a\n", False),
        ("^a$(?-m)", "a", True),
    ],
)
def test_patterns_are_those_of_go(pattern, text, fits):
    node = structural.node_of({"type": "string", "pattern": pattern})
    assert (structural.validate(node, text) == []) is fits


def test_no_pattern_takes_forever():
    node = structural.node_of({"type": "string", "pattern": "^(a+)+$"})
    began = time.process_time()
    assert structural.validate(node, "a" * 5000 + "!")
    assert time.process_time() - began < 1.0


def test_what_is_as_it_was_is_not_judged():
    old = {"text": "1", "count": 9, "map": {"a": "1", "b": "b"}, "keyed": [{"key": "x", "text": "1"}, {"key": "y"}]}
    assert wrong(old) == ["text", "count", "map[a]", "keyed[0].text"]
    assert wrong(old, old) == []
    assert wrong({**old, "flag": True}, old) == []
    assert wrong({**old, "count": 8}, old) == ["count"]
    assert wrong({**old, "map": {"a": "1", "b": "2"}}, old) == ["map[b]"]


def test_items_are_known_by_their_keys_only():
    old = {"keyed": [{"key": "x", "text": "1"}, {"key": "y", "text": "1"}], "list": ["1", "2"]}
    turned = {"keyed": [*reversed(old["keyed"]), {"key": "z"}], "list": ["1", "2"]}
    assert wrong(turned, old) == []
    assert wrong({"keyed": [{"key": "new", "text": "1"}]}, old) == ["keyed[0].text"]
    assert wrong({"list": ["1"]}, old) == ["list[0]"]


def test_one_is_not_true():
    assert wrong({"count": True}, {"count": 1}) == ["count"]
    assert wrong({"flag": 1}, {"flag": True}) == ["flag"]


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        ({"type": "string", "maxLength": 2}, "abc", "x: Too long: may not be more than 2 bytes"),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
            [1, 2],
            "x: Too many: 2: must have at most 1 items",
        ),
        ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, "x: Too many: 2: must have at most 1 items"),
        ({"type": "string", "minLength": 2}, "a", 'x: Invalid value: "a": x in body should be at least 2 chars long'),
    ],
)
def test_the_words_of_bounds(schema, value, why):
    assert [str(fault) for fault in structural.validate(structural.node_of(schema), value, "x")] == [why]


ADDRESS = structural.node_of(
    {
        "type": "object",
        "properties": {"type": {"type": "string"}, "value": {"type": "string"}},
        "oneOf": [
            {
                "properties": {
                    "type": {"enum": ["IPAddress"]},
                    "value": {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
                }
            },
            {"properties": {"type": {"not": {"enum": ["IPAddress"]}}}},
        ],
    }
)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ({"type": "IPAddress", "value": "1.2.3.4"}, True),
        ({"type": "IPAddress", "value": "1234::"}, True),
        ({"type": "Hostname", "value": "a.b"}, True),
        ({"type": "IPAddress", "value": "a.b"}, False),
    ],
)
def test_parts_of_a_choice_judge_fields(value, right):
    """As Gateways write their addresses."""
    assert (structural.validate(ADDRESS, value) == []) is right


def test_parts_of_a_choice_judge_items():
    some = {"items": {"enum": ["a"]}}
    node = structural.node_of({"type": "array", "items": {"type": "string"}, "anyOf": [some, {"maxItems": 1}]})
    assert structural.validate(node, ["a", "a"]) == structural.validate(node, ["b"]) == []
    assert structural.validate(node, ["a", "b"])
