"""The flow schemas and priority levels that every cluster has. They shape nothing here, but clients list them.

Spec: Kubernetes "API Priority and Fairness", "Defaults".
"""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object

_API = "flowcontrol.apiserver.k8s.io/v1"
_AUTOUPDATE = {"apf.kubernetes.io/autoupdate-spec": "true"}
_EVERYBODY = ("group:system:unauthenticated", "group:system:authenticated")
_ACCOUNTS = "account:kube-system:*"
_MANAGER, _SCHEDULER = "user:system:kube-controller-manager", "user:system:kube-scheduler"
_BY_USER, _BY_NAMESPACE = "ByUser", "ByNamespace"


def _level(name: str, shares: int, lendable: int, queues: tuple[int, int, int] | None) -> Object:
    """Return a limited level; `queues`: their number, the size of a hand, the length of each; None to refuse at once."""
    response: Object = {"type": "Reject"}
    if queues:
        queuing = dict(zip(("queues", "handSize", "queueLengthLimit"), queues, strict=True))
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def _schema(name: str, level: str, precedence: int, by: str, subjects: tuple[str, ...], **rules: Any) -> Object:
    """Return a flow schema of these subjects; without rules it is about everything they ask for."""
    rules = rules or {"resourceRules": [_resources("*", "*", "*", cluster=True)], "nonResourceRules": [_urls("*", "*")]}
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": [_subject(text) for text in subjects], **rules}],
    }
    if by:
        spec["distinguisherMethod"] = {"type": by}
    return _object("FlowSchema", name, spec)


def _object(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name, "annotations": dict(_AUTOUPDATE)},
        "spec": spec,
    }


def _resources(verbs: str, group: str, resources: str, *, namespaces: str = "*", cluster: bool = False) -> Object:
    rule: Object = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    if namespaces:
        rule["namespaces"] = namespaces.split()
    return {**rule, "clusterScope": True} if cluster else rule


def _urls(verbs: str, paths: str) -> Object:
    return {"verbs": verbs.split(), "nonResourceURLs": paths.split()}


def _subject(text: str) -> Object:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, name = name.partition(":")
        return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}}
    return {"kind": {"group": "Group", "user": "User"}[kind], kind: {"name": name}}


_LEASES = _resources("get create update", "coordination.k8s.io", "leases")

LEVELS: tuple[Object, ...] = (
    _object(
        "PriorityLevelConfiguration",
        "exempt",
        {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    ),
    _level("catch-all", 5, 0, None),
    _level("system", 30, 33, (64, 6, 50)),
    _level("node-high", 40, 25, (64, 6, 50)),
    _level("leader-election", 10, 0, (16, 4, 50)),
    _level("workload-high", 40, 50, (128, 6, 50)),
    _level("workload-low", 100, 90, (128, 6, 50)),
    _level("global-default", 20, 50, (128, 6, 50)),
)

SCHEMAS: tuple[Object, ...] = (
    _schema("exempt", "exempt", 1, "", ("group:system:masters",)),
    _schema("catch-all", "catch-all", 10000, _BY_USER, _EVERYBODY),
    _schema("probes", "exempt", 2, "", _EVERYBODY, nonResourceRules=[_urls("get", "/healthz /readyz /livez")]),
    _schema(
        "system-leader-election",
        "leader-election",
        100,
        _BY_USER,
        (_MANAGER, _SCHEDULER, _ACCOUNTS),
        resourceRules=[_LEASES],
    ),
    _schema(
        "endpoint-controller",
        "workload-high",
        150,
        _BY_USER,
        (
            _MANAGER,
            "account:kube-system:endpoint-controller",
            "account:kube-system:endpointslicemirroring-controller",
        ),
        resourceRules=[_resources("get create update", "", "endpoints")],
    ),
    _schema("workload-leader-election", "leader-election", 200, _BY_USER, (_ACCOUNTS,), resourceRules=[_LEASES]),
    _schema(
        "system-node-high",
        "node-high",
        400,
        _BY_USER,
        ("group:system:nodes",),
        resourceRules=[
            _resources("*", "", "nodes nodes/status", cluster=True),
            _resources("*", "coordination.k8s.io", "leases"),
        ],
    ),
    _schema("system-nodes", "system", 500, _BY_USER, ("group:system:nodes",)),
    _schema("kube-controller-manager", "workload-high", 800, _BY_NAMESPACE, (_MANAGER,)),
    _schema("kube-scheduler", "workload-high", 800, _BY_NAMESPACE, (_SCHEDULER,)),
    _schema("kube-system-service-accounts", "workload-high", 900, _BY_NAMESPACE, (_ACCOUNTS,)),
    _schema("service-accounts", "workload-low", 9000, _BY_USER, ("group:system:serviceaccounts",)),
    _schema("global-default", "global-default", 9900, _BY_USER, _EVERYBODY),
)
