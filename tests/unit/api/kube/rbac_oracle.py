"""An oracle of role-based access, written from the documentation and apart from the product: plain loops, no index."""

from __future__ import annotations

from typing import Any


def _has(listed: Any, word: str) -> bool:
    return "*" in (listed or []) or word in (listed or [])


def _is(subject: dict[str, Any], user: str, groups: tuple[str, ...]) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in groups
    if subject["kind"] == "ServiceAccount":
        return user == f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    return subject["name"] == user


def _rule_allows(rule: dict[str, Any], verb: str, group: str, path: str, name: str, url: str) -> bool:
    if not _has(rule["verbs"], verb):
        return False
    if url:
        urls = rule.get("nonResourceURLs", [])
        return any(own == url or (own[-1] == "*" and url.startswith(own[:-1])) for own in urls)
    if not _has(rule.get("apiGroups"), group):
        return False
    part = path.split("/")[1] if "/" in path else None
    if not (_has(rule.get("resources"), path) or (part and f"*/{part}" in rule.get("resources", []))):
        return False
    names = rule.get("resourceNames")
    return not names or name in names


def allowed(
    objects: list[dict[str, Any]],
    user: str,
    groups: tuple[str, ...],
    verb: str,
    group: str = "",
    path: str = "",
    namespace: str = "",
    name: str = "",
    url: str = "",
) -> bool:
    """Return whether a user may; `path` is `pods` or `pods/log`."""
    if "system:masters" in groups:
        return True
    for binding in objects:
        where = binding["metadata"].get("namespace", "")
        if not binding["kind"].endswith("Binding") or (where and (where != namespace or url)):
            continue
        if not any(_is(subject, user, groups) for subject in binding.get("subjects", [])):
            continue
        for role in objects:
            reference, meta = binding["roleRef"], role["metadata"]
            if (role["kind"], meta["name"]) != (reference["kind"], reference["name"]):
                continue
            if role["kind"] == "Role" and meta["namespace"] != where:
                continue
            if any(_rule_allows(rule, verb, group, path, name, url) for rule in role.get("rules", [])):
                return True
    return False
