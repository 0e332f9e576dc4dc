"""Paths: what a URL means. Pure; the answer is cached by the router.

Spec: Kubernetes API concepts, "Resource URIs"; k8s.io/apiserver RequestInfo.
"""

from __future__ import annotations

from typing import NamedTuple

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


class Target(NamedTuple):
    """A resource path. `name` is "" for a collection; `rest` is what comes after a subresource (`proxy/…`)."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    watch: bool = False  # the deprecated /watch/ form


def parse(path: str) -> Target | None:
    """Return what a path names, None where it names no resource (`/version`, `/apis/apps`, nonsense).

    Nothing is cleaned: a path with an empty, `.` or `..` part names nothing, so that no two readers can differ about it.
    """
    parts = path.split("/")[1:]
    if len(parts) > 3 and parts[-1] == "":
        parts.pop()  # one slash at the end of a resource's path is forgiven
    if parts[:1] == ["api"]:
        group, parts = "", parts[1:]
    elif parts[:1] == ["apis"] and len(parts) > 1:
        group, parts = parts[1], parts[2:]
    else:
        return None
    if len(parts) < 2 or any(part in ("", ".", "..") for part in parts[:5]):
        return None
    version, parts = parts[0], parts[1:]
    watch = parts[0] == "watch"
    if watch and not (parts := parts[1:]):
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and not (len(parts) == 3 and parts[2] in _NAMESPACE_SUBRESOURCES):
            parts = parts[2:]
    plural = parts[0]
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    return Target(group, version, plural, namespace, name, subresource, "/".join(parts[3:]), watch)


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}


def verb(method: str, target: Target, *, watch: bool) -> str:
    """Return the verb that authorization knows: get, list, watch, create, update, patch, delete, deletecollection; "" if none."""
    found = _VERBS.get(method, "")
    if found == "get" and (watch or target.watch):
        return "watch"
    if not target.name:
        return {"get": "list", "delete": "deletecollection"}.get(found, found)
    return found
