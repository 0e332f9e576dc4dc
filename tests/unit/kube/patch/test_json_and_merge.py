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
        ({"a": [1, 2]}, {"op": "replace", "path": "/a/-1", "value": 3}, {"a": [1, 3]}),
        ({"a": [1, 2]}, {"op": "add", "path": "/a/-1", "value": 3}, {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/-2"}, {"a": [2]}),
        ({"a": [1, 2]}, {"op": "add", "path": "/a/2", "value": 3}, {"a": [1, 2, 3]}),
        (
            {"a": {"b": [{"c": 1}]}},
            {"op": "test", "path": "/a", "value": {"b": [{"c": 1.0}]}},
            {"a": {"b": [{"c": 1}]}},
        ),
        ({"a": 1}, {"op": "replace", "path": "", "value": [2]}, [2]),
        ({"a": 1, "b": 2}, {"op": "move", "from": "/a", "path": "/b"}, {"b": 1}),
        ({"": {"~": 1, "": 2}}, {"op": "replace", "path": "//~0", "value": 3}, {"": {"~": 3, "": 2}}),
    ],
)
def test_operations(before, operation, after):
    kept = json.dumps(before)
    assert patched(before, operation) == after
    assert json.dumps(before) == kept


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "test", "path": "/baz", "value": "bar"}, "testing value /baz failed"),
        ({"op": "test", "path": "/one", "value": True}, "testing value /one failed"),
        ({"op": "test", "path": "/list", "value": [True]}, "testing value /list failed"),
        ({"op": "test", "path": "/map", "value": {"a": 1}}, "testing value /map failed"),
        (
            {"op": "test", "path": "/list/7", "value": 1},
            "test operation does not apply: Unable to access invalid index: 7",
        ),
        (
            {"op": "add", "path": "/none/baz", "value": 1},
            'add operation does not apply: doc is missing path: "/none/baz": missing value',
        ),
        (
            {"op": "add", "path": "/one/baz", "value": 1},
            'add operation does not apply: doc is missing path: "/one/baz": missing value',
        ),
        ({"op": "remove", "path": "/none"}, "Unable to remove nonexistent key: none: missing value"),
        (
            {"op": "replace", "path": "/none", "value": 1},
            "replace operation does not apply: doc is missing key: /none: missing value",
        ),
        (
            {"op": "replace", "path": "/list/1", "value": 1},
            "Unable to access invalid index: 1: invalid index referenced",
        ),
        ({"op": "replace", "path": "/list/-", "value": 1}, 'invalid array index "-"'),
        ({"op": "add", "path": "/list/9", "value": 1}, "Unable to access invalid index: 9: invalid index referenced"),
        ({"op": "add", "path": "/list/-3", "value": 1}, "Unable to access invalid index: -3: invalid index referenced"),
        ({"op": "add", "path": "/list/01", "value": 1}, 'invalid array index "01"'),
        ({"op": "add", "path": "/list/\u0661", "value": 1}, "invalid array index"),
        ({"op": "add", "path": "/list/" + "9" * 5000, "value": 1}, "invalid array index"),
        ({"op": "move", "from": "/none", "path": "/x"}, "move operation does not apply: doc is missing path"),
        ({"op": "move", "from": "/map", "path": "/map/x"}, "a value cannot be moved into itself"),
        ({"op": "copy", "path": "/map/x"}, "copy operation does not apply: from is missing"),
        ({"op": "unknown", "path": "/x"}, "Unexpected kind: unknown"),
        ({"op": "add", "path": "/x"}, "add operation does not apply: value is missing"),
        ({"op": "add", "path": "no slash", "value": 1}, 'invalid path "no slash": it must begin with /'),
    ],
)
def test_operations_that_cannot_be_done(operation, message):
    before = {"baz": "qux", "list": [1], "map": {}, "one": 1}
    kept = json.dumps(before)
    with pytest.raises(ApiError) as refused:
        patched(before, {"op": "add", "path": "/map/new", "value": 1}, operation)
    assert refused.value.code == 422
    assert message in str(refused.value)
    assert json.dumps(before) == kept


def test_bodies_that_are_no_patch():
    for body in (b"{}", b"[1]", b'[{"op":"add"}]', b"[", b"\xff", b'[{"op":"\xff","path":""}]', b"[" * 100_000):
        with pytest.raises(ApiError) as refused:
            json_patch.parse(body)
        assert refused.value.code == 400
    with pytest.raises(ApiError) as refused:
        json_patch.parse(json.dumps([{"op": "test", "path": "", "value": 1}] * 10_001).encode())
    assert refused.value.code == 413


def test_a_copy_is_none_of_the_original():
    found = patched({"a": {"b": [1]}}, {"op": "copy", "from": "/a", "path": "/c"})
    found["c"]["b"].append(2)
    assert found["a"] == {"b": [1]}


def test_what_a_patch_leaves_alone_is_shared():
    before = {"a": {"b": []}, "c": {"d": []}}
    found = patched(before, {"op": "add", "path": "/a/b/-", "value": 1})
    assert found == {"a": {"b": [1]}, "c": {"d": []}}
    assert found["c"] is before["c"]


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


def difference(old, new):
    """Return the patch that makes `new` out of `old`."""
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        patch[key] = difference(old[key], value) if both else value
    return patch


@given(maps, maps)
def test_a_difference_leads_there(old, new):
    assert merge.apply(old, difference(old, new)) == new


@given(maps, maps)
def test_a_merge_is_idempotent(old, patch):
    once = merge.apply(old, patch)
    assert merge.apply(once, patch) == once
