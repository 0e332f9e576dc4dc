"""What a pod asks of its place: tolerations, affinity, spreading; and selectors of nodes.

Spec: core/v1 Toleration, Affinity, TopologySpreadConstraint, NodeSelector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, number, text, words

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def tolerations(found: list[Object], path: str) -> Iterator[FieldError]:
    for index, toleration in enumerate(found):
        where = f"{path}[{index}]"
        operator = toleration.get("operator") or "Equal"
        if key := toleration.get("key"):
            yield from check.name(f"{where}.key", key, names.qualified_name)
        elif operator != "Exists":
            yield invalid(
                f"{where}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if operator not in ("Equal", "Exists", "Lt", "Gt"):
            yield not_supported(f"{where}.operator", operator, ("Equal", "Exists"))
        elif operator == "Exists" and toleration.get("value"):
            yield invalid(f"{where}.operator", toleration, "value must be empty when `operator` is 'Exists'")
        effect = toleration.get("effect")
        if effect and effect not in _EFFECTS:
            yield not_supported(f"{where}.effect", effect, _EFFECTS)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(f"{where}.effect", effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set")


def affinity(found: Any, path: str) -> Iterator[FieldError]:
    for kind in ("podAffinity", "podAntiAffinity"):
        for index, term in enumerate(items(found, kind, _REQUIRED)):
            yield from _pod_term(term, f"{path}.{kind}.{_REQUIRED}[{index}]")
        for index, weighted in enumerate(items(found, kind, _PREFERRED)):
            where = f"{path}.{kind}.{_PREFERRED}[{index}]"
            yield from _weight(weighted, where)
            yield from _pod_term(mapping(weighted, "podAffinityTerm"), f"{where}.podAffinityTerm")
    needed = at(found, "nodeAffinity", _REQUIRED)
    if needed is not None:
        yield from node_selector(needed, f"{path}.nodeAffinity.{_REQUIRED}")
    for index, weighted in enumerate(items(found, "nodeAffinity", _PREFERRED)):
        where = f"{path}.nodeAffinity.{_PREFERRED}[{index}]"
        yield from _weight(weighted, where)
        yield from _node_term(mapping(weighted, "preference"), f"{where}.preference")


def node_selector(selector: Any, path: str) -> Iterator[FieldError]:
    """Return the faults of a NodeSelector."""
    terms = items(selector, "nodeSelectorTerms")
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        yield from _node_term(term, f"{path}.nodeSelectorTerms[{index}]")


def _node_term(term: Object, path: str) -> Iterator[FieldError]:
    for index, requirement in enumerate(items(term, "matchExpressions")):
        yield from check.expression_of_labels(f"{path}.matchExpressions[{index}]", requirement, numbers=True)
    for index, requirement in enumerate(items(term, "matchFields")):
        yield from _by_field(requirement, f"{path}.matchFields[{index}]")


def _by_field(requirement: Object, path: str) -> Iterator[FieldError]:
    operator, values = text(requirement, "operator"), words(requirement, "values")
    if operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", why)
    if (key := text(requirement, "key")) != "metadata.name":
        yield invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        yield from check.name(f"{path}.values[{index}]", value, names.dns_subdomain)


def _weight(weighted: Object, path: str) -> Iterator[FieldError]:
    weight = number(weighted, "weight")
    if not 1 <= weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _pod_term(term: Object, path: str) -> Iterator[FieldError]:
    key = term.get("topologyKey")
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    else:
        yield from check.name(f"{path}.topologyKey", key, names.qualified_name)
    for field in ("labelSelector", "namespaceSelector"):
        yield from check.label_selector(f"{path}.{field}", term.get(field))
    for index, namespace in enumerate(words(term, "namespaces")):
        yield from check.name(f"{path}.namespaces[{index}]", namespace, names.dns_label)


def spread(constraints: list[Object], path: str) -> Iterator[FieldError]:
    """Return the faults of TopologySpreadConstraints."""
    seen: set[tuple[Any, Any]] = set()
    for index, constraint in enumerate(constraints):
        where = f"{path}[{index}]"
        if number(constraint, "maxSkew") <= 0:
            yield invalid(f"{where}.maxSkew", number(constraint, "maxSkew"), "must be greater than zero")
        key, action = constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
        if not key:
            yield required(f"{where}.topologyKey", "can not be empty")
        yield from check.one_of(f"{where}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        yield from _domains(constraint, where)
        if (key, action) in seen:
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        seen.add((key, action))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from check.optional(f"{where}.{field}", constraint.get(field), ("Honor", "Ignore"))
        if constraint.get("matchLabelKeys") and constraint.get("labelSelector") is None:
            yield forbidden(f"{where}.matchLabelKeys", "must not be specified when labelSelector is not set")
        yield from check.label_selector(f"{where}.labelSelector", constraint.get("labelSelector"))


def _domains(constraint: Object, path: str) -> Iterator[FieldError]:
    least, action = constraint.get("minDomains"), text(constraint, "whenUnsatisfiable")
    if not isinstance(least, int):
        return
    if least <= 0:
        yield invalid(f"{path}.minDomains", least, "must be greater than zero")
    if action != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield invalid(f"{path}.minDomains", least, why)
