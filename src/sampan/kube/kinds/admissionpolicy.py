"""Policies in CEL and their bindings.

Spec: admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy, MutatingAdmissionPolicy; Kubernetes documentation of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sampan.kube.admission.expression import BODY_VARIABLES, CONDITION_VARIABLES
from sampan.kube.cel import types
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required
from sampan.kube.kinds import admissionrule, check, names
from sampan.kube.object import Object, at, name
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.strategy import Prepare, Strategy, Validate

_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_AUDIT_ANNOTATIONS = 20
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void"
    " while".split()
)


# --- policies ---------------------------------------------------------------------------------------------------------


def _default_match(resources: Any) -> None:
    if isinstance(resources, dict):
        admissionrule.fill(resources, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        admissionrule.default_rules(items(resources, "resourceRules"))
        admissionrule.default_rules(items(resources, "excludeResourceRules"))


def _default_policy(obj: Object) -> None:
    spec = at(obj, "spec")
    if isinstance(spec, dict):
        admissionrule.fill(spec, failurePolicy="Fail")
        _default_match(spec.get("matchConstraints"))


def _policy(own: Callable[[Object, Object, _Sight], Iterator[FieldError]]) -> Validate:
    """Return the check of a policy; `own(policy, spec, sight)` is what its kind has besides."""

    def validate(obj: Object) -> list[FieldError]:
        spec = mapping(obj, "spec")
        faults = list(check.one_of("spec.failurePolicy", spec.get("failurePolicy"), admissionrule.FAILURE_POLICIES))
        if spec.get("paramKind") is not None:
            faults += _param_kind("spec.paramKind", spec["paramKind"])
        if spec.get("matchConstraints") is None:
            faults.append(required("spec.matchConstraints"))
        else:
            faults += _match_resources("spec.matchConstraints", spec["matchConstraints"])
            if not items(spec, "matchConstraints", "resourceRules"):
                faults.append(required("spec.matchConstraints.resourceRules"))
        seen = _seen(spec, CONDITION_VARIABLES | {"namespaceObject"})
        faults += admissionrule.match_conditions("spec.matchConditions", items(spec, "matchConditions"), seen)
        sight = _Sight(_seen(spec, BODY_VARIABLES), ())
        for index, variable in enumerate(items(spec, "variables")):
            faults += _variable(f"spec.variables[{index}]", variable, sight)
            sight = sight._replace(variables=(*sight.variables, text(variable, "name")))
        return [*faults, *own(obj, spec, sight)]

    return validate


class _Sight(NamedTuple):
    """What an expression sees: names, and the fields of `variables`."""

    names: frozenset[str]
    variables: tuple[str, ...]


def _seen(spec: Object, variables: frozenset[str]) -> frozenset[str]:
    """Return the variables of a policy's expressions: no `params` where it takes none."""
    return variables | {"params"} if spec.get("paramKind") is not None else variables - {"params"}


def _param_kind(path: str, kind: Any) -> Iterator[FieldError]:
    group, slash, version = text(kind, "apiVersion").rpartition("/")
    if not text(kind, "apiVersion"):
        yield required(f"{path}.apiVersion")
    else:
        if slash:
            yield from check.name(f"{path}.apiVersion", group, names.dns_subdomain)
        yield from check.name(f"{path}.apiVersion", version, names.dns_1035_label)
    name_ = text(kind, "kind")
    if not name_:
        yield required(f"{path}.kind")
    for fault in check.name(f"{path}.kind", name_.lower(), names.dns_1035_label) if name_ else ():
        why = f"may have mixed case, but should otherwise match: {fault.detail}"
        yield fault._replace(value=name_, detail=why)


def _match_resources(path: str, resources: Any) -> Iterator[FieldError]:
    yield from check.one_of(f"{path}.matchPolicy", at(resources, "matchPolicy"), admissionrule.MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        yield from check.label_selector(f"{path}.{field}", at(resources, field))
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(items(resources, field)):
            where, only = f"{path}.{field}[{index}]", words(rule, "resourceNames")
            for place, each in enumerate(only):
                yield from check.name(f"{where}.resourceNames[{place}]", each, names.path_segment)
            yield from check.unique(f"{where}.resourceNames", only)
            yield from admissionrule.rule(where, rule)


def _variable(path: str, variable: Object, sight: _Sight) -> Iterator[FieldError]:
    name_ = text(variable, "name").strip()
    if not name_:
        yield required(f"{path}.name", "name is not specified")
    elif not _IDENTIFIER.fullmatch(name_) or name_ in _RESERVED:
        yield invalid(f"{path}.name", name_, "name is not a valid CEL identifier")
    yield from _expression(f"{path}.expression", text(variable, "expression"), sight)


def _expression(path: str, said: str, sight: _Sight, *wanted: types.Of) -> Iterator[FieldError]:
    if said.strip():
        yield from admissionrule.expression(path, said, *sight, wanted)
    else:
        yield required(path, f"{path.rpartition('.')[2]} is not specified")


def _validations(obj: Object, spec: Object, sight: _Sight) -> Iterator[FieldError]:
    validations, annotations = items(spec, "validations"), items(spec, "auditAnnotations")
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            yield required(f"spec.{field}", "validations or auditAnnotations must contain at least one item")
    for index, validation in enumerate(validations):
        yield from _validation(f"spec.validations[{index}]", validation, sight)
    if len(annotations) > _AUDIT_ANNOTATIONS:
        why = f"must not have more than {_AUDIT_ANNOTATIONS} auditAnnotations"
        yield invalid("spec.auditAnnotations", annotations, why)
    for index, annotation in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{index}]", text(annotation, "key")
        yield from check.name(f"{path}.key", f"{name(obj)}/{key}", names.qualified_name)
        yield from _expression(
            f"{path}.valueExpression", text(annotation, "valueExpression"), sight, types.STRING, types.NULL
        )
    yield from check.unique("spec.auditAnnotations", [text(each, "key") for each in annotations], "key")


def _validation(path: str, validation: Object, sight: _Sight) -> Iterator[FieldError]:
    message, expression = text(validation, "message"), text(validation, "messageExpression")
    yield from _expression(f"{path}.expression", text(validation, "expression"), sight, types.BOOL)
    if expression.strip():
        yield from _expression(f"{path}.messageExpression", expression, sight, types.STRING)
    elif expression:
        yield invalid(f"{path}.messageExpression", expression, "must be non-empty if specified")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    yield from check.optional(f"{path}.reason", validation.get("reason"), _REASONS)


def _mutations(obj: Object, spec: Object, sight: _Sight) -> Iterator[FieldError]:
    mutations = items(spec, "mutations")
    if not mutations:
        yield required("spec.mutations", "mutations must contain at least one item")
    for index, mutation in enumerate(mutations):
        yield from _mutation(f"spec.mutations[{index}]", mutation, sight)
    if not text(spec, "reinvocationPolicy"):
        yield required("spec.reinvocationPolicy")
    else:
        yield from check.one_of("spec.reinvocationPolicy", spec["reinvocationPolicy"], admissionrule.REINVOCATION)
    for index, rule in enumerate(items(spec, "matchConstraints", "resourceRules")):
        if "DELETE" in (operations := words(rule, "operations")):
            path = f"spec.matchConstraints.resourceRules[{index}].operations[{operations.index('DELETE')}]"
            yield not_supported(path, "DELETE", ("*", "CONNECT", "CREATE", "UPDATE"))


def _mutation(path: str, mutation: Object, sight: _Sight) -> Iterator[FieldError]:
    kind = text(mutation, "patchType")
    field = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}.get(kind)
    if not kind:
        yield required(f"{path}.patchType")
    elif field is None:
        yield not_supported(f"{path}.patchType", kind, ("ApplyConfiguration", "JSONPatch"))
    elif mutation.get(field) is None:
        yield required(f"{path}.{field}")
    else:
        yield from _expression(f"{path}.{field}.expression", text(mutation, field, "expression"), sight)


# --- bindings ---------------------------------------------------------------------------------------------------------


def _default_binding(obj: Object) -> None:
    _default_match(at(obj, "spec", "matchResources"))


def _binding(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = list(check.required_name("spec.policyName", text(spec, "policyName"), names.dns_subdomain))
    if spec.get("paramRef") is not None:
        faults += _param_ref("spec.paramRef", spec["paramRef"])
    if spec.get("matchResources") is not None:
        faults += _match_resources("spec.matchResources", spec["matchResources"])
    return faults


def _validating_binding(obj: Object) -> list[FieldError]:
    path, actions = "spec.validationActions", words(obj, "spec", "validationActions")
    faults = _binding(obj)
    for index, action in enumerate(actions):
        faults += check.one_of(f"{path}[{index}]", action, _ACTIONS)
    faults += check.unique(path, actions)
    if {"Deny", "Warn"} <= set(actions):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response"
            " and headers serves no purpose)"
        )
        faults.append(invalid(path, actions, why))
    if not actions:
        faults.append(required(path, "at least one validation action is required"))
    return faults


def _param_ref(path: str, ref: Any) -> Iterator[FieldError]:
    name_, selector, action = text(ref, "name"), at(ref, "selector"), text(ref, "parameterNotFoundAction")
    if name_:
        yield from check.name(f"{path}.name", name_, names.path_segment)
    if selector is not None:
        yield from check.label_selector(f"{path}.selector", selector)
    if name_ and selector is not None:
        for field in ("name", "selector"):
            yield forbidden(f"{path}.{field}", "name and selector are mutually exclusive")
    if not name_ and selector is None:
        yield required(path, "one of name or selector must be specified")
    if not action:
        yield required(f"{path}.parameterNotFoundAction")
    else:
        yield from check.one_of(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))


def _strategy(default: Prepare, validate: Validate, *, has_status: bool = False) -> Strategy:
    return Strategy(
        default=default, validate=validate, has_status=has_status, has_generation=True, update_names_version=True
    )


STRATEGIES: dict[str, Strategy] = {
    "ValidatingAdmissionPolicy": _strategy(_default_policy, _policy(_validations), has_status=True),
    "ValidatingAdmissionPolicyBinding": _strategy(_default_binding, _validating_binding),
    "MutatingAdmissionPolicy": _strategy(_default_policy, _policy(_mutations)),
    "MutatingAdmissionPolicyBinding": _strategy(_default_binding, _binding),
}
