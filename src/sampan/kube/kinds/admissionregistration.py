"""admissionregistration.k8s.io: webhooks, and policies in CEL with their bindings.

Expressions are compiled where they are run (`kube/cel/`), not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required, too_many
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at, name
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.strategy import Strategy, Validate

_FAILURE_POLICIES = ("Fail", "Ignore")
_MATCH_POLICIES = ("Equivalent", "Exact")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_REINVOCATION = ("IfNeeded", "Never")
_REVIEWS = ("v1", "v1beta1")
_SCOPES = ("*", "Cluster", "Namespaced")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_TIMEOUT_S = 10
_HTTPS_PORT = 443
_CONDITIONS = 64
_AUDIT_ANNOTATIONS = 20
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void"
    " while".split()
)


# --- defaults ---------------------------------------------------------------------------------------------------------


def _fill(part: Object, **defaults: Any) -> None:
    for field, value in defaults.items():
        if part.get(field) is None:
            part[field] = value


def _default_rules(rules: list[Object]) -> None:
    for rule in rules:
        _fill(rule, scope="*")


def _default_hook(hook: Object) -> None:
    _fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=_TIMEOUT_S)
    _fill(hook, namespaceSelector={}, objectSelector={})
    _default_rules(items(hook, "rules"))
    service = at(hook, "clientConfig", "service")
    if isinstance(service, dict):
        _fill(service, port=_HTTPS_PORT)


def _default_validating(obj: Object) -> None:
    for hook in items(obj, "webhooks"):
        _default_hook(hook)


def _default_mutating(obj: Object) -> None:
    for hook in items(obj, "webhooks"):
        _default_hook(hook)
        _fill(hook, reinvocationPolicy="Never")


def _default_match(resources: Any) -> None:
    if isinstance(resources, dict):
        _fill(resources, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        _default_rules(items(resources, "resourceRules"))
        _default_rules(items(resources, "excludeResourceRules"))


def _default_policy(obj: Object) -> None:
    spec = at(obj, "spec")
    if isinstance(spec, dict):
        _fill(spec, failurePolicy="Fail")
        _default_match(spec.get("matchConstraints"))


def _default_binding(obj: Object) -> None:
    _default_match(at(obj, "spec", "matchResources"))


# --- rules ------------------------------------------------------------------------------------------------------------


def _rule(path: str, rule: Object) -> Iterator[FieldError]:
    operations = words(rule, "operations")
    if not operations:
        yield required(f"{path}.operations")
    yield from _alone(f"{path}.operations", operations, "operations")
    for index, operation in enumerate(operations):
        yield from check.one_of(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = words(rule, field)
        if not values:
            yield required(f"{path}.{field}")
        yield from _alone(f"{path}.{field}", values, what)
    for index, version in enumerate(words(rule, "apiVersions")):
        if not version:
            yield required(f"{path}.apiVersions[{index}]")
    yield from _resources(f"{path}.resources", words(rule, "resources"))
    yield from check.optional(f"{path}.scope", rule.get("scope"), _SCOPES)


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


def _match_conditions(path: str, conditions: list[Object]) -> Iterator[FieldError]:
    if len(conditions) > _CONDITIONS:
        yield too_many(path, len(conditions), _CONDITIONS)
    for index, condition in enumerate(conditions):
        if not text(condition, "expression").strip():
            yield required(f"{path}[{index}].expression")
        yield from check.required_name(f"{path}[{index}].name", text(condition, "name"), names.qualified_name)
    yield from check.unique(path, [text(condition, "name") for condition in conditions], "name")


# --- webhooks ---------------------------------------------------------------------------------------------------------


def _webhooks(obj: Object) -> list[FieldError]:
    hooks = items(obj, "webhooks")
    faults = [fault for index, hook in enumerate(hooks) for fault in _hook(f"webhooks[{index}]", hook)]
    return [*faults, *check.unique("webhooks", [text(hook, "name") for hook in hooks], "name")]


def _hook(path: str, hook: Object) -> Iterator[FieldError]:
    yield from check.fully_qualified(f"{path}.name", text(hook, "name"))
    for index, rule in enumerate(items(hook, "rules")):
        yield from _rule(f"{path}.rules[{index}]", rule)
    yield from check.optional(f"{path}.failurePolicy", hook.get("failurePolicy"), _FAILURE_POLICIES)
    yield from check.optional(f"{path}.matchPolicy", hook.get("matchPolicy"), _MATCH_POLICIES)
    if hook.get("sideEffects") is None:
        yield required(f"{path}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    yield from check.optional(f"{path}.sideEffects", hook.get("sideEffects"), _SIDE_EFFECTS)
    timeout = hook.get("timeoutSeconds")
    if isinstance(timeout, int) and not 1 <= timeout <= 30:
        yield invalid(f"{path}.timeoutSeconds", timeout, "the timeout value must be between 1 and 30 seconds")
    for field in ("namespaceSelector", "objectSelector"):
        yield from check.label_selector(f"{path}.{field}", hook.get(field))
    yield from check.optional(f"{path}.reinvocationPolicy", hook.get("reinvocationPolicy"), _REINVOCATION)
    yield from check.client_config(f"{path}.clientConfig", hook.get("clientConfig"))
    yield from _match_conditions(f"{path}.matchConditions", items(hook, "matchConditions"))
    yield from _reviews(f"{path}.admissionReviewVersions", words(hook, "admissionReviewVersions"))


def _reviews(path: str, versions: list[str]) -> Iterator[FieldError]:
    if not versions:
        yield required(path, f"must specify one of {', '.join(_REVIEWS)}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            yield from check.name(f"{path}[{index}]", version, names.dns_1035_label)
    if not set(versions) & set(_REVIEWS):
        yield invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}")


# --- policies ---------------------------------------------------------------------------------------------------------


def _policy(own: Callable[[Object, Object], Iterator[FieldError]]) -> Validate:
    """Return the check of a policy; `own(policy, spec)` is what its kind has besides."""

    def validate(obj: Object) -> list[FieldError]:
        spec = mapping(obj, "spec")
        faults = list(check.one_of("spec.failurePolicy", spec.get("failurePolicy"), _FAILURE_POLICIES))
        if spec.get("paramKind") is not None:
            faults += _param_kind("spec.paramKind", spec["paramKind"])
        if spec.get("matchConstraints") is None:
            faults.append(required("spec.matchConstraints"))
        else:
            faults += _match_resources("spec.matchConstraints", spec["matchConstraints"])
            if not items(spec, "matchConstraints", "resourceRules"):
                faults.append(required("spec.matchConstraints.resourceRules"))
        faults += _match_conditions("spec.matchConditions", items(spec, "matchConditions"))
        for index, variable in enumerate(items(spec, "variables")):
            faults += _variable(f"spec.variables[{index}]", variable)
        return [*faults, *own(obj, spec)]

    return validate


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
    yield from check.one_of(f"{path}.matchPolicy", at(resources, "matchPolicy"), _MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        yield from check.label_selector(f"{path}.{field}", at(resources, field))
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(items(resources, field)):
            where, only = f"{path}.{field}[{index}]", words(rule, "resourceNames")
            for place, each in enumerate(only):
                yield from check.name(f"{where}.resourceNames[{place}]", each, names.path_segment)
            yield from check.unique(f"{where}.resourceNames", only)
            yield from _rule(where, rule)


def _variable(path: str, variable: Object) -> Iterator[FieldError]:
    name_ = text(variable, "name").strip()
    if not name_:
        yield required(f"{path}.name", "name is not specified")
    elif not _IDENTIFIER.fullmatch(name_) or name_ in _RESERVED:
        yield invalid(f"{path}.name", name_, "name is not a valid CEL identifier")
    if not text(variable, "expression").strip():
        yield required(f"{path}.expression", "expression is not specified")


def _validations(obj: Object, spec: Object) -> Iterator[FieldError]:
    validations, annotations = items(spec, "validations"), items(spec, "auditAnnotations")
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            yield required(f"spec.{field}", "validations or auditAnnotations must contain at least one item")
    for index, validation in enumerate(validations):
        yield from _validation(f"spec.validations[{index}]", validation)
    if len(annotations) > _AUDIT_ANNOTATIONS:
        why = f"must not have more than {_AUDIT_ANNOTATIONS} auditAnnotations"
        yield invalid("spec.auditAnnotations", annotations, why)
    for index, annotation in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{index}]", text(annotation, "key")
        yield from check.name(f"{path}.key", f"{name(obj)}/{key}", names.qualified_name)
        if not text(annotation, "valueExpression").strip():
            yield required(f"{path}.valueExpression", "valueExpression is not specified")
    yield from check.unique("spec.auditAnnotations", [text(each, "key") for each in annotations], "key")


def _validation(path: str, validation: Object) -> Iterator[FieldError]:
    message, expression = text(validation, "message"), text(validation, "messageExpression")
    if not text(validation, "expression").strip():
        yield required(f"{path}.expression", "expression is not specified")
    if expression and not expression.strip():
        yield invalid(f"{path}.messageExpression", expression, "must be non-empty if specified")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    yield from check.optional(f"{path}.reason", validation.get("reason"), _REASONS)


def _mutations(obj: Object, spec: Object) -> Iterator[FieldError]:
    mutations = items(spec, "mutations")
    if not mutations:
        yield required("spec.mutations", "mutations must contain at least one item")
    for index, mutation in enumerate(mutations):
        yield from _mutation(f"spec.mutations[{index}]", mutation)
    if not text(spec, "reinvocationPolicy"):
        yield required("spec.reinvocationPolicy")
    else:
        yield from check.one_of("spec.reinvocationPolicy", spec["reinvocationPolicy"], _REINVOCATION)
    for index, rule in enumerate(items(spec, "matchConstraints", "resourceRules")):
        if "DELETE" in (operations := words(rule, "operations")):
            path = f"spec.matchConstraints.resourceRules[{index}].operations[{operations.index('DELETE')}]"
            yield not_supported(path, "DELETE", ("*", "CONNECT", "CREATE", "UPDATE"))


def _mutation(path: str, mutation: Object) -> Iterator[FieldError]:
    kind = text(mutation, "patchType")
    field = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}.get(kind)
    if not kind:
        yield required(f"{path}.patchType")
    elif field is None:
        yield not_supported(f"{path}.patchType", kind, ("ApplyConfiguration", "JSONPatch"))
    elif mutation.get(field) is None:
        yield required(f"{path}.{field}")
    elif not text(mutation, field, "expression").strip():
        yield required(f"{path}.{field}.expression", "expression is not specified")


# --- bindings ---------------------------------------------------------------------------------------------------------


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


STRATEGIES: dict[str, Strategy] = {
    "ValidatingWebhookConfiguration": Strategy(default=_default_validating, validate=_webhooks, has_generation=True),
    "MutatingWebhookConfiguration": Strategy(default=_default_mutating, validate=_webhooks, has_generation=True),
    "ValidatingAdmissionPolicy": Strategy(
        default=_default_policy, validate=_policy(_validations), has_status=True, has_generation=True
    ),
    "ValidatingAdmissionPolicyBinding": Strategy(
        default=_default_binding, validate=_validating_binding, has_generation=True
    ),
    "MutatingAdmissionPolicy": Strategy(default=_default_policy, validate=_policy(_mutations), has_generation=True),
    "MutatingAdmissionPolicyBinding": Strategy(default=_default_binding, validate=_binding, has_generation=True),
}
