"""What a policy's expressions get wrong about the kinds that it judges: told in its status, and no reason to refuse it.

Spec: admissionregistration.k8s.io/v1 TypeChecking; Kubernetes documentation, "Validating Admission Policy", "Type checking".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from sampan.kube.admission.expression import BODY_VARIABLES
from sampan.kube.cel import types
from sampan.kube.cel.fault import CelError
from sampan.kube.cel.program import compile as compiled
from sampan.kube.object import Object
from sampan.kube.reading import items, text, words
from sampan.kube.schema.node import Node

_MOST_KINDS = 10
_FIELDS = ("expression", "messageExpression")


class Judged(NamedTuple):
    """A kind that a policy is about."""

    api_version: str
    kind: str
    node: Node


Find = Callable[[str, str, str], Judged | None]
"""`find(group, version, plural)`; None where no such resource with a schema is served."""


def warnings(policy: Object, find: Find) -> list[Object]:
    """Return the expressionWarnings of a policy's status."""
    judged = list(_kinds(policy, find))[:_MOST_KINDS]
    scopes = [(each, _scope(policy, each)) for each in judged]
    found = []
    for index, validation in enumerate(items(policy, "spec", "validations")):
        for field in _FIELDS:
            said = text(validation, field)
            told = [
                f"{each.api_version}, Kind={each.kind}: {why}" for each, scope in scopes if (why := _why(said, scope))
            ]
            if told:
                found.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": "\n".join(told)})
    return found


def _kinds(policy: Object, find: Find) -> Iterator[Judged]:
    """Yield the kinds that a policy names; wildcards and subresources name none."""
    seen: set[tuple[str, str]] = set()
    for rule in items(policy, "spec", "matchConstraints", "resourceRules"):
        for group in words(rule, "apiGroups"):
            for version in words(rule, "apiVersions"):
                for plural in words(rule, "resources"):
                    named = "*" not in (group, version) and "*" not in plural and "/" not in plural
                    judged = find(group, version, plural) if named else None
                    if judged is not None and (judged.api_version, judged.kind) not in seen:
                        seen.add((judged.api_version, judged.kind))
                        yield judged


def _scope(policy: Object, judged: Judged) -> types.Scope:
    """Return the types of what the expressions see, the policy's own variables among them."""
    of = types.of_node(judged.node)
    scope = {"object": of, "oldObject": of}
    for variable in items(policy, "spec", "variables"):
        scope[f"variables.{text(variable, 'name')}"] = _type(text(variable, "expression"), scope)
    return scope


def _type(said: str, scope: Mapping[str, types.Of]) -> types.Of:
    try:
        return types.check(compiled(said, BODY_VARIABLES).tree, scope, said)
    except CelError:
        return types.DYN


def _why(said: str, scope: types.Scope) -> str:
    try:
        if said.strip():
            types.check(compiled(said, BODY_VARIABLES).tree, scope, said)
    except CelError as error:
        return str(error)
    return ""
