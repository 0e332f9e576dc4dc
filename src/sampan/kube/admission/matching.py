"""Matching: which writes a webhook or a policy is asked about, by its rules and selectors.

Spec: admissionregistration.k8s.io/v1 RuleWithOperations, NamedRuleWithOperations, MatchResources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sampan.kube import object as objects
from sampan.kube.admission.ask import Ask
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.selector import SelectorError, of_object

OWN_GROUP = "admissionregistration.k8s.io"
"""Webhooks and policies are never asked about webhooks and policies: who breaks one can mend it."""


class Criteria(NamedTuple):
    """What a webhook, a policy or a binding says of the writes that it is about."""

    rules: list[Object]
    excluded: list[Object]
    namespaces: Any
    objects: Any
    equivalent: bool
    """Writes through another version of the same resource count, too."""
    ruled: bool = True
    """False: without rules it is about everything."""


def of_webhook(hook: Object) -> Criteria:
    return Criteria(
        items(hook, "rules"),
        [],
        hook.get("namespaceSelector"),
        hook.get("objectSelector"),
        text(hook, "matchPolicy", missing="Equivalent") == "Equivalent",
    )


def of_resources(resources: Object, *, ruled: bool) -> Criteria:
    """Return the criteria in a MatchResources; `ruled` is False for those of a binding, which narrows its policy's."""
    return Criteria(
        items(resources, "resourceRules"),
        items(resources, "excludeResourceRules"),
        resources.get("namespaceSelector"),
        resources.get("objectSelector"),
        text(resources, "matchPolicy", missing="Equivalent") == "Equivalent",
        ruled,
    )


def any_rule(rules: Iterable[Object], ask: Ask) -> bool:
    """Return whether one of the rules is about a write, as it is asked."""
    return any(rule(each, ask) for each in rules)


def rule(said: Object, ask: Ask) -> bool:
    """Return whether a rule is about a write."""
    names = words(said, "resourceNames")
    return (
        _listed(words(said, "operations"), ask.operation)
        and _listed(words(said, "apiGroups"), ask.resource.group)
        and _listed(words(said, "apiVersions"), ask.resource.version)
        and _in_scope(text(said, "scope", missing="*"), ask)
        and any(_is(each, ask) for each in words(said, "resources"))
        and (not names or ask.name in names)
    )


def _listed(values: list[str], value: str) -> bool:
    return "*" in values or value in values


def _in_scope(scope: str, ask: Ask) -> bool:
    return scope == "*" or (scope == "Namespaced") == ask.namespaced


def _is(said: str, ask: Ask) -> bool:
    """Return whether `pods`, `pods/status`, `pods/*`, `*/scale`, `*` or `*/*` means what is asked about."""
    resource, _, subresource = said.partition("/")
    return resource in ("*", ask.resource.resource) and subresource in ("*", ask.subresource)


def selects_object(selector: Any, ask: Ask) -> bool:
    """Return whether the object before or after the write has the labels."""
    if not _says_something(selector):
        return True
    return any(_matches(selector, objects.labels(obj)) for obj in (ask.object, ask.old) if obj is not None)


def needs_namespace(selector: Any, ask: Ask) -> bool:
    """Return whether the labels of the namespace decide. What lies in none is never left out by them."""
    return _says_something(selector) and bool(ask.namespace)


def own_labels(ask: Ask) -> dict[str, str] | None:
    """Return the labels of a namespace that is made or changed by this write itself; None for all others."""
    if ask.of_namespace and not ask.subresource and ask.object is not None:
        return objects.labels(ask.object)
    return None


def selects_namespace(selector: Any, labels: dict[str, str]) -> bool:
    return _matches(selector, labels)


def _says_something(selector: Any) -> bool:
    return bool(mapping(selector, "matchLabels") or items(selector, "matchExpressions"))


def _matches(selector: Any, labels: dict[str, str]) -> bool:
    try:
        return of_object(selector).matches(labels)
    except SelectorError:
        return False
