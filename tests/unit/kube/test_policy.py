"""Policies in Python: loading, judging, telling what is different."""

from __future__ import annotations

import pytest

from sampan.kube.policy import Asked, Broken, differences, judged, loaded

ASKED = Asked("UPDATE", "", "v1", "Pod", "pods", "ns", "p", old={"metadata": {"name": "p"}})


def policy(body, head="    pass", **fields):
    lines = "".join(f"    {key} = {value!r}\n" for key, value in fields.items())
    return loaded(f"class P:\n{lines}{head}\n    def admit(self, obj, asked):\n        {body}\n", "p.py")[0]


def pod(**more):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **more}}


def test_what_is_loaded():
    text = """
from sampan.kube.policy import Policy, Refused

class A(Policy):
    def admit(self, obj):
        pass

class _Hidden(Policy):
    pass

class Other:
    pass

class B:
    kinds = ["Pod"]
    operations = ("DELETE",)
    def admit(self, obj, asked):
        pass

Again = A
"""
    first, second = loaded(text, "two.py")
    assert (first.name, first.kinds, first.operations, first.told) == ("A", ("*",), ("CREATE", "UPDATE"), False)
    assert (second.name, second.kinds, second.operations, second.told) == ("B", ("Pod",), ("DELETE",), True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("class P:\n    async def admit(self, obj): pass", "must be a plain function"),
        ("class P:\n    def admit(self): pass", "must be a plain function"),
        ("class P:\n    def __init__(self, x): pass\n    def admit(self, obj): pass", "TypeError"),
        ("class P:\n    kinds = (1,)\n    def admit(self, obj): pass", "must be a tuple of names"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(line 1\)"),
        ("from sampan.kube.policy import Policy", "there is no class"),
    ],
)
def test_what_is_not(text, why):
    with pytest.raises(Broken, match=why):
        loaded(text, "p.py")


@pytest.mark.parametrize(
    ("kinds", "group", "kind", "about"),
    [
        (("*",), "", "Pod", True),
        (("Pod",), "", "Pod", True),
        (("Deployment",), "apps", "Deployment", True),
        (("apps/Deployment",), "apps", "Deployment", True),
        (("apps/Deployment",), "other", "Deployment", False),
        (("Pod", "Job"), "batch", "Job", True),
        (("Pod",), "batch", "Job", False),
    ],
)
def test_what_it_is_about(kinds, group, kind, about):
    assert policy("pass", kinds=kinds).about("CREATE", group, kind) is about


def test_verdicts():
    assert judged(policy("pass"), pod(), ASKED) == ("", "", None)
    assert judged(policy("obj['metadata']['labels'] = {'a': 'b'}"), pod(), ASKED).changed == pod(labels={"a": "b"})
    refusing = policy("from sampan.kube.policy import Refused; raise Refused('no\\n  way')")
    assert judged(refusing, pod(), ASKED).refusal == "no way"
    assert judged(policy("obj['x'][0]"), pod(), ASKED).failure == "KeyError: 'x' (line 4)"
    assert "it changed one of" in judged(policy("obj['kind'] = 'Node'"), pod(), ASKED).failure
    assert "it changed one of" in judged(policy("obj.clear()"), pod(), ASKED).failure


def test_neither_object_is_changed():
    before = pod()
    judged(policy("obj['metadata']['name'] = asked.old['metadata']['name'] = 'other'"), before, ASKED)
    assert (before, ASKED.old) == (pod(), {"metadata": {"name": "p"}})


def test_what_a_deletion_changes_is_nothing():
    asked = Asked("DELETE", "", "v1", "Pod", "pods", "ns", "p")
    assert judged(policy("obj['x'] = 1"), pod(), asked).changed is None


def test_differences():
    before = {"a": 1, "b": {"c": [1, 2]}, "d": [1], "e": "x"}
    after = {"a": 2, "b": {"c": [1, 3]}, "d": [1, 2], "f": "y" * 100}
    assert list(differences(before, after)) == [
        "/a: 1 becomes 2",
        "/b/c/1: 2 becomes 3",
        "/d: [1] becomes [1,2]",
        "/e is removed",
        f'/f: "{"y" * 76}... is added',
    ]
    assert list(differences(after, after)) == []
