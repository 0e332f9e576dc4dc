"""JSON patch by the cases of RFC 6902's appendix, merge patch by those of RFC 7386's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.kube.patch import json as json_patch
from sampan.kube.patch import merge
from sampan.kube.status import ApiError


def patched(document, *operations):
    return json_patch.apply(document, json_patch.parse(json.dumps(operations).encode()))


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, {"op": "remove", "path": "/baz"}, {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, {"op": "remove", "path": "/foo/1"}, {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, {"op": "replace", "path": "/baz", "value": "boo"}, {"baz": "boo"}),
        (
            {"foo": {"bar": "baz"}, "qux": {}},
            {"op": "move", "from": "/foo/bar", "path": "/qux/thud"},
            {"foo": {}, "qux": {"thud": "baz"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            {"op": "move", "from": "/foo/1", "path": "/foo/3"},
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"foo": "bar"},
            {"op": "add", "path": "/child", "value": {"grandchild": {}}},
            {"foo": "bar", "child": {"grandchild": {}}},
        ),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["abc"]}, {"foo": ["bar", ["abc"]]}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a": 1}, {"op": "add", "path": "", "value": {"b": 2}}, {"b": 2}),
        ({"a": None}, {"op": "test", "path": "/b", "value": None}, {"a": None}),
    ],
)
def test_operations(before, operation, after):
    kept = json.dumps(before)
    assert patched(before, operation) == after
    assert json.dumps(before) == kept


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/baz", "value": "bar"},
        {"op": "add", "path": "/none/baz", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "move", "from": "/none", "path": "/x"},
        {"op": "move", "from": "/map", "path": "/map/x"},
        {"op": "unknown", "path": "/x"},
        {"op": "add", "path": "/x"},
        {"op": "add", "path": "no slash", "value": 1},
        {"op": "test", "path": "/one", "value": True},
    ],
)
def test_operations_that_cannot_be_done(operation):
    with pytest.raises(ApiError) as refused:
        patched({"baz": "qux", "list": [1], "map": {}, "one": 1}, operation)
    assert refused.value.code == 422


def test_bodies_that_are_no_patch():
    for body in (b"{}", b"[1]", b'[{"op":"add"}]', b"[", b"\xff"):
        with pytest.raises(ApiError) as refused:
            json_patch.parse(body)
        assert refused.value.code == 400
    with pytest.raises(ApiError) as refused:
        json_patch.parse(json.dumps([{"op": "test", "path": "", "value": 1}] * 10_001).encode())
    assert refused.value.code == 413


def test_copies_do_not_grow_without_bound():
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(ApiError) as refused:
        patched({"a": ["x" * 100]}, *doubling)
    assert refused.value.code == 413


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "foo"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges(before, patch, after):
    assert merge.apply(before, patch) == after


values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(st.text(max_size=2), values, max_size=4)


@given(maps, maps)
def test_a_difference_leads_there(old, new):
    assert merge.apply(old, merge.diff(old, new)) == new


@given(maps, maps)
def test_a_merge_is_idempotent(old, patch):
    once = merge.apply(old, patch)
    assert merge.apply(once, patch) == once
