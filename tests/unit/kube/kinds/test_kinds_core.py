"""Pods, services, workloads, quotas and limits: what is refused, and in whose words; and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube import catalog
from sampan.kube.strategy import Strategy
from unit.kube.kinds.edits import GONE, defaulted, edited

C = "spec.containers.0"
CONTAINER: Any = {"name": "c", "image": "i"}
CLAIMED: Any = {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi", "example.com/gpu": "2"}
POD: Any = {
    "metadata": {"name": "x", "namespace": "n"},
    "spec": {
        "containers": [
            {
                **CONTAINER,
                "ports": [{"name": "web", "containerPort": 80, "hostPort": 8080, "hostIP": "0.0.0.0"}],
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/name']"}}},
                    {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                    {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
                "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
                "resources": {"limits": CLAIMED, "requests": dict(CLAIMED)},
                "livenessProbe": {"httpGet": {"port": "web", "httpHeaders": [{"name": "X-A", "value": "b"}]}},
                "readinessProbe": {"grpc": {"port": 80}, "successThreshold": 3},
                "startupProbe": {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 5},
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}, "postStart": {"exec": {"command": ["true"]}}},
                "volumeMounts": [
                    {"name": "maps", "mountPath": "/maps", "subPath": "a/b", "mountPropagation": "HostToContainer"}
                ],
                "securityContext": {
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"add": ["NET_ADMIN"]},
                    "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/a.json"},
                    "appArmorProfile": {"type": "RuntimeDefault"},
                    "procMount": "Default",
                },
            }
        ],
        "initContainers": [
            {"name": "once", "image": "i"},
            {
                "name": "side", "image": "i", "restartPolicy": "Always",
                "startupProbe": {"exec": {"command": ["true"]}}, "lifecycle": {"preStop": {"exec": {"command": ["a"]}}},
            },
        ],
        "volumes": [
            {"name": "maps", "configMap": {"name": "m", "items": [{"key": "k", "path": "a/k", "mode": 0o400}]}},
            {"name": "empty", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
            {"name": "host", "hostPath": {"path": "/var/log", "type": "Directory"}},
            {"name": "all", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"secret": {"name": "s"}},
            ]}},
            {"name": "shares", "nfs": {"server": "s", "path": "/x"}},
        ],
        "securityContext": {
            "fsGroup": 5, "supplementalGroups": [1, 2], "fsGroupChangePolicy": "OnRootMismatch",
            "sysctls": [{"name": "net.core.somaxconn", "value": "9"}, {"name": "kernel/shm_rmid_forced", "value": "1"}],
            "seccompProfile": {"type": "RuntimeDefault"}, "supplementalGroupsPolicy": "Strict",
        },
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]},
                                          {"key": "b", "operator": "Exists"},
                                          {"key": "c", "operator": "Gt", "values": ["3"]}]},
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node"]}]},
                ]},
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 3, "preference": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}}
                ],
            },
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}, "namespaces": ["n"]}}
            ]},
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2,
             "labelSelector": {}, "matchLabelKeys": ["hash"], "nodeTaintsPolicy": "Honor"}
        ],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b."], "options": [{"name": "ndots", "value": "2"}]},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b"]}],
        "readinessGates": [{"conditionType": "example.com/ready"}],
        "schedulingGates": [{"name": "example.com/wait"}],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}],
        "os": {"name": "linux"},
    },
}  # fmt: skip
SERVICE: Any = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "a", "port": 80, "appProtocol": "http"}]}}
NODE_PORT = edited(SERVICE, "spec.type", "NodePort")
BALANCED: Any = {
    "metadata": {"name": "s"},
    "spec": {
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999,
        "loadBalancerClass": "example.com/lb", "loadBalancerSourceRanges": ["10.0.0.0/8"], "sessionAffinity": "ClientIP",
        "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 80, "protocol": "UDP", "nodePort": 30001}],
    },
}  # fmt: skip
EXTERNAL: Any = {"metadata": {"name": "s"}, "spec": {"type": "ExternalName", "externalName": "a.b"}}
TEMPLATE: Any = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}


def workload(**spec: Any) -> Any:
    return {"metadata": {"name": "w"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE, **spec}}


JOB_TEMPLATE: Any = {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}
POLICY: Any = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
JOB: Any = {
    "metadata": {"name": "j"},
    "spec": {
        "manualSelector": True,
        "selector": {"matchLabels": {}},
        "template": JOB_TEMPLATE,
        "podFailurePolicy": POLICY,
    },
}
CRON: Any = {
    "metadata": {"name": "c"},
    "spec": {
        "schedule": "@daily",
        "timeZone": "America/Argentina/Buenos_Aires",
        "jobTemplate": {"spec": {"template": JOB_TEMPLATE}},
    },
}
CPU: Any = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
SCALER: Any = {
    "metadata": {"name": "h"},
    "spec": {
        "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "metrics": [
            CPU,
            {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "100m"}}},
            {"type": "ContainerResource", "containerResource": {
                "name": "cpu", "container": "c", "target": {"type": "AverageValue", "averageValue": "1"}}},
            {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}},
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 3600, "policies": [
            {"type": "Pods", "value": 1, "periodSeconds": 1800}]}},
    },
}  # fmt: skip
QUOTA: Any = {
    "metadata": {"name": "q"},
    "spec": {"hard": {"pods": "3", "requests.cpu": "1500m", "count/jobs.batch": "2", "requests.example.com/gpu": "1",
                      "gold.storageclass.storage.k8s.io/requests.storage": "1Gi", "hugepages-2Mi": "4Mi"},
             "scopes": ["NotTerminating", "NotBestEffort"]},
}  # fmt: skip
LIMITS: Any = {
    "metadata": {"name": "l"},
    "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "1"}},
                        {"type": "Pod", "max": {"cpu": "3"}}, {"type": "PersistentVolumeClaim", "min": {"storage": "1"}}]},
}  # fmt: skip
VOLUME: Any = {
    "metadata": {"name": "v"},
    "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": "/x"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}]}},
    },
}  # fmt: skip
CLAIM: Any = {
    "metadata": {"name": "c"},
    "spec": {"accessModes": ["ReadWriteOncePod"], "volumeMode": "Block", "resources": {"requests": {"storage": "1Gi"}}},
}
LOGIN: Any = {
    "metadata": {"name": "s"},
    "type": "kubernetes.io/dockerconfigjson",
    "data": {".dockerconfigjson": "e30="},
}
ENDPOINTS: Any = {
    "metadata": {"name": "e"},
    "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}],
}
SLICE: Any = {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]}
GOOD = {
    "Pod": [POD, {"metadata": {"name": "x"}, "spec": {"containers": [CONTAINER]}}],
    "Service": [SERVICE, NODE_PORT, BALANCED, EXTERNAL, edited(SERVICE, "spec.clusterIP", "None")],
    "Deployment": [workload(), workload(strategy={"rollingUpdate": {"maxUnavailable": "100%", "maxSurge": "300%"}})],
    "StatefulSet": [
        workload(serviceName="s", ordinals={"start": 3}, updateStrategy={"type": "OnDelete"}),
        workload(updateStrategy={"rollingUpdate": {"partition": 2}}),
        edited(
            workload(volumeClaimTemplates=[{**CLAIM, "metadata": {"name": "data"}}]),
            f"spec.template.{C}.volumeDevices",
            [{"name": "data", "devicePath": "/dev/data"}],
        ),
    ],
    "DaemonSet": [workload(), workload(updateStrategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "10%"}})],
    "Job": [JOB],
    "CronJob": [CRON, edited(CRON, "spec.timeZone", "Etc/GMT+8")],
    "HorizontalPodAutoscaler": [SCALER],
    "ResourceQuota": [QUOTA],
    "LimitRange": [LIMITS],
    "PersistentVolume": [VOLUME],
    "PersistentVolumeClaim": [CLAIM],
    "Secret": [LOGIN],
    "Endpoints": [ENDPOINTS],
    "EndpointSlice": [SLICE],
}


def strategy_of(kind: str) -> Strategy:
    return catalog.strategy(next(each for each in catalog.RESOURCES if each.kind == kind))


def said(kind: str, obj: Any) -> list[str]:
    strategy = strategy_of(kind)
    made = defaulted(strategy, obj)
    return [str(fault) for fault in (*strategy.validate_create(made), *strategy.validate(made))]


@pytest.mark.parametrize(("kind", "obj"), [(kind, obj) for kind, found in GOOD.items() for obj in found])
def test_what_is_right_is_kept(kind: str, obj: Any) -> None:
    assert said(kind, obj) == []


PROFILE = 'supported values: "Localhost", "RuntimeDefault", "Unconfined"'
TERM = (
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0.matchExpressions.0"
)
IDS = "must be between 0 and 2147483647, inclusive"
REFUSED: list[tuple[str, Any, str, Any, str]] = [
    ("Pod", POD, f"{C}.securityContext.privileged", True, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    ("Pod", POD, f"{C}.securityContext.runAsUser", -1, IDS),
    ("Pod", POD, f"{C}.securityContext.procMount", "X", 'supported values: "Default", "Unmasked"'),
    ("Pod", POD, f"{C}.securityContext.seccompProfile.type", "X", PROFILE),
    ("Pod", POD, f"{C}.securityContext.seccompProfile.localhostProfile", GONE, "must be set when seccomp type is Localhost"),
    ("Pod", POD, f"{C}.securityContext.seccompProfile.localhostProfile", "/a", "must be a relative path"),
    ("Pod", POD, f"{C}.securityContext.appArmorProfile.type", "", "type is required when appArmorProfile is set"),
    ("Pod", POD, f"{C}.securityContext.capabilities.add", ["CAP_SYS_ADMIN"], "`capabilities.Add` CAP_SYS_ADMIN"),
    ("Pod", POD, "spec.securityContext.runAsGroup", 1 << 31, IDS),
    ("Pod", POD, "spec.securityContext.fsGroup", -1, IDS),
    ("Pod", POD, "spec.securityContext.supplementalGroups.1", -1, IDS),
    ("Pod", POD, "spec.securityContext.sysctls.1.name", "net.core.somaxconn", "Duplicate value"),
    ("Pod", POD, "spec.securityContext.sysctls.1.name", "a b", "must have at most 253 characters and match regex"),
    ("Pod", POD, f"{TERM}.operator", "X", "not a valid selector operator"),
    ("Pod", POD, f"{TERM}.values", GONE, "must be specified when `operator` is 'In' or 'NotIn'"),
    ("Pod", POD, TERM.replace("Expressions.0", "Expressions.1.values"), ["x"], "may not be specified when `operator` is 'Exists'"),
    ("Pod", POD, TERM.replace("Expressions.0", "Expressions.2.values"), ["1", "2"], "must be specified single value"),
    ("Pod", POD, TERM.replace("Terms.0.matchExpressions.0", "Terms.1.matchFields.0.key"), "a", "not a valid field selector key"),
    ("Pod", POD, "spec.ephemeralContainers", [CONTAINER], "spec.ephemeralContainers: Forbidden: cannot be set on create"),
    ("Pod", POD, "spec.nodeName", "n", "cannot be set until all schedulingGates have been cleared"),
    ("Pod", POD, "spec.hostAliases.0.ip", "x", "must be a valid IP address"),
    ("Pod", POD, f"{C}.env.1.valueFrom.fieldRef.fieldPath", "spec.x", "error converting fieldPath: field label not supported: spec.x"),
    ("Pod", POD, f"{C}.env.1.valueFrom.fieldRef.fieldPath", "status.phase", "Unsupported value"),
    ("Pod", POD, f"{C}.env.2.valueFrom.resourceFieldRef.resource", "cpu", "Unsupported value"),
    ("Pod", POD, f"{C}.envFrom.0.prefix", "a=", "a valid environment variable name"),
    ("Pod", POD, f"{C}.volumeMounts.0.mountPropagation", "X", "Unsupported value"),
    ("Pod", POD, f"{C}.volumeMounts.0.mountPropagation", "Bidirectional", "available only to privileged containers"),
    ("Pod", POD, f"{C}.volumeMounts.0.subPathExpr", "a", "subPathExpr and subPath are mutually exclusive"),
    ("Pod", POD, f"{C}.volumeDevices", [{"name": "none", "devicePath": "/dev/x"}], "Not found"),
    ("Pod", POD, "spec.volumes.0.configMap.items.0.path", "../x", "must not contain '..'"),
    ("Pod", POD, "spec.volumes.0.configMap.items.0.mode", 99999, "must be a number between 0 and 0777"),
    ("Pod", POD, "spec.volumes.1.emptyDir.sizeLimit", "-1", "SizeLimit field must be a valid resource quantity"),
    ("Pod", POD, "spec.volumes.2.hostPath.type", "X", "Unsupported value"),
    ("Pod", POD, "spec.volumes.2.hostPath.path", "/a/../b", "must not contain '..'"),
    ("Pod", POD, "spec.volumes.3.projected.sources.0.serviceAccountToken.expirationSeconds", 9, "less than 10 minutes"),
    ("Pod", POD, "spec.volumes.3.projected.sources.1.downwardAPI.items.0.fieldRef", GONE, "one of fieldRef and resourceFieldRef"),
    ("Pod", POD, "spec.volumes.3.projected.sources.2.configMap", {"name": "m"}, "more than 1 volume type per source"),
    ("Pod", POD, "spec.volumes.4.nfs.path", "x", "must be an absolute path"),
    ("Pod", POD, f"{C}.terminationMessagePolicy", "X", 'supported values: "FallbackToLogsOnError", "File"'),
    ("Pod", POD, f"{C}.startupProbe.terminationGracePeriodSeconds", 0, "must be greater than 0"),
    ("Pod", POD, f"{C}.readinessProbe.terminationGracePeriodSeconds", 3, "must not be set for readinessProbes"),
    ("Pod", POD, f"{C}.readinessProbe.grpc.port", 0, "must be between 1 and 65535"),
    ("Pod", POD, f"{C}.livenessProbe.httpGet.scheme", "FTP", 'supported values: "HTTP", "HTTPS"'),
    ("Pod", POD, f"{C}.livenessProbe.httpGet.httpHeaders.0.name", "a b", "a valid HTTP header"),
    ("Pod", POD, "spec.initContainers.0.lifecycle", {"preStop": {"exec": {"command": ["a"]}}}, "without restartPolicy=Always"),
    ("Pod", POD, f"{C}.resources.limits.hugepages-2Mi", "6Mi", "must be equal to hugepages-2Mi limit of 6Mi"),
    ("Pod", POD, f"{C}.resources", {"limits": {"hugepages-2Mi": "4Mi"}}, "HugePages require cpu or memory"),
    ("Pod", POD, f"{C}.resources.limits", {"example.com/gpu": "500m"}, "must be an integer"),
    ("Pod", POD, f"{C}.resources", {"requests": {"example.com/gpu": "1"}}, "Limit must be set for non overcommitable resources"),
    ("Pod", POD, "spec.hostNetwork", True, "must match `hostPort` when `hostNetwork` is true"),
    ("Pod", POD, "spec.dnsConfig.nameservers", ["1.1.1.1"] * 4, "must not have more than 3 nameservers"),
    ("Pod", POD, "spec.dnsConfig.nameservers", [], "must provide at least one DNS nameserver when `dnsPolicy` is None"),
    ("Pod", POD, "spec.topologySpreadConstraints.0.whenUnsatisfiable", "ScheduleAnyway", "can only use minDomains if"),
    ("Pod", POD, "spec.topologySpreadConstraints.0.labelSelector", GONE, "must not be specified when labelSelector is not set"),
    ("Pod", POD, "spec.readinessGates.0.conditionType", "a b", "name part must consist of"),
    ("Pod", POD, "spec.resourceClaims.0.resourceClaimTemplateName", "t", "at most one of"),
    ("Pod", POD, "spec.resourceClaims.0.resourceClaimName", GONE, "must specify one of"),
    ("Pod", POD, "spec.os.name", "beos", 'supported values: "linux", "windows"'),
    ("Service", SERVICE, "spec.ports.0.nodePort", 30001, "may not be used when `type` is 'ClusterIP'"),
    ("Service", SERVICE, "spec.ports.0.appProtocol", "a b", "name part must consist of"),
    ("Service", SERVICE, "spec.externalTrafficPolicy", "Local", "may only be set for externally-accessible services"),
    ("Service", SERVICE, "spec.loadBalancerClass", "a", "may only be used when `type` is 'LoadBalancer'"),
    ("Service", SERVICE, "spec.sessionAffinityConfig", {"clientIP": {}}, "must not be set when session affinity is None"),
    ("Service", SERVICE, "spec.ipFamilies", ["IPv5"], "Unsupported value"),
    ("Service", SERVICE, "spec.clusterIPs", ["10.0.0.1", "x"], "must be a valid IP address"),
    ("Service", SERVICE, "spec.externalIPs", ["127.0.0.1"], "may not be in the loopback range"),
    ("Service", NODE_PORT, "spec.clusterIP", "None", "may not be set to 'None' for NodePort services"),
    ("Service", BALANCED, "spec.ports.1.protocol", "TCP", "spec.ports[1].nodePort: Duplicate value: 30001"),
    ("Service", BALANCED, "spec.externalTrafficPolicy", "Cluster", "`externalTrafficPolicy` is 'Local'"),
    ("Service", BALANCED, "spec.loadBalancerSourceRanges", ["x"], "must be a valid CIDR value"),
    ("Deployment", workload(), "spec.strategy", {"rollingUpdate": {"maxUnavailable": "101%"}}, "must not be greater than 100%"),
    ("Deployment", workload(), "spec.template.spec.activeDeadlineSeconds", 5, "activeDeadlineSeconds in ReplicaSet is not Supported"),
    ("Deployment", workload(), "spec.template.spec.ephemeralContainers", [CONTAINER], "not allowed in pod template"),
    ("StatefulSet", workload(), "spec.serviceName", "A_b", "a lowercase RFC 1123 label"),
    ("StatefulSet", workload(), "spec.ordinals", {"start": -1}, "must be greater than or equal to 0"),
    ("StatefulSet", workload(), "spec.updateStrategy", {"type": "OnDelete", "rollingUpdate": {}}, "only allowed for updateStrategy"),
    ("DaemonSet", workload(), "spec.updateStrategy", {"rollingUpdate": {"maxUnavailable": 0}}, "cannot be 0 when maxSurge is 0"),
    ("DaemonSet", workload(), "spec.updateStrategy", {"rollingUpdate": {"maxSurge": 1}}, "may not be set when maxUnavailable is non-zero"),
    ("Job", JOB, "spec.podFailurePolicy.rules.0.action", "X", "Unsupported value"),
    ("Job", JOB, "spec.podFailurePolicy.rules.0.onPodConditions", GONE, "one of OnExitCodes and OnPodConditions is required"),
    ("Job", JOB, "spec.template.spec.restartPolicy", "OnFailure", 'only "Never" is supported'),
    ("CronJob", CRON, "spec.timeZone", "a b", "unknown time zone a b"),
    ("CronJob", CRON, "spec.timeZone", "Local", "timeZone must be an explicit time zone"),
    ("HorizontalPodAutoscaler", SCALER, "spec.metrics.0", {"type": "Resource"}, "must populate information for the given metric source"),
    ("HorizontalPodAutoscaler", SCALER, "spec.metrics.0.resource.target.type", "X", "must be either Utilization, Value, or AverageValue"),
    ("HorizontalPodAutoscaler", SCALER, "spec.metrics.1.pods.target.averageValue", "0", "must be positive"),
    ("HorizontalPodAutoscaler", SCALER, "spec.metrics.2.containerResource.container", GONE, "must specify a container"),
    ("HorizontalPodAutoscaler", SCALER, "spec.behavior.scaleDown.stabilizationWindowSeconds", 3601, "less than or equal to 3600"),
    ("HorizontalPodAutoscaler", SCALER, "spec.behavior.scaleDown.policies.0.value", 0, "must be greater than zero"),
    ("ResourceQuota", QUOTA, "spec.hard", {"nonsense": "1"}, "must be a standard resource for quota"),
    ("ResourceQuota", QUOTA, "spec.hard.pods", "1500m", "must be an integer"),
    ("ResourceQuota", QUOTA, "spec.hard.services", "1", "unsupported scope applied to resource"),
    ("ResourceQuota", QUOTA, "spec.scopes", ["X"], "unsupported scope"),
    ("ResourceQuota", QUOTA, "spec.scopes", ["Terminating", "NotTerminating"], "conflicting scopes"),
    ("ResourceQuota", QUOTA, "spec.scopeSelector", {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]},
     "must be at least one value when `operator` is 'In' or 'NotIn'"),
    ("LimitRange", LIMITS, "spec.limits.0.type", "X", "must be a standard limit type or fully qualified"),
    ("LimitRange", LIMITS, "spec.limits.0.type", "Pod", "spec.limits[1].type: Duplicate value"),
    ("LimitRange", LIMITS, "spec.limits.1.default", {"cpu": "1"}, "may not be specified when `type` is 'Pod'"),
    ("LimitRange", LIMITS, "spec.limits.2.min", GONE, "either minimum or maximum storage value is required"),
    ("LimitRange", LIMITS, "spec.limits.0.maxLimitRequestRatio.cpu", "500m", "ratio 500m is less than 1"),
    ("PersistentVolume", VOLUME, "spec.capacity.storage", "0", "must be greater than zero"),
    ("PersistentVolume", VOLUME, "spec.nodeAffinity.required.nodeSelectorTerms", [], "at least one node selector term"),
    ("PersistentVolumeClaim", CLAIM, "spec.accessModes.1", "ReadWriteOnce", "may not use ReadWriteOncePod with other"),
    ("PersistentVolumeClaim", CLAIM, "spec.volumeMode", "X", 'supported values: "Block", "Filesystem"'),
    ("Secret", LOGIN, "data", {".dockerconfigjson": "e30"}, '"<secret contents redacted>"'),
    ("Endpoints", ENDPOINTS, "subsets.0.addresses.0.ip", "169.254.1.1", "may not be in the link-local range"),
    ("Endpoints", ENDPOINTS, "subsets.0.ports.1.name", GONE, "subsets[0].ports[1].name: Required value"),
    ("EndpointSlice", SLICE, "endpoints.0.addresses.0", "::1", "must be an IPv4 address"),
    ("EndpointSlice", SLICE, "endpoints.0.addresses.0", "0.0.0.0", "may not be unspecified"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "obj", "path", "value", "why"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_wrong_is_told(kind: str, obj: Any, path: str, value: Any, why: str) -> None:
    found = said(kind, edited(obj, path, value))
    assert any(why in fault for fault in found), found


def test_a_profile_names_a_file_or_does_not() -> None:
    pod = edited(POD, f"{C}.securityContext.appArmorProfile.localhostProfile", "x")
    assert any("can only be set when AppArmor type is Localhost" in fault for fault in said("Pod", pod))


def test_a_deadline_only_comes_nearer() -> None:
    strategy, before = strategy_of("Pod"), defaulted(strategy_of("Pod"), edited(POD, "spec.activeDeadlineSeconds", 9))
    for value, why in (
        (8, ""),
        (10, "less than or equal to previous value"),
        (GONE, "must not update from a positive"),
    ):
        found = [
            str(fault)
            for fault in strategy.validate_update(edited(before, "spec.activeDeadlineSeconds", value), before)
        ]
        assert len(found) == bool(why)
        assert all(why in fault for fault in found)


@pytest.mark.parametrize(
    ("kind", "gone", "kept"),
    [
        (
            "ClusterIP",
            ("externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"),
            ("clusterIP",),
        ),
        ("NodePort", ("healthCheckNodePort", "loadBalancerClass"), ("clusterIP", "externalTrafficPolicy")),
        ("ExternalName", ("clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"), ("ports",)),
    ],
)
def test_a_service_of_another_type_loses_what_that_has_not(
    kind: str, gone: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    strategy = strategy_of("Service")
    old = defaulted(strategy, edited(BALANCED, "spec.clusterIP", "10.0.0.1"))
    old["spec"]["clusterIPs"] = ["10.0.0.1"]
    del old["spec"]["loadBalancerSourceRanges"]
    new = edited(edited(old, "spec.type", kind), "spec.externalName", "a.b")
    strategy.prepare_update(new, old)
    assert not set(gone) & set(new["spec"])
    assert set(kept) <= set(new["spec"])
    assert any("nodePort" in port for port in new["spec"]["ports"]) is (kind == "NodePort")
    assert strategy.validate(new) == []


def test_what_a_pod_may_not_change() -> None:
    strategy, before = strategy_of("Pod"), defaulted(strategy_of("Pod"), POD)
    gates = before["spec"]["schedulingGates"]
    for path, value, why in (
        ("spec.schedulingGates", [], ""),
        ("spec.schedulingGates", [*gates, {"name": "another"}], "found new scheduling gate 'another'"),
        ("spec.terminationGracePeriodSeconds", 5, "pod updates may not change fields other than"),
        ("spec.containers.0.image", "other", ""),
    ):
        found = [str(fault) for fault in strategy.validate_update(edited(before, path, value), before)]
        assert len(found) == bool(why)
        assert all(why in fault for fault in found)
