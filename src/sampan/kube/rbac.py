"""Role-based access control: rules of roles, bound to users, groups and service accounts.

Spec: Kubernetes "Using RBAC Authorization"; rbac.authorization.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.selector import SelectorError, of_object

ALL = "*"


class Rule(NamedTuple):
    """A PolicyRule. `*` stands for everything of its kind."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Rule:
        def words(key: str) -> frozenset[str]:
            found = rule.get(key)
            return frozenset(str(item) for item in found) if isinstance(found, list) else frozenset()

        return cls(
            words("verbs"),
            words("apiGroups"),
            words("resources"),
            words("resourceNames"),
            tuple(words("nonResourceURLs")),
        )

    def allows(self, verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
        """Return whether the rule allows a verb on a resource."""
        return (
            (verb in self.verbs or ALL in self.verbs)
            and (group in self.groups or ALL in self.groups)
            and self._has(resource, subresource)
            and (not self.names or name in self.names)
        )

    def _has(self, resource: str, subresource: str) -> bool:
        if ALL in self.resources:
            return True
        if subresource:
            return f"{resource}/{subresource}" in self.resources or f"{ALL}/{subresource}" in self.resources
        return resource in self.resources

    def allows_path(self, verb: str, path: str) -> bool:
        """Return whether the rule allows a verb on a path that names no resource."""
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        return any(url in (ALL, path) or (url.endswith(ALL) and path.startswith(url[:-1])) for url in self.urls)


class Subject(NamedTuple):
    """`kind`: User, Group or ServiceAccount."""

    kind: str
    name: str
    namespace: str = ""


class Binding(NamedTuple):
    """A role's rules for subjects, in one namespace or ("") everywhere."""

    subjects: tuple[Subject, ...]
    role_kind: str
    role: str
    namespace: str = ""
    name: str = ""


class Grant(NamedTuple):
    """What one binding gives a subject; `rules` is None where there is no such role."""

    subject: Subject
    binding: Binding
    rules: tuple[Rule, ...] | None

    def __str__(self) -> str:
        binding, subject = self.binding, self.subject
        kind, name = (
            ("RoleBinding", f"{binding.name}/{binding.namespace}")
            if binding.namespace
            else ("ClusterRoleBinding", binding.name)
        )
        whom = f"{subject.name}/{subject.namespace}" if subject.kind == "ServiceAccount" else subject.name
        return f'{kind} "{name}" of {binding.role_kind} "{binding.role}" to {subject.kind} "{whom}"'


def binding_of(obj: Object) -> Binding:
    """Return what a RoleBinding or ClusterRoleBinding says; accounts without a namespace are of the binding's."""
    namespace = objects.namespace(obj)
    subjects = tuple(_subject(item, namespace) for item in obj.get("subjects") or () if isinstance(item, dict))
    role = obj.get("roleRef") or {}
    return Binding(subjects, str(role.get("kind")), str(role.get("name")), namespace, objects.name(obj))


def _subject(item: Object, namespace: str) -> Subject:
    kind, name = str(item.get("kind")), str(item.get("name"))
    return Subject(kind, name, str(item.get("namespace") or namespace) if kind == "ServiceAccount" else "")


def rules_of(obj: Object | None) -> tuple[Rule, ...]:
    """Return the rules of a Role or ClusterRole; none where there is no such role."""
    found = (obj or {}).get("rules")
    return tuple(Rule.of(rule) for rule in found if isinstance(rule, dict)) if isinstance(found, list) else ()


def account_of(user: str) -> Subject | None:
    """Return the service account that a user name is, None for another user."""
    parts = user.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        return Subject("ServiceAccount", parts[3], parts[2])
    return None


def identities(user: str, groups: Iterable[str]) -> tuple[Subject, ...]:
    """Return the subjects that a user is."""
    own = [Subject("User", user), *(Subject("Group", group) for group in groups)]
    account = account_of(user)
    return tuple([*own, account] if account else own)


class Index:
    """Bindings by subject, and the roles that they name. Told of every change; asked without waiting."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._by_subject: dict[Subject, set[tuple[str, str]]] = {}
        self.generation = 0
        """Grows with each change, so that others can tell whether what they remember still holds."""

    def put_role(self, kind: str, obj: Object, *, gone: bool = False) -> None:
        key = (kind, objects.namespace(obj), objects.name(obj))
        self.generation += 1
        if gone:
            self._roles.pop(key, None)
        else:
            self._roles[key] = rules_of(obj)

    def put_binding(self, obj: Object, *, gone: bool = False) -> None:
        key = (objects.namespace(obj), objects.name(obj))
        self.generation += 1
        before = self._bindings.pop(key, None)
        for subject in before.subjects if before else ():
            keys = self._by_subject.get(subject, set())
            keys.discard(key)
            if not keys:
                self._by_subject.pop(subject, None)
        if gone:
            return
        binding = self._bindings[key] = binding_of(obj)
        for subject in binding.subjects:
            self._by_subject.setdefault(subject, set()).add(key)

    def grants(self, subjects: Sequence[Subject], namespace: str) -> Iterator[Grant]:
        """Yield what subjects are given in a namespace; "" for what is bound everywhere."""
        seen: set[tuple[str, str]] = set()
        for subject in subjects:
            for key in self._by_subject.get(subject, ()):
                if key in seen or (key[0] and key[0] != namespace):
                    continue
                seen.add(key)
                binding = self._bindings[key]
                yield Grant(subject, binding, self.role(binding.role_kind, binding.namespace, binding.role))

    def role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        return self._roles.get((kind, namespace if kind == "Role" else "", name))


def missing(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """Return what wanted rules allow beyond owned ones: nothing of it may be granted further by who owns these.

    One rule a resource, name or path comes back, with all of its verbs that are not owned.
    """
    lacking: dict[Rule, set[str]] = {}
    for rule in wanted:
        for part in _parts(rule):
            for verb in rule.verbs:
                if not any(_covers(own, verb, part) for own in owned):
                    lacking.setdefault(part, set()).add(verb)
    return [part._replace(verbs=frozenset(verbs)) for part, verbs in lacking.items()]


def _parts(rule: Rule) -> Iterator[Rule]:
    """Yield a rule in pieces of one path, or of one group, resource and name; without verbs."""
    none: frozenset[str] = frozenset()
    for url in rule.urls:
        yield Rule(none, urls=(url,))
    for group in rule.groups:
        for resource in rule.resources:
            for name in rule.names or ("",):
                yield Rule(none, frozenset({group}), frozenset({resource}), frozenset({name}) if name else none)


def _covers(owned: Rule, verb: str, part: Rule) -> bool:
    if verb not in owned.verbs and ALL not in owned.verbs:
        return False
    if part.urls:
        [url] = part.urls
        return any(own in (ALL, url) or (own.endswith(ALL) and url.startswith(own[:-1])) for own in owned.urls)
    [group], [resource] = part.groups, part.resources
    below = resource.partition("/")[2]
    return (
        (group in owned.groups or ALL in owned.groups)
        and (
            resource in owned.resources or ALL in owned.resources or bool(below and f"{ALL}/{below}" in owned.resources)
        )
        and (not owned.names or (bool(part.names) and part.names <= owned.names))
    )


def aggregated(role: Object, all_roles: Iterable[Object]) -> list[Object]:
    """Return the rules that a ClusterRole with an aggregationRule has: those of all roles it selects, each once."""
    selectors = objects.at(role, "aggregationRule", "clusterRoleSelectors") or []
    rules: list[Object] = []
    for other in sorted(all_roles, key=objects.name):
        if objects.name(other) == objects.name(role) or not any(_selects(item, other) for item in selectors):
            continue
        rules += [rule for rule in other.get("rules") or [] if rule not in rules]
    return rules


def _selects(selector: Object, obj: Object) -> bool:
    try:
        return of_object(selector).matches(objects.labels(obj))
    except SelectorError:
        return False
