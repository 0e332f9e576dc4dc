"""x-kubernetes-validations: what rules say when they fail, and how much they may take."""

from __future__ import annotations

import pytest

from sampan.kube.crd import schema
from sampan.kube.crd.rules import Rules
from sampan.kube.schema import structural

NUMBERS = {"type": "array", "items": {"type": "integer"}}


def rules(*said, items=None):
    """Return the rules of a schema with `numbers` and `rows`, which have rules of their own."""
    row = {"type": "object", "properties": {"numbers": NUMBERS}, "x-kubernetes-validations": items or []}
    properties = {"numbers": NUMBERS, "text": {"type": "string"}, "rows": {"type": "array", "items": row}}
    listed = [each if isinstance(each, dict) else {"rule": each} for each in said]
    schema = {"type": "object", "properties": properties, "x-kubernetes-validations": listed}
    return Rules(structural.node_of(schema))


def said(made, obj):
    return [(fault.path, fault.detail) for fault in made.judge(obj)]


PAIRS = "self.numbers.all(x, self.numbers.all(y, x + y >= 0))"


def test_what_rules_say():
    assert said(rules("self.text == 'a'"), {"text": "b"}) == [("<nil>", "failed rule: self.text == 'a'")]
    assert said(rules({"rule": "false", "message": "never"}), {}) == [("<nil>", "never")]
    assert said(rules("self.text == 'a'"), {}) == [("<nil>", "no such key: text evaluating rule: self.text == 'a'")]
    wrong = "call arguments did not match a supported operator, function or macro signature for rule: self.text > 1"
    assert said(rules("self.text > 1"), {"text": "a"}) == [("<nil>", wrong)]
    assert said(rules("self.text == 'a'"), {"text": "a"}) == []


def test_a_rule_that_takes_too_much_is_the_last():
    obj = {"numbers": list(range(1000))}
    why = f"no further validation rules will be run due to call cost exceeds limit for rule: {PAIRS}"
    assert said(rules(PAIRS, "false"), obj) == [("<nil>", why)]


def test_all_rules_of_an_object_may_take_so_much():
    """Each row's rule is quick; there are too many of them, and this is said once."""
    obj = {"rows": [{"numbers": list(range(100))} for _ in range(1000)]}
    [(path, why)] = said(rules(items=[{"rule": PAIRS}]), obj)
    assert path.startswith("rows[")
    assert why == "validation failed due to running out of cost budget, no further validation rules will be run"


def test_many_quick_rules_fit():
    obj = {"rows": [{"numbers": [1, 2]} for _ in range(5000)]}
    assert said(rules(items=[{"rule": "size(self.numbers) == 2"}]), obj) == []


def changed(made, new, old):
    return [fault.path for fault in made.judge(new, old)]


def test_rules_let_what_is_as_it_was_be():
    old = {"rows": [{"numbers": [1]}], "text": "a"}
    made = rules("self.text != 'a'", items=[{"rule": "size(self.numbers) > 1"}])
    assert changed(made, old, old) == []
    assert changed(made, {**old, "numbers": [1]}, old) == ["<nil>"]
    assert changed(made, {**old, "rows": [*old["rows"], {"numbers": [1, 2]}]}, old) == ["<nil>", "rows[0]"]  # no keys


def test_rules_about_changes():
    made = rules("self.text >= oldSelf.text")
    assert changed(made, {"text": "b"}, {"text": "a"}) == []
    assert changed(made, {"text": "a"}, {"text": "b"}) == ["<nil>"]
    assert said(made, {"text": "a"}) == []
    assert changed(rules("oldSelf.text != 'a'"), {"text": "a"}, {"text": "a"}) == ["<nil>"]


def test_an_optional_past_is_there_when_something_changes():
    said_once = {"rule": "oldSelf.hasValue() ? self.text != 'new' : self.text == 'new'", "optionalOldSelf": True}
    made = rules(said_once)
    assert said(made, {"text": "new"}) == []
    assert [path for path, _ in said(made, {"text": "old"})] == ["<nil>"]
    assert changed(made, {"text": "old"}, {"text": "new"}) == []
    assert changed(made, {"text": "new"}, {"text": "old"}) == ["<nil>"]


@pytest.mark.parametrize(
    ("kind", "rule", "why"),
    [
        ({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}, "self.k == oldSelf.k", ""),
        ({}, "self.k == oldSelf.k", "oldSelf cannot be used on the uncorrelatable portion of the schema within p"),
        ({}, {"rule": "oldSelf.hasValue()", "optionalOldSelf": True}, ""),
        ({}, "self.k + 1 == 2", "found no matching overload for '_+_' applied to '(string, int)'"),
        ({}, "self.k", "must evaluate to a bool"),
        ({}, {"rule": "self.k != ''", "messageExpression": "size(self.k)"}, "must evaluate to a string"),
    ],
)
def test_rules_that_cannot_be(kind, rule, why):
    rule = rule if isinstance(rule, dict) else {"rule": rule}
    item = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}
    listed = {"type": "array", **kind, "items": {**item, "x-kubernetes-validations": [rule]}}
    found = schema.faults("p", {"type": "object", "properties": {"list": listed}})
    assert len(found) == bool(why), found
    assert all(why in str(fault) for fault in found)
