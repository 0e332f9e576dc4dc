"""Which writes rules and selectors are about. Spec: admissionregistration.k8s.io/v1 RuleWithOperations."""

from __future__ import annotations

import pytest

from sampan.kube.admission import matching
from sampan.kube.admission.ask import Ask, Kind, Place


def ask(what="pods", group="", version="v1", operation="CREATE", namespace="ns", name="x", **more):
    resource, _, subresource = what.partition("/")
    kind = Kind(group, version, "Any")
    place = Place(group, version, resource)
    obj, old = more.get("object", {"metadata": {}}), more.get("old")
    return Ask(operation, kind, place, subresource, namespace, name, obj, old, {}, False, {})


def rule(resources="pods", groups="", versions="v1", operations="CREATE", **more):
    return {
        "operations": operations.split(), "apiGroups": groups.split(" "), "apiVersions": versions.split(),
        "resources": resources.split(), **more,
    }  # fmt: skip


POD, STATUS, NODE = ask(), ask("pods/status", operation="UPDATE"), ask("nodes", namespace="")
NAMESPACE = ask("namespaces", namespace="x")
SCALE = ask("deployments/scale", "apps", operation="UPDATE")


@pytest.mark.parametrize(
    ("said", "asked", "about"),
    [
        (rule(), POD, True),
        (rule("services"), POD, False),
        (rule("services pods"), POD, True),
        (rule("*"), POD, True),
        (rule("*/*"), POD, True),
        (rule("pods/*"), POD, True),
        (rule("pods/status"), POD, False),
        (rule(operations="UPDATE"), POD, False),
        (rule(operations="UPDATE CREATE"), POD, True),
        (rule(operations="*"), POD, True),
        (rule(groups="apps"), POD, False),
        (rule(groups="apps "), POD, True),  # "" is the core group
        (rule(groups="*"), POD, True),
        (rule(versions="v1beta1"), POD, False),
        (rule(versions="*"), POD, True),
        # subresources
        (rule("pods", operations="*"), STATUS, False),
        (rule("*", operations="*"), STATUS, False),
        (rule("pods/status", operations="*"), STATUS, True),
        (rule("pods/*", operations="*"), STATUS, True),
        (rule("*/status", operations="*"), STATUS, True),
        (rule("*/*", operations="*"), STATUS, True),
        (rule("*/scale", operations="*"), STATUS, False),
        (rule("*/scale", groups="apps", operations="UPDATE"), SCALE, True),
        # scope: a namespace lies in none
        (rule(scope="Namespaced"), POD, True),
        (rule(scope="Cluster"), POD, False),
        (rule("nodes", scope="Cluster"), NODE, True),
        (rule("nodes", scope="Namespaced"), NODE, False),
        (rule("namespaces", scope="Cluster"), NAMESPACE, True),
        (rule("namespaces", scope="Namespaced"), NAMESPACE, False),
        (rule("namespaces", scope="*"), NAMESPACE, True),
        # names, of policies only
        (rule(resourceNames=["x", "y"]), POD, True),
        (rule(resourceNames=["y"]), POD, False),
        # CONNECT
        (rule("pods/exec", operations="CONNECT"), ask("pods/exec", operation="CONNECT", object=None), True),
        (rule("pods/exec", operations="CREATE"), ask("pods/exec", operation="CONNECT", object=None), False),
        # a rule that says nothing is about nothing
        ({}, POD, False),
    ],
)
def test_rules(said, asked, about):
    assert matching.rule(said, asked) is about


def labelled(**labels):
    return {"metadata": {"labels": labels}}


@pytest.mark.parametrize(
    ("selector", "obj", "old", "chosen"),
    [
        (None, labelled(), None, True),
        ({}, labelled(), None, True),
        ({"matchLabels": {"a": "b"}}, labelled(a="b"), None, True),
        ({"matchLabels": {"a": "b"}}, labelled(a="c"), None, False),
        ({"matchLabels": {"a": "b"}}, labelled(a="c"), labelled(a="b"), True),  # who takes off a label is judged yet
        ({"matchLabels": {"a": "b"}}, None, labelled(a="b"), True),
        ({"matchLabels": {"a": "b"}}, None, None, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, labelled(b="c"), None, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, labelled(a="b"), None, False),
        ({"matchExpressions": [{"key": "a", "operator": "Resembles"}]}, labelled(a="b"), None, False),
    ],
)
def test_selectors_of_objects(selector, obj, old, chosen):
    assert matching.selects_object(selector, ask(object=obj, old=old)) is chosen


def test_selectors_of_namespaces():
    selector = {"matchLabels": {"a": "b"}}
    assert matching.needs_namespace(selector, POD)
    assert not matching.needs_namespace({}, POD)
    assert not matching.needs_namespace(selector, NODE)
    assert matching.own_labels(POD) is None
    assert matching.own_labels(ask("namespaces", namespace="x", object=labelled(a="b"))) == {"a": "b"}
    assert matching.own_labels(ask("namespaces", namespace="x", operation="DELETE", object=None)) is None
    assert matching.own_labels(ask("namespaces/status", namespace="x", object=labelled(a="b"))) is None
    assert matching.selects_namespace(selector, {"a": "b"})
    assert not matching.selects_namespace(selector, {})


def test_criteria():
    hook = {"rules": [rule()], "matchPolicy": "Exact"}
    assert not matching.of_webhook(hook).equivalent
    assert matching.of_webhook({"rules": []}).equivalent
    resources = {"resourceRules": [rule()], "excludeResourceRules": [rule(resourceNames=["y"])]}
    criteria = matching.of_resources(resources, ruled=True)
    assert matching.any_rule(criteria.rules, POD)
    assert not matching.any_rule(criteria.excluded, POD)
