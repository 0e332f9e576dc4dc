"""rbac.authorization.k8s.io: roles and their bindings."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube.fielderror import FieldError, invalid, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, text, words
from sampan.kube.strategy import Strategy, Validate

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


# --- roles ------------------------------------------------------------------------------------------------------------


def _rule(path: str, rule: Object, *, namespaced: bool) -> Iterator[FieldError]:
    urls = words(rule, "nonResourceURLs")
    if not words(rule, "verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    if urls:
        if namespaced:
            yield invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        if any(words(rule, field) for field in ("apiGroups", "resources", "resourceNames")):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, why)
        return
    if not words(rule, "apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not words(rule, "resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def _rules(obj: Object, *, namespaced: bool) -> list[FieldError]:
    return [
        fault
        for index, rule in enumerate(items(obj, "rules"))
        for fault in _rule(f"rules[{index}]", rule, namespaced=namespaced)
    ]


def _role(obj: Object) -> list[FieldError]:
    return _rules(obj, namespaced=True)


def _cluster_role(obj: Object) -> list[FieldError]:
    faults = _rules(obj, namespaced=False)
    if at(obj, "aggregationRule") is None:
        return faults
    path, selectors = "aggregationRule.clusterRoleSelectors", items(obj, "aggregationRule", "clusterRoleSelectors")
    if not selectors:
        faults.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(selectors):
        faults += check.label_selector(f"{path}[{index}]", selector)
    return faults


# --- bindings ---------------------------------------------------------------------------------------------------------


def _default_binding(obj: Object) -> None:
    role = at(obj, "roleRef")
    if isinstance(role, dict) and not role.get("apiGroup"):
        role["apiGroup"] = GROUP
    for subject in items(obj, "subjects"):
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = GROUP


def _binding(roles: tuple[str, ...], *, namespaced: bool) -> Validate:
    """Return the check of a binding that may name these kinds of roles."""

    def validate(obj: Object) -> list[FieldError]:
        faults = list(check.one_of("roleRef.apiGroup", text(obj, "roleRef", "apiGroup"), (GROUP,)))
        faults += check.one_of("roleRef.kind", text(obj, "roleRef", "kind"), roles)
        faults += check.required_name("roleRef.name", text(obj, "roleRef", "name"), names.path_segment)
        for index, subject in enumerate(items(obj, "subjects")):
            faults += _subject(f"subjects[{index}]", subject, namespaced=namespaced)
        return faults

    return validate


def _subject(path: str, subject: Object, *, namespaced: bool) -> Iterator[FieldError]:
    kind, name, group = (text(subject, field) for field in ("kind", "name", "apiGroup"))
    if not name:
        yield required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            yield from check.name(f"{path}.name", name, names.dns_subdomain)
        yield from check.one_of(f"{path}.apiGroup", group, ("",))
        if not namespaced and not text(subject, "namespace"):
            yield required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        yield from check.one_of(f"{path}.apiGroup", group, (GROUP,))
    else:
        yield not_supported(f"{path}.kind", kind, _SUBJECTS)


def _change_binding(new: Object, old: Object) -> list[FieldError]:
    if new.get("roleRef") != old.get("roleRef"):
        return [invalid("roleRef", new.get("roleRef"), "cannot change roleRef")]
    return []


def _strategy(validate: Validate) -> Strategy:
    return Strategy(
        default=_default_binding,
        validate=validate,
        validate_update=_change_binding,
        validate_name=names.path_segment,
        update_creates=True,
    )


STRATEGIES: dict[str, Strategy] = {
    "Role": Strategy(validate=_role, validate_name=names.path_segment, update_creates=True),
    "ClusterRole": Strategy(validate=_cluster_role, validate_name=names.path_segment, update_creates=True),
    "RoleBinding": _strategy(_binding(("Role", "ClusterRole"), namespaced=True)),
    "ClusterRoleBinding": _strategy(_binding(("ClusterRole",), namespaced=False)),
}
