"""How default roles and bindings are written down: words in one string, `core` for the group without a name."""

from __future__ import annotations

from collections.abc import Iterable

from sampan.kube.object import Object

API = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
READ, WRITE, CHANGE = "get list watch", "create delete deletecollection patch update", "patch update"
ALL = f"{READ} {WRITE}"
_LABEL = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_TO = f"{API}/aggregate-to-"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    """Return a PolicyRule, its words in alphabetical order."""
    made: Object = {
        "verbs": sorted(verbs.split()),
        "apiGroups": sorted("" if group == "core" else group for group in groups.split()),
        "resources": sorted(resources.split()),
    }
    if names:
        made["resourceNames"] = sorted(names.split())
    return made


def urls(paths: str, verbs: str = "get") -> Object:
    return {"verbs": sorted(verbs.split()), "nonResourceURLs": sorted(paths.split())}


TELL = rule("create patch update", "core events.k8s.io", "events")
"""Events are written by nearly everybody."""


def role(name: str, *rules: Object, namespace: str = "", to: str = "", aggregates: Iterable[str] = ()) -> Object:
    """Return a role of a namespace, or of the cluster. `to`: the role that gets its rules too; `aggregates`: whose it gets."""
    made: Object = {
        "apiVersion": f"{API}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": _metadata(name, namespace, {f"{_TO}{to}": "true"} if to else {}),
        "rules": list(rules),
    }
    if aggregates:
        made["aggregationRule"] = {
            "clusterRoleSelectors": [{"matchLabels": {f"{_TO}{target}": "true"}} for target in aggregates]
        }
    return made


def binding(name: str, *subjects: str, namespace: str = "", to: str = "") -> Object:
    """Return a binding of the role `to`, by default of the same name.

    A subject is `group:NAME`, `user:NAME`, or the name of a service account in kube-system.
    """
    kind = "Role" if namespace else "ClusterRole"
    made: Object = {
        "apiVersion": f"{API}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace, {}),
        "roleRef": {"apiGroup": API, "kind": kind, "name": to or name},
    }
    if subjects:
        made["subjects"] = [_subject(text) for text in subjects]
    return made


def _metadata(name: str, namespace: str, labels: Object) -> Object:
    made: Object = {"name": name, "labels": {**_LABEL, **labels}, "annotations": {AUTOUPDATE: "true"}}
    return {**made, "namespace": namespace} if namespace else made


def _subject(text: str) -> Object:
    for kind in ("Group", "User"):
        if text.startswith(f"{kind.lower()}:"):
            return {"kind": kind, "apiGroup": API, "name": text.partition(":")[2]}
    return {"kind": "ServiceAccount", "namespace": "kube-system", "name": text}
