"""A full object of each kind and its line as `kubectl get -o wide` shows it; and that no object breaks a printer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sampan.kube.printing.printers import PRINTERS
from unit.kube.whole import broken, kinds
from unit.kube.whole import whole as whole_object

NOW_S = 1_704_067_200 + 3600  # 2024-01-01T01:00:00Z
TEMPLATE = {
    "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}], "nodeSelector": {"d": "ssd"}}
}
SELECTOR = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "env", "operator": "NotIn", "values": ["dev"]},
        {"key": "zone", "operator": "Exists"},
    ],
}
SHOWN = "app=web,env notin (dev),!old,tier in (a,b),zone"
EVENT = "5m | Warning | Failed | pod/web | spec.containers{a} | kubelet, n1 | it broke | 30m | 4 | x"


def metric(type_: str, field: str, target: Any, current: Any, **more: Any) -> tuple[Any, Any]:
    return {"type": type_, field: {"target": target, **more}}, {"type": type_, field: {"current": current, **more}}


CPU = metric("Resource", "resource", {"averageUtilization": 80}, {"averageUtilization": 12}, name="cpu")
MEMORY = metric("Resource", "resource", {"averageValue": "100Mi"}, {"averageValue": "50Mi"}, name="memory")
QUEUE = metric("External", "external", {"value": "30"}, {"value": "7"})
RATE = metric("Pods", "pods", {"averageValue": "1k"}, {"averageValue": "500m"})
HITS = metric("Object", "object", {"averageValue": "4"}, {"averageValue": "2"})


def autoscaler(*metrics: tuple[Any, Any], current: bool = True) -> Any:
    return {
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 5,
            "metrics": [each[0] for each in metrics],
        },
        "status": {"currentReplicas": 2, "currentMetrics": [each[1] for each in metrics] if current else []},
    }


def service(type_: str, **spec: Any) -> Any:
    return {"spec": {"type": type_, "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}], **spec}}


CASES: list[tuple[str, str, Any, str]] = [
    ("", "ConfigMap", {"data": {"a": "1"}}, "x | 1 | 60m"),
    ("", "Secret", {"type": "Opaque", "data": {"a": "", "b": ""}}, "x | Opaque | 2 | 60m"),
    ("", "ServiceAccount", {}, "x | 60m"),
    ("", "Namespace", {"status": {"phase": "Active"}}, "x | Active | 60m"),
    ("", "LimitRange", {}, "x | 2024-01-01T00:00:00Z"),
    (
        "",
        "PodTemplate",
        {"template": {"metadata": {"labels": {"b": "2", "a": "1"}}, **TEMPLATE}},
        "x | a,b | x:1,y:2 | a=1,b=2",
    ),
    (
        "",
        "ReplicationController",
        {
            "spec": {"replicas": 3, "selector": {"app": "web"}, "template": TEMPLATE},
            "status": {"replicas": 2, "readyReplicas": 1},
        },
        "x | 3 | 2 | 1 | 60m | a,b | x:1,y:2 | app=web",
    ),
    (
        "",
        "ResourceQuota",
        {"status": {"hard": {"pods": "4", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1", "limits.cpu": "500m"}}},
        "x | cpu: 0/1, pods: 1/4 | limits.cpu: 500m/2 | 60m",
    ),
    (
        "",
        "ComponentStatus",
        {"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]},
        "x | Healthy | ok | ",
    ),
    (
        "",
        "PersistentVolume",
        {
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": "ns", "name": "data"},
                "storageClassName": "fast",
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Bound"},
        },
        "x | 10Gi | RWO,RWX | Retain | Bound | ns/data | fast | <unset> |  | 60m | Filesystem",
    ),
    (
        "",
        "PersistentVolumeClaim",
        {
            "spec": {"volumeName": "pv1", "storageClassName": "fast", "volumeMode": "Block"},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOncePod"]},
        },
        "x | Bound | pv1 | 10Gi | RWOP | fast | <unset> | 60m | Block",
    ),
    (
        "",
        "PersistentVolumeClaim",
        {"spec": {}, "status": {"phase": "Pending"}},
        "x | Pending |  |  |  |  | <unset> | 60m | <unset>",
    ),
    (
        "",
        "Node",
        {
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.1.0.4"}],
                "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1"},
            },
        },
        "x | Ready,SchedulingDisabled | control-plane,worker | 60m | v1.37.0 | 10.1.0.4 | <none> | Debian | 6.1 | <unknown>",
    ),
    (
        "",
        "Node",
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
        "x | NotReady | <none> | 60m |  | <none> | <none> | <unknown> | <unknown> | <unknown>",
    ),
    ("", "Node", {}, "x | Unknown | <none> | 60m |  | <none> | <none> | <unknown> | <unknown> | <unknown>"),
    (
        "",
        "Service",
        service("ClusterIP", selector={"app": "web"}),
        "x | ClusterIP | 10.0.0.1 | <none> | 80/TCP | 60m | app=web",
    ),
    (
        "",
        "Service",
        service(
            "NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
        ),
        "x | NodePort | 10.0.0.1 | <none> | 80:30080/TCP,53/UDP | 60m | <none>",
    ),
    ("", "Service", service("LoadBalancer"), "x | LoadBalancer | 10.0.0.1 | <pending> | 80/TCP | 60m | <none>"),
    (
        "",
        "Service",
        {
            **service("LoadBalancer", externalIPs=["9.9.9.9"]),
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}, {"ip": "1.2.3.4"}]}},
        },
        "x | LoadBalancer | 10.0.0.1 | 1.2.3.4,lb.example,9.9.9.9 | 80/TCP | 60m | <none>",
    ),
    (
        "",
        "Service",
        {"spec": {"type": "ExternalName", "externalName": "db.example"}},
        "x | ExternalName | <none> | db.example | <none> | 60m | <none>",
    ),
    ("", "Service", service("ClusterIP", clusterIPs=["None"]), "x | ClusterIP | None | <none> | 80/TCP | 60m | <none>"),
    ("", "Endpoints", {}, "x | <none> | 60m"),
    (
        "",
        "Endpoints",
        {
            "subsets": [
                {"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 443}]},
                {"addresses": [{"ip": "10.0.0.9"}]},
            ]
        },
        "x | 10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 2 more... | 60m",
    ),
    (
        "",
        "Event",
        {
            "type": "Warning",
            "reason": "Failed",
            "message": "it broke\n",
            "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
            "source": {"component": "kubelet", "host": "n1"},
            "firstTimestamp": "2024-01-01T00:30:00Z",
            "lastTimestamp": "2024-01-01T00:55:00Z",
            "count": 4,
        },
        EVENT,
    ),
    (
        "events.k8s.io",
        "Event",
        {
            "type": "Warning",
            "reason": "Failed",
            "note": "it broke",
            "regarding": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
            "reportingController": "kubelet",
            "reportingInstance": "n1",
            "eventTime": "2024-01-01T00:30:00.000000Z",
            "series": {"count": 4, "lastObservedTime": "2024-01-01T00:55:00.000000Z"},
        },
        EVENT,
    ),
    (
        "apps",
        "Deployment",
        {
            "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
            "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
        },
        f"x | 1/3 | 2 | 1 | 60m | a,b | x:1,y:2 | {SHOWN}",
    ),
    ("apps", "Deployment", {"spec": {"replicas": 0}}, "x | 0/0 | 0 | 0 | 60m |  |  | <none>"),
    (
        "apps",
        "ReplicaSet",
        {
            "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
            "status": {"replicas": 2, "readyReplicas": 1},
        },
        f"x | 3 | 2 | 1 | 60m | a,b | x:1,y:2 | {SHOWN}",
    ),
    (
        "apps",
        "StatefulSet",
        {"spec": {"replicas": 3, "template": TEMPLATE}, "status": {"readyReplicas": 2}},
        "x | 2/3 | 60m | a,b | x:1,y:2",
    ),
    (
        "apps",
        "DaemonSet",
        {
            "spec": {"template": TEMPLATE, "selector": {"matchLabels": {"a": "b"}}},
            "status": {
                "desiredNumberScheduled": 5,
                "currentNumberScheduled": 4,
                "numberReady": 3,
                "updatedNumberScheduled": 2,
                "numberAvailable": 1,
            },
        },
        "x | 5 | 4 | 3 | 2 | 1 | d=ssd | 60m | a,b | x:1,y:2 | a=b",
    ),
    (
        "apps",
        "ControllerRevision",
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}]
            },
            "revision": 7,
        },
        "x | daemonset.apps/d | 7 | 60m",
    ),
    (
        "batch",
        "Job",
        {
            "spec": {"completions": 3, "template": TEMPLATE, "selector": SELECTOR},
            "status": {"succeeded": 1, "startTime": "2024-01-01T00:58:00Z"},
        },
        f"x | Running | 1/3 | 2m | 60m | a,b | x:1,y:2 | {SHOWN}",
    ),
    (
        "batch",
        "Job",
        {
            "spec": {"parallelism": 4},
            "status": {
                "succeeded": 2,
                "startTime": "2024-01-01T00:50:00Z",
                "completionTime": "2024-01-01T00:50:42Z",
                "conditions": [
                    {"type": "SuccessCriteriaMet", "status": "True"},
                    {"type": "Complete", "status": "True"},
                ],
            },
        },
        "x | Complete | 2/1 of 4 | 42s | 60m |  |  | <none>",
    ),
    (
        "batch",
        "Job",
        {"status": {"conditions": [{"type": "Suspended", "status": "True"}]}},
        "x | Suspended | 0/1 |  | 60m |  |  | <none>",
    ),
    (
        "batch",
        "CronJob",
        {
            "spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {"spec": {"template": TEMPLATE}}},
            "status": {"active": [{"name": "j"}], "lastScheduleTime": "2024-01-01T00:59:20Z"},
        },
        "x | * * * * * | <none> | False | 1 | 40s | 60m | a,b | x:1,y:2 | <none>",
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        autoscaler(CPU, MEMORY),
        "x | Deployment/web | cpu: 12%/80%, memory: 50Mi/100Mi | <unset> | 5 | 2 | 60m",
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        autoscaler(CPU, current=False),
        "x | Deployment/web | cpu: <unknown>/80% | <unset> | 5 | 2 | 60m",
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        autoscaler(QUEUE, HITS),
        "x | Deployment/web | 7/30, 2/4 (avg) | <unset> | 5 | 2 | 60m",
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        autoscaler(RATE, QUEUE, CPU, HITS),
        "x | Deployment/web | 500m/1k, 7/30 + 2 more... | <unset> | 5 | 2 | 60m",
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 50,
            }
        },
        "x | Deployment/web | cpu: <unknown>/50% | 1 | 3 | 0 | 60m",
    ),
    ("autoscaling", "Scale", {"spec": {"replicas": 3}, "status": {"replicas": 2}}, "x | 3 | 2 | 60m"),
    (
        "policy",
        "PodDisruptionBudget",
        {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
        "x | 50% | N/A | 1 | 60m",
    ),
    ("policy", "PodDisruptionBudget", {"spec": {"maxUnavailable": 0}}, "x | N/A | 0 | 0 | 60m"),
    (
        "discovery.k8s.io",
        "EndpointSlice",
        {
            "addressType": "IPv4",
            "ports": [{"port": 80}, {"name": "dns"}, {}],
            "endpoints": [{"addresses": [ip]} for ip in "abcde"],
        },
        "x | IPv4 | 80,dns,* | a,b,c + 2 more... | 60m",
    ),
    ("discovery.k8s.io", "EndpointSlice", {"addressType": "IPv4"}, "x | IPv4 | <unset> | <unset> | 60m"),
    (
        "networking.k8s.io",
        "Ingress",
        {
            "spec": {
                "ingressClassName": "nginx",
                "tls": [{}],
                "rules": [{"host": host} for host in ("a", "b", "c", "d")],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.2"}]}},
        },
        "x | nginx | a,b,c + 1 more... | 10.0.0.2 | 80, 443 | 60m",
    ),
    ("networking.k8s.io", "Ingress", {"spec": {"rules": [{}]}}, "x | <none> | * |  | 80 | 60m"),
    (
        "networking.k8s.io",
        "IngressClass",
        {"spec": {"controller": "e.io/c", "parameters": {"apiGroup": "k.e.io", "kind": "P", "name": "p"}}},
        "x | e.io/c | P.k.e.io/p | 60m",
    ),
    ("networking.k8s.io", "NetworkPolicy", {"spec": {"podSelector": {}}}, "x | <none> | 60m"),
    (
        "networking.k8s.io",
        "ServiceCIDR",
        {"spec": {"cidrs": ["10.0.0.0/16", "fd00::/112"]}},
        "x | 10.0.0.0/16,fd00::/112 | 60m",
    ),
    (
        "networking.k8s.io",
        "IPAddress",
        {"spec": {"parentRef": {"resource": "services", "namespace": "ns", "name": "web"}}},
        "x | services/ns/web",
    ),
    ("rbac.authorization.k8s.io", "Role", {}, "x | 2024-01-01T00:00:00Z"),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        {
            "roleRef": {"kind": "ClusterRole", "name": "admin"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "Group", "name": "g"},
                {"kind": "Group", "name": "h"},
                {"kind": "ServiceAccount", "namespace": "ns", "name": "s"},
            ],
        },
        "x | ClusterRole/admin | 60m | u | g, h | ns/s",
    ),
    (
        "storage.k8s.io",
        "StorageClass",
        {
            "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
            "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
        "x (default) | p | Retain | WaitForFirstConsumer | True | 60m",
    ),
    ("storage.k8s.io", "StorageClass", {"provisioner": "p"}, "x | p | Delete | Immediate | False | 60m"),
    ("storage.k8s.io", "VolumeAttributesClass", {"driverName": "d"}, "x | d | 60m"),
    (
        "storage.k8s.io",
        "VolumeAttachment",
        {
            "spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "pv"}},
            "status": {"attached": True},
        },
        "x | d | pv | n | True | 60m",
    ),
    ("storage.k8s.io", "CSINode", {"spec": {"drivers": [{"name": "d"}]}}, "x | 1 | 60m"),
    ("storage.k8s.io", "CSIDriver", {"spec": {}}, "x | True | False | False | <unset> | False | <none> | 60m"),
    (
        "storage.k8s.io",
        "CSIDriver",
        {
            "spec": {
                "attachRequired": False,
                "tokenRequests": [{"audience": "a"}],
                "volumeLifecycleModes": ["Persistent", "Ephemeral"],
            }
        },
        "x | False | False | False | a | False | Persistent,Ephemeral | 60m",
    ),
    ("storage.k8s.io", "CSIStorageCapacity", {"storageClassName": "fast", "capacity": "1Gi"}, "x | fast | 1Gi"),
    ("coordination.k8s.io", "Lease", {"spec": {"holderIdentity": "me"}}, "x | me | 60m"),
    ("node.k8s.io", "RuntimeClass", {"handler": "kata"}, "x | kata | 60m"),
    (
        "scheduling.k8s.io",
        "PriorityClass",
        {"value": 100, "preemptionPolicy": "Never"},
        "x | 100 | False | 60m | Never",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "FlowSchema",
        {
            "spec": {
                "priorityLevelConfiguration": {"name": "pl"},
                "matchingPrecedence": 9,
                "distinguisherMethod": {"type": "ByUser"},
            },
            "status": {"conditions": [{"type": "Dangling", "status": "False"}]},
        },
        "x | pl | 9 | ByUser | 60m | False",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        {
            "spec": {
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": 5,
                    "limitResponse": {"queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 50}},
                },
            }
        },
        "x | Limited | 5 | 64 | 6 | 50 | 60m",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        {"spec": {"type": "Exempt"}},
        "x | Exempt | <none> | <none> | <none> | <none> | 60m",
    ),
    (
        "certificates.k8s.io",
        "CertificateSigningRequest",
        {
            "spec": {"signerName": "e.io/s", "username": "u", "expirationSeconds": 86400},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "AA=="},
        },
        "x | 60m | e.io/s | u | 24h | Approved,Issued",
    ),
    ("certificates.k8s.io", "CertificateSigningRequest", {"spec": {}}, "x | 60m | <none> |  | <none> | Pending"),
    ("certificates.k8s.io", "ClusterTrustBundle", {"spec": {"signerName": "e.io/s"}}, "x | e.io/s"),
    (
        "certificates.k8s.io",
        "PodCertificateRequest",
        {"spec": {"podName": "p", "serviceAccountName": "s", "nodeName": "n", "signerName": "e.io/s"}},
        "x | p | s | n | e.io/s | Pending",
    ),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", {"webhooks": [{}, {}]}, "x | 2 | 60m"),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        {"spec": {"validations": [{}], "paramKind": {"apiVersion": "e.io/v1", "kind": "P"}}},
        "x | 1 | e.io/v1/P | 60m",
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy", {"spec": {"mutations": [{}]}}, "x | 1 | <unset> | 60m"),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
        {"spec": {"policyName": "p", "paramRef": {"namespace": "ns", "name": "q"}}},
        "x | p | ns/q | 60m",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition", {}, "x | 2024-01-01T00:00:00Z"),
    (
        "apiregistration.k8s.io",
        "APIService",
        {"status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local"}]}},
        "x | Local | True | 60m",
    ),
    (
        "apiregistration.k8s.io",
        "APIService",
        {
            "spec": {"service": {"namespace": "ns", "name": "metrics"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
        },
        "x | ns/metrics | False (MissingEndpoints) | 60m",
    ),
    ("resource.k8s.io", "DeviceClass", {}, "x | 60m"),
    ("resource.k8s.io", "ResourceClaim", {}, "x | pending | 60m"),
    (
        "resource.k8s.io",
        "ResourceClaim",
        {"status": {"allocation": {}, "reservedFor": [{}]}},
        "x | allocated,reserved | 60m",
    ),
    (
        "resource.k8s.io",
        "ResourceSlice",
        {"spec": {"nodeName": "n", "driver": "d", "pool": {"name": "p"}}},
        "x | n | d | p | 60m",
    ),
    (
        "resource.k8s.io",
        "DeviceTaintRule",
        {"spec": {"taint": {"key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "2024-01-01T00:50:00Z"}}},
        "x | k | v | NoExecute | 10m | 60m",
    ),
    (
        "storagemigration.k8s.io",
        "StorageVersionMigration",
        {"spec": {"resource": {"group": "e.io", "resource": "crons"}}},
        "x | crons.e.io",
    ),
]


def whole(obj: Any) -> Any:
    meta = {"name": "x", "creationTimestamp": "2024-01-01T00:00:00Z", **obj.get("metadata", {})}
    return {**obj, "metadata": meta}


@pytest.mark.parametrize(
    ("group", "kind", "obj", "line"), CASES, ids=[f"{case[1]}-{i}" for i, case in enumerate(CASES)]
)
def test_line(group: str, kind: str, obj: Any, line: str) -> None:
    printer = PRINTERS[group, kind]
    cells = printer.cells(whole(obj), NOW_S)
    assert " | ".join(map(str, cells)) == line
    assert len(cells) == len(printer.columns)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


WRONG: tuple[Any, ...] = (None, True, 7, "word", [], ["word"], [None], {}, {"a": 1}, [[{}]])


@pytest.mark.parametrize(("group", "kind"), sorted(PRINTERS))
def test_wrong_types_are_shown_as_missing(group: str, kind: str) -> None:
    printer = PRINTERS[group, kind]
    samples = [whole(obj) for case_group, case_kind, obj, _ in CASES if (case_group, case_kind) == (group, kind)]
    for sample in [{}, {"metadata": None}, *samples]:
        for path in list(paths(sample))[1:]:
            for wrong in WRONG:
                broken = copy.deepcopy(sample)
                parent = broken
                for key in path[:-1]:
                    parent = parent[key]
                parent[path[-1]] = wrong
                cells = printer.cells(broken, NOW_S)
                assert len(cells) == len(printer.columns)
                assert all(isinstance(cell, (str, int, bool)) for cell in cells), cells
                msgspec.json.encode(cells)


DEFINITIONS = kinds()


@pytest.mark.parametrize(("group", "kind"), sorted(PRINTERS))
def test_whole_and_broken_objects(group: str, kind: str) -> None:
    printer = PRINTERS[group, kind]
    definition = next(name for (of, _, name_), name in sorted(DEFINITIONS.items()) if (of, name_) == (group, kind))
    obj = whole_object(definition)
    for each in (obj, *broken(obj, 100, f"{group}/{kind}")):
        cells = printer.cells(each, NOW_S)
        assert len(cells) == len(printer.columns)
        msgspec.json.encode(cells)
