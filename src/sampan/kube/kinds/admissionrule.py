"""What webhooks and policies share: which requests they are about.

Spec: admissionregistration.k8s.io/v1 RuleWithOperations, MatchCondition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sampan.kube.admission.expression import CONDITION_VARIABLES
from sampan.kube.cel import syntax, types
from sampan.kube.cel.fault import CelError
from sampan.kube.cel.program import compile as compiled
from sampan.kube.fielderror import FieldError, invalid, required, too_many
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.reading import text, words

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION = ("IfNeeded", "Never")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_CONDITIONS = 64


def fill(part: Object, **defaults: Any) -> None:
    """Fill in what is missing."""
    for field, value in defaults.items():
        if part.get(field) is None:
            part[field] = value


def default_rules(rules: list[Object]) -> None:
    for rule in rules:
        fill(rule, scope="*")


def rule(path: str, each: Object) -> Iterator[FieldError]:
    operations = words(each, "operations")
    if not operations:
        yield required(f"{path}.operations")
    yield from _alone(f"{path}.operations", operations, "operations")
    for index, operation in enumerate(operations):
        yield from check.one_of(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = words(each, field)
        if not values:
            yield required(f"{path}.{field}")
        yield from _alone(f"{path}.{field}", values, what)
    for index, version in enumerate(words(each, "apiVersions")):
        if not version:
            yield required(f"{path}.apiVersions[{index}]")
    yield from _resources(f"{path}.resources", words(each, "resources"))
    yield from check.optional(f"{path}.scope", each.get("scope"), _SCOPES)


def _alone(path: str, values: list[str], what: str) -> Iterator[FieldError]:
    if "*" in values and len(values) > 1:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resources(path: str, resources: list[str]) -> Iterator[FieldError]:
    if not resources:
        yield required(path)
    every_sub: set[str] = set()  # x of x/*
    every_resource: set[str] = set()  # x of */x
    for index, each in enumerate(resources):
        resource, slash, sub = each.partition("/")
        if not each:
            yield required(f"{path}[{index}]")
        if not slash:
            continue
        if resource in every_sub:
            yield invalid(f"{path}[{index}]", each, f"if '{resource}/*' is present, must not specify {each}")
        if sub in every_resource:
            yield invalid(f"{path}[{index}]", each, f"if '*/{sub}' is present, must not specify {each}")
        if sub == "*":
            every_sub.add(resource)
        if resource == "*":
            every_resource.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and any("/" not in each and each != "*" for each in resources):
        why = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, resources, why)


def expression(
    path: str, said: str, seen: frozenset[str], known: Collection[str] = (), wanted: tuple[types.Of, ...] = ()
) -> Iterator[FieldError]:
    """Yield what is wrong with an expression in CEL that is not empty.

    `known`: the fields of `variables`. `wanted`: what it may come to, as far as that is known without kinds.
    """
    try:
        program = compiled(said, seen)
        found = types.check(program.tree, {}, said)
    except CelError as error:
        yield invalid(path, said, f"compilation failed: {error}")
        return
    if wanted and found not in (*wanted, types.DYN):
        yield invalid(path, said, f"compilation failed: must evaluate to {' or '.join(map(str, wanted))}")
    for select in _selects(program.tree):
        of = select.of
        if isinstance(of, syntax.Name) and of.name == "variables" and select.field not in known:
            undefined = CelError(f"undefined field '{select.field}'", said, select.position)
            yield invalid(path, said, f"compilation failed: {undefined}")


def _selects(tree: Any) -> Iterator[syntax.Select]:
    """Yield every `a.b` in an expression."""
    if isinstance(tree, syntax.Select):
        yield tree
    if isinstance(tree, tuple):
        for part in tree:
            yield from _selects(part)


def match_conditions(
    path: str, conditions: list[Object], variables: frozenset[str] = CONDITION_VARIABLES
) -> Iterator[FieldError]:
    if len(conditions) > _CONDITIONS:
        yield too_many(path, len(conditions), _CONDITIONS)
    for index, condition in enumerate(conditions):
        if not text(condition, "expression").strip():
            yield required(f"{path}[{index}].expression")
        else:
            yield from expression(
                f"{path}[{index}].expression", text(condition, "expression"), variables, (), (types.BOOL,)
            )
        yield from check.required_name(f"{path}[{index}].name", text(condition, "name"), names.qualified_name)
    yield from check.unique(path, [text(condition, "name") for condition in conditions], "name")
