"""What strict decoding lets through breaks no kind: a wrong value is refused there, or by the kind's own rules."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from sampan.kube.catalog import RESOURCES, STRATEGIES
from sampan.kube.resource import Resource
from sampan.kube.schema import builtin, check
from unit.kube.kinds.edits import run
from unit.kube.whole import broken, whole

RULED = [resource for resource in RESOURCES if (resource.group, resource.kind) in STRATEGIES]
COUNT = 150


@pytest.mark.parametrize("resource", RULED, ids=lambda resource: f"{resource.plural}.{resource.group}")
def test_what_is_decoded(resource: Resource) -> None:
    node, obj = builtin.definition(resource.definition), whole(resource.definition)
    check.check(node, copy.deepcopy(obj))  # a whole object is a good one
    passed = 0
    for each in (obj, {}, {"metadata": {}}, {"metadata": {}, "spec": {}}, *broken(obj, COUNT, resource.kind)):
        try:
            check.check(node, each)
        except check.WrongType:
            continue
        run(STRATEGIES[resource.group, resource.kind], each)
        passed += 1
    assert passed > 4


@pytest.mark.parametrize(
    ("group", "kind", "obj", "key"),
    [
        ("", "ConfigMap", {"data": {"k": None}, "binaryData": {"b": None}}, "data"),
        ("", "Secret", {"data": {"k": None}}, "data"),
        ("", "LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": None}}]}}, "spec"),
        ("", "ResourceQuota", {"spec": {"hard": {"pods": None}}}, "spec"),
    ],
)
def test_null_in_a_map_is_the_zero_value(group: str, kind: str, obj: Any, key: str) -> None:
    resource = next(each for each in RULED if (each.group, each.kind) == (group, kind))
    check.check(builtin.definition(resource.definition), obj)
    assert b"null" not in msgspec.json.encode(obj[key])
    run(STRATEGIES[group, kind], obj)
