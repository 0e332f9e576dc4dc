"""The roles and bindings that every cluster has. Spec: Kubernetes "Using RBAC Authorization", "Default roles and role bindings"."""

from __future__ import annotations

from collections.abc import Iterable

from sampan.kube import object as objects
from sampan.kube import rbac
from sampan.kube.object import Object

_API = "rbac.authorization.k8s.io"
_LABEL = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_KEEP = {_AUTOUPDATE: "true"}
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_TO = "rbac.authorization.k8s.io/aggregate-to-"


def _rule(verbs: Iterable[str], group: str | Iterable[str], *resources: str, names: Iterable[str] = ()) -> Object:
    groups = [group] if isinstance(group, str) else list(group)
    out: Object = {"verbs": list(verbs), "apiGroups": groups, "resources": list(resources)}
    if names:
        out["resourceNames"] = list(names)
    return out


def _urls(verbs: Iterable[str], *urls: str) -> Object:
    return {"verbs": list(verbs), "nonResourceURLs": list(urls)}


def _role(name: str, *rules: Object, to: str = "", aggregates: Iterable[str] = ()) -> Object:
    labels = {**_LABEL, **({f"{_TO}{to}": "true"} if to else {})}
    role: Object = {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels, "annotations": dict(_KEEP)},
        "rules": list(rules),
    }
    if aggregates:
        role["aggregationRule"] = {
            "clusterRoleSelectors": [{"matchLabels": {f"{_TO}{target}": "true"}} for target in aggregates]
        }
    return role


def _binding(role: str, *subjects: str, name: str = "") -> Object:
    """Return a binding of a role; a subject is `group:NAME`, `user:NAME` or `account:NAMESPACE:NAME`."""
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name or role, "labels": dict(_LABEL), "annotations": dict(_KEEP)},
        "roleRef": {"apiGroup": _API, "kind": "ClusterRole", "name": role},
        "subjects": [_subject(text) for text in subjects],
    }


def _subject(text: str) -> Object:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, name = name.partition(":")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return {"kind": {"group": "Group", "user": "User"}[kind], "apiGroup": _API, "name": name}


_WORKLOADS = (
    "daemonsets",
    "deployments",
    "deployments/rollback",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
)
_CORE_EDIT = (
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "secrets",
    "serviceaccounts",
    "services",
    "services/proxy",
)
_CORE_VIEW = (
    "bindings",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/status",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "pods/log",
    "pods/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
    "serviceaccounts",
    "services",
    "services/status",
)

ROLES: tuple[Object, ...] = (
    _role("cluster-admin", _rule("*", "*", "*"), _urls("*", "*")),
    _role("admin", aggregates=("admin",)),
    _role("edit", aggregates=("edit",), to="admin"),
    _role("view", aggregates=("view",), to="edit"),
    _role(
        "system:aggregate-to-admin",
        _rule(("create",), "authorization.k8s.io", "localsubjectaccessreviews"),
        _rule((*_READ, *_WRITE), _API, "roles", "rolebindings"),
        to="admin",
    ),
    _role(
        "system:aggregate-to-edit",
        _rule(_READ, "", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"),
        _rule(("impersonate",), "", "serviceaccounts"),
        _rule(_WRITE, "", "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
        _rule(("create",), "", "pods/eviction", "serviceaccounts/token"),
        _rule(_WRITE, "", *_CORE_EDIT),
        _rule(_WRITE, "apps", *_WORKLOADS),
        _rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
        _rule(_WRITE, "batch", "cronjobs", "jobs"),
        _rule(_WRITE, "policy", "poddisruptionbudgets"),
        _rule(_WRITE, "networking.k8s.io", "ingresses", "networkpolicies"),
        _rule((*_READ, *_WRITE), "coordination.k8s.io", "leases"),
        to="edit",
    ),
    _role(
        "system:aggregate-to-view",
        _rule(_READ, "", *_CORE_VIEW),
        _rule(_READ, "discovery.k8s.io", "endpointslices"),
        _rule(_READ, "apps", "controllerrevisions", *_WORKLOADS, *(f"{name}/status" for name in ("daemonsets", "deployments", "replicasets", "statefulsets"))),
        _rule(_READ, "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
        _rule(_READ, "batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
        _rule(_READ, "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
        _rule(_READ, "networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
        to="view",
    ),
    _role(
        "system:discovery",
        _urls(("get",), "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"),
    ),
    _role("system:public-info-viewer", _urls(("get",), "/healthz", "/livez", "/readyz", "/version", "/version/")),
    _role(
        "system:basic-user",
        _rule(("create",), "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        _rule(("create",), "authentication.k8s.io", "selfsubjectreviews"),
    ),
    _role("system:monitoring", _urls(("get",), "/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/*", "/readyz", "/readyz/*")),
    _role("system:auth-delegator", _rule(("create",), "authentication.k8s.io", "tokenreviews"), _rule(("create",), "authorization.k8s.io", "subjectaccessreviews")),
    _role(
        "system:kube-scheduler",
        _rule(("create", "patch", "update"), ("", "events.k8s.io"), "events"),
        _rule(("create", "get", "list", "update", "watch"), "coordination.k8s.io", "leases"),
        _rule(_READ, "", "nodes", "namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "services"),
        _rule(("delete", *_READ), "", "pods"),
        _rule(("create",), "", "bindings", "pods/binding"),
        _rule(("patch", "update"), "", "pods/status"),
        _rule(_READ, "apps", "replicasets", "statefulsets"),
        _rule(_READ, "policy", "poddisruptionbudgets"),
        _rule(_READ, "storage.k8s.io", "csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"),
        _rule(_READ, "resource.k8s.io", "deviceclasses", "resourceclaims", "resourceslices"),
    ),
    _role(
        "system:kube-controller-manager",
        _rule(("*",), "*", "*"),
        _urls(("get",), "/metrics"),
    ),
    _role(
        "system:node",
        _rule(("create",), "authentication.k8s.io", "tokenreviews"),
        _rule(("create",), "authorization.k8s.io", "localsubjectaccessreviews", "subjectaccessreviews"),
        _rule(_READ, "", "services", "nodes", "pods", "configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes"),
        _rule(("create", "get", "list", "watch", "patch", "update"), "", "nodes", "nodes/status"),
        _rule(("create", "patch", "update"), ("", "events.k8s.io"), "events"),
        _rule(("create", "delete"), "", "pods"),
        _rule(("patch", "update"), "", "pods/status"),
        _rule(("create",), "", "pods/eviction", "serviceaccounts/token"),
        _rule(("create", "delete", "get", "patch", "update"), "coordination.k8s.io", "leases"),
        _rule(_READ, "node.k8s.io", "runtimeclasses"),
        _rule(("create", "delete", "get", "patch", "update"), "storage.k8s.io", "csinodes"),
    ),
    _role("system:node-proxier", _rule(("list", "watch", "get"), "", "services", "endpoints", "nodes"), _rule(("list", "watch"), "discovery.k8s.io", "endpointslices"), _rule(("create", "patch", "update"), ("", "events.k8s.io"), "events")),
    _role("system:service-account-issuer-discovery", _urls(("get",), "/.well-known/openid-configuration", "/openid/v1/jwks")),
)  # fmt: skip

BINDINGS: tuple[Object, ...] = (
    _binding("cluster-admin", "group:system:masters"),
    _binding("system:discovery", "group:system:authenticated"),
    _binding("system:basic-user", "group:system:authenticated"),
    _binding("system:public-info-viewer", "group:system:authenticated", "group:system:unauthenticated"),
    _binding("system:monitoring", "group:system:monitoring"),
    _binding("system:kube-scheduler", "user:system:kube-scheduler"),
    _binding("system:kube-controller-manager", "user:system:kube-controller-manager"),
    _binding("system:node-proxier", "user:system:kube-proxy"),
    _binding("system:service-account-issuer-discovery", "group:system:serviceaccounts"),
)


def reconciled(live: Object, wanted: Object) -> Object | None:
    """Return a default role or binding as it has to be changed to give all that it should; None where it does.

    What somebody added stays. One that is annotated with autoupdate "false" stays as it is.
    """
    meta = objects.metadata(live)
    if objects.annotations(live).get(_AUTOUPDATE) == "false":
        return None
    changed = {**live, "metadata": dict(meta)}
    for part in ("labels", "annotations"):
        changed["metadata"][part] = {**wanted["metadata"].get(part, {}), **(meta.get(part) or {})}
    if "subjects" in wanted:
        present = live.get("subjects") or []
        changed["subjects"] = [*present, *(subject for subject in wanted["subjects"] if subject not in present)]
    elif "aggregationRule" in wanted:
        changed["aggregationRule"] = live.get("aggregationRule") or wanted["aggregationRule"]
    else:
        lacking = [rule for rule in wanted["rules"] if rbac.missing(rbac.rules_of(live), [rbac.Rule.of(rule)])]
        changed["rules"] = [*(live.get("rules") or []), *lacking]
    return changed if _told(changed) != _told(live) else None


def _told(obj: Object) -> list[object]:
    """Return the parts that are compared."""
    meta = objects.metadata(obj)
    return [
        meta.get("labels"),
        meta.get("annotations"),
        *(obj.get(key) for key in ("subjects", "aggregationRule", "rules")),
    ]
