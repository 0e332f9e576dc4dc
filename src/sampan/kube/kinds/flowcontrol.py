"""flowcontrol.apiserver.k8s.io: FlowSchema, PriorityLevelConfiguration. They are kept and checked, but shape nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at, name
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.kube.strategy import Strategy

_EXEMPT = "exempt"
_PRECEDENCE = 1000
_MOST_PRECEDENCE = 10000
_MOST_QUEUES = 10_000_000
_HASH_BITS = 60
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


# --- FlowSchema -------------------------------------------------------------------------------------------------------


def _default_schema(obj: Object) -> None:
    spec = at(obj, "spec")
    if isinstance(spec, dict) and not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = _PRECEDENCE


def _schema(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = list(_precedence(name(obj), number(spec, "matchingPrecedence")))
    if spec.get("distinguisherMethod") is not None:
        method = text(spec, "distinguisherMethod", "type")
        faults += check.one_of("spec.distinguisherMethod.type", method, ("ByNamespace", "ByUser"))
    level, path = text(spec, "priorityLevelConfiguration", "name"), "spec.priorityLevelConfiguration.name"
    if level:
        faults += check.name(path, level, names.dns_subdomain)
    else:
        faults.append(required(path, "must reference a priority level"))
    for index, rule in enumerate(items(spec, "rules")):
        faults += _rule(f"spec.rules[{index}]", rule)
    return faults


def _precedence(schema: str, value: int) -> Iterator[FieldError]:
    path = "spec.matchingPrecedence"
    if value <= 0:
        yield invalid(path, value, "must be a positive value")
    if value > _MOST_PRECEDENCE:
        yield invalid(path, value, f"must not be greater than {_MOST_PRECEDENCE}")
    if value == 1 and schema != _EXEMPT:
        yield invalid(path, value, "only the schema named 'exempt' may have matchingPrecedence 1")


def _rule(path: str, rule: Object) -> Iterator[FieldError]:
    subjects, resources, urls = (items(rule, field) for field in ("subjects", "resourceRules", "nonResourceRules"))
    if not subjects:
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(subjects):
        yield from _subject(f"{path}.subjects[{index}]", subject)
    if not resources and not urls:
        yield required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for index, each in enumerate(resources):
        yield from _resource_rule(f"{path}.resourceRules[{index}]", each)
    for index, each in enumerate(urls):
        yield from _url_rule(f"{path}.nonResourceRules[{index}]", each)


def _subject(path: str, subject: Object) -> Iterator[FieldError]:
    kind = text(subject, "kind")
    if kind not in _SUBJECTS:
        yield not_supported(f"{path}.kind", kind, tuple(_SUBJECTS))
        return
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            yield forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{other}'")
    field = _SUBJECTS[kind]
    named, where = subject.get(field), f"{path}.{field}"
    if named is None:
        yield required(where, f"{field} is required when subject kind is '{kind}'")
        return
    if kind != "ServiceAccount":
        if not text(named, "name"):
            yield required(f"{where}.name")
        return
    if text(named, "name") != "*":
        yield from check.required_name(f"{where}.name", text(named, "name"), names.dns_subdomain)
    if text(named, "namespace"):
        yield from check.name(f"{where}.namespace", text(named, "namespace"), names.dns_label)
    else:
        yield required(f"{where}.namespace", "must specify namespace for service account")


def _verbs(path: str, rule: Object) -> Iterator[FieldError]:
    verbs = words(rule, "verbs")
    if not verbs:
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    elif "*" in verbs:
        yield from _alone(f"{path}.verbs", verbs, "verbs")
    elif not set(verbs) <= set(_VERBS):
        yield not_supported(f"{path}.verbs", verbs, _VERBS)


def _alone(path: str, values: list[str], what: str) -> Iterator[FieldError]:
    if "*" in values and len(values) > 1:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resource_rule(path: str, rule: Object) -> Iterator[FieldError]:
    yield from _verbs(path, rule)
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        if not words(rule, field):
            yield required(f"{path}.{field}", f"resource rules must supply at least one {one}")
        yield from _alone(f"{path}.{field}", words(rule, field), many)
    spaces = words(rule, "namespaces")
    if not spaces and not flag(rule, "clusterScope"):
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(f"{path}.namespaces", why)
    elif "*" in spaces:
        yield from _alone(f"{path}.namespaces", spaces, "namespaces")
    else:
        for index, space in enumerate(spaces):
            for fault in check.name(f"{path}.namespaces[{index}]", space, names.dns_label):
                detail = f"each member of this list must be '*' or a DNS-1123 label; {fault.detail}"
                yield fault._replace(detail=detail)


def _url_rule(path: str, rule: Object) -> Iterator[FieldError]:
    yield from _verbs(path, rule)
    urls = words(rule, "nonResourceURLs")
    if not urls:
        yield required(f"{path}.nonResourceURLs", "nonResourceURLs must contain at least one value")
    elif "*" in urls:
        yield from _alone(f"{path}.nonResourceURLs", urls, "non-resource URLs")
    else:
        for index, url in enumerate(urls):
            if why := _not_a_url(url):
                yield invalid(f"{path}.nonResourceURLs[{index}]", url, why)


def _not_a_url(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    return "wildcard can only do suffix matching" if "*" in url.removesuffix("/*") else ""


# --- PriorityLevelConfiguration ---------------------------------------------------------------------------------------

_LIMITED_DEFAULTS = {"nominalConcurrencyShares": 30, "lendablePercent": 0}
_EXEMPT_DEFAULTS = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
_QUEUING_DEFAULTS = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


def _default_level(obj: Object) -> None:
    _fill(at(obj, "spec", "limited"), _LIMITED_DEFAULTS)
    _fill(at(obj, "spec", "exempt"), _EXEMPT_DEFAULTS)
    queuing = at(obj, "spec", "limited", "limitResponse", "queuing")
    if isinstance(queuing, dict):
        for field, value in _QUEUING_DEFAULTS.items():
            queuing[field] = queuing.get(field) or value


def _fill(part: Any, defaults: dict[str, int]) -> None:
    if isinstance(part, dict):
        for field, value in defaults.items():
            if part.get(field) is None:
                part[field] = value


def _level(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    kind = text(spec, "type")
    faults = []
    if (name(obj) == _EXEMPT) != (kind == "Exempt"):
        faults.append(invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    if kind not in ("Exempt", "Limited"):
        faults.append(not_supported("spec.type", kind, ("Exempt", "Limited")))
    elif kind == "Exempt" and spec.get("limited") is not None:
        faults.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
    elif kind == "Limited" and spec.get("exempt") is not None:
        faults.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
    elif kind == "Limited" and spec.get("limited") is None:
        faults.append(required("spec.limited", "must not be empty when type is Limited"))
    part = kind.lower()
    return [*faults, *_shares(f"spec.{part}", spec.get(part)), *_response(spec.get("limited"))]


def _shares(path: str, part: Any) -> Iterator[FieldError]:
    if not isinstance(part, dict):
        return
    if (shares := number(part, "nominalConcurrencyShares")) < 0:
        yield invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    if not 0 <= (lendable := number(part, "lendablePercent")) <= 100:
        yield invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _response(limited: Any) -> Iterator[FieldError]:
    path, response = "spec.limited.limitResponse", mapping(limited, "limitResponse")
    if not isinstance(limited, dict):
        return
    kind, queuing = text(response, "type"), response.get("queuing")
    if kind == "Reject" and queuing is not None:
        yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue" and queuing is None:
        yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
    elif kind == "Queue":
        yield from _queuing(f"{path}.queuing", queuing)
    elif kind != "Reject":
        yield not_supported(f"{path}.type", kind, ("Queue", "Reject"))


def _queuing(path: str, queuing: Any) -> Iterator[FieldError]:
    queues, hand, limit = (number(queuing, field) for field in ("queues", "handSize", "queueLengthLimit"))
    if limit <= 0:
        yield invalid(f"{path}.queueLengthLimit", limit, "must be positive")
    if queues <= 0:
        yield invalid(f"{path}.queues", queues, "must be positive")
    elif queues > _MOST_QUEUES:
        yield invalid(f"{path}.queues", queues, f"must not be greater than {_MOST_QUEUES}")
    if hand <= 0:
        yield invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif _entropy_bits(queues, hand) > _HASH_BITS:
        why = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
        yield invalid(f"{path}.handSize", hand, why)


def _entropy_bits(deck: int, hand: int) -> int:
    """Return how many bits of a hash it takes to deal a hand of cards."""
    return math.ceil(math.log2(deck) * hand)


def _status(new: Object, old: Object) -> list[FieldError]:
    path, types = "status.conditions", [text(each, "type") for each in items(new, "status", "conditions")]
    faults = list(check.unique(path, types, "type"))
    return faults + [
        required(f"{path}[{index}].type", "must not be empty") for index, type_ in enumerate(types) if not type_
    ]


STRATEGIES: dict[str, Strategy] = {
    "FlowSchema": Strategy(
        default=_default_schema,
        validate=_schema,
        validate_status=_status,
        has_status=True,
        has_generation=True,
    ),
    "PriorityLevelConfiguration": Strategy(
        default=_default_level,
        validate=_level,
        validate_status=_status,
        has_status=True,
        has_generation=True,
    ),
}
