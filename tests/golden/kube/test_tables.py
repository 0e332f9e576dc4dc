"""The tables by which Kubernetes tests its own patches, quantities and selectors.

tables.json.zst is made by scripts/extract-tables of k8s.io/apimachinery's tests (Apache License 2.0, The Kubernetes Authors).
"""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from backports import zstd

from sampan.kube import quantity, selector
from sampan.kube.patch import merge, strategic
from sampan.kube.schema.node import Kind, Node
from sampan.kube.status import ApiError

TABLES = json.loads(zstd.decompress((Path(__file__).parent / "tables.json.zst").read_bytes()))


def a_list(element, strategy="", key=""):
    node = Node(Kind.ARRAY)
    node.element, node.patch_merge_key = element, key
    node.patch_strategy = tuple(strategy.split(",")) if strategy else ()
    return node


def schema():
    """Return the schema of the tables' own kind."""
    item, inner, numbers, text = Node(Kind.OBJECT), Node(Kind.OBJECT), Node(Kind.INTEGER), Node(Kind.STRING)
    simple, replaced = Node(Kind.MAP), Node(Kind.ANY)
    simple.element, replaced.patch_strategy = text, ("replace",)
    lists = {
        "simpleMap": simple,
        "mergingList": a_list(item, "merge", "name"),
        "nonMergingList": a_list(item),
        "mergingIntList": a_list(numbers, "merge"),
        "nonMergingIntList": a_list(numbers),
    }
    inner.properties, inner.patch_strategy = lists, ("retainKeys",)
    item.properties = {
        **lists,
        "mergeItemPtr": a_list(item, "merge", "name"),
        "replacingItem": replaced,
        "retainKeysMap": inner,
        "retainKeysMergingList": a_list(item, "merge,retainKeys", "name"),
    }
    return item


SCHEMA = schema()


def in_order(node, value):
    """Return a map whose lists that are merged are in the order of their keys, in all its depth."""
    out = {}
    for key, item in value.items():
        child = node.child(key) if node is not None else None
        if key.startswith(("$retainKeys", "$deleteFromPrimitiveList")):
            item = sorted(item, key=str)
        elif isinstance(item, dict):
            item = in_order(child, item)
        elif isinstance(item, list) and child is not None and "merge" in child.patch_strategy:
            name = child.patch_merge_key
            if name and item:
                item = sorted((in_order(child.element, each) for each in item), key=lambda each: str(each.get(name)))
            else:
                item = sorted(set(item), key=str)
        out[key] = item
    return out


@pytest.mark.parametrize("case", TABLES["strategic"], ids=lambda case: case["name"])
def test_strategic_merge(case):
    shape = (lambda value: in_order(SCHEMA, value)) if case["sorted"] else (lambda value: value)
    original, patch = shape(case["original"]), shape(case["patch"])
    kept = json.dumps([original, patch])
    if "error" in case:
        with pytest.raises(ApiError, match=case["error"]) as refused:
            strategic.apply(SCHEMA, original, patch)
        assert refused.value.code == 400
    else:
        assert strategic.apply(SCHEMA, original, patch) == shape(case["result"])
    assert json.dumps([original, patch]) == kept


@pytest.mark.parametrize("case", TABLES["merge"], ids=lambda case: case["name"])
def test_merge(case):
    assert merge.apply(case["original"], case["patch"]) == case["result"]


FORMS = {"DecimalSI": "decimal", "BinarySI": "binary", "DecimalExponent": "exponent"}


@pytest.mark.parametrize(("text", "number", "power", "form"), TABLES["quantity"], ids=str)
def test_quantities(text, number, power, form):
    if number is None:
        with pytest.raises(quantity.QuantityError):
            quantity.parse(text)
        return
    amount = number * Fraction(10) ** power
    for sign, times in (("", 1), ("+", 1), ("-", -1)):
        assert quantity.parse(sign + text) == (amount * times, FORMS[form])


@pytest.mark.parametrize(("text", "expected"), TABLES["canonical"])
def test_canonical_quantities(text, expected):
    assert quantity.canonical(text) == expected
    if expected != "0":
        assert quantity.canonical(f"-{text}") == f"-{expected}"


@pytest.mark.parametrize("text", TABLES["labels"]["good"])
def test_selectors(text):
    selector.parse_labels(text)


@pytest.mark.parametrize("text", TABLES["labels"]["bad"])
def test_selectors_that_are_none(text):
    with pytest.raises(selector.SelectorError):
        selector.parse_labels(text)


@pytest.mark.parametrize(("text", "labels"), TABLES["labels"]["match"])
def test_selectors_that_match(text, labels):
    assert selector.parse_labels(text).matches(labels)


@pytest.mark.parametrize(("text", "labels"), TABLES["labels"]["mismatch"])
def test_selectors_that_do_not_match(text, labels):
    assert not selector.parse_labels(text).matches(labels)
